//! Claiming what is due, renewing, giving back, and sweeping up after workers that vanished.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{CaseStatement, Expr, LockBehavior, LockType, SelectStatement},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    connect::{Ledger, millis},
    entity::{
        attempt,
        provisioning::{Column, Entity},
    },
    error::LedgerError,
    ids::WorkerId,
    provisioning::{Claimed, Lease},
    state::{AttemptKind, State, Step},
};

/// How long a row that can't be read is left alone: a release that can read it may come.
const DAMAGED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// What a claim has brought.
#[derive(Debug, Default)]
pub struct Claims {
    /// What is now the claimant's.
    pub claimed: Vec<Claimed>,
    /// Rows that were due and can't be read. They are put back for a while, so that they don't stop the others.
    pub damaged: Vec<LedgerError>,
}

/// A provisioning that was moved to `unknown`, since its worker vanished.
#[derive(Debug, Clone)]
pub struct Swept {
    /// The parent app's key.
    pub signup_id: String,
    /// The step whose call was announced.
    pub step: String,
    /// The number of that call.
    pub intent: u32,
}

impl Ledger {
    /// Ids from a query with a limit. PostgreSQL may run a subquery of `IN` once for each row that it tries, with the
    /// limit counted anew each time; an array is made once.
    fn is_one_of(&self, ids: SelectStatement) -> Expr {
        let id = Expr::col(Column::Id);
        if self.is_embedded() {
            id.in_subquery(ids)
        } else {
            Expr::cust_with_exprs("$1 = ANY(ARRAY $2)", [id, Expr::SubQuery(None, Box::new(ids.into()))])
        }
    }

    /// Takes up to `limit` provisionings that are due, in one statement: their leases, and for those in state `due`
    /// the intent of their step, are committed with it.
    ///
    /// # Errors
    /// When the database does not answer. A claim whose answer was lost is given up by letting its lease expire.
    pub async fn claim(&self, owner: &WorkerId, limit: u64, lease: Duration) -> Result<Claims, LedgerError> {
        let (ledger, owner) = (self.clone(), owner.clone());
        self.detached("claim", async move {
            let asked_at = Instant::now();
            let now = ledger.now();
            let due = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::State.is_in([State::Due.as_str(), State::Unknown.as_str()]))
                .filter(Expr::col(Column::DueAt).lte(now.clone()))
                .filter(Expr::col(Column::LeaseUntil).is_null().or(Expr::col(Column::LeaseUntil).lt(now.clone())))
                .order_by_asc(Column::DueAt)
                .limit(limit)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .into_query();
            let is_due = || Expr::col(Column::State).eq(State::Due.as_str());
            // A user's call that never was in doubt may as well be sent with another email.
            let is_new_key =
                is_due().and(Expr::col(Column::Step).eq(Step::User.as_str())).and(Expr::col(Column::InDoubt).eq(false));
            let rows = Entity::update_many()
                .col_expr(Column::LeaseOwner, Expr::val(owner.as_str()))
                .col_expr(Column::LeaseUntil, now.clone().add(millis(lease)))
                .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
                .col_expr(
                    Column::Intents,
                    Expr::col(Column::Intents).add(CaseStatement::new().case(is_due(), 1).finally(0)),
                )
                .col_expr(
                    Column::IntentAt,
                    CaseStatement::new().case(is_due(), now.clone()).finally(Expr::col(Column::IntentAt)).into(),
                )
                .col_expr(
                    Column::Mailbox,
                    CaseStatement::new()
                        .case(is_new_key, Expr::val(ledger.mailbox.as_deref()))
                        .finally(Expr::col(Column::Mailbox))
                        .into(),
                )
                .col_expr(
                    Column::State,
                    CaseStatement::new()
                        .case(is_due(), State::InFlight.as_str())
                        .finally(Expr::col(Column::State))
                        .into(),
                )
                .col_expr(Column::UpdatedAt, now)
                .filter(ledger.is_one_of(due))
                .exec_with_returning(&ledger.db)
                .await?;
            if !rows.is_empty() {
                ledger.count_commit();
            }
            let mut claims = Claims::default();
            let mut unread = Vec::new();
            for row in rows {
                let id = row.id.clone();
                match Claimed::new(row, &owner, asked_at, lease) {
                    Ok(claimed) => claims.claimed.push(claimed),
                    Err(error) => {
                        claims.damaged.push(error);
                        unread.push(id);
                    }
                }
            }
            if !unread.is_empty() {
                ledger.put_back(&owner, unread).await?;
            }
            Ok(claims)
        })
        .await
    }

    /// Takes a claim back from rows that can't be read: no call was sent for them, so none is in doubt.
    async fn put_back(&self, owner: &WorkerId, ids: Vec<String>) -> Result<(), LedgerError> {
        let was_due = || Expr::col(Column::State).eq(State::InFlight.as_str());
        Entity::update_many()
            .col_expr(
                Column::Intents,
                Expr::col(Column::Intents).sub(CaseStatement::new().case(was_due(), 1).finally(0)),
            )
            .col_expr(
                Column::State,
                CaseStatement::new().case(was_due(), State::Due.as_str()).finally(Expr::col(Column::State)).into(),
            )
            .col_expr(Column::DueAt, self.now().add(millis(DAMAGED_PAUSE)))
            .col_expr(Column::LeaseOwner, Expr::val(None::<String>))
            .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
            .filter(Column::Id.is_in(ids))
            .filter(Column::LeaseOwner.eq(owner.as_str()))
            .exec(&self.db)
            .await?;
        Ok(())
    }

    /// Prolongs the given leases of this worker in one statement. Answers those that it still holds, prolonged; one
    /// that is missing from the answer has passed to another worker.
    ///
    /// # Errors
    /// When the database does not answer; the leases are then as they were.
    pub async fn renew(&self, owner: &WorkerId, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, LedgerError> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let (ledger, owner, leases) = (self.clone(), owner.clone(), leases.to_vec());
        self.detached("renew", async move {
            let asked_at = Instant::now();
            let now = ledger.now();
            let kept = Entity::update_many()
                .col_expr(Column::LeaseUntil, now.add(millis(lease)))
                .filter(Column::LeaseOwner.eq(owner.as_str()))
                .filter(Column::Id.is_in(leases.iter().map(|lease| lease.id.as_str())))
                .exec_with_returning(&ledger.db)
                .await?;
            ledger.count_commit();
            Ok(leases
                .into_iter()
                .filter(|held| kept.iter().any(|row| row.id == held.id.as_str() && row.epoch == held.epoch))
                .map(|held| Lease { until: asked_at + lease, ..held })
                .collect())
        })
        .await
    }

    /// Moves every announced call whose worker's lease has expired to `unknown`, due for its first lookup after
    /// `lookup_after`, and writes the evidence. The epoch is raised, so that the old owner's writes no longer count.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was moved.
    pub async fn sweep(&self, lookup_after: Duration) -> Result<Vec<Swept>, LedgerError> {
        let ledger = self.clone();
        self.detached("sweep", async move {
            let txn = ledger.begin().await?;
            let now = ledger.now_in(&txn).await?;
            let expired = Entity::find()
                .filter(Column::State.eq(State::InFlight.as_str()))
                .filter(Column::LeaseUntil.lt(now))
                .limit(500)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(&txn)
                .await?;
            if expired.is_empty() {
                txn.rollback().await?;
                return Ok(Vec::new());
            }
            let ids: Vec<&str> = expired.iter().map(|row| row.id.as_str()).collect();
            Entity::update_many()
                .col_expr(Column::State, Expr::val(State::Unknown.as_str()))
                .col_expr(Column::DueAt, Expr::val(now + millis(lookup_after)))
                .col_expr(Column::InDoubt, Expr::val(true))
                // A call ends before its lease does.
                .col_expr(Column::DoubtEndedAt, Expr::col(Column::LeaseUntil))
                .col_expr(Column::Refused, Expr::val(None::<String>))
                .col_expr(Column::Lookups, Expr::val(0))
                .col_expr(Column::LeaseOwner, Expr::val(None::<String>))
                .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
                .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
                .col_expr(Column::UpdatedAt, Expr::val(now))
                .filter(Column::Id.is_in(ids))
                .exec(&txn)
                .await?;
            let swept = expired
                .iter()
                .map(|row| Swept {
                    signup_id: row.signup_id.clone(),
                    step: row.step.clone(),
                    intent: u32::try_from(row.intents).unwrap_or_default(),
                })
                .collect();
            let evidence = expired.iter().map(|row| attempt::ActiveModel {
                id: Set(Uuid::now_v7().to_string()),
                provisioning_id: Set(row.id.clone()),
                intent: Set(row.intents),
                epoch: Set(row.epoch),
                owner: Set(row.lease_owner.clone().unwrap_or_default()),
                kind: Set(AttemptKind::Expired.as_str().to_owned()),
                step: Set(row.step.clone()),
                natural_key: Set(None),
                started_at: Set(row.intent_at.unwrap_or(now)),
                ended_at: Set(now),
                outcome: Set("unknown".to_owned()),
                http_status: Set(None),
                logref: Set(None),
                note: Set(Some(
                    "the worker that announced this call vanished before it recorded an outcome".to_owned(),
                )),
            });
            attempt::Entity::insert_many(evidence).exec_without_returning(&txn).await?;
            ledger.commit(txn).await?;
            Ok(swept)
        })
        .await
    }
}
