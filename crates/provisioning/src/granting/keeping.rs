//! Keeping what was granted, whatever the ledger does meanwhile.

use std::{pin::pin, time::Duration};

use foxden_custody::{Payload, TokenRow};
use foxden_ledger::{
    Back, Credential, FoxyClient, Grant, Keeping, KeptGrant, NewCredential, Provisioning, Scope, Then, Wanted,
};
use foxden_vault::SealError;
use foxy_api::{Granted, Opened, ResourceUri};

use super::{Ended, Granting, chain};
use crate::{domain, outcome::provisioned_event, schedule::Schedule};

/// How long the first commit of a token may take before the token goes to the escrow as well.
const ESCROW_AFTER: Duration = Duration::from_millis(250);

/// How often a signup may move meanwhile, before its token is left to the escrow.
const MOVES_AT_MOST: u32 = 9;

/// What was granted, and judged right.
pub(super) struct Right {
    pub(super) granted: Granted,
    /// What its token opens.
    pub(super) uri: ResourceUri,
    pub(super) opened: Opened,
}

impl Granting {
    /// Seals and keeps, until the signup stands still for long enough. `held` are the signup's tokens, as far as is
    /// known.
    pub(super) async fn keep(
        &self,
        back: &Back,
        payload: Option<&Payload>,
        mut held: Vec<Credential>,
        right: Right,
    ) -> Ended {
        let pause = Schedule::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut row = Box::new(back.provisioning.clone());
        let domain = match right.opened {
            Opened::Store(store) => store.domain,
            Opened::User(_) | Opened::Unproven(_) => None,
        };
        let (mut in_escrow, mut moves) = (Vec::new(), 0);
        loop {
            let credential = match self.sealed(back, &row, &held, &right.granted, right.uri.as_str()) {
                Ok(credential) => credential,
                Err(error) => return Ended::Failed(chain(&error)),
            };
            let then = self.then(&back.grant, payload, domain.clone());
            let keeping = Keeping { trip: back.trip.id.clone(), credential, is_confirmed: true, then };
            match self.keep_surely(&row, keeping.clone(), &mut in_escrow).await {
                None => return Ended::InEscrow,
                Some(KeptGrant::Moved(now)) if moves < MOVES_AT_MOST => row = now,
                Some(KeptGrant::Moved(_)) => {
                    let is_safe = !in_escrow.is_empty() || self.put_in_escrow(&row, &keeping.credential).await;
                    let why = "the signup has changed again and again meanwhile";
                    return if is_safe { Ended::InEscrow } else { Ended::Failed(why.to_owned()) };
                }
                // Only now: until it was kept, or found to be of no use, it was in no other place.
                Some(kept) => {
                    self.release(&row, &in_escrow).await;
                    return Ended::Kept(kept);
                }
            }
            tokio::time::sleep(pause.wait(moves)).await;
            moves += 1;
            held = self.ledger.credentials(&row.id).await.unwrap_or(held);
        }
    }

    fn sealed(
        &self,
        back: &Back,
        row: &Provisioning,
        held: &[Credential],
        granted: &Granted,
        uri: &str,
    ) -> Result<NewCredential, SealError> {
        let scope = match back.grant.wanted {
            Wanted::User => Scope::User,
            Wanted::Store => Scope::Store,
        };
        let client = FoxyClient { foxy: self.client.foxy.clone(), id: back.trip.client_id.clone() };
        let number = row.number_of_granted(held, true);
        let around = TokenRow::of_call(row, scope, number, Some(uri)).given_to(Some(client.clone()));
        let sealed = self.custody.seal_granted_token(&around, &granted.refresh)?;
        Ok(NewCredential { scope, intent: number, resource_uri: Some(uri.to_owned()), client: Some(client), sealed })
    }

    fn then(&self, grant: &Grant, payload: Option<&Payload>, granted_domain: Option<String>) -> Then {
        Then {
            store_domain: match grant.wanted {
                Wanted::Store => granted_domain,
                Wanted::User => payload.map(domain::first),
            },
            keep_payload: self.policy.keep_payloads,
            keep_user_token: self.policy.keep_user_tokens,
            who: self.policy.who.clone(),
            provisioned: self.policy.outcome_events.then_some(provisioned_event),
        }
    }

    /// Keeps a token, as often as it takes; what was put into the escrow meanwhile is added there. `None`: it is in the
    /// escrow, and the ledger does not answer.
    async fn keep_surely(
        &self,
        row: &Provisioning,
        keeping: Keeping,
        escrowed: &mut Vec<NewCredential>,
    ) -> Option<KeptGrant> {
        let pause = Schedule::new(Duration::from_millis(200), Duration::from_secs(5));
        let (mut in_escrow, mut failures) = (false, 0);
        loop {
            let mut kept = pin!(self.ledger.keep_granted(row, keeping.clone()));
            let answer = match tokio::time::timeout(ESCROW_AFTER, &mut kept).await {
                Ok(answer) => answer,
                Err(_) => {
                    in_escrow = in_escrow || self.put_in_escrow(row, &keeping.credential).await;
                    kept.await
                }
            };
            match answer {
                Ok(answer) => {
                    escrowed.extend(in_escrow.then_some(keeping.credential));
                    return Some(answer);
                }
                Err(error) => {
                    in_escrow = in_escrow || self.put_in_escrow(row, &keeping.credential).await;
                    tracing::error!(
                        event = "ledger.record_failed",
                        signup_id = row.signup_id.as_str(),
                        error = &error as &dyn std::error::Error,
                        in_escrow,
                        "a granted token could not be recorded",
                    );
                    if in_escrow {
                        return None;
                    }
                }
            }
            tokio::time::sleep(pause.wait(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Removes from the escrow what the ledger has, or what no one has a use for.
    async fn release(&self, row: &Provisioning, escrowed: &[NewCredential]) {
        let Some(escrow) = &self.escrow else { return };
        for credential in escrowed {
            if let Err(error) = escrow.release(&row.id, credential).await {
                tracing::debug!(event = "escrow.not_released", error = %error, "it is drained again");
            }
        }
    }

    async fn put_in_escrow(&self, row: &Provisioning, credential: &NewCredential) -> bool {
        let Some(escrow) = &self.escrow else { return false };
        match escrow.keep(&row.id, credential).await {
            Ok(()) => {
                tracing::warn!(
                    event = "escrow.kept",
                    scope = credential.scope.as_str(),
                    "the ledger is slow or away; a sealed token is kept in the escrow until it is back",
                );
                true
            }
            Err(error) => {
                tracing::error!(
                    event = "escrow.failed",
                    error = &error as &dyn std::error::Error,
                    "a token is in memory only: don't stop this process; free disk space or bring the ledger back",
                );
                false
            }
        }
    }
}
