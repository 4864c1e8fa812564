//! Telling that the ledger is away: once when it goes, once when it is back.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;
use tracing::{error, info};

/// Whether the ledger answered last time, as seen by all who ask it here.
#[derive(Debug, Default)]
pub(super) struct LedgerWatch(Mutex<Option<Instant>>);

impl LedgerWatch {
    /// It did not answer. What is shown of the reason repeats no stored value.
    pub(super) fn is_down(&self, why: &dyn Display) {
        let mut down_since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if down_since.is_none() {
            *down_since = Some(Instant::now());
            error!(
                event = "ledger.unavailable",
                error = %why,
                "the ledger does not answer; what needs it waits, nothing is lost"
            );
        }
    }

    /// It answered.
    pub(super) fn is_up(&self) {
        if let Some(since) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let down_s = since.elapsed().as_secs_f64();
            info!(event = "ledger.recovered", down_s, "the ledger answers again");
        }
    }
}
