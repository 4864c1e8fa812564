//! How much a worker does at a time, and for how long it may hold on to it.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_CONCURRENCY` | `16` | how many signups are in work at once, 1 to 1000 |
//! | `FOXDEN_LEASE` | `90s` | how long a lease lasts without renewal, up to 1d; over `FOXDEN_CALL_TIMEOUT` + 10s |
//! | `FOXDEN_SHUTDOWN_GRACE` | `45s` | how long stopping may take, up to 1h; over `FOXDEN_CALL_TIMEOUT` |
//! | `FOXDEN_POLL_INTERVAL` | `1s` | how often the ledger is asked for what is due, 10ms to 1h |
//! | `FOXDEN_ESCROW_DIR` | `foxden-escrow` | where tokens are held, sealed, while the ledger is away |
//! | `FOXDEN_HEARTBEAT` | `60s` | how often `worker.heartbeat` is logged, 100ms to 1h |
//! | `FOXDEN_KEEP_HISTORY` | `90d` | how long evidence and published events of closed signups are kept, 1d to 36500d |

use std::{path::PathBuf, time::Duration};

use super::{reader::Reader, text};

/// What a lease must have beyond the longest call: room to renew it, and to write the result down.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    /// How many signups are in work at once.
    pub(crate) concurrency: usize,
    /// How long a worker owns a signup without renewing. Longer than any call, so that a new owner never races a live
    /// request of the old one.
    pub(crate) lease: Duration,
    /// How long stopping may take. Longer than any call, so that running calls end and are recorded.
    pub(crate) shutdown_grace: Duration,
    /// How often the ledger is asked for what is due.
    pub(crate) poll_interval: Duration,
    /// Where tokens are held, sealed, while the ledger is away.
    pub(crate) escrow_dir: PathBuf,
    /// How often `worker.heartbeat` is logged.
    pub(crate) heartbeat: Duration,
    /// How long evidence and published events are kept once their signup is closed. Longer than any lease, since a
    /// late owner's record is known by its evidence.
    pub(crate) keep_history: Duration,
}

impl WorkerSettings {
    pub(super) fn read(reader: &mut Reader, call_timeout: Option<Duration>) -> Option<Self> {
        const HOUR: Duration = Duration::from_hours(1);
        const DAY: Duration = Duration::from_hours(24);
        const MOMENT: Duration = Duration::from_millis(10);
        let concurrency = reader.value("FOXDEN_CONCURRENCY", |text| text::number_within(text, &(1..=1000)));
        let lease = reader.duration("FOXDEN_LEASE", &(MOMENT..=DAY));
        let shutdown_grace = reader.duration("FOXDEN_SHUTDOWN_GRACE", &(MOMENT..=HOUR));
        let poll_interval = reader.duration("FOXDEN_POLL_INTERVAL", &(MOMENT..=HOUR));
        let escrow_dir = reader.value("FOXDEN_ESCROW_DIR", |text| Ok(PathBuf::from(text)));
        let heartbeat = reader.duration("FOXDEN_HEARTBEAT", &(Duration::from_millis(100)..=HOUR));
        let keep_history = reader.duration("FOXDEN_KEEP_HISTORY", &(DAY..=36_500 * DAY));
        if let (Some(lease), Some(call)) = (lease, call_timeout)
            && lease <= call + LEASE_MARGIN
        {
            let (lease, call, margin) = (text::spelled(lease), text::spelled(call), text::spelled(LEASE_MARGIN));
            let problem = format!("{lease} is not longer than FOXDEN_CALL_TIMEOUT ({call}) and a margin of {margin}");
            reader.refuse("FOXDEN_LEASE", problem);
        }
        if let (Some(grace), Some(call)) = (shutdown_grace, call_timeout)
            && grace <= call
        {
            let (grace, call) = (text::spelled(grace), text::spelled(call));
            reader.refuse("FOXDEN_SHUTDOWN_GRACE", format!("{grace} is not longer than FOXDEN_CALL_TIMEOUT ({call})"));
        }
        Some(Self {
            concurrency: concurrency?,
            lease: lease?,
            shutdown_grace: shutdown_grace?,
            poll_interval: poll_interval?,
            escrow_dir: escrow_dir?,
            heartbeat: heartbeat?,
            keep_history: keep_history?,
        })
    }
}
