//! Claiming what is due, and renewing.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, Iterable, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, UpdateMany,
    sea_query::{
        Alias, CaseStatement, CommonTableExpression, Expr, LockBehavior, LockType, Query, SelectStatement, SimpleExpr,
        UpdateStatement,
    },
};
use tokio::time::Instant;

use crate::{
    connect::{Ledger, millis},
    entity::provisioning::{Column, Entity, Model},
    error::LedgerError,
    ids::WorkerId,
    provisioning::{Claimed, Lease},
    state::{State, Step},
};

/// How long a row that can't be read is left alone: a release that can read it may come.
const DAMAGED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// How many provisionings to claim, and of which kind.
///
/// What was begun (a lookup, a retry, a next step) comes first, so that it never waits for a backlog of new signups. Some
/// places may be kept for those, so that they don't wait for a backlog of the others either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// How many in all.
    pub all: u64,
    /// How many of them are kept for what has not begun. `None`: nothing new is claimed.
    pub for_new: Option<u64>,
}

/// The two queues of what is due. Each has an index of its own, in the order in which it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// A create call was announced before.
    Begun,
    /// None was.
    New,
}

/// What a claim has brought.
#[derive(Debug, Default)]
pub struct Claims {
    /// What is now the claimant's.
    pub claimed: Vec<Claimed>,
    /// Rows that were due and can't be read. They are put back for a while, so that they don't stop the others.
    pub damaged: Vec<LedgerError>,
}

impl Queue {
    /// The condition of the index, word for word and without a parameter: else SQLite does not use the index.
    pub(crate) fn condition(self) -> SimpleExpr {
        match self {
            Self::Begun => Expr::cust("intents <> 0"),
            Self::New => Expr::cust("intents = 0"),
        }
    }
}

impl Ledger {
    /// Limits an update to the rows whose ids this query finds, which may lock them and have a limit of its own.
    ///
    /// PostgreSQL may run a subquery of `IN` once for each row that it tries, with the limit counted again each time,
    /// so it gets a table that is made once. Not an array: the planner takes any array for ten keys, and would read
    /// the whole table for them if it was empty when the plan was made.
    pub(crate) fn limited_to(&self, update: UpdateMany<Entity>, ids: SelectStatement) -> UpdateStatement {
        let mut update = update.into_query();
        if self.is_embedded() {
            update.and_where(Expr::col(Column::Id).in_subquery(ids));
            return update;
        }
        let found = Alias::new("found");
        let mut table = CommonTableExpression::new();
        table.table_name(found.clone()).column(Column::Id).materialized(true).query(ids);
        update
            .with_cte(table)
            .from(found.clone())
            .and_where(Expr::col((Entity, Column::Id)).equals((found, Column::Id)));
        update
    }

    /// Runs an update, and answers the rows as they are now.
    async fn updated(&self, mut update: UpdateStatement) -> Result<Vec<Model>, LedgerError> {
        let columns = Column::iter().map(|column| Expr::col((Entity, column)));
        update.returning(Query::returning().exprs(columns));
        let rows = self.db.query_all(&update).await?;
        Ok(rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?)
    }

    /// Takes up to `limit` provisionings that are due, all of the begun ones first: see [`Ledger::claim_places`].
    ///
    /// # Errors
    /// As [`Ledger::claim_places`].
    pub async fn claim(&self, owner: &WorkerId, limit: u64, lease: Duration) -> Result<Claims, LedgerError> {
        self.claim_places(owner, Places { all: limit, for_new: Some(0) }, lease).await
    }

    /// Takes provisionings that are due, of each queue the longest due first: their leases, and for those in state `due`
    /// the intent of their step, are committed with it. Places that one queue can't fill go to the other.
    ///
    /// # Errors
    /// When the database does not answer. A claim whose answer was lost is given up by letting its lease expire.
    pub async fn claim_places(&self, owner: &WorkerId, places: Places, lease: Duration) -> Result<Claims, LedgerError> {
        let (ledger, owner) = (self.clone(), owner.clone());
        self.detached("claim", async move {
            let asked_at = Instant::now();
            let rows = ledger.take_places(&owner, places, lease).await?;
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

    async fn take_places(&self, owner: &WorkerId, places: Places, lease: Duration) -> Result<Vec<Model>, LedgerError> {
        let for_begun = places.all.saturating_sub(places.for_new.unwrap_or(0));
        let mut rows = self.take(owner, Queue::Begun, for_begun, lease).await?;
        let more_may_be_begun = rows.len() as u64 == for_begun;
        let rest = [(Queue::New, places.for_new.is_some()), (Queue::Begun, more_may_be_begun)];
        for (queue, _) in rest.into_iter().filter(|(_, is_asked)| *is_asked) {
            match self.take(owner, queue, places.all - rows.len() as u64, lease).await {
                Ok(more) => rows.extend(more),
                // What was taken before is this worker's, and would wait for its lease to expire.
                Err(error) if rows.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(rows)
    }

    /// Takes up to `limit` of one queue, in one statement.
    async fn take(
        &self,
        owner: &WorkerId,
        queue: Queue,
        limit: u64,
        lease: Duration,
    ) -> Result<Vec<Model>, LedgerError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let now = self.now();
        let due = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(queue.condition())
            .filter(Expr::col(Column::DueAt).lte(now.clone()))
            // What rests is not due. Not as `state IN`, which would tempt a planner to an index by state, and to sorting.
            .filter(Column::State.is_not_in([State::InFlight, State::Parked, State::Closed].map(State::as_str)))
            .filter(Expr::col(Column::LeaseUntil).is_null().or(Expr::col(Column::LeaseUntil).lt(now.clone())))
            .order_by_asc(Column::DueAt)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let is_due = || Expr::col(Column::State).eq(State::Due.as_str());
        // A user's call that never was in doubt may as well be sent with another email.
        let is_new_key =
            is_due().and(Expr::col(Column::Step).eq(Step::User.as_str())).and(Expr::col(Column::InDoubt).eq(false));
        let taken = Entity::update_many()
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
                    .case(is_new_key, Expr::val(self.mailbox.as_deref()))
                    .finally(Expr::col(Column::Mailbox))
                    .into(),
            )
            .col_expr(
                Column::State,
                CaseStatement::new().case(is_due(), State::InFlight.as_str()).finally(Expr::col(Column::State)).into(),
            )
            .col_expr(Column::UpdatedAt, now);
        let rows = self.updated(self.limited_to(taken, due)).await?;
        if !rows.is_empty() {
            self.count_commit();
        }
        Ok(rows)
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
            .col_expr(Column::UpdatedAt, self.now())
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
            // Locked in the order of their ids, as batches do: an `UPDATE` has no order, and would wait in a circle
            // with one. A row that passes to another worker while this waits for its lock is not found.
            let in_order = Entity::find()
                .select_only()
                .column(Column::Id)
                .filter(Column::LeaseOwner.eq(owner.as_str()))
                .filter(Column::Id.is_in(leases.iter().map(|lease| lease.id.as_str())))
                .order_by_asc(Column::Id)
                .lock_exclusive()
                .into_query();
            let prolonged = Entity::update_many()
                .col_expr(Column::LeaseUntil, now.clone().add(millis(lease)))
                // A lease is as long as it ends after its row was written, should the clock be set back.
                .col_expr(Column::UpdatedAt, now);
            let kept = ledger.updated(ledger.limited_to(prolonged, in_order)).await?;
            ledger.count_commit();
            Ok(leases
                .into_iter()
                .filter(|held| kept.iter().any(|row| row.id == held.id.as_str() && row.epoch == held.epoch))
                .map(|held| Lease { until: asked_at + lease, ..held })
                .collect())
        })
        .await
    }
}
