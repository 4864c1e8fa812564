//! Keeping what was granted, whatever the ledger does meanwhile.

use std::{pin::pin, time::Duration};

use foxden_custody::{Payload, TokenRow};
use foxden_ledger::{
    Back, Credential, FoxyClient, Grant, GrantReason, Keeping, KeptGrant, NewCredential, Provisioning, Scope, Then,
    Wanted,
};
use foxden_vault::SealError;
use foxy_api::{Granted, Opened};

use super::{Ended, Granting, chain};
use crate::{
    domain,
    grants::{Expected, Judgment, Wrong, judge},
    outcome::provisioned_event,
    request::user_email,
    schedule::Schedule,
};

/// How long the first commit of a token may take before the token goes to the escrow as well.
const ESCROW_AFTER: Duration = Duration::from_millis(250);

/// How often a token is judged and sealed again, for a signup that moves meanwhile.
const JUDGED_AT_MOST: u32 = 10;

impl Granting {
    /// Judges, seals and keeps, until the signup stands still for long enough.
    pub(super) async fn keep(
        &self,
        back: &Back,
        payload: Option<&Payload>,
        granted: &Granted,
        opened: &Opened,
    ) -> Ended {
        let mut row = Box::new(back.provisioning.clone());
        let email = payload.and_then(|payload| user_email(&row, payload).ok());
        let judged = Expected::of(&back.grant, &row, email.as_deref()).map(|expected| judge(expected, opened));
        let uri = match judged {
            Some(Judgment::Keep(uri)) => uri,
            Some(Judgment::Wrong(wrong)) => return Ended::Wrong(wrong),
            None => return Ended::Wrong(Wrong::Unproven),
        };
        let domain = match opened {
            Opened::Store(store) => store.domain.clone(),
            Opened::User(_) | Opened::Unproven(_) => None,
        };
        for _ in 0..JUDGED_AT_MOST {
            // Without the ledger's word the number is the next one; a token that has it is kept beside this.
            let held = self.ledger.credentials(&row.id).await.unwrap_or_default();
            let credential = match self.sealed(back, &row, &held, granted, uri.as_str()) {
                Ok(credential) => credential,
                Err(error) => return Ended::Failed(chain(&error)),
            };
            let then = self.then(&back.grant, payload, domain.clone());
            let keeping = Keeping { trip: back.trip.id.clone(), credential, is_confirmed: true, then };
            match self.keep_surely(&row, keeping).await {
                None => return Ended::InEscrow,
                Some(KeptGrant::Moved(now)) => row = now,
                Some(kept) => return Ended::Kept(kept),
            }
        }
        Ended::Failed("the signup has changed again and again meanwhile".to_owned())
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
            keep_user_token: self.policy.keep_user_tokens && grant.reason != GrantReason::TakeOver,
            who: self.policy.who.clone(),
            provisioned: self.policy.outcome_events.then_some(provisioned_event),
        }
    }

    /// Keeps a token, as often as it takes. `None`: it is in the escrow, and the ledger does not answer.
    async fn keep_surely(&self, row: &Provisioning, keeping: Keeping) -> Option<KeptGrant> {
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
                    if let Some(escrow) = self.escrow.as_ref().filter(|_| in_escrow)
                        && let Err(error) = escrow.release(&row.id, &keeping.credential).await
                    {
                        tracing::debug!(event = "escrow.not_released", error = %error, "it is drained again");
                    }
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
