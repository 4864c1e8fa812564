//! The time in which this worker is the one that publishes outcome events.

use std::time::Duration;

use foxden_ledger::{Ledger, LedgerError, PublishingLease, WorkerId};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::confirmed::WhileBlocked;

/// How long the right to publish lasts without progress. Longer than a batch waits for its confirms, or a broker that is
/// merely slow would pass the outbox around; short enough that another worker has taken over within 15 s.
const LENGTH: Duration = Duration::from_secs(14);
/// It is renewed no earlier than this after the last time: each renewal is a commit.
const RENEW_AFTER: Duration = Duration::from_secs(3);

/// Why a worker gives the right to publish back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenBack {
    /// The broker is gone, silent, or does not let us in: another worker may reach it.
    BrokerLost,
    /// The worker stops.
    Stopping,
    /// There are events that another release may know.
    UnknownKinds,
}

impl GivenBack {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BrokerLost => "broker_lost",
            Self::Stopping => "stopping",
            Self::UnknownKinds => "unknown_kinds",
        }
    }
}

/// Every worker meets a broker that takes nothing from anyone; to pass the right around would only repeat events.
impl WhileBlocked for Tenure {
    async fn still_blocked(&mut self) {
        if let Err(error) = self.renew().await {
            debug!(event = "outbox.not_renewed", error = %error, "the right to publish could not be renewed");
        }
    }
}

/// This worker's part in who publishes.
pub(super) struct Tenure {
    ledger: Ledger,
    worker: WorkerId,
    held: Option<Held>,
}

struct Held {
    lease: PublishingLease,
    since: Instant,
    renewed_at: Instant,
    /// By this machine's own clock, and counted from before the database was asked: the lease lasts at least as long.
    until: Instant,
}

impl Tenure {
    pub(super) fn new(ledger: Ledger, worker: WorkerId) -> Self {
        Self { ledger, worker, held: None }
    }

    /// Since when this worker publishes, if it does.
    pub(super) fn since(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.since)
    }

    /// Until when it may send something, if it may.
    pub(super) fn until(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.until).filter(|until| Instant::now() < *until)
    }

    /// Takes the right to publish if no one has it. Answers whether it is ours.
    pub(super) async fn take(&mut self) -> Result<bool, LedgerError> {
        if self.held.is_some() {
            return Ok(true);
        }
        let asked_at = Instant::now();
        let Some(lease) = self.ledger.take_publishing(&self.worker, LENGTH).await? else { return Ok(false) };
        info!(event = "outbox.taken_over", worker = %self.worker, "this worker publishes the outcome events now");
        self.held = Some(Held { lease, since: asked_at, renewed_at: asked_at, until: asked_at + LENGTH });
        Ok(true)
    }

    /// Asks the ledger whether it is still ours. What was frozen for a while finds out here.
    pub(super) async fn is_ours(&mut self) -> Result<bool, LedgerError> {
        let Some(held) = &self.held else { return Ok(false) };
        let is_ours = self.ledger.holds_publishing(&held.lease).await?;
        if !is_ours {
            self.is_lost();
        }
        Ok(is_ours)
    }

    /// Marks what was confirmed, which is progress and renews the right.
    pub(super) async fn published(&mut self, seqs: Vec<i64>) -> Result<(), LedgerError> {
        let asked_at = Instant::now();
        let Some(held) = &mut self.held else { return self.ledger.mark_published(seqs).await };
        if self.ledger.published(&held.lease, LENGTH, seqs).await? {
            (held.renewed_at, held.until) = (asked_at, asked_at + LENGTH);
        } else {
            self.is_lost();
        }
        Ok(())
    }

    /// Renews the right now and then, while there is nothing to send and the way to the broker is open, or the broker says
    /// that it takes nothing from anyone.
    pub(super) async fn renew(&mut self) -> Result<(), LedgerError> {
        match &self.held {
            Some(held) if held.renewed_at.elapsed() >= RENEW_AFTER => self.published(Vec::new()).await,
            _ => Ok(()),
        }
    }

    /// Gives the right back, so that another worker need not wait for its end. Best effort: it ends by itself.
    pub(super) async fn give_back(&mut self, why: GivenBack) {
        let Some(held) = self.held.take() else { return };
        let reason = why.as_str();
        match self.ledger.release_publishing(&held.lease).await {
            Ok(()) => info!(event = "outbox.given_back", reason, "another worker may publish the outcome events now"),
            Err(error) => info!(
                event = "outbox.given_back",
                reason,
                error = %error,
                "this worker publishes no more; another one may once the lease has expired"
            ),
        }
    }

    fn is_lost(&mut self) {
        if let Some(held) = self.held.take() {
            let silent_s = held.renewed_at.elapsed().as_secs_f64();
            warn!(
                event = "outbox.lost",
                silent_s, "no progress for too long, so another worker may publish the outcome events now"
            );
        }
    }
}
