//! Recording what a call came to, whatever the ledger does meanwhile.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foxden_ledger::{Entry, NewCredential, ProvisioningId, Recorded};
use tokio::time::Instant;

use crate::{calls::Calls, leases::Held, runner::Runner};

/// How long the first commit of a token may take before the token goes to the escrow as well.
const ESCROW_AFTER: Duration = Duration::from_millis(250);

/// Counts tokens that no disk has. Cheap to clone; clones are one count.
#[derive(Debug, Clone, Default)]
pub(crate) struct InMemory(Arc<AtomicUsize>);

/// One such token, until this is dropped.
pub(crate) struct OneInMemory(InMemory);

impl InMemory {
    pub(crate) fn one(&self) -> OneInMemory {
        self.0.fetch_add(1, Ordering::SeqCst);
        OneInMemory(self.clone())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for OneInMemory {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<F: Calls> Runner<F> {
    /// Records, as often as it takes. A token in hand is never dropped: if its first commit fails or takes long, it goes
    /// to the escrow as well. A finding without one is given up when the lease is over, since the call is then looked up
    /// anyway. `None`: given up.
    pub(crate) async fn record(&self, entry: Entry, held: &Held) -> Option<Recorded> {
        let (id, token) = (entry.lease.id.clone(), entry.credential.clone());
        let (mut in_escrow, mut escrow_failed) = (false, false);
        let mut in_memory_only = None;
        let mut failures = 0;
        loop {
            let mut recording = pin!(self.ledger.record(entry.clone()));
            let recorded = match (&token, in_escrow) {
                // The write itself is never cancelled; it is only no longer the one thing that is waited for.
                (Some(token), false) => {
                    let in_time = tokio::time::timeout(ESCROW_AFTER, &mut recording).await;
                    if !matches!(in_time, Ok(Ok(_))) {
                        in_escrow = self.put_in_escrow(&id, token, escrow_failed).await;
                        escrow_failed |= !in_escrow;
                        // Counted for as long as no disk has it.
                        in_memory_only = (!in_escrow).then(|| self.in_memory.one());
                    }
                    match in_time {
                        Ok(recorded) => recorded,
                        Err(_) => recording.await,
                    }
                }
                _ => recording.await,
            };
            match recorded {
                Ok(recorded) => {
                    drop(in_memory_only.take());
                    if failures > 0 || escrow_failed {
                        tracing::info!(event = "ledger.recorded_late", failures, "the result is recorded after all");
                    }
                    if let (Some(token), true) = (&token, in_escrow)
                        && let Err(error) = self.escrow.release(&id, token).await
                    {
                        tracing::debug!(event = "escrow.not_released", error = %error, "it is drained again");
                    }
                    return Some(recorded);
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(
                            event = "ledger.record_failed",
                            error = %error,
                            in_escrow,
                            "a result could not be recorded; it is tried again",
                        );
                    }
                    // What the database refuses it refuses again; a token that is safe in the escrow is drained from there.
                    let over = !error.is_passing() || held.until().is_none_or(|until| until <= Instant::now());
                    if over && (token.is_none() || in_escrow) {
                        tracing::error!(
                            event = "provisioning.abandoned",
                            error = &error as &dyn std::error::Error,
                            in_escrow,
                            "its result could not be recorded while its lease lasted; it is retried, by the \
                             token in the escrow or by a lookup",
                        );
                        return None;
                    }
                }
            }
            tokio::time::sleep(self.policy.recording.wait(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// Answers whether it is safe there. A failure is logged once.
    async fn put_in_escrow(&self, id: &ProvisioningId, token: &NewCredential, failed_before: bool) -> bool {
        match self.escrow.keep(id, token).await {
            Ok(()) => {
                tracing::warn!(
                    event = "escrow.kept",
                    scope = token.scope.as_str(),
                    "the ledger is slow or away; a sealed token is kept in the escrow until it is back",
                );
                true
            }
            Err(error) => {
                if !failed_before {
                    tracing::error!(
                        event = "escrow.failed",
                        error = &error as &dyn std::error::Error,
                        "a token is in memory only: don't stop this worker; free disk space or bring the ledger back",
                    );
                }
                false
            }
        }
    }
}
