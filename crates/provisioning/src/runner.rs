//! The runner: carries out what the plan decides, against Foxy and the ledger.

use std::sync::Arc;

use foxden_custody::{Custody, Escrow};
use foxden_ledger::{Claimed, FoxyClient, Ledger, ParkedReason, Provisioning, State};
use foxy_api::Foxy;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    calls::Calls,
    gate::Gate,
    leases::{Held, Leases},
    observe::Observed,
    policy::Policy,
    recording::InMemory,
    settle::Written,
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
    pub(crate) outbox_filled: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    /// The client that creates.
    pub(crate) client: Option<FoxyClient>,
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
    /// Notified whenever an outcome event was written.
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
    /// It could not be worked on or recorded; its lease expires, and it is claimed again.
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
            client: None,
            in_memory: InMemory::default(),
            refreshes: TaskTracker::new(),
        }
    }

    /// The same runner; it writes down with each token that it was given to this client, the one that creates.
    #[must_use]
    pub fn creating_as(self, client: FoxyClient) -> Self {
        Self { client: Some(client), ..self }
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
                    "could not be worked on; it is claimed again when its lease has expired",
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
        self.custody.heed_end(&self.ledger, row.payload.as_ref()).await?;
        let Some(observed) = self.observe(row, session, held).await? else { return Ok(lease_lost()) };
        let Observed { finding, payload, session } = observed;
        match self.settle(&claimed, finding, payload.as_ref(), held).await? {
            None => Ok(Advance::Ended(Ending::Abandoned)),
            Some(Written::LeaseLost) => Ok(lease_lost()),
            Some(Written::Row(written)) if written.provisioning.state == State::InFlight => {
                Ok(Advance::On { announced: written, with: session })
            }
            Some(Written::Row(written)) => Ok(Advance::Ended(ending(&written.provisioning))),
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
