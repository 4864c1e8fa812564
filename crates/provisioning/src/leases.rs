//! The leases that this worker holds, renewed together during the work.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foxden_ledger::{Lease, Ledger, LedgerError, ProvisioningId, WorkerId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All leases of one worker.
#[derive(Clone)]
pub struct Leases {
    ledger: Ledger,
    owner: WorkerId,
    length: Duration,
    held: Arc<Mutex<HashMap<ProvisioningId, Lease>>>,
}

/// A lease in use; it is renewed until this is dropped.
pub(crate) struct Held {
    leases: Leases,
    id: ProvisioningId,
    epoch: i64,
}

impl Leases {
    /// The leases of this worker, each `length` long when taken or renewed.
    pub fn new(ledger: Ledger, owner: WorkerId, length: Duration) -> Self {
        Self { ledger, owner, length, held: Arc::default() }
    }

    /// How long a lease is.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Whose they are.
    pub fn owner(&self) -> &WorkerId {
        &self.owner
    }

    /// How many are held.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Renews a lease until the returned guard is dropped.
    pub(crate) fn hold(&self, lease: &Lease) -> Held {
        self.lock().insert(lease.id.clone(), lease.clone());
        Held { leases: self.clone(), id: lease.id.clone(), epoch: lease.epoch }
    }

    /// Renews all that are held, in one statement. One that has passed to another worker is given up.
    ///
    /// # Errors
    /// When the ledger does not answer; the leases then run on as they are.
    pub async fn renew(&self) -> Result<(), LedgerError> {
        let asked: Vec<Lease> = self.lock().values().cloned().collect();
        let kept = self.ledger.renew(&self.owner, &asked, self.length).await?;
        let mut held = self.lock();
        for lease in asked {
            match kept.iter().find(|kept| kept.id == lease.id) {
                // Only if it is still the one that was asked for: it may have been given back and taken again
                // meanwhile.
                Some(kept) => drop(held.get_mut(&lease.id).map(|current| {
                    if current.epoch == kept.epoch && current.until < kept.until {
                        current.until = kept.until;
                    }
                })),
                None => {
                    if held.get(&lease.id).is_some_and(|current| current.epoch == lease.epoch) {
                        held.remove(&lease.id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Renews at a third of their length, so that two failures in a row still leave time. Ends with `stop`.
    pub async fn keep(&self, stop: &CancellationToken) {
        let mut failing = false;
        while stop.run_until_cancelled(tokio::time::sleep(self.length / 3)).await.is_some() {
            match self.renew().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(event = "lease.renewal_failed", error = %error, "leases could not be renewed");
                }
                Err(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProvisioningId, Lease>> {
        // Every change of the map is one call; a panic elsewhere can't leave it half-changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Until when it is held; `None` if it has passed to another worker, or to another run of this one.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.leases.lock().get(&self.id).filter(|lease| lease.epoch == self.epoch).map(|lease| lease.until)
    }

    /// The recorded lease is longer than what is known here.
    pub(crate) fn prolonged(&self, lease: &Lease) {
        if let Some(held) = self.leases.lock().get_mut(&self.id).filter(|held| held.epoch == self.epoch) {
            held.until = lease.until;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.leases.lock();
        // A later run of the same worker may hold the row again.
        if held.get(&self.id).is_some_and(|lease| lease.epoch == self.epoch) {
            held.remove(&self.id);
        }
    }
}
