//! A token that Foxy has answered in the place of another one: it is put where that one is, by compare and set.

use std::{fmt, pin::pin, time::Duration};

use foxden_vault::{RefreshToken, SealError, Sealed};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use crate::{
    connect::Ledger,
    credentials::{Road, lock_row, move_to},
    custody::{Custody, CustodyError},
    draining::{DrainError, EnvelopeCheck},
    entity::credential,
    error::LedgerError,
    escrow::{Escrow, EscrowError},
    ids::ProvisioningId,
    parked::resume_for_user_token,
    query::Credential,
    record::NewCredential,
    state::Scope,
};

/// How long the commit may take before the token goes to the escrow as well.
const ESCROW_AFTER: Duration = Duration::from_millis(250);

/// A row changes under our hands when its key is rotated or when another process refreshes; neither does so for ever.
const TRIES: usize = 5;

/// A token that Foxy answered in the place of another one.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    /// The new one, under the call that brought the first of them.
    pub(crate) new: NewCredential,
    /// The one that was used, sealed for the same place. What the ledger has may be another envelope of it.
    pub(crate) replaces: Sealed,
}

/// Where the tokens of one create call are kept: in the ledger, and in an escrow while that is away. Cheap to clone.
#[derive(Clone)]
pub struct TokenPlace {
    ledger: Ledger,
    custody: Custody,
    escrow: Option<Escrow>,
    id: ProvisioningId,
    scope: Scope,
    intent: u32,
    resource_uri: Option<String>,
}

/// Where a renewed token survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// In the ledger.
    InLedger,
    /// In the escrow; a worker moves it into the ledger.
    InEscrow,
}

/// Why a token could not be kept, or what is kept not be read. Nothing was lost that was kept before.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The ledger did not take it or did not answer, and there is no escrow that did.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The escrow did not take it or could not be looked into.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// A token in the escrow could not be moved into the ledger.
    #[error(transparent)]
    Drain(#[from] DrainError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is kept does not open.
    #[error(transparent)]
    Open(#[from] CustodyError),
}

impl TokenPlace {
    /// The place of a token that is kept for this provisioning, or is about to be.
    pub fn new(
        ledger: &Ledger,
        custody: &Custody,
        id: &ProvisioningId,
        (scope, intent): (Scope, u32),
        resource_uri: Option<String>,
    ) -> Self {
        let (ledger, custody, id) = (ledger.clone(), custody.clone(), id.clone());
        Self { ledger, custody, escrow: None, id, scope, intent, resource_uri }
    }

    /// The same with an escrow.
    #[must_use]
    pub fn with_escrow(self, escrow: &Escrow) -> Self {
        Self { escrow: Some(escrow.clone()), ..self }
    }

    /// Puts `new` in the place of `used`. Of two processes that do so at once both tokens are kept. Repeating it is
    /// harmless.
    ///
    /// # Errors
    /// [`RenewError`]; then `new` is in memory only: try again.
    pub async fn renew(&self, used: &RefreshToken, new: &RefreshToken) -> Result<Renewed, RenewError> {
        let seal = |token| self.custody.seal_token(&self.id, self.scope, token);
        let (scope, intent, resource_uri) = (self.scope, self.intent, self.resource_uri.clone());
        let new = NewCredential { scope, intent, resource_uri, sealed: seal(new)? };
        let renewal = Renewal { new, replaces: seal(used)? };
        let mut keeping = pin!(self.ledger.keep_renewal(&self.id, &renewal, &self.custody));
        let kept = tokio::time::timeout(ESCROW_AFTER, &mut keeping).await;
        if let Ok(Ok(())) = kept {
            return Ok(Renewed::InLedger);
        }
        let in_escrow = match &self.escrow {
            Some(escrow) => Some(escrow.keep_renewal(&self.id, &renewal).await),
            None => None,
        };
        if let Some(Ok(())) = in_escrow {
            tracing::warn!(
                event = "escrow.kept",
                scope = scope.as_str(),
                "the ledger is slow or away; a sealed token is kept in the escrow until it is back",
            );
            return Ok(Renewed::InEscrow);
        }
        let kept = match kept {
            Ok(kept) => kept,
            Err(_) => keeping.await,
        };
        match (kept, in_escrow) {
            (Ok(()), _) => Ok(Renewed::InLedger),
            (Err(error), None | Some(Ok(()))) => Err(error.into()),
            (Err(_), Some(Err(error))) => Err(error.into()),
        }
    }

    /// The tokens of the call that are kept, the one in use first. What lies in the escrow is moved into the ledger
    /// before.
    ///
    /// # Errors
    /// [`RenewError`]; then it is not known what is kept.
    pub async fn kept(&self) -> Result<Vec<RefreshToken>, RenewError> {
        if let Some(escrow) = &self.escrow
            && escrow.holds(&self.id).await?
        {
            self.ledger.drain(escrow, &self.custody).await?;
        }
        let mut held = self.ledger.tokens_of_call(&self.id, self.scope, self.intent).await?;
        held.sort_by_key(|held| held.serial);
        let sealed = held.iter().filter_map(|held| held.sealed.as_ref());
        Ok(sealed.map(|sealed| self.custody.open_token(&self.id, self.scope, sealed)).collect::<Result<_, _>>()?)
    }
}

impl fmt::Debug for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenPlace({} {} {})", self.id, self.scope, self.intent)
    }
}

/// What is to be done, by what is kept.
enum Change {
    /// The envelope of the one that was used makes room.
    Replace { was: Sealed },
    /// The new one was kept beside it, and takes its place.
    Promote { first: Sealed, other: Sealed },
    /// The one that was used is not here.
    Keep,
}

impl Ledger {
    /// Puts a token in the place of the one that it replaces.
    pub(crate) async fn keep_renewal(
        &self,
        id: &ProvisioningId,
        renewal: &Renewal,
        check: &dyn EnvelopeCheck,
    ) -> Result<(), LedgerError> {
        let Renewal { new, replaces } = renewal;
        for _ in 0..TRIES {
            let held = self.tokens_of_call(id, new.scope, new.intent).await?;
            let find = |wanted: &Sealed| {
                let is_it = |sealed: &Sealed| check.is_same_token(id, new.scope, sealed, wanted);
                held.iter().find_map(|held| held.sealed.clone().filter(is_it).map(|sealed| (held.serial, sealed)))
            };
            let change = match (find(&new.sealed), find(replaces)) {
                (Some((1.., other)), Some((0, first))) => Change::Promote { first, other },
                (Some(_), _) => return Ok(()),
                (None, Some((_, was))) => Change::Replace { was },
                (None, None) => Change::Keep,
            };
            let is_done = match change {
                Change::Keep => {
                    self.keep_late(id, new.clone(), Road::Escrow { is_other: true }).await?;
                    true
                }
                Change::Replace { was } => self.replace_token(id, new, was).await?,
                Change::Promote { first, other } => self.promote_token(id, new, first, other).await?,
            };
            if is_done {
                return Ok(());
            }
        }
        Err(LedgerError::unavailable("the token's row keeps changing"))
    }

    async fn tokens_of_call(
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
            let txn = ledger.begin().await?;
            let row = lock_row(&txn, &id).await?;
            let replaced = credential::Entity::update_many()
                .col_expr(C::Sealed, Expr::val(new.sealed.as_bytes().to_vec()))
                .filter(C::ProvisioningId.eq(id.as_str()))
                .filter(C::Scope.eq(new.scope.as_str()))
                .filter(C::Sealed.eq(was.as_bytes().to_vec()))
                .exec(&txn)
                .await?;
            if replaced.rows_affected > 0 && new.scope == Scope::User {
                resume_for_user_token(&txn, &id, ledger.now_in(&txn).await?).await?;
            }
            ledger.commit(txn).await?;
            if replaced.rows_affected > 0 {
                tracing::info!(
                    event = "token.renewed",
                    signup_id = row.signup_id,
                    scope = new.scope.as_str(),
                    attempt = new.intent,
                    "Foxy answered another refresh token; it is kept in the place of the one that was used",
                );
            }
            Ok(replaced.rows_affected > 0)
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
            let txn = ledger.begin().await?;
            let row = lock_row(&txn, &id).await?;
            let of_scope = credential::Entity::find()
                .filter(C::ProvisioningId.eq(id.as_str()))
                .filter(C::Scope.eq(new.scope.as_str()))
                .all(&txn)
                .await?;
            let find = |wanted: &Sealed| of_scope.iter().find(|held| held.sealed.as_deref() == Some(wanted.as_bytes()));
            let places = find(&first).zip(find(&other));
            if let Some((first, other)) = places {
                let intent = first.intent;
                let beside = of_scope.iter().map(|held| held.intent).min().unwrap_or(0).min(0) - 1;
                move_to(&txn, &first.id, beside, Some(intent)).await?;
                move_to(&txn, &other.id, intent, None).await?;
                if new.scope == Scope::User {
                    resume_for_user_token(&txn, &id, ledger.now_in(&txn).await?).await?;
                }
            }
            let is_done = places.is_some();
            ledger.commit(txn).await?;
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
