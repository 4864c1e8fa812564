//! The breaker: whether Foxy is there, by how the calls to it end. Pure; the [gate](super) acts on it.

use std::time::Duration;

use tokio::time::Instant;

/// Counts outages in a row, and knows whether calls are worth sending.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Consecutive outages at which it opens; 0 disables it.
    threshold: u32,
    /// Calls that have ended in an outage since one was answered.
    failures: u32,
    /// How many of them were lookups.
    lookups: u32,
    down: Option<Down>,
}

#[derive(Debug)]
struct Down {
    since: Instant,
    /// Looks without a recovery, and calls that were tried for nothing; paces the looks.
    looks: u32,
    last: String,
    trial: Trial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// Foxy has not answered a look yet.
    No,
    /// It has, at this time: one create call may be tried.
    Due(Instant),
    /// It is being tried.
    UnderWay,
}

/// Whether calls may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// All.
    Up,
    /// None.
    Down,
    /// One create call at a time, until one is answered.
    Trying,
}

/// How an outage was, now that it is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recovered {
    pub(super) lasted: Duration,
    pub(super) failures: u32,
    pub(super) last: String,
}

impl Breaker {
    pub(super) fn new(threshold: u32) -> Self {
        Self { threshold, failures: 0, lookups: 0, down: None }
    }

    pub(super) fn standing(&self) -> Standing {
        match &self.down {
            None => Standing::Up,
            Some(Down { trial: Trial::No, .. }) => Standing::Down,
            Some(_) => Standing::Trying,
        }
    }

    /// Calls that have ended in an outage, in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// How many looks have not brought Foxy back.
    pub(super) fn looks(&self) -> u32 {
        self.down.as_ref().map_or(0, |down| down.looks)
    }

    /// A call has ended in an outage. `true`: it has opened by that.
    pub(super) fn failed(&mut self, is_trial: bool, how: &str, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match &mut self.down {
            None if self.threshold > 0 && self.failures >= self.threshold => {
                self.down = Some(Down { since: now, looks: 0, last: how.to_owned(), trial: Trial::No });
                true
            }
            None => false,
            Some(down) => {
                how.clone_into(&mut down.last);
                // What was sent before it opened says nothing of how it is now.
                if is_trial {
                    down.trial = Trial::No;
                    down.looks = down.looks.saturating_add(1);
                }
                false
            }
        }
    }

    /// A lookup has ended in an outage. `true`: it has opened by that.
    pub(super) fn lookup_failed(&mut self, how: &str, now: Instant) -> bool {
        self.lookups = self.lookups.saturating_add(1);
        self.failed(false, how, now)
    }

    /// A lookup was answered. That Foxy answers reads says nothing of creates, and every create without an answer is
    /// followed by a lookup.
    pub(super) fn lookup_answered(&mut self) {
        if self.down.is_none() {
            self.failures = self.failures.saturating_sub(std::mem::take(&mut self.lookups));
        }
    }

    /// A create was answered. While it is open only the tried call's word counts: another was sent before.
    pub(super) fn answered(&mut self, is_trial: bool, now: Instant) -> Option<Recovered> {
        if self.down.is_some() && !is_trial {
            return None;
        }
        self.recover(now)
    }

    /// The outage, if there was one, is over.
    pub(super) fn recover(&mut self, now: Instant) -> Option<Recovered> {
        let failures = std::mem::take(&mut self.failures);
        self.lookups = 0;
        self.down.take().map(|down| Recovered { lasted: now - down.since, failures, last: down.last })
    }

    /// Foxy has answered a look.
    pub(super) fn saw_foxy(&mut self, now: Instant) {
        if let Some(down) = self.down.as_mut().filter(|down| down.trial == Trial::No) {
            down.trial = Trial::Due(now);
        }
    }

    /// Foxy has not answered a look.
    pub(super) fn saw_nobody(&mut self) {
        if let Some(down) = &mut self.down {
            down.looks = down.looks.saturating_add(1);
        }
    }

    /// Takes the one trial. `false`: it is under way already, or not due.
    pub(super) fn take_trial(&mut self) -> bool {
        match &mut self.down {
            Some(Down { trial: trial @ Trial::Due(_), .. }) => {
                *trial = Trial::UnderWay;
                true
            }
            _ => false,
        }
    }

    /// The tried call came to nothing that says anything of Foxy.
    pub(super) fn give_trial_back(&mut self, now: Instant) {
        if let Some(down) = self.down.as_mut().filter(|down| down.trial == Trial::UnderWay) {
            down.trial = Trial::Due(now);
        }
    }

    /// A call that is due to be tried is waited for from now on.
    pub(super) fn expect_trial(&mut self, now: Instant) {
        if let Some(Down { trial: Trial::Due(since), .. }) = &mut self.down {
            *since = now;
        }
    }

    /// Since when a call could be tried, and none came.
    pub(super) fn trial_due_since(&self) -> Option<Instant> {
        match self.down {
            Some(Down { trial: Trial::Due(since), .. }) => Some(since),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(threshold: u32, now: Instant) -> Breaker {
        let mut breaker = Breaker::new(threshold);
        for number in 1..=threshold {
            assert_eq!(breaker.failed(false, "refused", now), number == threshold);
        }
        breaker
    }

    #[test]
    fn it_opens_at_its_threshold_of_failures_in_a_row_and_says_so_once() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3);
        for _ in 0..5 {
            assert!(!breaker.failed(false, "refused", now) && !breaker.failed(false, "refused", now));
            assert_eq!(breaker.answered(false, now), None, "an answer between them starts the count again");
        }
        let mut breaker = down(3, now);
        assert_eq!(breaker.standing(), Standing::Down);
        assert!(!breaker.failed(false, "refused", now));
    }

    #[test]
    fn with_a_threshold_of_zero_it_never_opens() {
        let mut breaker = Breaker::new(0);
        assert!((0..100).all(|_| !breaker.failed(false, "refused", Instant::now())));
        assert_eq!(breaker.standing(), Standing::Up);
    }

    #[test]
    fn after_a_look_one_call_at_a_time_is_tried_and_its_answer_closes_it() {
        let now = Instant::now();
        let mut breaker = down(2, now);
        assert!(!breaker.take_trial(), "nothing is tried before Foxy was seen");
        breaker.saw_foxy(now);
        assert!(breaker.take_trial() && !breaker.take_trial());
        breaker.give_trial_back(now);
        assert!(breaker.take_trial(), "one that says nothing leaves it to the next");
        let over = breaker.answered(true, now + Duration::from_secs(7));
        assert_eq!(over, Some(Recovered { lasted: Duration::from_secs(7), failures: 2, last: "refused".into() }));
        assert_eq!(breaker.standing(), Standing::Up);
    }

    #[test]
    fn a_trial_that_fails_leaves_it_open_and_the_looks_rarer() {
        let now = Instant::now();
        let mut breaker = down(2, now);
        breaker.saw_nobody();
        breaker.saw_foxy(now);
        assert!(breaker.take_trial() && !breaker.failed(true, "status 500", now), "it is not said again");
        assert_eq!((breaker.standing(), breaker.looks()), (Standing::Down, 2));
    }

    #[test]
    fn while_it_is_open_calls_sent_before_it_opened_have_no_say() {
        let now = Instant::now();
        let mut breaker = down(2, now);
        assert_eq!(breaker.answered(false, now), None);
        assert_eq!(breaker.standing(), Standing::Down);
        breaker.saw_foxy(now);
        breaker.failed(false, "late", now);
        assert_eq!(breaker.standing(), Standing::Trying);
    }
}
