//! The outbox: who publishes.

use std::time::Duration;

use foxden_ledger::{Ledger, ManualClock, OutcomeData, OutcomeEvent, OutcomeKind, WorkerId};

use crate::support::START_MS;

const LENGTH: Duration = Duration::from_secs(14);
const MOMENT: Duration = Duration::from_millis(1);

pub(crate) async fn one_worker_publishes_until_it_gives_its_lease_back_or_the_lease_is_over(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let (one, two) = (WorkerId::new(), WorkerId::new());
    let first = ledger.take_publishing(&one, LENGTH).await.unwrap().expect("no one has it");
    assert_eq!(ledger.take_publishing(&two, LENGTH).await.unwrap(), None);
    ledger.release_publishing(&first).await.unwrap();
    let second = ledger.take_publishing(&two, LENGTH).await.unwrap().expect("it was given back");
    assert!(!ledger.holds_publishing(&first).await.unwrap() && ledger.holds_publishing(&second).await.unwrap());

    clock.advance(LENGTH - MOMENT);
    assert!(ledger.published(&second, LENGTH, vec![]).await.unwrap(), "progress renews it");
    clock.advance(LENGTH - MOMENT);
    assert_eq!(ledger.take_publishing(&one, LENGTH).await.unwrap(), None);
    clock.advance(MOMENT);
    assert!(!ledger.holds_publishing(&second).await.unwrap(), "it is over, though no one has taken it yet");
    let third = ledger.take_publishing(&one, LENGTH).await.unwrap().expect("it is over");
    // A late owner changes nothing.
    assert!(!ledger.published(&second, LENGTH, vec![]).await.unwrap());
    ledger.release_publishing(&second).await.unwrap();
    assert!(ledger.holds_publishing(&third).await.unwrap());
}

pub(crate) async fn of_many_workers_that_want_to_publish_one_does(ledger: Ledger) {
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = ledger.clone();
        racers.spawn(async move { ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap() });
    }
    assert_eq!(racers.join_all().await.into_iter().flatten().count(), 1);
}

pub(crate) async fn a_clock_that_was_set_back_leaves_the_outbox_to_someone(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().unwrap();
    clock.set_back(Duration::from_secs(24 * 3600));
    assert!(ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().is_some());
}

pub(crate) async fn what_was_confirmed_is_marked_also_for_a_worker_that_has_lost_its_lease(ledger: Ledger) {
    tell(&ledger, "e-1", "s1", OutcomeKind::Rejected).await;
    let seq = ledger.waiting_events(1).await.unwrap()[0].seq;
    let lost = ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().unwrap();
    ledger.release_publishing(&lost).await.unwrap();
    assert!(!ledger.published(&lost, LENGTH, vec![seq]).await.unwrap());
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0);
}

async fn tell(ledger: &Ledger, event_id: &str, signup_id: &str, kind: OutcomeKind) {
    let data = OutcomeData { signup_id: signup_id.into(), ..OutcomeData::default() };
    ledger.tell(event_id.into(), OutcomeEvent { kind, data }).await.unwrap();
}
