//! What is kept of a signup: its sealed contents, and the tokens that Foxy gave for it.

use foxden_custody::{CustodyError, Payload, TokenRow};
use foxden_ledger::{Credential, LedgerError, Provisioning, Scope, Step, is_same_resource};
use foxden_vault::Sealed;

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    plan::{Cause, Seen, Unopenable},
    runner::Runner,
    stop::Stop,
};

impl From<CustodyError> for Unopenable {
    fn from(error: CustodyError) -> Self {
        match error {
            CustodyError::KeyMissing(_) => Self::KeyMissing,
            CustodyError::Refused | CustodyError::Content => Self::Unreadable,
            CustodyError::Mismatch(_) => Self::Mismatch,
        }
    }
}

impl<F: Calls> Runner<F> {
    /// Opens what the signup asks for.
    pub(crate) fn open(&self, row: &Provisioning) -> Result<Payload, Unopenable> {
        let sealed = row.payload.as_ref().ok_or(Unopenable::Unreadable)?;
        Ok(self.custody.open_payload(&row.id, &row.signup_id, sealed)?)
    }

    /// A token of this step that was recorded while it was looked up, or that lies in our own escrow.
    pub(crate) async fn token_after_all(&self, row: &Provisioning) -> Result<Option<Finding>, Stop> {
        if self.escrow.holds(&row.id).await? {
            let drained = self.escrow.drain(&self.ledger, &self.custody).await?;
            if drained > 0 {
                tracing::info!(event = "escrow.drained", drained, "tokens were moved into the ledger");
            }
        }
        self.token_held(row).await
    }

    /// The token of this step, recorded by a worker that had lost its lease by then.
    pub(crate) async fn token_held(&self, row: &Provisioning) -> Result<Option<Finding>, Stop> {
        let scope = if row.step == Step::User { Scope::User } else { Scope::Store };
        // Tokens of calls before the first on this natural key are another email's or another domain's.
        let is_of_this_key = |held: &Credential| held.scope == scope && held.intent >= row.key_intent;
        let held = self.ledger.credentials(&row.id).await?;
        let Some(mut held) = held.into_iter().rfind(|held| is_of_this_key(held) && held.sealed.is_some()) else {
            return Ok(None);
        };
        self.custody.heed_end(&self.ledger, held.sealed.as_ref()).await?;
        // It may have come out of a file, or out of a row that others have written to: what it says of itself inside
        // must be what the row says, before it is reported.
        if let Some(sealed) = &held.sealed
            && let Err(error) = self.custody.open_token(&TokenRow::of(row, &held), sealed)
        {
            return Ok(Some(Finding::of_sealed(error.into())));
        }
        held.resource_uri = held.resource_uri.and_then(|uri| self.foxy.checked(&uri));
        let seen = Seen::TokenHeld { link_is_trusted: held.resource_uri.is_some() };
        let mut finding = Finding::of(seen, "recorded by a worker that had lost its lease");
        match scope {
            Scope::User => {
                let payload = match self.open(row) {
                    Ok(payload) => payload,
                    Err(why) => return Ok(Some(Finding::of_sealed(why))),
                };
                finding.facts.user_uri = held.resource_uri;
                finding.facts.store_domain = Some(domain::first(&payload));
            }
            Scope::Store => {
                finding.user_is_customers_own = self.user_is_customers_own(row).await?;
                finding.facts.store_uri = held.resource_uri;
            }
        }
        Ok(Some(finding))
    }

    /// Acts as the user whose store this is, by its kept token, which comes along as it is kept; or the finding that
    /// says why that can't be done.
    pub(crate) async fn user_session(
        &self,
        row: &Provisioning,
    ) -> Result<Result<(F::Session, Sealed), Box<Finding>>, Stop> {
        let held = self.user_credential(row).await?;
        let Some((held, sealed)) = held.and_then(|held| Some((held.clone(), held.sealed?))) else {
            let note = "the ledger holds no token of the user";
            return Ok(Err(Box::new(Finding::of(Seen::NoEffect(Cause::UserTokenRefused), note))));
        };
        let around = match &row.user_from {
            None => TokenRow::of(row, &held),
            Some(owner) => match self.ledger.find_by_id(owner).await? {
                Some(owner) => TokenRow::of(&owner, &held),
                None => return Ok(Err(Box::new(Finding::of(Seen::UserForgotten, "its row is gone")))),
            },
        };
        self.custody.heed_end(&self.ledger, [&sealed]).await?;
        match self.custody.open_token(&around.clone().used_for(row.user_uri.as_deref()), &sealed) {
            Ok(token) => Ok(Ok((self.foxy.session(token, self.keeper(around)), sealed))),
            Err(error) => Ok(Err(Box::new(Finding::of_sealed(error.into())))),
        }
    }

    /// Whether the row's user was taken over: then its token is the customer's, and is not kept beyond the store. Asked
    /// before a call, since what a call brings must wait for nothing. Where no user's token is kept, it is not asked.
    pub(crate) async fn user_is_customers_own(&self, row: &Provisioning) -> Result<bool, LedgerError> {
        if self.policy.keep_user_tokens { self.ledger.has_taken_over(&row.id).await } else { Ok(false) }
    }

    /// The token of the row's user, if it was not wiped: the one that came with the user's address, or else that of the
    /// latest call, since one that came late may be an earlier generation's.
    async fn user_credential(&self, row: &Provisioning) -> Result<Option<Credential>, Stop> {
        let owner = row.user_from.as_ref().unwrap_or(&row.id);
        let mut held = self.ledger.credentials(owner).await?;
        held.retain(|held| held.scope == Scope::User && held.sealed.is_some());
        let is_own = |held: &Credential| is_same_resource(held.resource_uri.as_deref(), row.user_uri.as_deref());
        let own = held.iter().rposition(is_own);
        let last = held.len().checked_sub(1);
        Ok(own.or(last).map(|place| held.swap_remove(place)))
    }
}
