//! The consumer and its dead letters.

use foxden_ledger::{Ledger, SignupId, State};
use lapin::{options::QueueDeleteOptions, types::FieldTable};

use super::bench::{Bench, header};
use crate::{PublishError, declare, testing};

#[tokio::test]
async fn a_signup_is_admitted_handed_over_and_acknowledged() {
    let bench = Bench::new().await;
    let mut running = bench.consume(4);
    bench.publish("s-1", "Ada").await;
    let (claimed, _permit) = running.next().await;
    assert_eq!(claimed.provisioning.signup_id.as_str(), "s-1");
    assert_eq!(claimed.provisioning.state, State::InFlight);
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_dead_lettered_with_its_reason_and_the_next_goes_on() {
    let bench = Bench::new().await;
    let mut running = bench.consume(1);
    bench.publish_raw(b"{\"user\":").await;
    bench.publish_raw(&vec![b'x'; crate::BODY_MAX + 1]).await;
    bench.publish_raw(b"{\"version\":1,\"signup_id\":\"s-0\"}").await;
    bench.publish("s-1", "Ada").await;
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-1");

    let dead = bench.next_in(&bench.settings.dead_queue).await;
    assert_eq!(dead.data, b"{\"user\":");
    assert_eq!(header(&dead, "x-foxden-reason"), "unreadable");
    assert_eq!(header(&dead, "x-foxden-mistakes"), "event is not valid JSON (line 1, column 8)");
    assert_eq!(header(&dead, "x-foxden-exchange"), bench.settings.exchange);
    assert_eq!(header(&dead, "x-foxden-routing-key"), "signup");
    assert_eq!(header(&dead, "traceparent"), "00-1");
    assert!(header(&dead, "x-foxden-at").ends_with('Z'));

    let dead = bench.next_in(&bench.settings.dead_queue).await;
    assert_eq!((dead.data.len(), header(&dead, "x-foxden-reason").as_str()), (crate::BODY_MAX + 1, "unreadable"));

    let dead = bench.next_in(&bench.settings.dead_queue).await;
    assert_eq!(header(&dead, "x-foxden-reason"), "invalid");
    assert_eq!(header(&dead, "x-foxden-mistakes"), "user is required\nstore is required");
    assert_eq!(header(&dead, "x-foxden-signup-id"), "s-0");

    running.stop().await;
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_repeat_is_acknowledged_and_not_handed_over_again() {
    let bench = Bench::new().await;
    let mut running = bench.consume(1);
    for (signup_id, first_name) in [("s-1", "Ada"), ("s-1", "Ada"), ("s-2", "Ada")] {
        bench.publish(signup_id, first_name).await;
    }
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-1");
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-2");
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_changed_event_under_a_known_id_is_dead_lettered_as_a_conflict() {
    let bench = Bench::new().await;
    bench.door.admit_queued(&[testing::event("s-1", "Ada")]).await.unwrap();
    let running = bench.consume(1);
    bench.publish("s-1", "Eve").await;
    let dead = bench.next_in(&bench.settings.dead_queue).await;
    assert_eq!(header(&dead, "x-foxden-reason"), "conflict");
    assert_eq!(header(&dead, "x-foxden-signup-id"), "s-1");
    assert_eq!(dead.properties.message_id().as_ref().unwrap().as_str(), "s-1");
    assert!(running.stop().await.is_empty());
    bench.tidy_up().await;
}

#[tokio::test]
async fn no_more_is_taken_than_there_are_permits() {
    let bench = Bench::new().await;
    for n in 0..5 {
        bench.publish(&format!("s-{n}"), "Ada").await;
    }
    let mut running = bench.consume(2);
    let (first, _second) = (running.next().await, running.next().await);
    assert_eq!(running.capacity.available_permits(), 0);
    drop(first);
    let _third = running.next().await;
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(2, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn an_idle_consumer_holds_no_permit() {
    let bench = Bench::new().await;
    let mut running = bench.consume(1);
    bench.queue_settles_at(0, 1).await;
    assert_eq!(running.capacity.available_permits(), 1);
    bench.publish("s-1", "Ada").await;
    drop(running.next().await);
    running.stop().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn while_the_gate_is_closed_messages_stay_with_the_broker() {
    let bench = Bench::new().await;
    let running = bench.consume(4);
    running.ready.send_replace(false);
    bench.queue_settles_at(0, 1).await;
    bench.publish("s-1", "Ada").await;
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(1, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn messages_are_held_while_the_ledger_is_away_and_taken_when_it_is_back() {
    let mut bench = Bench::new().await;
    // It has no tables yet, so that every transaction fails.
    bench.ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    bench.door = testing::door_to(&bench.ledger);
    let mut running = bench.consume(2);
    bench.publish("s-1", "Ada").await;
    bench.publish("s-2", "Ada").await;
    super::bench::soon(async {
        while running.capacity.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bench.ledger.migrate_up().await.unwrap();
    let mut taken =
        [running.next().await, running.next().await].map(|(claimed, _)| claimed.provisioning.signup_id.to_string());
    taken.sort();
    assert_eq!(taken, ["s-1", "s-2"]);
    running.stop().await;
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_shutdown_while_the_ledger_is_away_leaves_the_message_to_the_broker() {
    let mut bench = Bench::new().await;
    bench.ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    bench.door = testing::door_to(&bench.ledger);
    bench.publish("s-1", "Ada").await;
    let running = bench.consume(1);
    super::bench::soon(async {
        while running.capacity.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(1, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_queue_deleted_under_the_consumer_is_declared_again() {
    let bench = Bench::new().await;
    let mut running = bench.consume(1);
    bench.publish("s-1", "Ada").await;
    drop(running.next().await);
    let queue = bench.settings.queue.as_str();
    bench.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    super::bench::soon(async {
        // Unroutable until the consumer is back.
        let (id, body) = (SignupId::parse("s-2").unwrap(), testing::body("s-2", "Ada"));
        while let Err(error) = bench.publisher.publish_signup(&id, &body).await {
            assert!(matches!(error, PublishError::Unroutable), "{error:?}");
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-2");
    running.stop().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_dead_letter_that_finds_no_queue_keeps_its_message_until_it_does() {
    let bench = Bench::new().await;
    let (queue, exchange) = (bench.settings.dead_queue.as_str(), bench.settings.dead_exchange.as_str());
    let running = bench.consume(1);
    bench.queue_settles_at(0, 1).await;
    bench.channel.queue_unbind(queue.into(), exchange.into(), queue.into(), FieldTable::default()).await.unwrap();
    bench.publish_raw(b"{").await;
    // The consumer gives up its connection and declares all again, the binding too.
    let dead = bench.next_in(queue).await;
    assert_eq!(dead.data, b"{");
    running.stop().await;
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_fault_in_handling_one_message_stops_no_other_and_loses_nothing() {
    let bench = Bench::new().await;
    let mut running = bench.consume_with(1, |claimed| {
        assert_ne!(claimed.provisioning.signup_id.as_str(), "s-1", "this test's fault, on purpose");
    });
    bench.publish("s-1", "Ada").await;
    bench.publish("s-2", "Ada").await;
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-2");
    running.stop().await;
    // It was given back, and since the ledger has it, it is a repeat now.
    let mut running = bench.consume(1);
    bench.publish("s-3", "Ada").await;
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-3");
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(0, 0).await;
    let id = SignupId::parse("s-1").unwrap();
    assert_eq!(bench.ledger.find(&id).await.unwrap().unwrap().state, State::InFlight);
    bench.tidy_up().await;
}

#[tokio::test]
async fn declaring_twice_changes_nothing() {
    let bench = Bench::new().await;
    declare(&bench.settings).await.unwrap();
    declare(&bench.settings).await.unwrap();
    bench.tidy_up().await;
}
