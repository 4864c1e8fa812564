//! What the consumer itself has to tell the parent app.

use foxden_ledger::{Ledger, OutcomeKind, Waiting};

use super::bench::{Bench, soon};
use crate::testing;

/// An event with mistakes and a signup id.
const WRONG: &[u8] = b"{\"version\":1,\"signup_id\":\"s-0\"}";

async fn told(ledger: &Ledger) -> Vec<Waiting> {
    ledger.waiting_events(10).await.unwrap()
}

#[tokio::test]
async fn an_event_that_is_not_taken_is_told_of_once_however_often_it_comes() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    for body in [WRONG, b"{", WRONG] {
        bench.publish_raw(body).await;
    }
    bench.dead_queue_holds(3).await;
    running.stop().await;
    let told = told(&bench.ledger).await;
    assert_eq!(told.len(), 1, "once, and nothing of what has no signup id: {told:?}");
    let event = &told[0].event;
    assert_eq!((event.kind, event.data.signup_id.as_str()), (OutcomeKind::Rejected, "s-0"));
    assert_eq!(event.data.reason.as_deref(), Some("invalid"));
    let paths: Vec<_> = event.data.mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["user", "store"]);
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_conflict_is_told_of_and_a_duplicate_only_where_that_is_asked_for() {
    let mut bench = Bench::new().await;
    let mut running = bench.consume(1);
    bench.publish("s-1", "Ada").await;
    drop(running.next().await);
    running.stop().await;
    for tells in [false, true] {
        bench.settings.tell_duplicates = tells;
        let running = bench.consume(1);
        bench.publish("s-1", "Ada").await;
        bench.publish("s-1", "Eve").await;
        drop(bench.next_in(&bench.settings.dead_queue).await);
        running.stop().await;
        bench.queue_settles_at(0, 0).await;
        let kinds: Vec<_> = told(&bench.ledger).await.into_iter().map(|waiting| waiting.event.kind).collect();
        // The second time the conflict was told of before.
        let expected: &[_] =
            if tells { &[OutcomeKind::Rejected, OutcomeKind::Duplicate] } else { &[OutcomeKind::Rejected] };
        assert_eq!(kinds, expected);
    }
    assert_eq!(told(&bench.ledger).await[1].event.data.state.as_deref(), Some("in_flight"));
    bench.tidy_up().await;
}

#[tokio::test]
async fn an_event_that_is_not_taken_waits_for_the_ledger_before_it_is_put_aside() {
    let mut bench = Bench::new().await;
    // It has no tables yet, so that every transaction fails.
    bench.ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    bench.door = testing::door_to(&bench.ledger);
    let running = bench.consume(2);
    bench.publish_raw(b"{").await;
    bench.publish_raw(WRONG).await;
    // What nobody can be told of does not wait.
    bench.dead_queue_holds(1).await;
    soon(async {
        while running.capacity.available_permits() != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bench.dead_queue_holds(1).await;
    bench.ledger.migrate_up().await.unwrap();
    bench.dead_queue_holds(2).await;
    // The event is committed once the letter is confirmed, so a moment later.
    soon(async {
        while told(&bench.ledger).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stop().await;
    assert_eq!(told(&bench.ledger).await.len(), 1);
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}
