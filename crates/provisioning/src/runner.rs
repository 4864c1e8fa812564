//! The runner: carries out what the plan decides, against Foxy and the ledger.

use std::{sync::Arc, time::Duration};

use foxden_ledger::{
    AttemptKind, Claimed, Custody, CustodyError, Entry, Ledger, LedgerError, Next, ParkedReason, Payload, Provisioning,
    Recorded, State, Step,
};
use foxden_vault::SealError;
use foxy_api::{Foxy, UserSession};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    create::unopenable,
    domain,
    finding::Finding,
    gate::Gate,
    leases::{Held, Leases},
    plan::{self, Cause, Decision, Illegal, Seen, Situation, Unopenable, Wait},
    policy::{LEASE_MARGIN, Policy},
    schedule::Schedule,
    tell::{outcome_event, tell},
};

/// How a result is tried again while the ledger is away.
const RECORDING: Schedule = Schedule { initial: Duration::from_millis(100), max: Duration::from_secs(2) };

/// Works off provisionings, one at a time for each call of [`Runner::run`]. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    pub(crate) ledger: Ledger,
    pub(crate) custody: Custody,
    pub(crate) foxy: Foxy,
    pub(crate) policy: Arc<Policy>,
    leases: Leases,
    gate: Gate,
    outbox_filled: Arc<Notify>,
    stop: CancellationToken,
}

/// What a runner is made of.
pub struct Parts {
    /// The ledger.
    pub ledger: Ledger,
    /// Seals and opens what the ledger holds.
    pub custody: Custody,
    /// Foxy.
    pub foxy: Foxy,
    /// What the operator decided.
    pub policy: Policy,
    /// This worker's leases.
    pub leases: Leases,
    /// Closed while calls are paused.
    pub gate: Gate,
    /// Told whenever an outcome event was written.
    pub outbox_filled: Arc<Notify>,
    /// Cancelled when the worker stops: what is under way is finished, nothing new is sent.
    pub stop: CancellationToken,
}

/// Where a run has left its provisioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// User, store and token are there.
    Provisioned,
    /// It is stopped until someone acts.
    Parked(ParkedReason),
    /// It waits in this state for its due time.
    Waiting(State),
    /// It passed to another worker.
    LeaseLost,
    /// It could not be worked on or recorded; its lease expires, and it is taken up again.
    Abandoned,
}

/// Why a run stops without a finding.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A token could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The plan refuses.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

impl From<CustodyError> for Unopenable {
    fn from(error: CustodyError) -> Self {
        match error {
            CustodyError::KeyMissing(_) => Self::KeyMissing,
            CustodyError::Refused | CustodyError::Content => Self::Unreadable,
        }
    }
}

impl Runner {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            ledger: parts.ledger,
            custody: parts.custody,
            foxy: parts.foxy,
            policy: Arc::new(parts.policy),
            leases: parts.leases,
            gate: parts.gate,
            outbox_filled: parts.outbox_filled,
            stop: parts.stop,
        }
    }

    /// Works one claimed provisioning as far as it goes now, recording each result before the next call.
    pub async fn run(&self, mut claimed: Claimed) -> Ending {
        let held = self.leases.hold(&claimed.lease);
        let mut session = None;
        loop {
            let span = tracing::info_span!(
                "provisioning",
                signup_id = %claimed.provisioning.signup_id,
                attempt = claimed.provisioning.intents,
            );
            match self.advance(claimed, session.take(), &held).instrument(span).await {
                Advance::On { announced, with } => {
                    held.prolonged(&announced.lease);
                    (claimed, session) = (*announced, with);
                }
                Advance::Ended(ending) => return ending,
            }
        }
    }

    /// One call or lookup, from the committed intent to the recorded finding.
    async fn advance(&self, claimed: Claimed, session: Option<UserSession>, held: &Held) -> Advance {
        match self.try_advance(claimed, session, held).await {
            Ok(advance) => advance,
            Err(error) => {
                tracing::error!(
                    event = "provisioning.abandoned",
                    error = &error as &dyn std::error::Error,
                    "could not be worked on; it is taken up again when its lease has expired",
                );
                Advance::Ended(Ending::Abandoned)
            }
        }
    }

    async fn try_advance(&self, claimed: Claimed, session: Option<UserSession>, held: &Held) -> Result<Advance, Stop> {
        let row = &claimed.provisioning;
        let (mut finding, payload) = match self.open(row) {
            Err(why) => (unopenable(why), None),
            Ok(payload) => match row.state {
                State::InFlight => match self.may_send(held).await? {
                    MaySend::Yes => (self.create(row, &payload, session).await?, Some(payload)),
                    MaySend::No(finding) => (*finding, Some(payload)),
                    MaySend::LeaseLost => return Ok(lease_lost()),
                },
                _ if self.stop.is_cancelled() => (stopping(), Some(payload)),
                _ => (self.look_up(row, &payload).await?, Some(payload)),
            },
        };
        if let Some(fault) = &finding.fault {
            self.gate.close(fault);
        } else if finding.credential.is_some() {
            self.gate.succeeded();
        }
        let session = finding.session.take();
        let decision = plan::decide(&self.situation(row, payload.as_ref()), finding.seen)?;
        let entry = self.entry(&claimed, &mut finding, decision, payload.as_ref());
        let (next, event) = (entry.next.clone(), entry.event.is_some());
        match self.record(entry, held).await {
            None => Ok(Advance::Ended(Ending::Abandoned)),
            Some(Recorded::LeaseLost) => Ok(lease_lost()),
            Some(Recorded::Written(written)) => {
                tell(row, &written.provisioning, &finding, decision, &next);
                if event {
                    self.outbox_filled.notify_one();
                }
                Ok(if written.provisioning.state == State::InFlight {
                    Advance::On { announced: written, with: session }
                } else {
                    Advance::Ended(ending(&written.provisioning))
                })
            }
        }
    }

    /// Opens what the signup asks for.
    pub(crate) fn open(&self, row: &Provisioning) -> Result<Payload, Unopenable> {
        let sealed = row.payload.as_ref().ok_or(Unopenable::Unreadable)?;
        Ok(self.custody.open_payload(&row.id, sealed)?)
    }

    /// Whether a create call may be sent now: not while stopping, not while calls are paused, and not with less of the
    /// lease left than the call may take.
    async fn may_send(&self, held: &Held) -> Result<MaySend, Stop> {
        if self.stop.is_cancelled() {
            return Ok(MaySend::No(Box::new(stopping())));
        }
        if !self.gate.is_open() {
            let paused = Finding::of(Seen::NoEffect(Cause::SetUp), "no_effect", "not sent: calls to Foxy are paused");
            return Ok(MaySend::No(Box::new(paused)));
        }
        let needed = self.policy.call_timeout + LEASE_MARGIN;
        if held.left().is_some_and(|left| left < needed) {
            self.leases.renew().await?;
        }
        match held.left() {
            None => Ok(MaySend::LeaseLost),
            Some(left) if left < needed => {
                let short = Cause::Passing { at_least: None };
                let note = "not sent: less of the lease is left than the call may take";
                Ok(MaySend::No(Box::new(Finding::of(Seen::NoEffect(short), "no_effect", note))))
            }
            Some(_) => Ok(MaySend::Yes),
        }
    }

    fn situation(&self, row: &Provisioning, payload: Option<&Payload>) -> Situation {
        // Both times are the ledger's: when the row was claimed or written, and when its step began.
        let age = Duration::from_millis(row.updated_at_ms.saturating_sub(row.step_since_ms).max(0).unsigned_abs());
        Situation {
            step: row.step,
            state: row.state,
            in_doubt: row.in_doubt,
            lookups: row.lookups,
            domain_try: row.domain_try,
            domain_is_exact: payload.is_some_and(|payload| payload.store.domain.is_some()),
            user_can_be_superseded: self.policy.user_email.is_some(),
            is_too_old: age >= self.policy.give_up_after,
        }
    }

    /// What the ledger is to write.
    fn entry(&self, claimed: &Claimed, finding: &mut Finding, decision: Decision, payload: Option<&Payload>) -> Entry {
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
            Decision::Retry(wait) => Next::Due { step: row.step, delay: paced(wait, self.policy.retry, row.retries) },
            Decision::LookUp(wait) => {
                let pace = Schedule {
                    initial: self.policy.lookup_delay,
                    max: self.policy.retry.max.max(self.policy.lookup_delay),
                };
                let looked = if row.state == State::Unknown { row.lookups + 1 } else { 0 };
                Next::Unknown { delay: paced(wait, pace, looked) }
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
                Next::InFlight { step: Step::User, lease }
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

    /// Records, as often as it takes. A token in hand is never dropped; a finding without one is given up when the
    /// lease is over, since the call is then looked up anyway. `None`: given up.
    async fn record(&self, entry: Entry, held: &Held) -> Option<Recorded> {
        let mut failures = 0;
        loop {
            match self.ledger.record(entry.clone()).await {
                Ok(recorded) => {
                    if failures > 0 {
                        tracing::info!(event = "ledger.recorded_late", failures, "the result is recorded after all");
                    }
                    return Some(recorded);
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(
                            event = "ledger.record_failed",
                            error = %error,
                            holds_token = entry.credential.is_some(),
                            "a result could not be recorded; trying again until it is",
                        );
                    }
                    let over = held.left().is_none_or(|left| left.is_zero());
                    if over && entry.credential.is_none() {
                        return None;
                    }
                }
            }
            tokio::time::sleep(RECORDING.wait(failures)).await;
            failures = failures.saturating_add(1);
        }
    }
}

/// What one call or lookup leads to.
enum Advance {
    /// The next call is announced; this worker sends it.
    On { announced: Box<Claimed>, with: Option<UserSession> },
    /// Nothing more to do here.
    Ended(Ending),
}

enum MaySend {
    Yes,
    No(Box<Finding>),
    LeaseLost,
}

fn stopping() -> Finding {
    Finding::of(Seen::NoEffect(Cause::Stopping), "no_effect", "not sent: the worker is stopping")
}

fn lease_lost() -> Advance {
    tracing::warn!(event = "lease.lost", "this provisioning has passed to another worker; leaving it to that one");
    Advance::Ended(Ending::LeaseLost)
}

fn ending(row: &Provisioning) -> Ending {
    match (row.state, row.parked_reason) {
        (State::Closed, _) => Ending::Provisioned,
        (State::Parked, Some(reason)) => Ending::Parked(reason),
        (state, _) => Ending::Waiting(state),
    }
}

fn paced(wait: Wait, schedule: Schedule, failures: u32) -> Duration {
    match wait {
        Wait::None => Duration::ZERO,
        Wait::Backoff => schedule.wait(failures),
        Wait::AtLeast(least) => schedule.wait(failures).max(least),
    }
}
