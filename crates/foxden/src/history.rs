//! Keeping the ledger's history short: a worker's part that prunes evidence, published events and trips by age.

use std::time::{Duration, Instant};

use foxden_ledger::{Ledger, LedgerError, PlaceOfEvent};
use tokio_util::sync::CancellationToken;

/// How long a worker waits before its first pass: a start has more urgent work.
const FIRST: Duration = Duration::from_secs(60);

/// How often a worker looks for what is old enough. Nothing waits for it.
const EVERY: Duration = Duration::from_secs(3600);

/// After each page the worker rests for this many times as long as the page took, so that pruning takes a quarter of
/// the time at most, on SQLite's one writer too.
const REST: u32 = 3;

/// The shortest rest.
const REST_AT_LEAST: Duration = Duration::from_millis(20);

/// See the [module](self).
pub(crate) struct History {
    pub(crate) ledger: Ledger,
    /// How long it is kept once a signup is closed.
    pub(crate) keep: Duration,
}

/// What a pass has deleted.
#[derive(Default)]
struct Deleted {
    evidence: u64,
    events: u64,
    trips: u64,
}

impl History {
    pub(crate) async fn keep_short(self, stop: &CancellationToken) {
        let mut wait = FIRST;
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            wait = EVERY;
            let (started, mut deleted) = (Instant::now(), Deleted::default());
            let ended = stop.run_until_cancelled(self.pass(&mut deleted)).await;
            let Deleted { evidence, events, trips } = deleted;
            if evidence + events + trips > 0 {
                let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(
                    event = "history.pruned",
                    evidence,
                    events,
                    trips,
                    duration_ms,
                    "old history was deleted"
                );
            }
            if let Some(Err(error)) = ended {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(event = "history.not_pruned", error, "old history stays for another hour");
            }
        }
    }

    /// Goes through all that is old enough, page by page. Dropped between its pages or in one: each is a transaction,
    /// or can be repeated.
    async fn pass(&self, deleted: &mut Deleted) -> Result<(), LedgerError> {
        loop {
            let started = Instant::now();
            let page = self.ledger.prune_evidence(self.keep).await?;
            if page.signups == 0 {
                break;
            }
            deleted.evidence += page.deleted;
            rest_after(started.elapsed()).await;
        }
        let mut after = PlaceOfEvent::default();
        loop {
            let started = Instant::now();
            let page = self.ledger.prune_events(self.keep, after).await?;
            deleted.events += page.deleted;
            let Some(next) = page.next else { break };
            after = next;
            rest_after(started.elapsed()).await;
        }
        loop {
            let started = Instant::now();
            match self.ledger.prune_trips(self.keep).await? {
                0 => return Ok(()),
                trips => deleted.trips += trips,
            }
            rest_after(started.elapsed()).await;
        }
    }
}

async fn rest_after(took: Duration) {
    tokio::time::sleep((REST * took).max(REST_AT_LEAST)).await;
}
