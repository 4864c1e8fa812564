//! From a decision to what the ledger is to write, and to its being written.

use std::time::Duration;

use foxden_custody::Payload;
use foxden_ledger::{
    AttemptKind, AttemptOutcome, Claimed, Contention, Doubt, Entry, Facts, Next, Provisioning, Recorded, RefusedFor,
    State, Step,
};

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    leases::Held,
    plan::{self, Decision, Refusal, Seen, Situation, Wait},
    runner::Runner,
    schedule::Schedule,
    stop::Stop,
    tell::outcome_event,
};

/// What has been recorded, and what it was.
pub(crate) struct Settled {
    /// `None`: given up.
    pub(crate) recorded: Option<Recorded>,
    pub(crate) decision: Decision,
    pub(crate) next: Next,
    /// Whether an outcome event was to go with it.
    pub(crate) tells: bool,
}

impl<F: Calls> Runner<F> {
    /// Records what was decided. Where another signup under the same user stands in the way, the plan is asked again.
    pub(crate) async fn settle(
        &self,
        claimed: &Claimed,
        situation: &Situation,
        finding: &mut Finding,
        mut decision: Decision,
        payload: Option<&Payload>,
        held: &Held,
    ) -> Result<Settled, Stop> {
        let row = &claimed.provisioning;
        loop {
            let entry = self.entry(claimed, finding, decision, payload);
            let (next, tells) = (entry.next.clone(), entry.event.is_some());
            let (facts, credential) = (entry.facts.clone(), entry.credential.clone());
            let recorded = self.record(entry, held).await;
            let Some(Recorded::Contended(contention)) = recorded else {
                return Ok(Settled { recorded, decision, next, tells });
            };
            finding.credential = credential;
            let tried = facts.domain_try.unwrap_or(row.domain_try);
            let (seen, by) = match contention {
                Contention::Domain { by, hold } => (Seen::DomainHeld(hold), by),
                Contention::Store { by } => (Seen::PresentUnclear, by),
                Contention::UserForgotten => {
                    (finding.seen, finding.outcome) = (Seen::UserForgotten, AttemptOutcome::NoEffect);
                    finding.note = Some("the signup whose user was to be used was forgotten meanwhile".to_owned());
                    decision = plan::decide(situation, finding.seen)?;
                    continue;
                }
            };
            match plan::decide(&Situation { domain_try: tried, ..*situation }, seen)? {
                Decision::NextDomain => {
                    tracing::info!(
                        event = "store.domain_taken",
                        store.domain = facts.store_domain.as_deref(),
                        note = format!("signup {by} of the same customer holds it"),
                        "the derived domain is taken; the next one is tried",
                    );
                    finding.facts = facts;
                    if decision != Decision::NextDomain {
                        choose_next_domain(&mut finding.facts, row, payload);
                    }
                }
                otherwise => {
                    decision = otherwise;
                    finding.seen = seen;
                    let note = format!("{} and {by}, of the same customer, want the same store domain", row.signup_id);
                    finding.note = Some(note);
                }
            }
        }
    }

    /// What the ledger is to write.
    pub(crate) fn entry(
        &self,
        claimed: &Claimed,
        finding: &mut Finding,
        decision: Decision,
        payload: Option<&Payload>,
    ) -> Entry {
        let row = &claimed.provisioning;
        let kind = if row.state == State::Unknown { AttemptKind::Lookup } else { AttemptKind::Create };
        let mut facts = std::mem::take(&mut finding.facts);
        let lease = self.leases.length();
        let next = match decision {
            // Stopping: the store is left to whoever comes next, instead of being announced and not sent.
            Decision::AnnounceStore if self.stop.is_cancelled() => {
                Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO }
            }
            Decision::AnnounceStore => Next::InFlight { step: Step::Store, lease },
            Decision::LookForStore => Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Store },
            Decision::Finish => Next::Provisioned {
                keep_payload: self.policy.keep_payloads,
                keep_user_token: self.policy.keep_user_tokens,
            },
            // What ends without effect or without an answer again and again is sent ever more rarely.
            Decision::Retry(Wait::None) if row.state == State::Unknown && row.intents > row.key_intent => {
                let delay = self.policy.retry.wait(row.intents - row.key_intent - 1);
                Next::Due { step: row.step, delay, at_least: Duration::ZERO }
            }
            Decision::Retry(wait) => Next::Due {
                step: row.step,
                delay: paced(wait, self.policy.retry, row.retries),
                at_least: match wait {
                    Wait::AtLeast(least) => least,
                    Wait::None | Wait::Backoff => Duration::ZERO,
                },
            },
            Decision::LookUp(wait) => {
                let pace = self.policy.retry.beginning_with(self.policy.lookup_delay);
                let looked = if row.state == State::Unknown { row.retries + 1 } else { 0 };
                Next::Unknown { delay: paced(wait, pace, looked), doubt: doubt(row.state, finding.seen) }
            }
            Decision::NextDomain => {
                choose_next_domain(&mut facts, row, payload);
                Next::InFlight { step: Step::Store, lease }
            }
            Decision::NextGeneration => {
                facts.generation = Some(row.generation + 1);
                // What takes the tokens is given time to end.
                let delay = self.policy.retry.wait(row.generation);
                Next::Due { step: Step::User, delay, at_least: Duration::ZERO }
            }
            Decision::Park(reason) => Next::Parked { reason, detail: finding.note.clone() },
        };
        if plan::is_a_try(finding.seen) && self.gate.is_up() {
            facts.tried = match (&next, decision) {
                // All calls wait for as long as Foxy has asked to; this signup's own pause is the schedule's.
                (Next::Due { .. }, Decision::Retry(Wait::AtLeast(_))) => Some(self.policy.retry.wait(row.retries)),
                (Next::Due { delay, .. } | Next::Unknown { delay, .. }, _) => Some(*delay),
                _ => None,
            };
        }
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

/// The domain after the one that was tried last.
fn choose_next_domain(facts: &mut Facts, row: &Provisioning, payload: Option<&Payload>) {
    let tries = facts.domain_try.unwrap_or(row.domain_try) + 1;
    facts.domain_try = Some(tries);
    facts.store_domain = payload.map(|payload| domain::at(tries, payload));
}

/// What leaves a row in doubt.
const fn doubt(state: State, seen: Seen) -> Doubt {
    match (state, seen) {
        (State::Unknown, Seen::PresentElsewhere | Seen::AbsentAfterRefusal(_)) => Doubt::Look { counts: true },
        (State::Unknown, _) => Doubt::Look { counts: false },
        (_, Seen::Rejected(Refusal::DomainTaken)) => Doubt::Refusal(RefusedFor::DomainTaken),
        (_, Seen::Rejected(Refusal::DomainReserved)) => Doubt::Refusal(RefusedFor::DomainReserved),
        (_, Seen::Rejected(_)) => Doubt::Refusal(RefusedFor::Unread),
        _ => Doubt::Call,
    }
}

fn paced(wait: Wait, schedule: Schedule, failures: u32) -> Duration {
    match wait {
        Wait::None => Duration::ZERO,
        Wait::Backoff => schedule.wait(failures),
        Wait::AtLeast(least) => schedule.wait(failures).max(least),
    }
}
