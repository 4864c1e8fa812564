//! Create calls: everything between a committed intent and a finding.

use foxden_custody::Payload;
use foxden_ledger::{AttemptOutcome, Credential, Facts, NewCredential, Provisioning, Scope, Step, is_same_resource};
use foxden_vault::{RefreshToken, Sealed};
use foxy_api::{CreatedStore, Line, LinkProblem, NewStore, NewUser, NoEffect, Outcome, Report, ResourceUri};
use tokio::time::Instant;

use crate::{
    calls::{Calls, MadeUser},
    domain,
    finding::Finding,
    gate::Pass,
    plan::{Cause, Refusal, Seen, Unopenable},
    request,
    runner::{Runner, Stop},
};

/// A call that is ready to be sent, or the finding that leaves nothing to send.
enum Prepared<S> {
    User(NewUser),
    /// With the user's token as it is kept, if it was read for this call.
    Store(S, NewStore, Option<Sealed>),
    Settled(Finding),
}

impl<F: Calls> Runner<F> {
    /// Sends the create call of the row's step, under the intent that is committed for it. A user that was made comes
    /// with its session, for the store step that follows.
    ///
    /// # Errors
    /// Only once the call was sent; else its row would be swept in doubt of a call that never was.
    pub(crate) async fn create(
        &self,
        row: &Provisioning,
        payload: &Payload,
        session: Option<F::Session>,
        lease_end: Instant,
        pass: &Pass,
    ) -> Result<(Finding, Option<F::Session>), Stop> {
        let prepared = match self.prepare(row, payload, session).await {
            Ok(Prepared::Settled(finding)) => return Ok((finding, None)),
            Ok(prepared) => prepared,
            Err(stop) => return Ok((not_prepared(&stop), None)),
        };
        if let Some(late) = self.too_late(lease_end) {
            return Ok((late, None));
        }
        let wanted = || self.gate.still_lets(pass).is_ok();
        match prepared {
            Prepared::Settled(finding) => Ok((finding, None)),
            Prepared::User(user) => {
                let report = self.foxy.create_user(&user, line_of(row), lease_end, &wanted).await;
                self.user_report(row, payload, report).await
            }
            Prepared::Store(session, store, used_token) => {
                let report = self.foxy.create_store(&session, &store, lease_end, &wanted).await;
                let finding = self.store_report(row, payload, report)?;
                Ok((Finding { used_token, ..finding }, None))
            }
        }
    }

    /// All that the ledger has to be asked for before a call.
    async fn prepare(
        &self,
        row: &Provisioning,
        payload: &Payload,
        session: Option<F::Session>,
    ) -> Result<Prepared<F::Session>, Stop> {
        if row.in_doubt
            && let Some(held) = self.token_held(row).await?
        {
            return Ok(Prepared::Settled(held));
        }
        match row.step {
            Step::User => {
                if let Some(reused) = self.user_of_same_customer(row).await? {
                    return Ok(Prepared::Settled(reused));
                }
                let user = request::user_email(row, payload).and_then(|email| request::new_user(payload, email));
                Ok(user.map_or_else(|why| Prepared::Settled(unopenable(why)), Prepared::User))
            }
            Step::Store | Step::Done => {
                // The natural key of a call is committed before the call is sent.
                let Some(domain) = row.store_domain.clone() else {
                    let mut chosen = Finding::of(Seen::DomainUnset, "");
                    chosen.facts.store_domain = Some(domain_at(row.domain_try, payload));
                    return Ok(Prepared::Settled(chosen));
                };
                let (session, used_token) = match session {
                    Some(session) => (session, None),
                    None => match self.user_session(row).await? {
                        Ok((session, used_token)) => (session, Some(used_token)),
                        Err(finding) => return Ok(Prepared::Settled(*finding)),
                    },
                };
                Ok(match request::new_store(payload, &domain) {
                    Ok(store) => Prepared::Store(session, store, used_token),
                    Err(why) => Prepared::Settled(unopenable(why)),
                })
            }
        }
    }

    /// The ledger was asked since the lease was looked at, and may have taken its time.
    fn too_late(&self, lease_end: Instant) -> Option<Finding> {
        let note = "not sent: less of the lease is left than the call may take";
        (lease_end.saturating_duration_since(Instant::now()) < self.policy.call_timeout)
            .then(|| Finding::of(Seen::NoEffect(Cause::HeldBack { at_least: None }), note))
    }

    async fn user_report(
        &self,
        row: &Provisioning,
        payload: &Payload,
        report: Report<MadeUser<F::Session>>,
    ) -> Result<(Finding, Option<F::Session>), Stop> {
        let Report { outcome, evidence } = report;
        match outcome {
            Outcome::Done(user) => {
                let mut finding = self.made(row, Scope::User, &user.token, &user.uri)?.with_evidence(evidence);
                finding.facts.user_uri = user.uri.ok().map(|uri| uri.to_string());
                finding.facts.store_domain = Some(first_domain(payload));
                let keeper = self.keeper(&row.id, (Scope::User, row.intents), finding.facts.user_uri.clone());
                Ok((finding, Some(self.foxy.kept_by(user.session, keeper))))
            }
            failed => {
                let mut finding = Finding::of_failure(&failed, evidence, row.step, payload);
                let is_taken = finding.seen == Seen::Rejected(Refusal::EmailTaken);
                if is_taken && row.in_doubt && self.may_be_anothers(row).await {
                    // Looked up, as if the outcome were unknown: the other may yet bring the user's token.
                    finding.seen = Seen::Unknown;
                } else if is_taken
                    && !row.in_doubt
                    && let Some(account) = &row.account_id
                    && let Some((seen, note)) = self.why_email_is_taken(row, account).await
                {
                    finding.seen = seen;
                    finding.note = note.map(str::to_owned).or(finding.note);
                }
                Ok((finding, None))
            }
        }
    }

    /// Whether an email that is taken, and was in doubt, may be that of a user which another signup of the customer
    /// has made.
    async fn may_be_anothers(&self, row: &Provisioning) -> bool {
        if row.restored_to_ms.is_some() || row.mailbox.is_some() {
            return false;
        }
        // Where the ledger does not answer, the lookup asks it again.
        let is_at_work = self.another_may_have_made_the_user(row).await.unwrap_or(true);
        let Some(account) = row.account_id.as_deref().filter(|_| self.policy.keep_user_tokens) else { return false };
        is_at_work || !matches!(self.ledger.provisioned_for(account).await, Ok(None))
    }

    /// What an email that is taken means for a customer who has other signups, and what there is to say about it. `None`:
    /// it is somebody else's.
    async fn why_email_is_taken(&self, row: &Provisioning, account: &str) -> Option<(Seen, Option<&'static str>)> {
        let again = |note| Some((Seen::NoEffect(Cause::Passing { at_least: None }), Some(note)));
        // Nothing was created, so where the ledger does not answer it may be asked, and Foxy be called, once more.
        let unknown = "the ledger does not say whether another signup of this customer has made the user";
        match self.ledger.another_may_have_the_user_of(row, account).await {
            Ok(true) => return again("another signup of this customer is making the user"),
            Ok(false) => {}
            Err(_) => return again(unknown),
        }
        if self.policy.keep_user_tokens {
            // It ended while this call was under way.
            match self.ledger.provisioned_for(account).await {
                Ok(Some(_)) => return again("another signup of this customer has made the user, which is used next"),
                Ok(None) => {}
                Err(_) => return again(unknown),
            }
        }
        match self.ledger.has_provisioned(account).await {
            Ok(true) => Some((Seen::Rejected(Refusal::EmailOfOwnUser), None)),
            Ok(false) => None,
            Err(_) => again(unknown),
        }
    }

    fn store_report(
        &self,
        row: &Provisioning,
        payload: &Payload,
        report: Report<CreatedStore>,
    ) -> Result<Finding, Stop> {
        let Report { outcome, evidence } = report;
        match outcome {
            Outcome::Done(store) => {
                let mut finding =
                    self.made(row, Scope::Store, &store.token.refresh, &store.uri)?.with_evidence(evidence);
                finding.facts.store_uri = store.uri.ok().map(|uri| uri.to_string());
                Ok(finding)
            }
            // The store was made even if its token was lost: say where it is.
            Outcome::TokenLost(_) => {
                let resource = evidence.resource.as_ref().map(ToString::to_string);
                let mut finding = Finding::of_failure(&outcome, evidence, row.step, payload);
                finding.facts.store_uri = resource;
                Ok(finding)
            }
            failed => {
                let mut finding = Finding::of_failure(&failed, evidence, row.step, payload);
                if let Outcome::NoEffect(NoEffect::TokenRefused) = failed {
                    finding.note = Some("Foxy no longer accepts the token of this user".to_owned());
                }
                Ok(finding)
            }
        }
    }

    /// Something was created, and its token is in hand: seal the token before anything else is looked at.
    fn made(
        &self,
        row: &Provisioning,
        scope: Scope,
        token: &RefreshToken,
        uri: &Result<ResourceUri, LinkProblem>,
    ) -> Result<Finding, Stop> {
        let sealed = self.custody.seal_token(&row.id, scope, token)?;
        let mut finding = Finding::of_answer(Seen::Done { link_is_trusted: uri.is_ok() }, "");
        if let Err(problem) = uri {
            finding.note = Some(problem.to_string());
        }
        finding.credential = Some(NewCredential {
            scope,
            intent: row.intents,
            resource_uri: uri.as_ref().ok().map(ToString::to_string),
            sealed,
        });
        Ok(finding)
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
        // It may have come out of a file, or out of a row that others have written to.
        held.resource_uri = held.resource_uri.and_then(|uri| self.foxy.checked(&uri));
        let seen = Seen::TokenHeld { link_is_trusted: held.resource_uri.is_some() };
        let mut finding = Finding::of(seen, "recorded by a worker that had lost its lease");
        match scope {
            Scope::User => {
                let payload = match self.open(row) {
                    Ok(payload) => payload,
                    Err(why) => return Ok(Some(unopenable(why))),
                };
                finding.facts.user_uri = held.resource_uri;
                finding.facts.store_domain = Some(first_domain(&payload));
            }
            Scope::Store => finding.facts.store_uri = held.resource_uri,
        }
        Ok(Some(finding))
    }

    /// The user that an earlier signup of the same customer made, if its token was kept: the store is made under it.
    pub(crate) async fn user_of_same_customer(&self, row: &Provisioning) -> Result<Option<Finding>, Stop> {
        let Some(account) = row.account_id.as_deref().filter(|_| self.policy.keep_user_tokens) else {
            return Ok(None);
        };
        let Some(earlier) = self.ledger.provisioned_for(account).await? else { return Ok(None) };
        let payload = match self.open(row) {
            Ok(payload) => payload,
            Err(why) => return Ok(Some(unopenable(why))),
        };
        let note = format!("the store is made under the user of signup {}", earlier.signup_id);
        let facts = Facts {
            user_uri: earlier.user_uri,
            user_from: Some(earlier.id),
            store_domain: Some(first_domain(&payload)),
            ..Facts::default()
        };
        let seen = Seen::TokenHeld { link_is_trusted: true };
        Ok(Some(Finding { outcome: AttemptOutcome::UserReused, facts, ..Finding::of(seen, &note) }))
    }

    /// Acts as the user whose store this is, by its kept token, which comes along as it is kept; or the finding that
    /// says why that can't be done.
    pub(crate) async fn user_session(
        &self,
        row: &Provisioning,
    ) -> Result<Result<(F::Session, Sealed), Box<Finding>>, Stop> {
        let held = self.user_credential(row).await?;
        let Some(Credential { intent, resource_uri, sealed: Some(sealed), .. }) = held else {
            let note = "the ledger holds no token of the user";
            return Ok(Err(Box::new(Finding::of(Seen::NoEffect(Cause::UserTokenRefused), note))));
        };
        let owner = row.user_from.as_ref().unwrap_or(&row.id);
        match self.custody.open_token(owner, Scope::User, &sealed) {
            Ok(token) => {
                let keeper = self.keeper(owner, (Scope::User, intent), resource_uri);
                Ok(Ok((self.foxy.session(token, keeper), sealed)))
            }
            Err(error) => Ok(Err(Box::new(unopenable(error.into())))),
        }
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

/// Only a signup's very first call begins something; a retry of it finishes what was begun.
pub(crate) fn line_of(row: &Provisioning) -> Line {
    if row.step == Step::User && row.intents <= 1 { Line::New } else { Line::Begun }
}

/// The finding that nothing was sent, since what had to be known first could not be asked for.
pub(crate) fn not_prepared(stop: &Stop) -> Finding {
    tracing::warn!(
        event = "provisioning.not_sent",
        error = stop as &dyn std::error::Error,
        "the call was announced and not sent, since the ledger did not answer; it is tried again",
    );
    let note = "not sent: the ledger did not answer before the call";
    Finding::of(Seen::NoEffect(Cause::HeldBack { at_least: None }), note)
}

pub(crate) fn unopenable(why: Unopenable) -> Finding {
    let note = match why {
        Unopenable::KeyMissing => "the key that seals it is not in the key ring",
        Unopenable::Unreadable => "what is sealed for it does not open, or is not what this release reads",
        Unopenable::Mismatch => "what is sealed for it was sealed for another signup, address or call",
    };
    Finding::of(Seen::Sealed(why), note)
}

/// The domain of the store step; it was set with the step, so a row without one is of another making.
pub(crate) fn store_domain(row: &Provisioning, payload: &Payload) -> String {
    row.store_domain.clone().unwrap_or_else(|| first_domain(payload))
}

fn first_domain(payload: &Payload) -> String {
    domain_at(0, payload)
}

/// The domain of the event, or the derived one of this try.
pub(crate) fn domain_at(tries: u32, payload: &Payload) -> String {
    match &payload.store.domain {
        Some(exact) => exact.clone(),
        None => domain::candidate(&payload.store.name, tries, domain::random_tail),
    }
}
