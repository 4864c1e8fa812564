//! From a decision to what the ledger is to write.

use std::time::Duration;

use foxden_ledger::{AttemptKind, Claimed, Doubt, Entry, Next, Payload, RefusedFor, State, Step};

use crate::{
    calls::Calls,
    domain,
    finding::Finding,
    plan::{Decision, Refusal, Seen, Wait},
    runner::Runner,
    schedule::Schedule,
    tell::outcome_event,
};

impl<F: Calls> Runner<F> {
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
                Next::Due { step: Step::Store, delay: Duration::ZERO }
            }
            Decision::AnnounceStore => Next::InFlight { step: Step::Store, lease },
            Decision::Finish => Next::Provisioned {
                keep_payload: self.policy.keep_payloads,
                keep_user_token: self.policy.keep_user_tokens,
            },
            // What ends without effect or without an answer again and again is sent ever more rarely.
            Decision::Retry(Wait::None) if row.state == State::Unknown && row.intents > row.key_intent => {
                Next::Due { step: row.step, delay: self.policy.retry.wait(row.intents - row.key_intent - 1) }
            }
            Decision::Retry(wait) => Next::Due { step: row.step, delay: paced(wait, self.policy.retry, row.retries) },
            Decision::LookUp(wait) => {
                let pace = self.policy.retry.beginning_with(self.policy.lookup_delay);
                let looked = if row.state == State::Unknown { row.retries + 1 } else { 0 };
                Next::Unknown { delay: paced(wait, pace, looked), doubt: doubt(row.state, finding.seen) }
            }
            Decision::NextDomain => {
                let tries = row.domain_try + 1;
                facts.domain_try = Some(tries);
                facts.store_domain =
                    payload.map(|payload| domain::candidate(&payload.store.name, tries, domain::random_tail));
                Next::InFlight { step: Step::Store, lease }
            }
            Decision::NextGeneration => {
                facts.generation = Some(row.generation + 1);
                // What takes the tokens is given time to end.
                Next::Due { step: Step::User, delay: self.policy.retry.wait(row.generation) }
            }
            Decision::Park(reason) => Next::Parked { reason, detail: finding.note.clone() },
        };
        let event = self.policy.outcome_events.then(|| outcome_event(row, &facts, &next)).flatten();
        Entry {
            lease: claimed.lease.clone(),
            attempt: finding.attempt(row, kind),
            credential: finding.credential.take(),
            facts,
            next,
            event,
        }
    }
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
