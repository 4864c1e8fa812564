//! The pace of repeated tries: longer and longer pauses, never two workers in step.

use std::time::Duration;

use uuid::Uuid;

/// A schedule of pauses that double up to a cap, each shortened by a random part.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    first: Duration,
    cap: Duration,
    next: Duration,
}

impl Pace {
    /// Begins with pauses of at most `first`; none is ever longer than `cap`.
    pub(crate) const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap, next: first }
    }

    /// The next pause: between half and the whole of what is due, so that workers that lost the same broker at the same
    /// moment don't come back in one wave.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.cap);
        // Any source of evenly spread bits will do, and this one is at hand.
        let share = Uuid::new_v4().as_bytes()[0];
        whole / 2 + whole / 2 * u32::from(share) / u32::from(u8::MAX)
    }

    /// Begins anew.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn pauses_double_up_to_the_cap_and_keep_at_least_half() {
        let (first, cap) = (Duration::from_millis(250), Duration::from_secs(5));
        let mut pace = Pace::new(first, cap);
        for due in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            let (due, pause) = (Duration::from_millis(due), pace.pause());
            assert!(due / 2 <= pause && pause <= due, "{pause:?} of {due:?}");
        }
        pace.reset();
        assert!(pace.pause() <= first);
    }
}
