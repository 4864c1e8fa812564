//! Tokens that are kept: on their own key, outside the fence of any lease.
//!
//! A token may come late: from a worker that lost its lease, or from the escrow. Whoever brings one locks its row first;
//! whoever parks a row looks for one after that lock. So either the one sees the parked row and resumes it, or the other
//! sees the token and does not park.

use foxden_vault::Sealed;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QuerySelect, TryInsertResult,
    UpdateMany,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use crate::{
    address::is_same_resource,
    connect::Ledger,
    connections::Transaction,
    entity::{
        credential,
        provisioning::{Column, Entity, Model},
    },
    error::LedgerError,
    grants::{ending, taken_over::has_taken_over},
    ids::ProvisioningId,
    outbox::tell_resumed,
    provisioning::Provisioning,
    record::NewCredential,
    state::{ParkedReason, Scope, State, Step},
    transactions::Ending::Commit,
};

impl Ledger {
    /// Keeps a token that was not recorded with its call, and lets a provisioning that was parked without it go on.
    /// Keeping it twice is harmless.
    ///
    /// # Errors
    /// [`LedgerError::NotOurs`] if this ledger has no such provisioning, [`LedgerError::FormatEnded`] if the token is
    /// of a format that has ended in it. Else when the commit did not happen or is not known to have: try again.
    pub async fn keep_credential(&self, id: &ProvisioningId, credential: NewCredential) -> Result<(), LedgerError> {
        self.keep_late(id, credential, Road::Escrow { is_other: true }).await.map(drop)
    }

    /// Keeps a token that came by the escrow, unless it is here: two envelopes of one token differ, and whether one that
    /// is held of its call has the same content is for `is_same` to say.
    ///
    /// # Errors
    /// As [`Ledger::keep_credential`].
    pub async fn keep_from_escrow(
        &self,
        id: &ProvisioningId,
        credential: &NewCredential,
        is_same: impl Fn(&Sealed) -> bool + Sync,
    ) -> Result<(), LedgerError> {
        let kept = self.keep_late(id, credential.clone(), Road::Escrow { is_other: false }).await?;
        if kept != Kept::Differs {
            return Ok(());
        }
        let held = self.tokens_of_call(id, credential.scope, credential.intent).await?;
        if held.iter().any(|held| held.sealed.as_ref().is_some_and(&is_same)) {
            return Ok(());
        }
        self.keep_credential(id, credential.clone()).await
    }

    pub(crate) async fn keep_late(
        &self,
        id: &ProvisioningId,
        credential: NewCredential,
        road: Road,
    ) -> Result<Kept, LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        self.detached("keep_credential", async move {
            let keeping = ledger.transaction(async |txn, now| {
                let row = lock_row(txn, &id).await?;
                touch(txn, &id).await?;
                let kept = insert(txn, &row, &credential, road, now).await?;
                ledger.refuse_if_ended(txn, &credential.sealed).await?;
                if !matches!(kept, Kept::Wiped | Kept::Differs) {
                    resume(txn, &id, &credential, now).await?;
                }
                if kept == Kept::First && !is_left_behind(&row, &credential) {
                    ending::settle(txn, &row, &credential, now).await?;
                }
                if credential.scope == Scope::User
                    && row.state == State::Closed.as_str()
                    && has_taken_over(txn, &id).await?
                {
                    wipe_user_tokens(txn, &id, now).await?;
                }
                Ok(Commit((row, kept)))
            });
            let (row, kept) = keeping.await?;
            report(&row, &credential, kept, true);
            Ok(kept)
        })
        .await
    }
}

/// By which road a token has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    /// In the answer to the call, in the hands of the worker that made it.
    Answer {
        /// The signup ends with it, in the same transaction.
        ends: bool,
    },
    /// As a file that could be opened.
    Escrow {
        /// It is known to be another one than that which is here.
        is_other: bool,
    },
    /// By a person who granted access.
    Grant {
        /// The signup ends with it, in the same transaction.
        ends: bool,
    },
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is the one of its call.
    First,
    /// It was here.
    Known,
    /// There is another envelope of its call; nothing was written.
    Differs,
    /// Two tokens of one call are kept.
    Beside,
    /// Its customer was forgotten: there is a row without it.
    Wiped,
}

/// Locks the row that a token belongs to.
pub(crate) async fn lock_row(txn: &Transaction, id: &ProvisioningId) -> Result<Model, LedgerError> {
    let row = Entity::find().filter(Column::Id.eq(id.as_str())).lock_exclusive().one(txn).await?;
    row.ok_or_else(|| LedgerError::NotOurs { id: id.to_string() })
}

/// Gives the locked row another version, and changes nothing in it: a batch on PostgreSQL that has read it before,
/// and writes it without looking at its tokens again, sees that it has to.
pub(crate) async fn touch(txn: &Transaction, id: &ProvisioningId) -> Result<(), LedgerError> {
    if txn.get_database_backend() != DbBackend::Sqlite {
        let same = Entity::update_many().col_expr(Column::UpdatedAt, Expr::col(Column::UpdatedAt));
        same.filter(Column::Id.eq(id.as_str())).exec(txn).await?;
    }
    Ok(())
}

/// Keeps a token of the locked row. Of two that differ the one from the call's own answer has the call's number, and so is
/// the one in use.
pub(crate) async fn insert(
    txn: &Transaction,
    row: &Model,
    new: &NewCredential,
    road: Road,
    now: i64,
) -> Result<Kept, LedgerError> {
    use credential::Column as C;
    let intent = i32::try_from(new.intent).unwrap_or(i32::MAX);
    let is_forgotten = is_forgotten(row, new.scope);
    let mut fresh = credential::ActiveModel {
        id: Set(Uuid::now_v7().to_string()),
        provisioning_id: Set(row.id.clone()),
        scope: Set(new.scope.as_str().to_owned()),
        intent: Set(intent),
        beside_intent: Set(None),
        apart: Set(is_apart(new.scope, road)),
        resource_uri: Set(new.resource_uri.clone().filter(|_| row.links_forgotten_at.is_none())),
        client_id: Set(new.client.as_ref().map(|client| client.id.to_string())),
        which_foxy: Set(new.client.as_ref().map(|client| client.foxy.to_string())),
        sealed: Set((!is_forgotten).then(|| new.sealed.as_bytes().to_vec())),
        created_at: Set(now),
        wiped_at: Set(is_forgotten.then_some(now)),
    };
    let key = OnConflict::columns([C::ProvisioningId, C::Scope, C::Intent]).do_nothing().to_owned();
    let inserting = credential::Entity::insert_many([fresh.clone()]).on_conflict(key).try_insert();
    match inserting.exec_without_returning(txn).await? {
        TryInsertResult::Inserted(1..) => return Ok(if is_forgotten { Kept::Wiped } else { Kept::First }),
        TryInsertResult::Inserted(0) | TryInsertResult::Conflicted | TryInsertResult::Empty => {}
    }
    let of_scope = credential::Entity::find()
        .filter(C::ProvisioningId.eq(row.id.as_str()))
        .filter(C::Scope.eq(new.scope.as_str()))
        .all(txn)
        .await?;
    let Some(first) = of_scope.iter().find(|held| held.intent == intent) else { return Ok(Kept::Known) };
    let is_it = |held: &&credential::Model| held.sealed.as_deref() == Some(new.sealed.as_bytes());
    let known = of_scope.iter().filter(|held| held.intent == intent || held.beside_intent == Some(intent)).find(is_it);
    // A repeat after a commit whose confirmation was lost; or one that was wiped since, and stays so.
    if first.sealed.is_none() || known.is_some_and(|known| known.id == first.id || !matches!(road, Road::Answer { .. }))
    {
        return Ok(Kept::Known);
    }
    let beside = of_scope.iter().map(|held| held.intent).filter(|intent| *intent < 0).min().unwrap_or(0) - 1;
    match road {
        Road::Escrow { is_other: false } => return Ok(Kept::Differs),
        Road::Escrow { is_other: true } | Road::Grant { .. } => {
            (fresh.intent, fresh.beside_intent) = (Set(beside), Set(Some(intent)));
            credential::Entity::insert(fresh).exec_without_returning(txn).await?;
        }
        Road::Answer { .. } => {
            move_to(txn, &first.id, beside, Some(intent)).await?;
            match known {
                Some(known) => move_to(txn, &known.id, intent, None).await?,
                None => drop(credential::Entity::insert(fresh).exec_without_returning(txn).await?),
            }
        }
    }
    Ok(Kept::Beside)
}

/// Whether the customer was forgotten, so that a token that comes is wiped.
pub(crate) const fn is_forgotten(row: &Model, scope: Scope) -> bool {
    match scope {
        Scope::User => row.forgotten_at.is_some(),
        Scope::Store => row.tokens_forgotten_at.is_some(),
    }
}

/// Whether a token can be of a store that is left behind, now or later.
pub(crate) fn is_apart(scope: Scope, road: Road) -> bool {
    scope == Scope::Store && !matches!(road, Road::Answer { ends: true } | Road::Grant { ends: true })
}

/// Gives a token of a call its number there: the call's own for the one in use.
pub(crate) async fn move_to(
    txn: &Transaction,
    id: &str,
    intent: i32,
    beside_intent: Option<i32>,
) -> Result<(), LedgerError> {
    use credential::Column as C;
    credential::Entity::update_many()
        .col_expr(C::Intent, Expr::val(intent))
        .col_expr(C::BesideIntent, Expr::val(beside_intent))
        .filter(C::Id.eq(id))
        .exec(txn)
        .await?;
    Ok(())
}

/// Says what a person should know of a token once it is committed. `row` is as it stood when the token came, `is_late` says
/// that its call's result is not recorded with it.
pub(crate) fn report(row: &Model, token: &NewCredential, kept: Kept, is_late: bool) {
    let (signup_id, scope, attempt) = (row.signup_id.as_str(), token.scope.as_str(), token.intent);
    match kept {
        Kept::Wiped => tracing::warn!(
            event = "token.late_wiped",
            signup_id,
            scope,
            attempt,
            "a token came for a signup whose customer was forgotten; it was wiped",
        ),
        Kept::Beside => tracing::error!(
            event = "token.kept_beside",
            signup_id,
            scope,
            attempt,
            "there are two different tokens of one call; both are kept, and that of the call's own answer is used",
        ),
        Kept::First if is_late && is_left_behind(row, token) => tracing::warn!(
            event = "token.left_behind",
            signup_id,
            scope,
            attempt,
            "a token came for a user or a store that its signup has left behind; it is kept",
        ),
        Kept::First | Kept::Known | Kept::Differs => {}
    }
}

fn is_left_behind(row: &Model, token: &NewCredential) -> bool {
    // A damaged row is reported by whoever reads it for its own sake.
    let row = Provisioning::from_row(row.clone());
    row.is_ok_and(|row| row.has_left_behind(token.scope, token.intent, token.resource_uri.as_deref()))
}

/// Whether the token of this store was kept for this provisioning, be it wiped since.
pub(crate) async fn proves(txn: &Transaction, id: &ProvisioningId, store_uri: &str) -> Result<bool, LedgerError> {
    use credential::Column as C;
    let token = credential::Entity::find()
        .filter(C::ProvisioningId.eq(id.as_str()))
        .filter(C::Scope.eq(Scope::Store.as_str()))
        .filter(C::BesideIntent.is_null());
    let held = token.all(txn).await?;
    Ok(held.iter().any(|held| is_same_resource(held.resource_uri.as_deref(), Some(store_uri))))
}

/// Whether this envelope of a user's token is still the one in use of its call.
pub(crate) async fn is_in_use(txn: &Transaction, id: &ProvisioningId, sealed: &Sealed) -> Result<bool, LedgerError> {
    use credential::Column as C;
    let token = credential::Entity::find()
        .filter(C::ProvisioningId.eq(id.as_str()))
        .filter(C::Scope.eq(Scope::User.as_str()))
        .filter(C::BesideIntent.is_null())
        .filter(C::Sealed.eq(sealed.as_bytes().to_vec()));
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
    let stands = [
        ParkedReason::SuspiciousLink,
        ParkedReason::KeyMissing,
        ParkedReason::InvalidEvent,
        ParkedReason::CustodyMismatch,
    ];
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
