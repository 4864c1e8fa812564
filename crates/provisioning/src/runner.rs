//! The runner: carries out what the plan decides, against Foxy and the ledger.

use std::sync::Arc;

use foxden_custody::{Custody, Escrow};
use foxden_ledger::{Claimed, Ledger, ParkedReason, Provisioning, Recorded, State, Step};
use foxy_api::{Foxy, Line};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    calls::Calls,
    create::{line_of, not_prepared},
    entry::Settled,
    finding::{Finding, concerns_all},
    gate::{Gate, Pass, Right, Sign},
    leases::{Held, Leases},
    log::log,
    plan::{Cause, Decision, Seen},
    policy::{LEASE_MARGIN, Policy},
    recording::InMemory,
    stop::Stop,
};

/// Works off provisionings, one at a time for each call of [`Runner::run`]. Cheap to clone.
#[derive(Clone)]
pub struct Runner<F = Foxy> {
    pub(crate) ledger: Ledger,
    pub(crate) custody: Custody,
    pub(crate) foxy: F,
    pub(crate) policy: Arc<Policy>,
    pub(crate) escrow: Escrow,
    pub(crate) leases: Leases,
    pub(crate) gate: Gate,
    outbox_filled: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    /// How many tokens neither the ledger nor the escrow has taken yet.
    pub(crate) in_memory: InMemory,
    /// Refreshes of tokens continue whatever becomes of their callers.
    pub(crate) refreshes: TaskTracker,
}

/// What a runner is made of.
pub struct Parts<F = Foxy> {
    /// The ledger.
    pub ledger: Ledger,
    /// Seals and opens what the ledger holds.
    pub custody: Custody,
    /// Holds tokens while the ledger can't.
    pub escrow: Escrow,
    /// Foxy.
    pub foxy: F,
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

impl<F: Calls> Runner<F> {
    /// Puts the parts together.
    pub fn new(parts: Parts<F>) -> Self {
        Self {
            ledger: parts.ledger,
            custody: parts.custody,
            foxy: parts.foxy,
            policy: Arc::new(parts.policy),
            escrow: parts.escrow,
            leases: parts.leases,
            gate: parts.gate,
            outbox_filled: parts.outbox_filled,
            stop: parts.stop,
            in_memory: InMemory::default(),
            refreshes: TaskTracker::new(),
        }
    }

    /// Works one claimed provisioning as far as it goes now, recording each result before the next call.
    pub async fn run(&self, mut claimed: Claimed) -> Ending {
        let held = self.leases.hold(&claimed.lease);
        let mut session = None;
        loop {
            // Of the highest level, so that its fields are there whatever is logged.
            let span = tracing::error_span!(
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
    async fn advance(&self, claimed: Claimed, session: Option<F::Session>, held: &Held) -> Advance<F::Session> {
        // Boxed: with all that a call may hold it is too large to lie in every caller.
        match Box::pin(self.try_advance(claimed, session, held)).await {
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

    async fn try_advance(
        &self,
        claimed: Claimed,
        session: Option<F::Session>,
        held: &Held,
    ) -> Result<Advance<F::Session>, Stop> {
        let row = &claimed.provisioning;
        let payload = self.open(row);
        let mut pass = None;
        let (mut finding, session) = match &payload {
            Err(why) => (Finding::of_sealed(*why), None),
            Ok(payload) => match row.state {
                State::InFlight => match self.may_send(held).await {
                    MaySend::Until(end, allowed) => {
                        let (finding, session) = self.create(row, payload, session, end, &allowed).await?;
                        pass = Some(allowed);
                        (finding, session)
                    }
                    MaySend::No(finding) => (*finding, None),
                    MaySend::LeaseLost => return Ok(lease_lost()),
                },
                _ if self.stop.is_cancelled() => (stopping(), None),
                _ => match self.gate.may_look() {
                    Ok(()) => (self.look_up(row, payload).await?, None),
                    Err(why) => (Finding::of_closed(why), None),
                },
            },
        };
        let payload = payload.ok();
        self.tell_gate(pass, &finding, row);
        let settled = self.settle(&claimed, &mut finding, payload.as_ref(), held).await?;
        let Settled { recorded, decision, next, tells } = settled;
        match recorded {
            // The latter is settled before it gets here.
            None | Some(Recorded::Contended(_)) => Ok(Advance::Ended(Ending::Abandoned)),
            Some(Recorded::LeaseLost) => Ok(lease_lost()),
            Some(Recorded::Written(written)) => {
                log(row, &written.provisioning, &finding, decision, &next);
                if tells {
                    self.outbox_filled.notify_one();
                }
                if decision == Decision::Finish {
                    self.mark(&written.provisioning);
                }
                Ok(if written.provisioning.state == State::InFlight {
                    Advance::On { announced: written, with: session }
                } else {
                    Advance::Ended(ending(&written.provisioning))
                })
            }
        }
    }

    /// Lets the gate know what a call has shown.
    fn tell_gate(&self, pass: Option<Pass>, finding: &Finding, row: &Provisioning) {
        let right = if row.step == Step::User { Right::Client } else { Right::User };
        match &finding.fault {
            // Signups may share a user, and then its right.
            Some(fault) if !concerns_all(fault, row.step) => {
                let whose = row.user_from.as_ref().unwrap_or(&row.id);
                self.gate.suspect(right, fault, whose.as_str());
            }
            None if pass.is_some() && finding.sign == Sign::Answered => self.gate.right_is_good(right),
            _ => {}
        }
        let fault = finding.fault.as_ref().filter(|fault| concerns_all(fault, row.step));
        if fault.is_none() && finding.credential.is_some() {
            self.gate.succeeded();
        }
        match (finding.hold, finding.seen) {
            // Its line is too long, which says nothing of the other.
            (Some(wait), Seen::NoEffect(Cause::HeldBack { .. })) if line_of(row) == Line::New => {
                self.gate.hold_new(wait);
            }
            (Some(wait), _) => self.gate.hold(wait),
            (None, _) => {}
        }
        self.gate.saw(pass, finding.sign, fault, finding.note.as_deref());
    }

    /// Whether a create call may be sent now: not while stopping, not while the gate is closed, and not with less of the
    /// lease left than the call may take.
    async fn may_send(&self, held: &Held) -> MaySend {
        if self.stop.is_cancelled() {
            return MaySend::No(Box::new(stopping()));
        }
        let pass = match self.stop.run_until_cancelled(self.gate.pass()).await {
            None => return MaySend::No(Box::new(stopping())),
            Some(Err(why)) => return MaySend::No(Box::new(Finding::of_closed(why))),
            Some(Ok(pass)) => pass,
        };
        let needed = self.policy.call_timeout + LEASE_MARGIN;
        if held.until().is_some_and(|until| until.saturating_duration_since(Instant::now()) < needed)
            && let Err(error) = self.leases.renew().await
        {
            return MaySend::No(Box::new(not_prepared(&error.into())));
        }
        match held.until() {
            None => MaySend::LeaseLost,
            Some(until) if until.saturating_duration_since(Instant::now()) < needed => {
                let short = Cause::HeldBack { at_least: None };
                let note = "not sent: less of the lease is left than the call may take";
                MaySend::No(Box::new(Finding::of(Seen::NoEffect(short), note)))
            }
            // More than the call may take, where it has to wait for its turn under the rate of calls.
            Some(until) => MaySend::Until(until - LEASE_MARGIN, pass),
        }
    }
}

/// What one call or lookup leads to.
enum Advance<S> {
    /// The next call is announced; this worker sends it.
    On { announced: Box<Claimed>, with: Option<S> },
    /// Nothing more to do here.
    Ended(Ending),
}

/// Whether a create call may be sent.
enum MaySend {
    /// It must have ended by then: after that another worker may own the row.
    Until(Instant, Pass),
    No(Box<Finding>),
    LeaseLost,
}

fn stopping() -> Finding {
    Finding::of(Seen::NoEffect(Cause::Stopping), "not sent: the worker is stopping")
}

fn lease_lost<S>() -> Advance<S> {
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
