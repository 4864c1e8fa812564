//! From a finding to a decision, to what the ledger is to write, and to its being written.

use std::time::Duration;

use foxden_custody::Payload;
use foxden_ledger::{
    AttemptKind, AttemptOutcome, Claimed, Contention, Doubt, Entry, Facts, Next, Provisioning, Recorded, State, Step,
};

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    leases::Held,
    log::log,
    outcome::outcome_event,
    plan::{self, Answer, Decision, Refusal, Seen, Situation, TokenSearch, Verdict, Wait},
    runner::Runner,
    schedule::Schedule,
    stop::Stop,
};

/// How an observation was recorded.
pub(crate) enum Written {
    /// The row, as it stands now.
    Row(Box<Claimed>),
    /// Not at all: the lease had passed to another worker.
    LeaseLost,
}

impl<F: Calls> Runner<F> {
    /// Has the plan decide about a finding, records what is decided, and lets the log, the publisher and the store
    /// know. Where another signup under the same user stands in the way, the plan is asked again. `None`: it could
    /// not be recorded while the lease lasted.
    pub(crate) async fn settle(
        &self,
        claimed: &Claimed,
        mut finding: Finding,
        payload: Option<&Payload>,
        held: &Held,
    ) -> Result<Option<Written>, Stop> {
        let finding = &mut finding;
        let row = &claimed.provisioning;
        let worker = plan::Worker {
            policy: &self.policy,
            lease: self.leases.length(),
            is_stopping: self.stop.is_cancelled(),
            is_foxy_up: self.gate.is_up(),
        };
        let mut situation = Situation::of(row, payload, worker);
        if situation.in_doubt && rests_on_the_doubt(finding.seen) {
            situation.may_be_unread = self.may_be_unread(row).await?;
        }
        let mut verdict = self.decided(row, &mut situation, finding).await?;
        loop {
            let entry = self.entry(claimed, finding, verdict, payload);
            let (next, has_event) = (entry.next.clone(), entry.event.is_some());
            let (facts, credential) = (entry.facts.clone(), entry.credential.clone());
            let contention = match self.record(entry, held).await {
                None => return Ok(None),
                Some(Recorded::LeaseLost) => return Ok(Some(Written::LeaseLost)),
                Some(Recorded::Written(written)) => {
                    log(row, &written.provisioning, finding, verdict.decision, &next);
                    if has_event {
                        self.outbox_filled.notify_one();
                    }
                    if verdict.decision == Decision::Finish {
                        self.mark(&written.provisioning);
                    }
                    return Ok(Some(Written::Row(written)));
                }
                Some(Recorded::Contended(contention)) => contention,
            };
            finding.credential = credential;
            let tried = facts.domain_try.unwrap_or(row.domain_try);
            let (seen, by) = match contention {
                Contention::Domain { by, hold } => (Seen::DomainHeld(hold), by),
                Contention::Store { by } => (Seen::PresentUnclear, by),
                Contention::UserForgotten => {
                    (finding.seen, finding.outcome) = (Seen::UserForgotten, AttemptOutcome::NoEffect);
                    finding.note = Some("the signup whose user was to be used was forgotten meanwhile".to_owned());
                    verdict = self.decided(row, &mut situation, finding).await?;
                    continue;
                }
            };
            let next = match plan::decide(&Situation { domain_try: tried, ..situation }, seen)? {
                Answer::Decided(next) => next,
                Answer::SeekToken => {
                    finding.facts = facts;
                    self.seek_token(row, &mut situation, finding).await;
                    verdict = self.decided(row, &mut situation, finding).await?;
                    continue;
                }
            };
            match next.decision {
                Decision::NextDomain => {
                    tracing::info!(
                        event = "store.domain_taken",
                        store.domain = facts.store_domain.as_deref(),
                        note = format!("signup {by} of the same customer holds it"),
                        "the derived domain is taken; the next one is tried",
                    );
                    finding.facts = facts;
                    if verdict.decision != Decision::NextDomain {
                        choose_next_domain(&mut finding.facts, row, payload);
                    }
                }
                _ => {
                    verdict = next;
                    finding.seen = seen;
                    let note = format!("{} and {by}, of the same customer, want the same store domain", row.signup_id);
                    finding.note = Some(note);
                }
            }
        }
    }

    /// The plan's verdict. It may ask for a look for a token before.
    async fn decided(
        &self,
        row: &Provisioning,
        situation: &mut Situation,
        finding: &mut Finding,
    ) -> Result<Verdict, Stop> {
        loop {
            match plan::decide(situation, finding.seen)? {
                Answer::Decided(verdict) => return Ok(verdict),
                Answer::SeekToken => self.seek_token(row, situation, finding).await,
            }
        }
    }

    /// Looks for a token that may have come while the row was looked up, or that lies in our own escrow.
    async fn seek_token(&self, row: &Provisioning, situation: &mut Situation, finding: &mut Finding) {
        situation.token_search = match self.token_after_all(row).await {
            Ok(found) => {
                if let Some(held) = found {
                    *finding = held;
                }
                TokenSearch::Over
            }
            Err(error) => {
                tracing::warn!(
                    event = "provisioning.token_not_looked_for",
                    error = &error as &dyn std::error::Error,
                    "a token may lie where it could not be looked for; it is looked up again",
                );
                finding.facts = Facts::default();
                TokenSearch::Failed
            }
        };
    }

    /// What the ledger is to write.
    pub(crate) fn entry(
        &self,
        claimed: &Claimed,
        finding: &mut Finding,
        verdict: Verdict,
        payload: Option<&Payload>,
    ) -> Entry {
        let row = &claimed.provisioning;
        let kind = if row.state == State::Unknown { AttemptKind::Lookup } else { AttemptKind::Create };
        let mut facts = std::mem::take(&mut finding.facts);
        let lease = self.leases.length();
        let mut tried = None;
        let next = match verdict.decision {
            Decision::AnnounceStore => Next::InFlight { step: Step::Store, lease },
            Decision::LeaveStore => Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO },
            Decision::LookForStore => Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Store },
            Decision::Finish => Next::Provisioned {
                keep_payload: self.policy.keep_payloads,
                keep_user_token: self.policy.keep_user_tokens && !finding.user_is_customers_own,
            },
            Decision::Retry(wait) => {
                let pause = Pause::of(wait, self.policy.retry);
                tried = Some(pause.own);
                Next::Due { step: row.step, delay: pause.whole(), at_least: pause.at_least }
            }
            Decision::LookUp(wait, doubt) => {
                let pause = Pause::of(wait, self.policy.retry.beginning_with(self.policy.lookup_delay));
                tried = Some(pause.own);
                Next::Unknown { delay: pause.whole(), doubt }
            }
            Decision::NextDomain => {
                choose_next_domain(&mut facts, row, payload);
                Next::InFlight { step: Step::Store, lease }
            }
            Decision::NextGeneration(wait) => {
                facts.generation = Some(row.generation + 1);
                let pause = Pause::of(wait, self.policy.retry);
                Next::Due { step: Step::User, delay: pause.whole(), at_least: pause.at_least }
            }
            Decision::Park(reason) => Next::Parked { reason, detail: finding.note.clone() },
        };
        facts.tried = tried.filter(|_| verdict.is_a_try);
        let event = self.policy.outcome_events.then(|| outcome_event(row, &facts, &next)).flatten();
        Entry {
            lease: claimed.lease.clone(),
            attempt: finding.attempt(row, kind),
            credential: finding.credential.take(),
            shared_user: facts.user_from.clone().or_else(|| row.user_from.clone()),
            facts,
            refused_token: finding.used_token.clone(),
            next,
            event,
        }
    }
}

/// Whether it matters what the calls in doubt have come to.
const fn rests_on_the_doubt(seen: Seen) -> bool {
    matches!(seen, Seen::Present | Seen::PresentUnclear | Seen::Rejected(Refusal::EmailTaken(_)))
}

/// The domain after the one that was tried last.
fn choose_next_domain(facts: &mut Facts, row: &Provisioning, payload: Option<&Payload>) {
    let tries = facts.domain_try.unwrap_or(row.domain_try) + 1;
    facts.domain_try = Some(tries);
    facts.store_domain = payload.map(|payload| domain::at(tries, payload));
}

/// A wait in figures.
struct Pause {
    /// The signup's own, by the schedule.
    own: Duration,
    /// What Foxy has asked for, or the rate of calls demands: all calls wait for it.
    at_least: Duration,
}

impl Pause {
    fn of(wait: Wait, schedule: Schedule) -> Self {
        match wait {
            Wait::None => Self { own: Duration::ZERO, at_least: Duration::ZERO },
            Wait::Backoff { failures } => Self { own: schedule.wait(failures), at_least: Duration::ZERO },
            Wait::AtLeast { least, failures } => Self { own: schedule.wait(failures), at_least: least },
        }
    }

    fn whole(&self) -> Duration {
        self.own.max(self.at_least)
    }
}
