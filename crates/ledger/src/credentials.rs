//! Tokens that are kept: on their own key, outside the fence of any lease.
//!
//! A token may come late: from a worker that lost its lease, or from the escrow. Whoever brings one locks its row first;
//! whoever parks a row looks for one after that lock. So either the one sees the parked row and resumes it, or the other
//! sees the token and does not park.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, TryInsertResult, UpdateMany,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    connect::Ledger,
    connections::Transaction,
    entity::{
        credential,
        provisioning::{Column, Entity, Model},
    },
    error::LedgerError,
    ids::ProvisioningId,
    outbox::tell_resumed,
    record::NewCredential,
    state::{ParkedReason, Scope, State, Step},
};

impl Ledger {
    /// Keeps a token that was not recorded with its call, and lets a provisioning that was parked without it go on.
    /// Keeping it twice is harmless.
    ///
    /// # Errors
    /// [`LedgerError::NotOurs`] if this ledger has no such provisioning. Else when the commit did not happen or is not
    /// known to have: try again.
    pub async fn keep_credential(&self, id: &ProvisioningId, credential: NewCredential) -> Result<(), LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        self.detached("keep_credential", async move {
            let txn = ledger.begin().await?;
            let now = ledger.now_in(&txn).await?;
            lock_row(&txn, &id).await?;
            insert(&txn, &id, &credential, now).await?;
            resume(&txn, &id, &credential, now).await?;
            ledger.commit(txn).await
        })
        .await
    }
}

/// Locks the row that a token belongs to.
pub(crate) async fn lock_row(txn: &Transaction, id: &ProvisioningId) -> Result<(), LedgerError> {
    let row = Entity::find().filter(Column::Id.eq(id.as_str())).lock_exclusive().one(txn).await?;
    row.map(|_| ()).ok_or_else(|| LedgerError::NotOurs { id: id.to_string() })
}

pub(crate) async fn insert(
    txn: &Transaction,
    id: &ProvisioningId,
    new: &NewCredential,
    now: i64,
) -> Result<(), LedgerError> {
    use credential::Column as C;
    let row = credential::ActiveModel {
        id: Set(Uuid::now_v7().to_string()),
        provisioning_id: Set(id.to_string()),
        scope: Set(new.scope.as_str().to_owned()),
        intent: Set(i32::try_from(new.intent).unwrap_or(i32::MAX)),
        resource_uri: Set(new.resource_uri.clone()),
        sealed: Set(Some(new.sealed.as_bytes().to_vec())),
        created_at: Set(now),
        wiped_at: Set(None),
    };
    let key = OnConflict::columns([C::ProvisioningId, C::Scope, C::Intent]).do_nothing().to_owned();
    match credential::Entity::insert_many([row]).on_conflict(key).try_insert().exec_without_returning(txn).await? {
        // The same answer was recorded before: this is a repeat after a commit whose confirmation was lost.
        TryInsertResult::Inserted(_) | TryInsertResult::Conflicted | TryInsertResult::Empty => Ok(()),
    }
}

/// Whether the token of this store was kept for this provisioning, be it wiped since.
pub(crate) async fn proves(txn: &Transaction, id: &ProvisioningId, store_uri: &str) -> Result<bool, LedgerError> {
    use credential::Column as C;
    let token = credential::Entity::find()
        .filter(C::ProvisioningId.eq(id.as_str()))
        .filter(C::Scope.eq(Scope::Store.as_str()))
        .filter(C::ResourceUri.eq(store_uri));
    Ok(token.one(txn).await?.is_some())
}

/// Lets a provisioning go on that was parked without the token that has come now: the next lookup finds it before
/// anything else. A token of an earlier natural key is of no use to it, and one behind a suspicious link stays so.
pub(crate) async fn resume(
    txn: &Transaction,
    id: &ProvisioningId,
    credential: &NewCredential,
    now: i64,
) -> Result<(), LedgerError> {
    let resumed = as_unknown(Entity::update_many(), now)
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::State.eq(State::Parked.as_str()))
        .filter(Column::Step.eq(step_of(credential.scope).as_str()))
        .filter(Column::ParkedReason.ne(ParkedReason::SuspiciousLink.as_str()))
        .filter(Column::KeyIntent.lte(i32::try_from(credential.intent).unwrap_or(i32::MAX)))
        .exec(txn)
        .await?;
    if resumed.rows_affected > 0 { tell_resumed(txn, id.as_str(), now).await } else { Ok(()) }
}

/// Undoes the parking of a row, just written in this transaction, whose token is here after all. Answers the row as it
/// then stands.
pub(crate) async fn unpark_for_token_held(
    txn: &Transaction,
    row: &Model,
    now: i64,
) -> Result<Option<Model>, LedgerError> {
    use credential::Column as C;
    let scope = match Step::parse(&row.step) {
        Some(Step::User) => Scope::User,
        Some(Step::Store) => Scope::Store,
        Some(Step::Done) | None => return Ok(None),
    };
    // These would stop it again, token or no token.
    let stands = [ParkedReason::SuspiciousLink, ParkedReason::KeyMissing, ParkedReason::InvalidEvent];
    if stands.iter().any(|reason| row.parked_reason.as_deref() == Some(reason.as_str())) {
        return Ok(None);
    }
    let held = credential::Entity::find()
        .filter(C::ProvisioningId.eq(&row.id))
        .filter(C::Scope.eq(scope.as_str()))
        .filter(C::Intent.gte(row.key_intent))
        .filter(C::Sealed.is_not_null())
        .one(txn)
        .await?;
    if held.is_none() {
        return Ok(None);
    }
    let rows = as_unknown(Entity::update_many(), now).filter(Column::Id.eq(&row.id)).exec_with_returning(txn).await?;
    Ok(rows.into_iter().next())
}

/// Due now for a lookup, as if it had never been parked.
fn as_unknown(update: UpdateMany<Entity>, now: i64) -> UpdateMany<Entity> {
    update
        .col_expr(Column::State, Expr::val(State::Unknown.as_str()))
        .col_expr(Column::ParkedReason, Expr::val(None::<String>))
        .col_expr(Column::ParkedDetail, Expr::val(None::<String>))
        .col_expr(Column::InDoubt, Expr::val(true))
        .col_expr(Column::DueAt, Expr::val(now))
        .col_expr(Column::StepSince, Expr::val(now))
        .col_expr(Column::Tries, Expr::val(0))
        .col_expr(Column::TriedMs, Expr::val(0_i64))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
}

const fn step_of(scope: Scope) -> Step {
    match scope {
        Scope::User => Step::User,
        Scope::Store => Step::Store,
    }
}

/// Wipes the tokens of the users that this provisioning made; the rows stay as evidence.
pub(crate) async fn wipe_user_tokens(
    txn: &impl ConnectionTrait,
    id: &ProvisioningId,
    now: i64,
) -> Result<(), LedgerError> {
    use credential::Column as C;
    credential::Entity::update_many()
        .col_expr(C::Sealed, Expr::val(None::<Vec<u8>>))
        .col_expr(C::WipedAt, Expr::val(now))
        .filter(C::ProvisioningId.eq(id.as_str()))
        .filter(C::Scope.eq(Scope::User.as_str()))
        .exec(txn)
        .await?;
    Ok(())
}
