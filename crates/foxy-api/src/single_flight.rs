//! A value that many want and one fetches.

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ReadError;

/// Keeps one fetched value, and sees to it that only one caller at a time fetches it.
///
/// Whoever waited while a fetch failed shares the failure, so that an endpoint in trouble is not asked once per waiter.
/// A caller that gives up while fetching leaves no trace; the next in line fetches.
#[derive(Debug)]
pub(crate) struct SingleFlight<T>(Mutex<Slot<T>>);

#[derive(Debug)]
struct Slot<T> {
    kept: Option<T>,
    /// Counts the values that were kept, to tell them apart.
    edition: u64,
    failed: Option<(Instant, ReadError)>,
}

/// A value with its edition, by which it can be forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    /// The value.
    pub(crate) value: T,
    /// Its edition.
    pub(crate) edition: u64,
}

impl<T: Clone> SingleFlight<T> {
    /// With a value that is known already, or none.
    pub(crate) fn new(kept: Option<T>) -> Self {
        Self(Mutex::new(Slot { kept, edition: 0, failed: None }))
    }

    /// The kept value if it is good, else what `fetch` brings.
    pub(crate) async fn get<F: Future<Output = Result<T, ReadError>>>(
        &self,
        is_good: impl Fn(&T) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<Kept<T>, ReadError> {
        let asked = Instant::now();
        let mut slot = self.0.lock().await;
        if let Some(value) = slot.kept.as_ref().filter(|value| is_good(value)) {
            return Ok(Kept { value: value.clone(), edition: slot.edition });
        }
        if let Some((_, error)) = slot.failed.as_ref().filter(|(at, _)| *at > asked) {
            return Err(error.clone());
        }
        // Boxed, since fetching is rare and large, and every caller's future would be as large.
        match Box::pin(fetch()).await {
            Ok(value) => {
                *slot = Slot { kept: Some(value.clone()), edition: slot.edition + 1, failed: None };
                Ok(Kept { value, edition: slot.edition })
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Keeps a value that was fetched on another occasion.
    pub(crate) async fn keep(&self, value: T) {
        let mut slot = self.0.lock().await;
        *slot = Slot { kept: Some(value), edition: slot.edition + 1, failed: None };
    }

    /// Forgets the value of this edition; a newer one, fetched by somebody else meanwhile, stays.
    pub(crate) async fn forget(&self, edition: u64) {
        let mut slot = self.0.lock().await;
        if slot.edition == edition {
            slot.kept = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::SetupFault;

    /// Waits until the other tasks of this single-threaded runtime have nothing left to do but wait, too.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Three callers at once; the fetch ends when told to, with what `end` says. Returns how many fetches there were.
    async fn three_at_once(end: fn() -> Result<u8, ReadError>) -> (u32, Vec<Result<u8, ReadError>>) {
        let flight = SingleFlight::new(None);
        let (fetches, go) = (AtomicU32::new(0), Notify::new());
        let call = || async {
            let fetch = async {
                fetches.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                end()
            };
            flight.get(|_| true, || fetch).await.map(|kept| kept.value)
        };
        let release = async {
            settle().await;
            go.notify_one();
        };
        let (a, b, c, ()) = tokio::join!(call(), call(), call(), release);
        (fetches.load(Ordering::Relaxed), vec![a, b, c])
    }

    #[tokio::test]
    async fn one_fetches_and_all_get_the_value() {
        let (fetches, results) = three_at_once(|| Ok(7)).await;
        assert_eq!(fetches, 1);
        assert!(results.iter().all(|result| matches!(result, Ok(7))));
    }

    #[tokio::test]
    async fn one_fails_and_those_who_waited_fail_alike() {
        let (fetches, results) = three_at_once(|| Err(SetupFault::InvalidClient.into())).await;
        assert_eq!(fetches, 1);
        assert!(results.iter().all(|result| result.as_ref().is_err_and(ReadError::is_setup_fault)));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_for_later_callers() {
        let flight = SingleFlight::new(None);
        assert!(flight.get(|_| true, || async { Err(SetupFault::Forbidden.into()) }).await.is_err());
        assert_eq!(flight.get(|_| true, || async { Ok(1) }).await.unwrap().value, 1);
    }

    #[tokio::test]
    async fn a_value_no_longer_good_is_fetched_anew() {
        let flight = SingleFlight::new(Some(1));
        assert_eq!(flight.get(|value| *value > 1, || async { Ok(2) }).await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn only_the_edition_that_was_seen_is_forgotten() {
        let flight = SingleFlight::new(Some(1));
        let old = flight.get(|_| true, || async { Ok(9) }).await.unwrap();
        flight.forget(old.edition).await;
        assert_eq!(flight.get(|_| true, || async { Ok(2) }).await.unwrap().value, 2);
        flight.forget(old.edition).await;
        assert_eq!(flight.get(|_| true, || async { Ok(3) }).await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn a_value_from_elsewhere_replaces_the_kept_one() {
        let flight = SingleFlight::new(Some(1));
        let old = flight.get(|_| true, || async { Ok(9) }).await.unwrap();
        flight.keep(2).await;
        flight.forget(old.edition).await;
        assert_eq!(flight.get(|_| true, || async { Ok(9) }).await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_while_fetching_leaves_the_turn_to_the_next() {
        let flight = SingleFlight::new(None);
        {
            let mut given_up = std::pin::pin!(flight.get(|_| true, std::future::pending));
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await;
            assert!(poll);
        }
        assert_eq!(flight.get(|_| true, || async { Ok(1) }).await.unwrap().value, 1);
    }
}
