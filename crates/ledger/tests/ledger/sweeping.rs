//! Sweeps after a great many workers' calls, or signups, at once.

use std::time::Duration;

use foxden_ledger::{Ledger, ManualClock, Places, WorkerId};

use crate::support::{LEASE, START_MS, custody, signup};

/// More than a sweep changes at a time, twice over.
const MANY: usize = 1_100;

async fn many_that_are_due(ledger: &Ledger) {
    let custody = custody();
    let ids: Vec<String> = (0..MANY).map(|number| format!("s{number}")).collect();
    for some in ids.chunks(200) {
        ledger.accept_queued(some.iter().map(|id| signup(&custody, id)).collect()).await.unwrap();
    }
}

pub(crate) async fn one_sweep_moves_all_whose_leases_have_expired(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    many_that_are_due(&ledger).await;
    let places = Places { all: MANY as u64, for_new: Some(MANY as u64) };
    assert_eq!(ledger.claim_places(&WorkerId::new(), places, LEASE).await.unwrap().claimed.len(), MANY);
    clock.advance(LEASE + Duration::from_secs(1));
    assert_eq!(ledger.sweep(Duration::ZERO).await.unwrap().len(), MANY);
    assert!(ledger.sweep(Duration::ZERO).await.unwrap().is_empty());
}

pub(crate) async fn one_sweep_sets_the_times_of_all_back(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    many_that_are_due(&ledger).await;
    clock.set_back(Duration::from_secs(24 * 3600));
    ledger.sweep(Duration::ZERO).await.unwrap();
    let places = Places { all: 2 * MANY as u64, for_new: Some(0) };
    assert_eq!(ledger.claim_places(&WorkerId::new(), places, LEASE).await.unwrap().claimed.len(), MANY);
}
