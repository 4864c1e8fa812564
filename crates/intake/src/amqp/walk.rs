//! Where in the outbox to look next, so that what must wait for long costs little.

use std::time::Duration;

use tokio::time::Instant;

/// How often everything that waits is looked at.
const FULL_EVERY: Duration = Duration::from_secs(5);
/// The share of time that passes over everything may take is one in so many.
const SHARE: u32 = 10;

/// A publisher's way through the outbox. New events are at its end, so most passes begin near there: at the end of the
/// last pass but one over everything. So what was committed out of order meanwhile is still met.
#[derive(Debug)]
pub(super) struct Walk {
    full_at: Option<Instant>,
    began_at: Instant,
    is_full: bool,
    looks: u32,
    /// Where passes begin that are not over everything.
    from: i64,
    ended: i64,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self { full_at: None, began_at: Instant::now(), is_full: true, looks: 0, from: 0, ended: 0 }
    }

    /// The next pass is over everything.
    pub(super) const fn look_at_everything(&mut self) {
        self.full_at = None;
    }

    /// Begins a pass. Answers where, and whether it is over everything. So it is where something that rested since the
    /// last one rests no longer.
    pub(super) fn begin(&mut self, rested_until: impl Iterator<Item = Instant>) -> (i64, bool) {
        let now = Instant::now();
        let (before, mut ended_rests) = (self.began_at, rested_until.filter(|until| *until <= now));
        self.is_full = self.full_at.is_none_or(|at| at <= now) || ended_rests.any(|until| until > before);
        if self.is_full {
            (self.began_at, self.looks) = (now, 0);
        }
        (if self.is_full { 0 } else { self.from }, self.is_full)
    }

    /// Moves on to the next part.
    pub(super) const fn goes_on(&mut self) {
        self.looks += 1;
    }

    /// The pass has come to the end of the outbox, which is this place.
    pub(super) fn ends(&mut self, last: i64) {
        if !self.is_full {
            return;
        }
        self.from = if self.looks == 0 { 0 } else { self.ended };
        self.ended = last;
        self.full_at = Some(Instant::now() + FULL_EVERY.max(self.began_at.elapsed() * SHARE));
    }
}

#[cfg(test)]
mod tests {
    use std::{iter::empty, time::Duration};

    use tokio::time::{Instant, advance};

    use super::{FULL_EVERY, Walk};

    /// A pass over so many parts that ends here.
    fn pass(walk: &mut Walk, parts: u32, end: i64) -> (i64, bool) {
        let began = walk.begin(empty());
        (1..parts).for_each(|_| walk.goes_on());
        walk.ends(end);
        began
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_outbox_is_always_looked_at_from_its_beginning() {
        let mut walk = Walk::new();
        assert_eq!(pass(&mut walk, 1, 10), (0, true));
        assert_eq!(pass(&mut walk, 1, 12), (0, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_one_is_looked_at_from_where_the_last_but_one_full_pass_ended() {
        let mut walk = Walk::new();
        pass(&mut walk, 9, 4000);
        assert_eq!(pass(&mut walk, 1, 4010), (0, false), "what the first pass met may have been out of order");
        advance(FULL_EVERY).await;
        assert_eq!(pass(&mut walk, 9, 4020), (0, true));
        assert_eq!(pass(&mut walk, 1, 4030), (4000, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_rests_no_longer_is_looked_for_everywhere_once() {
        let mut walk = Walk::new();
        pass(&mut walk, 9, 4000);
        let rests_until = Instant::now() + Duration::from_millis(50);
        assert!(!walk.begin([rests_until].into_iter()).1);
        advance(Duration::from_millis(60)).await;
        assert!(walk.begin([rests_until].into_iter()).1);
        walk.ends(4000);
        assert!(!walk.begin([rests_until].into_iter()).1);
    }
}
