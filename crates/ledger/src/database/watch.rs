//! Telling that the ledger is away: once when it goes, once when it is back.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// It must answer for this long, without a failure in between, before it counts as back: connections that broke
/// together are found out one by one, between others that work.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Whether the ledger answers, as all parts of one worker see it together. Cheap to clone; clones are one watch.
#[derive(Debug, Clone, Default)]
pub struct LedgerWatch(Arc<Mutex<Option<Outage>>>);

/// The ledger is away.
#[derive(Debug, Clone, Copy)]
struct Outage {
    since: Instant,
    /// The first answer after the last failure.
    answers_since: Option<Instant>,
}

impl LedgerWatch {
    /// It did not answer. What is shown of the reason repeats no stored value.
    pub fn is_down(&self, why: &dyn Display) {
        if self.fails(Instant::now()) {
            tracing::error!(
                event = "ledger.unavailable",
                error = %why,
                "the ledger does not answer; what needs it waits, and nothing is lost",
            );
        }
    }

    /// It answered.
    pub fn is_up(&self) {
        if let Some(down) = self.answers(Instant::now()) {
            let down_s = down.as_secs_f64();
            tracing::info!(event = "ledger.recovered", down_s, "the ledger answers again");
        }
    }

    /// Answers whether that is news.
    fn fails(&self, now: Instant) -> bool {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = outage.is_none();
        outage.get_or_insert(Outage { since: now, answers_since: None }).answers_since = None;
        is_news
    }

    /// Answers how long it was away, if it is back now.
    fn answers(&self, now: Instant) -> Option<Duration> {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = outage.take_if(|outage| {
            let answers_since = *outage.answers_since.get_or_insert(now);
            now.saturating_duration_since(answers_since) >= SETTLED_AFTER
        })?;
        Some(over.answers_since?.saturating_duration_since(over.since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LedgerWatch, SETTLED_AFTER};

    const MOMENT: Duration = Duration::from_millis(10);

    #[test]
    fn an_outage_is_news_once_and_so_is_its_end_whoever_sees_it() {
        let (consumer, start) = (LedgerWatch::default(), Instant::now());
        let publisher = consumer.clone();
        assert_eq!(publisher.answers(start), None);
        assert!(consumer.fails(start));
        assert!(!publisher.fails(start + MOMENT) && !consumer.fails(start + MOMENT * 2));
        let (first, back) = (start + MOMENT * 3, start + MOMENT * 3 + SETTLED_AFTER);
        assert_eq!(consumer.answers(first), None);
        assert_eq!(publisher.answers(back), Some(first - start));
        assert_eq!(consumer.answers(back), None);
        assert!(publisher.fails(back), "another one is news again");
    }

    #[test]
    fn it_is_back_only_once_it_has_answered_for_a_while_without_a_failure() {
        let (watch, start) = (LedgerWatch::default(), Instant::now());
        assert!(watch.fails(start));
        let late = start + SETTLED_AFTER * 5;
        assert_eq!(watch.answers(late), None, "one answer is not enough, however long nobody asked");
        assert!(!watch.fails(late + MOMENT));
        let first = late + MOMENT * 2;
        assert_eq!(watch.answers(first), None);
        assert_eq!(watch.answers(first + SETTLED_AFTER - MOMENT), None);
        assert!(watch.answers(first + SETTLED_AFTER).is_some());
    }
}
