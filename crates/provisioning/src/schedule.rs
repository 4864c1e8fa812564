//! The retry schedule: exponential with jitter, by the `backoff` crate.
//!
//! This is the one module that knows that crate. It is unmaintained, so only its pure policy is used: no runtime
//! feature, no sleeping, no elapsed-time limit (age is judged by the ledger's clock, in `plan`).

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};

/// Each wait is twice the one before it, ± 20 %, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    initial: Duration,
    max: Duration,
    jitter: f64,
}

const MULTIPLIER: f64 = 2.0;
/// Spreads those that failed together.
const JITTER: f64 = 0.2;

impl Schedule {
    /// Begins with `initial`; no wait is longer than `max`.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, jitter: JITTER }
    }

    /// The same without chance, for a test that must repeat itself.
    #[must_use]
    pub const fn steady(self) -> Self {
        Self { jitter: 0.0, ..self }
    }

    /// The same with another first wait, which may be longer than the cap was.
    #[must_use]
    pub(crate) fn beginning_with(self, initial: Duration) -> Self {
        Self { initial, max: self.max.max(initial), ..self }
    }

    /// How long to wait after `failures` failures in a row before this one.
    pub fn wait(&self, failures: u32) -> Duration {
        // 2^20 times any sensible start is past any sensible cap; beyond it the multiplication would only overflow.
        let grown = self.initial.saturating_mul(1 << failures.min(20)).min(self.max);
        let mut policy: ExponentialBackoff = ExponentialBackoffBuilder::new()
            .with_initial_interval(grown)
            .with_multiplier(MULTIPLIER)
            .with_randomization_factor(self.jitter)
            .with_max_interval(self.max)
            .with_max_elapsed_time(None)
            .build();
        // The crate jitters after it caps; our cap is a promise.
        policy.next_backoff().unwrap_or(grown).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Schedule;

    const SCHEDULE: Schedule = Schedule::new(Duration::from_secs(2), Duration::from_secs(300));

    #[test]
    fn waits_double_within_their_jitter() {
        for (failures, seconds) in [(0, 2.0), (1, 4.0), (2, 8.0), (5, 64.0)] {
            let wait = SCHEDULE.wait(failures).as_secs_f64();
            assert!((wait / seconds - 1.0).abs() <= 0.2, "{failures}: {wait}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_cap() {
        for failures in [8, 20, 21, 1000, u32::MAX] {
            let wait = SCHEDULE.wait(failures);
            assert!(wait <= SCHEDULE.max && wait >= SCHEDULE.max.mul_f64(0.8), "{failures}: {wait:?}");
        }
    }

    #[test]
    fn those_that_failed_together_are_spread() {
        let waits: std::collections::HashSet<_> = (0..50).map(|_| SCHEDULE.wait(3)).collect();
        assert!(waits.len() > 10);
    }
}
