//! The runner: carries out what the plan decides, against Foxy and the ledger.

use std::{sync::Arc, time::Duration};

use foxden_ledger::{
    AttemptKind, Claimed, Custody, CustodyError, Entry, Facts, Ledger, LedgerError, Next, OutcomeData, OutcomeEvent,
    OutcomeKind, ParkedReason, Payload, Provisioning, Recorded, State, Step,
};
use foxden_vault::SealError;
use foxy_api::Foxy;
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
    pub async fn run(&self, claimed: Claimed) -> Ending {
        let span = tracing::info_span!(
            "provisioning",
            signup_id = %claimed.provisioning.signup_id,
            attempt = claimed.provisioning.intents,
        );
        let held = self.leases.hold(&claimed.lease);
        async {
            match self.advance(claimed, &held).await {
                Ok(ending) => ending,
                Err(error) => {
                    tracing::error!(
                        event = "provisioning.abandoned",
                        error = &error as &dyn std::error::Error,
                        "could not be worked on; it is taken up again when its lease has expired",
                    );
                    Ending::Abandoned
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn advance(&self, mut claimed: Claimed, held: &Held) -> Result<Ending, Stop> {
        let mut session = None;
        loop {
            let row = &claimed.provisioning;
            let (mut finding, payload) = match self.open(row) {
                Err(why) => (unopenable(why), None),
                Ok(payload) => match row.state {
                    State::InFlight => match self.may_send(held).await? {
                        MaySend::Yes => (self.create(row, &payload, session.take()).await?, Some(payload)),
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
            session = finding.session.take();
            let decision = plan::decide(&self.situation(row, payload.as_ref()), finding.seen)?;
            let entry = self.entry(&claimed, &mut finding, decision, payload.as_ref());
            tell(row, &finding, decision, &entry.next);
            let told = entry.event.is_some();
            match self.record(entry, held).await {
                None => return Ok(Ending::Abandoned),
                Some(Recorded::LeaseLost) => return Ok(lease_lost()),
                Some(Recorded::Written(written)) => {
                    if told {
                        self.outbox_filled.notify_one();
                    }
                    if written.provisioning.state != State::InFlight {
                        return Ok(ending(&written.provisioning));
                    }
                    held.prolonged(&written.lease);
                    claimed = *written;
                }
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

enum MaySend {
    Yes,
    No(Box<Finding>),
    LeaseLost,
}

fn stopping() -> Finding {
    Finding::of(Seen::NoEffect(Cause::Stopping), "no_effect", "not sent: the worker is stopping")
}

fn lease_lost() -> Ending {
    tracing::warn!(event = "lease.lost", "this provisioning has passed to another worker; leaving it to that one");
    Ending::LeaseLost
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

/// The event that tells the parent app, where there is something to tell.
fn outcome_event(row: &Provisioning, facts: &Facts, next: &Next) -> Option<OutcomeEvent> {
    let (kind, reason) = match next {
        Next::Provisioned { .. } => (OutcomeKind::Provisioned, None),
        Next::Parked { reason, .. } => (OutcomeKind::Parked, Some(*reason)),
        Next::InFlight { .. } | Next::Due { .. } | Next::Unknown { .. } => return None,
    };
    let newest = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
    Some(OutcomeEvent {
        kind,
        data: OutcomeData {
            signup_id: row.signup_id.to_string(),
            user_id: row.account_id.clone(),
            user_uri: newest(&facts.user_uri, &row.user_uri),
            store_uri: newest(&facts.store_uri, &row.store_uri),
            store_domain: newest(&facts.store_domain, &row.store_domain),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            advice: reason.map(|reason| reason.advice().to_owned()),
        },
    })
}

/// Says what happened, once, in words an operator can act on.
fn tell(row: &Provisioning, finding: &Finding, decision: Decision, next: &Next) {
    let (step, outcome, status) = (row.step.as_str(), finding.outcome, finding.http_status);
    let (logref, note) = (finding.logref.as_deref(), finding.note.as_deref());
    let ms = u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX);
    match (decision, next) {
        (Decision::AnnounceStore, _) => {
            tracing::info!(event = "user.created", outcome, duration_ms = ms, note, "the Foxy user is there");
        }
        (Decision::Finish, _) => {
            tracing::info!(
                event = "store.created",
                outcome,
                duration_ms = ms,
                store.domain = row.store_domain.as_deref(),
                note,
                "the Foxy store is there and its token is sealed",
            );
        }
        (Decision::Retry(_), Next::Due { delay, .. }) => {
            let retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                event = "provisioning.retry",
                step,
                outcome,
                status,
                logref,
                retry_in_ms,
                duration_ms = ms,
                note,
                "nothing was created; it is tried again",
            );
        }
        (Decision::LookUp(_), Next::Unknown { delay }) => {
            let lookup_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                event = "provisioning.unknown",
                step,
                outcome,
                status,
                logref,
                lookup_in_ms,
                duration_ms = ms,
                note,
                "it is not known whether the call had an effect; it is looked up before anything is sent again",
            );
        }
        (Decision::NextDomain, _) => {
            tracing::info!(
                event = "store.domain_taken",
                store.domain = row.store_domain.as_deref(),
                note,
                "the derived domain is taken; the next one is tried",
            );
        }
        (Decision::NextGeneration, _) => {
            tracing::warn!(
                event = "user.superseded",
                generation = row.generation,
                note,
                "the user's token is lost; the user is left behind and the next one is made",
            );
        }
        (Decision::Park(reason), _) => {
            tracing::warn!(
                event = "provisioning.parked",
                step,
                reason = reason.as_str(),
                outcome,
                status,
                logref,
                note,
                advice = reason.advice(),
                "stopped until someone acts",
            );
        }
        (Decision::Retry(_) | Decision::LookUp(_), _) => {}
    }
}
