//! What an operator decides about the saga.

use std::time::Duration;

use crate::schedule::Schedule;

/// The saga's settings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long one create call may take, from its start to the end of its answer.
    pub call_timeout: Duration,
    /// How long after an unknown outcome it is first looked up.
    pub lookup_delay: Duration,
    /// How long after the end of a call a listing may still lack what it made. Foxy's pages don't say; believing too early
    /// makes a second store.
    pub listing_lag: Duration,
    /// How retries are paced.
    pub retry: Schedule,
    /// How a result is recorded again while the ledger is away; see [`RECORDING`](Policy::RECORDING).
    pub recording: Schedule,
    /// For how long a step is retried before it is parked.
    pub give_up_after: Duration,
    /// Keep the user's token once the store is there, for further stores of the same customer.
    pub keep_user_tokens: bool,
    /// Keep the sealed event once the store is there.
    pub keep_payloads: bool,
    /// Whether each new store gets its signup's id as a note.
    pub marks_stores: bool,
    /// Whether outcome events are written to the outbox: only where something publishes them.
    pub outcome_events: bool,
}

impl Policy {
    /// Soon, since a lease runs meanwhile; and then without pressing a database that is coming back.
    pub const RECORDING: Schedule = Schedule::new(Duration::from_millis(100), Duration::from_secs(2));
}

/// A create call is sent only if this much more of its lease is left than the call may take.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(5);
