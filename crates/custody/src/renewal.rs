//! A token that Foxy has answered in the place of another one: it is put where that one is, by compare and set.

use std::{fmt, pin::pin, time::Duration};

use foxden_ledger::{Credential, Exchange, FoxyClient, Ledger, LedgerError, NewCredential, ProvisioningId};
use foxden_vault::{RefreshToken, SealError, Sealed};

use crate::{
    content::TokenRow,
    custody::{Custody, CustodyError},
    draining::DrainError,
    escrow::{Escrow, EscrowError},
};

/// How long the commit may take before the token goes to the escrow as well.
const ESCROW_AFTER: Duration = Duration::from_millis(250);

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
    row: TokenRow,
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
    pub fn new(ledger: &Ledger, custody: &Custody, row: TokenRow) -> Self {
        Self { ledger: ledger.clone(), custody: custody.clone(), escrow: None, row }
    }

    /// The client that it was given to, if that is known.
    pub fn client(&self) -> Option<&FoxyClient> {
        self.row.client.as_ref()
    }

    /// Foxy has accepted the token from this client: writes it down, unless the row says already to which client the
    /// token was given.
    ///
    /// # Errors
    /// When the ledger does not answer. The token is none the worse for it.
    pub async fn accepted_from(&self, client: &FoxyClient) -> Result<(), LedgerError> {
        let TokenRow { provisioning, scope, serial, .. } = &self.row;
        match &self.row.client {
            Some(_) => Ok(()),
            None => self.ledger.given_to(provisioning, (*scope, *serial), client).await,
        }
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
        let seal = |token| self.custody.seal_token(&self.row, token);
        let TokenRow { provisioning: id, scope, serial: intent, .. } = &self.row;
        let (scope, intent, resource_uri) = (*scope, *intent, self.row.addresses.first().cloned());
        let client = self.row.client.clone();
        let new = NewCredential { scope, intent, resource_uri, client, sealed: seal(new)? };
        let renewal = Renewal { new, replaces: seal(used)? };
        let mut keeping = pin!(renewal.keep(&self.ledger, &self.custody, id));
        let kept = tokio::time::timeout(ESCROW_AFTER, &mut keeping).await;
        if let Ok(Ok(())) = kept {
            return Ok(Renewed::InLedger);
        }
        let in_escrow = match &self.escrow {
            Some(escrow) => Some(escrow.keep_renewal(id, &renewal).await),
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
            && escrow.holds(&self.row.provisioning).await?
        {
            escrow.drain(&self.ledger, &self.custody).await?;
        }
        let TokenRow { provisioning, scope, serial, .. } = &self.row;
        let mut held = self.ledger.tokens_of_call(provisioning, *scope, *serial).await?;
        held.sort_by_key(|held| held.serial);
        self.custody.heed_end(&self.ledger, held.iter().filter_map(|held| held.sealed.as_ref())).await?;
        let open = |held: &Credential| {
            let addresses = held.resource_uri.iter().cloned().collect();
            let row = TokenRow { addresses, client: held.client.clone(), ..self.row.clone() };
            held.sealed.as_ref().map(|sealed| self.custody.open_token(&row, sealed))
        };
        Ok(held.iter().filter_map(open).collect::<Result<_, _>>()?)
    }
}

impl fmt::Debug for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenPlace({} {} {})", self.row.provisioning, self.row.scope, self.row.serial)
    }
}

impl Renewal {
    /// Puts the token in the place of the one that it replaces.
    pub(crate) async fn keep(
        &self,
        ledger: &Ledger,
        custody: &Custody,
        id: &ProvisioningId,
    ) -> Result<(), LedgerError> {
        custody.heed_any_end(ledger).await?;
        ledger.exchange_token(id, &self.new, |held| self.judge(id, held, custody)).await
    }

    fn judge(&self, id: &ProvisioningId, held: &[Credential], custody: &Custody) -> Exchange {
        let find = |wanted: &Sealed| {
            let is_it = |sealed: &Sealed| custody.is_same_token(id, self.new.scope, sealed, wanted);
            held.iter().find_map(|held| held.sealed.clone().filter(is_it).map(|sealed| (held.serial, sealed)))
        };
        match (find(&self.new.sealed), find(&self.replaces)) {
            (Some((1.., other)), Some((0, first))) => Exchange::Promote { first, other },
            (Some(_), _) => Exchange::Known,
            (None, Some((_, was))) => Exchange::Replace { was },
            (None, None) => Exchange::Beside,
        }
    }
}
