//! How many signups are in work at once, and whose turn it is while there is not room for all.

use std::sync::{Arc, Mutex, PoisonError};

use foxden_ledger::Places;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// At most this many are claimed at once, so that one worker does not take all that others could work on.
const CLAIM_MAX: usize = 32;

/// Of this many places one is for what has not begun.
const NEW_ONE_IN: u64 = 5;

/// Room for signups in work, shared by what is due in the ledger and what arrives from a broker. Cheap to clone; all
/// clones are one.
///
/// In the ledger what was begun goes first, but for one place in five. While more is due there than there is room for, one
/// place in five goes to the broker. So neither a backlog in the ledger nor one at the broker keeps the other waiting for
/// its end.
#[derive(Clone, Debug)]
pub struct Capacity {
    permits: Arc<Semaphore>,
    /// Places that the ledger's work has before the broker's next one.
    owed: Arc<watch::Sender<u64>>,
    ledger: Arc<Mutex<LedgerSide>>,
}

#[derive(Debug, Default)]
struct LedgerSide {
    /// Places that were taken so far; every fifth is for what has not begun.
    taken: u64,
    /// Whether the last claim found as much as it had room for, so that more may wait.
    is_behind: bool,
}

impl Capacity {
    /// Room for this many.
    pub fn new(permits: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            owed: Arc::new(watch::Sender::new(0)),
            ledger: Arc::default(),
        }
    }

    /// Room for one signup that arrives. `None`: there will never be any again.
    pub async fn for_arrival(&self) -> Option<OwnedSemaphorePermit> {
        // The sender lives in `self`, so waiting can't fail.
        self.owed.subscribe().wait_for(|owed| *owed == 0).await.ok()?;
        let permit = self.permits.clone().acquire_owned().await.ok()?;
        if self.ledger().is_behind {
            self.owed.send_replace(NEW_ONE_IN - 1);
        }
        Some(permit)
    }

    /// Room for what is due in the ledger: one permit, waited for, and as many more as are free.
    pub(crate) async fn for_due(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let mut permits = vec![self.permits.clone().acquire_owned().await.ok()?];
        while permits.len() < CLAIM_MAX
            && let Ok(permit) = self.permits.clone().try_acquire_owned()
        {
            permits.push(permit);
        }
        Some(permits)
    }

    /// How the next claim divides this many places.
    pub(crate) fn places(&self, all: usize, may_begin: bool) -> Places {
        let (all, taken) = (all as u64, self.ledger().taken);
        let for_new = (taken + all) / NEW_ONE_IN - taken / NEW_ONE_IN;
        Places { all, for_new: may_begin.then_some(for_new) }
    }

    /// What a claim with this many places has found.
    pub(crate) fn claimed(&self, found: usize, places: usize) {
        let is_behind = found > 0 && found == places;
        {
            let mut ledger = self.ledger();
            ledger.taken += found as u64;
            ledger.is_behind = is_behind;
        }
        self.owed.send_modify(|owed| *owed = if is_behind { owed.saturating_sub(found as u64) } else { 0 });
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, LedgerSide> {
        // No change is left half-made by a panic.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(capacity: &Capacity, all: usize) -> u64 {
        let places = capacity.places(all, true);
        capacity.claimed(all, all);
        places.for_new.unwrap()
    }

    #[test]
    fn every_fifth_place_is_for_what_has_not_begun_however_few_are_free_at_a_time() {
        for at_a_time in [1, 2, 3, 5, 16, 32] {
            let capacity = Capacity::new(1);
            let for_new: u64 = (0..100).map(|_| places(&capacity, at_a_time)).sum();
            assert_eq!(for_new, at_a_time as u64 * 20);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_in_the_ledger_leaves_the_broker_one_place_in_five() {
        let capacity = Capacity::new(1);
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let order = Arc::clone(&arrivals);
        let broker = {
            let capacity = capacity.clone();
            async move {
                loop {
                    let permit = capacity.for_arrival().await.unwrap();
                    order.lock().unwrap().push("broker");
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            }
        };
        let ledger = async {
            for _ in 0..40 {
                let permits = capacity.for_due().await.unwrap();
                arrivals.lock().unwrap().push("ledger");
                capacity.claimed(permits.len(), permits.len());
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { () = broker => unreachable!("it has no end"), () = ledger => {} }
        let order = arrivals.lock().unwrap();
        let of_broker = order.iter().filter(|whose| **whose == "broker").count();
        assert!((order.len() / 5 - 1..=order.len() / 5 + 1).contains(&of_broker), "{order:?}");
    }

    #[tokio::test]
    async fn a_ledger_with_nothing_due_keeps_no_place_from_the_broker() {
        let capacity = Capacity::new(1);
        capacity.claimed(1, 1);
        drop(capacity.for_arrival().await.unwrap());
        capacity.claimed(0, 1);
        for _ in 0..10 {
            drop(capacity.for_arrival().await.unwrap());
        }
    }
}
