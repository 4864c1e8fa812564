//! Accepting signups: the transaction after which a message may be acknowledged.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use foxden_vault::{Fingerprint, Sealed};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, TryInsertResult,
    sea_query::OnConflict,
};
use tokio::time::Instant;

use crate::{
    connect::{Ledger, millis},
    connections::Transaction,
    entity::provisioning::{ActiveModel, Column, Entity, Model},
    error::LedgerError,
    ids::{ProvisioningId, SignupId, WorkerId},
    provisioning::{Claimed, Provisioning},
    state::{Source, State, Step},
};

/// A checked signup, sealed and ready to be accepted.
#[derive(Debug, Clone)]
pub struct NewSignup {
    /// The key under which its payload was sealed.
    pub id: ProvisioningId,
    /// The parent app's key.
    pub signup_id: SignupId,
    /// The parent app's id of the customer.
    pub account_id: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// The sealed event.
    pub payload: Sealed,
    /// The keyed digest of its content.
    pub fingerprint: Fingerprint,
}

/// What accepting a signup came to.
#[derive(Debug)]
pub enum Accepted {
    /// It is new, and any worker may take it.
    Queued,
    /// It is new, and it is the caller's: leased, with the intent of the user step committed.
    Leased(Box<Claimed>),
    /// Its signup id is known. Whether its content is too, the caller tells from the fingerprint.
    Known(Box<Known>),
    /// Its signup id is known, and the row can't be read: it is damaged, or of a later release.
    Damaged(LedgerError),
}

/// The row that a repeated signup id ran into.
#[derive(Debug, Clone)]
pub struct Known {
    /// The row as it stands.
    pub provisioning: Provisioning,
    /// The digest of the content that was accepted.
    pub fingerprint: Fingerprint,
}

impl Ledger {
    /// Accepts one signup for this worker: one transaction commits the row, its lease and the intent of the user
    /// step, so that the create call may be sent at once. Only then acknowledge the message.
    ///
    /// Where the answer was lost, ask again with the same [`NewSignup`]: by its id the row is known for the caller's own,
    /// and the lease comes with what is left of it.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have: don't acknowledge; a repeat is recognized.
    pub async fn accept_leased(
        &self,
        signup: NewSignup,
        owner: &WorkerId,
        lease: Duration,
    ) -> Result<Accepted, LedgerError> {
        let (ledger, owner) = (self.clone(), owner.clone());
        self.detached("accept_leased", async move {
            let asked_at = Instant::now();
            let (id, signup_id) = (signup.id.clone(), signup.signup_id.clone());
            let txn = ledger.begin().await?;
            let now = ledger.now_in(&txn).await?;
            let mut row = row(signup, now);
            row.mailbox = Set(ledger.mailbox.as_deref().map(str::to_owned));
            row.state = Set(State::InFlight.as_str().to_owned());
            row.due_at = Set(None);
            row.lease_owner = Set(Some(owner.as_str().to_owned()));
            row.lease_until = Set(Some(now + millis(lease)));
            row.epoch = Set(1);
            row.intents = Set(1);
            row.intent_at = Set(Some(now));
            let inserted = Entity::insert_many([row])
                .on_conflict(OnConflict::column(Column::SignupId).do_nothing().to_owned())
                .try_insert()
                .exec_with_returning_many(&txn)
                .await?;
            if let Some(model) = inserted_rows(inserted).into_iter().next() {
                let claimed = Claimed::new(model, &owner, asked_at, lease)?;
                ledger.commit(txn).await?;
                return Ok(Accepted::Leased(Box::new(claimed)));
            }
            let own = Entity::find()
                .filter(Column::Id.eq(id.as_str()))
                .filter(Column::LeaseOwner.eq(owner.as_str()))
                .filter(Column::Epoch.eq(1))
                .filter(Column::Intents.eq(1))
                .filter(Column::State.eq(State::InFlight.as_str()));
            if let Some(model) = own.one(&txn).await? {
                txn.rollback().await?;
                return Ok(Accepted::Leased(Box::new(Claimed::as_it_stands(model, &owner, asked_at, now)?)));
            }
            let known = find_known(&txn, &[signup_id.as_str()]).await?;
            txn.rollback().await?;
            known.into_values().next().map(accepted).ok_or_else(vanished)
        })
        .await
    }

    /// Accepts many signups in one transaction, for any worker to take. The answers are in the order of the input.
    /// A signup id that stands twice in the input is `Known` the second time.
    ///
    /// # Errors
    /// As [`Ledger::accept_leased`]; then none of them was accepted.
    pub async fn accept_queued(&self, signups: Vec<NewSignup>) -> Result<Vec<Accepted>, LedgerError> {
        let ledger = self.clone();
        self.detached("accept_queued", async move {
            if signups.is_empty() {
                return Ok(Vec::new());
            }
            let txn = ledger.begin().await?;
            let now = ledger.now_in(&txn).await?;
            let wanted: Vec<_> = signups.iter().map(|s| (s.id.clone(), s.signup_id.clone())).collect();
            let inserted = Entity::insert_many(signups.into_iter().map(|signup| row(signup, now)))
                .on_conflict(OnConflict::column(Column::SignupId).do_nothing().to_owned())
                .try_insert()
                .exec_with_returning_many(&txn)
                .await?;
            let new: HashSet<String> = inserted_rows(inserted).into_iter().map(|row| row.id).collect();
            let repeats: Vec<&str> =
                wanted.iter().filter(|(id, _)| !new.contains(id.as_str())).map(|(_, s)| s.as_str()).collect();
            let known = find_known(&txn, &repeats).await?;
            ledger.commit(txn).await?;
            let answer = |(id, signup_id): &(ProvisioningId, SignupId)| {
                if new.contains(id.as_str()) {
                    return Ok(Accepted::Queued);
                }
                // The same id may stand in the input twice.
                let known = match known.get(signup_id.as_str()).ok_or_else(vanished)? {
                    Ok(known) => Ok(known.clone()),
                    Err(error) => Err(error.same_damage()),
                };
                Ok(accepted(known))
            };
            wanted.iter().map(answer).collect()
        })
        .await
    }

    /// The row of a signup id that is known, as it stands now.
    ///
    /// # Errors
    /// When the database does not answer, or the row is damaged or gone.
    pub async fn known(&self, signup_id: &SignupId) -> Result<Known, LedgerError> {
        let (ledger, signup_id) = (self.clone(), signup_id.clone());
        self.detached("known", async move {
            let known = find_known(&ledger.db, &[signup_id.as_str()]).await?;
            known.into_values().next().ok_or_else(vanished)?
        })
        .await
    }

    /// Now, read inside a transaction. On PostgreSQL that is a round trip, which the insert needs: the columns it
    /// fills are compared with the same clock later.
    pub(crate) async fn now_in(&self, txn: &Transaction) -> Result<i64, LedgerError> {
        use sea_orm::sea_query::{Alias, Query};
        let query = Query::select().expr_as(self.now(), Alias::new("now")).to_owned();
        let row = txn.query_one(&query).await?.ok_or_else(vanished)?;
        Ok(row.try_get("", "now")?)
    }
}

fn vanished() -> LedgerError {
    LedgerError::Schema("a row that was there a moment ago is gone".to_owned())
}

fn row(signup: NewSignup, now: i64) -> ActiveModel {
    ActiveModel {
        id: Set(signup.id.to_string()),
        signup_id: Set(signup.signup_id.to_string()),
        account_id: Set(signup.account_id),
        source: Set(signup.source.as_str().to_owned()),
        step: Set(Step::User.as_str().to_owned()),
        state: Set(State::Due.as_str().to_owned()),
        parked_reason: NotSet,
        parked_detail: NotSet,
        payload: Set(Some(signup.payload.into_bytes())),
        fingerprint: Set(signup.fingerprint.as_bytes().to_vec()),
        mailbox: Set(None),
        generation: Set(1),
        user_from: NotSet,
        user_uri: NotSet,
        store_uri: NotSet,
        store_domain: NotSet,
        domain_try: Set(0),
        in_doubt: Set(false),
        doubt_ended_at: NotSet,
        refused: NotSet,
        intents: Set(0),
        key_intent: Set(1),
        retries: Set(0),
        tries: Set(0),
        tried_ms: Set(0),
        lookups: Set(0),
        step_since: Set(now),
        due_at: Set(Some(now)),
        not_before: NotSet,
        lease_owner: Set(None),
        lease_until: Set(None),
        epoch: Set(0),
        intent_at: Set(None),
        accepted_at: Set(now),
        updated_at: Set(now),
        closed_at: NotSet,
        forgotten_at: NotSet,
        restored_to: NotSet,
        tokens_forgotten_at: NotSet,
        links_forgotten_at: NotSet,
    }
}

fn inserted_rows(result: TryInsertResult<Vec<Model>>) -> Vec<Model> {
    match result {
        TryInsertResult::Inserted(rows) => rows,
        // All of them ran into rows that are there.
        TryInsertResult::Conflicted | TryInsertResult::Empty => Vec::new(),
    }
}

async fn find_known(
    txn: &impl ConnectionTrait,
    signup_ids: &[&str],
) -> Result<HashMap<String, Result<Known, LedgerError>>, LedgerError> {
    if signup_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Entity::find().filter(Column::SignupId.is_in(signup_ids.iter().copied())).all(txn).await?;
    Ok(rows.into_iter().map(|row| (row.signup_id.clone(), Known::read(row))).collect())
}

fn accepted(known: Result<Known, LedgerError>) -> Accepted {
    match known {
        Ok(known) => Accepted::Known(Box::new(known)),
        Err(error) => Accepted::Damaged(error),
    }
}

impl Known {
    fn read(row: Model) -> Result<Self, LedgerError> {
        let fingerprint = Fingerprint::from_bytes(&row.fingerprint)
            .map_err(|_| LedgerError::Damaged { id: row.id.clone(), column: "fingerprint" })?;
        Ok(Self { provisioning: Provisioning::from_row(row)?, fingerprint })
    }
}
