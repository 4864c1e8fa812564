//! Lines of the log that an attacker could repeat at will: one a minute, with a count.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_secs(60);

/// When each line was written last, and how often it was due since. The lines' names are our own, so they are few.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<&'static str, (Instant, u64)>>);

impl Seldom {
    /// How many times this happened since it was last written, this time included, if it is to be written now.
    pub(crate) fn due(&self, line: &'static str, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(line) {
            Some((at, missed)) if now.saturating_duration_since(*at) < PAUSE => {
                *missed += 1;
                None
            }
            other => {
                let missed = other.map_or(0, |(_, missed)| *missed);
                lines.insert(line, (now, 0));
                Some(missed + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_a_minute_with_a_count() {
        let (seldom, now) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due("a", now), Some(1));
        assert!((0..5).all(|_| seldom.due("a", now).is_none()));
        assert_eq!(seldom.due("b", now), Some(1));
        assert_eq!(seldom.due("a", now + PAUSE), Some(6));
        assert_eq!(seldom.due("a", now + 2 * PAUSE), Some(1));
    }
}
