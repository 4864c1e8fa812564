//! One kept token takes the place of another, by compare and set.
//!
//! Two envelopes of one token differ, and the ledger opens none. So the caller, who can open them, judges what is held,
//! and the ledger carries that out only where each envelope is still the one that was judged.

use foxden_vault::Sealed;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use crate::{
    connect::Ledger,
    credentials::{Road, lock_row, move_to},
    entity::credential,
    error::{Fault, LedgerError},
    ids::ProvisioningId,
    parked::resume_for_user_token,
    query::Credential,
    record::NewCredential,
    state::Scope,
    transactions::Ending::{Commit, RollBack},
};

/// A row changes under our hands when its key is rotated or when another process refreshes; neither does so for ever.
const TRIES: usize = 5;

/// What a token is to become, by what is held of its call.
#[derive(Debug, Clone)]
pub enum Exchange {
    /// It is held where it belongs: nothing is to be done.
    Known,
    /// It takes the place of this envelope.
    Replace {
        /// As it was read.
        was: Sealed,
    },
    /// It is held beside the one in use, and changes places with it.
    Promote {
        /// The one in use, as it was read.
        first: Sealed,
        /// The token's own envelope, as it was read.
        other: Sealed,
    },
    /// The one that it would replace is not held: it is kept beside whatever is.
    Beside,
}

impl Ledger {
    /// Does with a token what `judge` says of the tokens that are held of its call. `judge` is asked again where a row
    /// was changed in between. Doing it twice is harmless, if `judge` knows the token in its place.
    ///
    /// # Errors
    /// As [`Ledger::keep_credential`].
    pub async fn exchange_token(
        &self,
        id: &ProvisioningId,
        new: &NewCredential,
        judge: impl Fn(&[Credential]) -> Exchange + Sync,
    ) -> Result<(), LedgerError> {
        for _ in 0..TRIES {
            let exchanged = match judge(&self.tokens_of_call(id, new.scope, new.intent).await?) {
                Exchange::Known => Ok(true),
                Exchange::Beside => {
                    self.keep_late(id, new.clone(), Road::Escrow { is_other: true }).await.map(|_| true)
                }
                Exchange::Replace { was } => self.replace_token(id, new, was).await,
                Exchange::Promote { first, other } => self.promote_token(id, new, first, other).await,
            };
            match exchanged {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // In a circle of locks: it may resume signups whose rows a batch has locked.
                Err(error) if error.fault() == Fault::NotWritten => {}
                Err(error) => return Err(error),
            }
        }
        Err(LedgerError::unavailable("the token's row keeps changing"))
    }

    /// The tokens kept of one create call, in the order of [`Ledger::credentials`].
    ///
    /// # Errors
    /// When the database does not answer or a row is damaged.
    pub async fn tokens_of_call(
        &self,
        id: &ProvisioningId,
        scope: Scope,
        intent: u32,
    ) -> Result<Vec<Credential>, LedgerError> {
        let mut held = self.credentials(id).await?;
        held.retain(|held| (held.scope, held.intent) == (scope, intent));
        Ok(held)
    }

    /// Answers whether the envelope was still there.
    async fn replace_token(&self, id: &ProvisioningId, new: &NewCredential, was: Sealed) -> Result<bool, LedgerError> {
        let (ledger, id, new) = (self.clone(), id.clone(), new.clone());
        self.detached("replace_token", async move {
            use credential::Column as C;
            let replacing = ledger.transaction(async |txn, now| {
                let row = lock_row(txn, &id).await?;
                let replaced = credential::Entity::update_many()
                    .col_expr(C::Sealed, Expr::val(new.sealed.as_bytes().to_vec()))
                    .filter(C::ProvisioningId.eq(id.as_str()))
                    .filter(C::Scope.eq(new.scope.as_str()))
                    .filter(C::Sealed.eq(was.as_bytes().to_vec()))
                    .exec(txn)
                    .await?;
                let is_done = replaced.rows_affected > 0;
                ledger.refuse_if_ended(txn, &new.sealed).await?;
                if is_done && new.scope == Scope::User {
                    resume_for_user_token(txn, &id, now).await?;
                }
                Ok(Commit((row, is_done)))
            });
            let (row, is_done) = replacing.await?;
            if is_done {
                tracing::info!(
                    event = "token.renewed",
                    signup_id = row.signup_id,
                    scope = new.scope.as_str(),
                    attempt = new.intent,
                    "Foxy answered another refresh token; it is kept in the place of the one that was used",
                );
            }
            Ok(is_done)
        })
        .await
    }

    /// Lets two tokens of a call change places. Answers whether both were still there.
    async fn promote_token(
        &self,
        id: &ProvisioningId,
        new: &NewCredential,
        first: Sealed,
        other: Sealed,
    ) -> Result<bool, LedgerError> {
        let (ledger, id, new) = (self.clone(), id.clone(), new.clone());
        self.detached("promote_token", async move {
            use credential::Column as C;
            let promoting = ledger.transaction(async |txn, now| {
                let row = lock_row(txn, &id).await?;
                let of_scope = credential::Entity::find()
                    .filter(C::ProvisioningId.eq(id.as_str()))
                    .filter(C::Scope.eq(new.scope.as_str()))
                    .all(txn)
                    .await?;
                let find =
                    |wanted: &Sealed| of_scope.iter().find(|held| held.sealed.as_deref() == Some(wanted.as_bytes()));
                let Some((first, other)) = find(&first).zip(find(&other)) else { return Ok(RollBack((row, false))) };
                let intent = first.intent;
                let beside = of_scope.iter().map(|held| held.intent).min().unwrap_or(0).min(0) - 1;
                move_to(txn, &first.id, beside, Some(intent)).await?;
                move_to(txn, &other.id, intent, None).await?;
                if new.scope == Scope::User {
                    resume_for_user_token(txn, &id, now).await?;
                }
                Ok(Commit((row, true)))
            });
            let (row, is_done) = promoting.await?;
            if !is_done {
                return Ok(false);
            }
            tracing::warn!(
                event = "token.promoted",
                signup_id = row.signup_id,
                scope = new.scope.as_str(),
                attempt = new.intent,
                "Foxy refuses the token in use and takes another one that was kept beside it, which is in use now",
            );
            Ok(true)
        })
        .await
    }
}
