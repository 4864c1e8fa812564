//! Create calls: everything between a committed intent and a finding.

use foxden_custody::{Payload, TokenRow};
use foxden_ledger::{NewCredential, Provisioning, Scope, Step};
use foxden_vault::{RefreshToken, Sealed};
use foxy_api::{CreatedStore, Line, LinkProblem, NewStore, NewUser, NoEffect, Outcome, Report, ResourceUri};
use tokio::time::Instant;

use crate::{
    calls::{Calls, MadeUser},
    customer, domain,
    finding::Finding,
    gate::Pass,
    plan::{Cause, Refusal, Seen},
    request,
    runner::Runner,
    stop::Stop,
};

/// A call that is ready to be sent, or the finding that leaves nothing to send.
enum Prepared<S> {
    User(NewUser),
    /// With the user's token, if it was read for this call.
    Store(S, NewStore, Option<UsedToken>),
    Settled(Finding),
}

/// The user's token that a call goes with.
struct UsedToken {
    /// As it is kept.
    sealed: Sealed,
    is_customers_own: bool,
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
            Prepared::Store(session, store, used) => {
                let report = self.foxy.create_store(&session, &store, lease_end, &wanted).await;
                let finding = self.store_report(row, payload, report)?;
                let user_is_customers_own = used.as_ref().is_some_and(|used| used.is_customers_own);
                let used_token = used.map(|used| used.sealed);
                Ok((Finding { used_token, user_is_customers_own, ..finding }, None))
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
                Ok(user.map_or_else(|why| Prepared::Settled(Finding::of_sealed(why)), Prepared::User))
            }
            Step::Store | Step::Done => {
                // The natural key of a call is committed before the call is sent.
                let Some(domain) = row.store_domain.clone() else {
                    let mut chosen = Finding::of(Seen::DomainUnset, "");
                    chosen.facts.store_domain = Some(domain::at(row.domain_try, payload));
                    return Ok(Prepared::Settled(chosen));
                };
                let (session, used) = match session {
                    Some(session) => (session, None),
                    None => match self.user_session(row).await? {
                        Ok((session, sealed)) => {
                            let is_customers_own = self.user_is_customers_own(row).await?;
                            (session, Some(UsedToken { sealed, is_customers_own }))
                        }
                        Err(finding) => return Ok(Prepared::Settled(*finding)),
                    },
                };
                Ok(match request::new_store(payload, &domain) {
                    Ok(store) => Prepared::Store(session, store, used),
                    Err(why) => Prepared::Settled(Finding::of_sealed(why)),
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
                finding.facts.store_domain = Some(domain::first(payload));
                let uri = finding.facts.user_uri.as_deref();
                let keeper =
                    self.keeper(TokenRow::of_call(row, Scope::User, row.intents, uri).given_to(self.client.clone()));
                Ok((finding, Some(self.foxy.kept_by(user.session, keeper))))
            }
            failed => {
                let mut finding = Finding::of_failure(&failed, evidence, row.step, payload);
                if let Seen::Rejected(Refusal::EmailTaken(_)) = finding.seen {
                    let whose = self.whose_email(row).await;
                    finding.seen = Seen::Rejected(Refusal::EmailTaken(whose));
                    finding.note = customer::about(whose).map(str::to_owned).or(finding.note);
                }
                Ok((finding, None))
            }
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
        let resource_uri = uri.as_ref().ok().map(ToString::to_string);
        let client = self.client.clone();
        let around = TokenRow::of_call(row, scope, row.intents, resource_uri.as_deref()).given_to(client.clone());
        let sealed = self.custody.seal_token(&around, token)?;
        let mut finding = Finding::of_answer(Seen::Done { link_is_trusted: uri.is_ok() }, "");
        if let Err(problem) = uri {
            finding.note = Some(problem.to_string());
        }
        finding.credential = Some(NewCredential { scope, intent: row.intents, resource_uri, client, sealed });
        Ok(finding)
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
