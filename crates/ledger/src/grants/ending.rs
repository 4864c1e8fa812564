//! Grants that end without a token: no one came in time, or no one is to come any more.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    address::is_same_resource,
    connect::Ledger,
    connections::Transaction,
    credentials::lock_row,
    entity::{
        credential,
        grant::{Column, Entity, Model},
        provisioning, trip,
    },
    error::LedgerError,
    grants::{
        grant::{Grant, is_live, live_of},
        words::{GrantState, TripEnding, Wanted},
    },
    ids::{GrantId, ProvisioningId, SignupId, TripId},
    outbox::{OutcomeEvent, insert_event},
    parked::resume_for_user_token,
    provisioning::Provisioning,
    record::NewCredential,
    state::{Scope, State},
    transactions::Ending::{Commit, RollBack},
};

/// The outcome event that tells of a grant, made of both as they are committed.
pub type AsEvent = fn(&Provisioning, &Grant) -> OutcomeEvent;

/// At most this many end at a time, so that nothing else waits long for their rows.
const AT_A_TIME: u64 = 100;

/// A grant whose time was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The parent app's key of its signup.
    pub signup_id: SignupId,
    /// The grant as it is now: expired; or withdrawn, since its signup has come to its end without it.
    pub grant: Grant,
}

impl Ledger {
    /// Ends grants whose time is over, the oldest first: a page of them. Each tells the parent app, unless its signup
    /// was closed since it was asked for, or no outcome events are made. A row that is locked is left for the next
    /// time.
    ///
    /// # Errors
    /// When the database does not answer; then nothing has ended, or it is not known. To repeat it is harmless.
    pub async fn expire_grants(&self, event: Option<AsEvent>) -> Result<Vec<Overdue>, LedgerError> {
        let work = self.transaction(async move |txn, now| {
            let overdue = Entity::find()
                .filter(is_live())
                .filter(Column::ExpiresAt.lte(now))
                .order_by_asc(Column::ExpiresAt)
                .limit(AT_A_TIME)
                .all(txn)
                .await?;
            if overdue.is_empty() {
                return Ok(RollBack(Vec::new()));
            }
            // Provisionings are locked before their grants, and in the order of their ids, wherever they are.
            let rows = provisioning::Entity::find()
                .filter(provisioning::Column::Id.is_in(overdue.iter().map(|grant| grant.provisioning_id.as_str())))
                .order_by_asc(provisioning::Column::Id)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(txn)
                .await?;
            let mut ended = Vec::new();
            for row in rows {
                let Some(grant) = overdue.iter().find(|grant| grant.provisioning_id == row.id) else { continue };
                // One that can't be read must not keep the others from ending.
                let (Ok(row), Ok(_)) = (Provisioning::from_row(row), Grant::from_row(grant.clone())) else { continue };
                let is_needed = row.state != State::Closed || row.closed_at_ms.is_none_or(|at| at < grant.asked_at);
                let state = if is_needed { GrantState::Expired } else { GrantState::Withdrawn };
                let Some(grant) = end(txn, grant.clone(), state, now).await? else { continue };
                if let Some(event) = event.filter(|_| is_needed) {
                    insert_event(txn, row.id.as_str(), event(&row, &grant), now).await?;
                }
                ended.push(Overdue { signup_id: row.signup_id, grant });
            }
            Ok(Commit(ended))
        });
        self.detached("expire_grants", work).await
    }

    /// Ends a grant that is no longer needed. `false`: it had ended before, or there is none.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have.
    pub async fn withdraw_grant(&self, id: &GrantId) -> Result<bool, LedgerError> {
        let id = id.clone();
        let work = self.transaction(async move |txn, now| {
            let Some(found) = Entity::find_by_id(id.as_str()).one(txn).await? else { return Ok(RollBack(false)) };
            lock_row(txn, &ProvisioningId::from_row(found.provisioning_id)).await?;
            // Read under the lock: it may have come to wait for a confirmation.
            let Some(found) = Entity::find_by_id(id.as_str()).one(txn).await? else { return Ok(RollBack(false)) };
            Ok(Commit(end_row(txn, &found, GrantState::Withdrawn, now).await?))
        });
        self.detached("withdraw_grant", work).await
    }

    /// Writes down what a trip came to, where that is not known yet. Of a trip that is not back it says nothing.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have. To repeat it is harmless.
    pub async fn end_trip(&self, id: &TripId, ending: TripEnding) -> Result<(), LedgerError> {
        let id = id.clone();
        let work = self.transaction(async move |txn, _| {
            end_trip(txn, &id, ending).await?;
            Ok(Commit(()))
        });
        self.detached("end_trip", work).await
    }
}

pub(crate) async fn end_trip(txn: &Transaction, id: &TripId, ending: TripEnding) -> Result<(), LedgerError> {
    use trip::Column as T;
    trip::Entity::update_many()
        .col_expr(T::Ending, Expr::val(ending.as_str()))
        .filter(T::Id.eq(id.as_str()))
        .filter(T::SpentAt.is_not_null())
        .filter(T::Ending.is_null())
        .exec(txn)
        .await?;
    Ok(())
}

/// Expires one, whose row is locked.
pub(crate) async fn expire(
    txn: &Transaction,
    row: &Provisioning,
    grant: Model,
    event: Option<AsEvent>,
    now: i64,
) -> Result<(), LedgerError> {
    let expired = end(txn, grant, GrantState::Expired, now).await?;
    match expired.zip(event) {
        Some((grant, event)) => insert_event(txn, row.id.as_str(), event(row, &grant), now).await,
        None => Ok(()),
    }
}

/// Withdraws what a signup has, which was cancelled or forgotten.
pub(crate) async fn withdraw_of(txn: &Transaction, id: &ProvisioningId, now: i64) -> Result<(), LedgerError> {
    match live_of(id).one(txn).await? {
        Some(live) => end_row(txn, &live, GrantState::Withdrawn, now).await.map(drop),
        None => Ok(()),
    }
}

/// Ends the grant of a row for which a token came late, if it is what was asked for. One whose number no call has had
/// came of a grant: it lay in an escrow.
pub(crate) async fn settle(
    txn: &Transaction,
    row: &provisioning::Model,
    late: &NewCredential,
    now: i64,
) -> Result<(), LedgerError> {
    let id = ProvisioningId::from_row(row.id.clone());
    let is_granted = i32::try_from(late.intent).is_ok_and(|number| number > row.intents);
    if is_granted && late.scope == Scope::User {
        resume_for_user_token(txn, &id, now).await?;
    }
    let Some(live) = live_of(&id).one(txn).await? else { return Ok(()) };
    let wanted = match late.scope {
        Scope::User => Wanted::User,
        Scope::Store => Wanted::Store,
    };
    let (expected, came) = (live.expected_uri.as_deref(), late.resource_uri.as_deref());
    let is_it = live.wanted == wanted.as_str() && (expected.is_none() || is_same_resource(expected, came));
    if !is_it || live.state != GrantState::Open.as_str() {
        return Ok(());
    }
    let state = if is_granted { GrantState::Kept } else { GrantState::Withdrawn };
    end_row(txn, &live, state, now).await.map(drop)
}

/// Ends one. `None`: it has ended meanwhile.
async fn end(txn: &Transaction, grant: Model, state: GrantState, now: i64) -> Result<Option<Grant>, LedgerError> {
    if !end_row(txn, &grant, state, now).await? {
        return Ok(None);
    }
    let grant = Grant::from_row(grant)?;
    Ok(Some(Grant { state, ended_at_ms: Some(now), ..grant }))
}

/// Answers whether it had not ended. What was granted and never confirmed is not ours to keep: its token is wiped.
async fn end_row(txn: &Transaction, grant: &Model, state: GrantState, now: i64) -> Result<bool, LedgerError> {
    use credential::Column as C;
    let ended = ending(state, now).filter(Column::Id.eq(&grant.id)).filter(is_live()).exec(txn).await?;
    if ended.rows_affected == 0 {
        return Ok(false);
    }
    let Some(uri) = grant.expected_uri.as_ref().filter(|_| grant.state == GrantState::Unconfirmed.as_str()) else {
        return Ok(true);
    };
    let row = provisioning::Entity::find_by_id(&grant.provisioning_id).one(txn).await?;
    if row.is_some_and(|row| is_same_resource(row.store_uri.as_deref(), Some(uri))) {
        return Ok(true);
    }
    credential::Entity::update_many()
        .col_expr(C::Sealed, Expr::val(None::<Vec<u8>>))
        .col_expr(C::WipedAt, Expr::val(now))
        .filter(C::ProvisioningId.eq(&grant.provisioning_id))
        .filter(C::Scope.eq(Scope::Store.as_str()))
        .filter(C::ResourceUri.eq(uri))
        .filter(C::Sealed.is_not_null())
        .exec(txn)
        .await?;
    Ok(true)
}

/// The update that ends grants.
pub(crate) fn ending(state: GrantState, now: i64) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::State, Expr::val(state.as_str())).col_expr(Column::EndedAt, Expr::val(now))
}
