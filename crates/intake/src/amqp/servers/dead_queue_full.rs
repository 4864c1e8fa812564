//! A dead-letter queue that takes nothing more.

use std::collections::BTreeSet;

use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use super::bench::{Bench, soon};
use crate::{Topology, testing};

const WRONG: &[u8] = b"{\"version\":1,\"signup_id\":\"w\"}";

/// A dead queue with room for this many letters; it refuses the others.
pub(super) async fn bench_with_room_for(letters: i64) -> Bench {
    let mut bench = Bench::new().await;
    bench.settings.topology = Topology::Check;
    let (queue, exchange) = (bench.settings.dead_queue.as_str(), bench.settings.dead_exchange.as_str());
    bench.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(letters));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue.into(), options, arguments).await.unwrap();
    let options = QueueBindOptions::default();
    bench
        .channel
        .queue_bind(queue.into(), exchange.into(), queue.into(), options, FieldTable::default())
        .await
        .unwrap();
    bench
}

#[tokio::test]
async fn while_the_dead_queue_is_full_bad_messages_wait_and_good_ones_do_not() {
    let bench = bench_with_room_for(2).await;
    let mut running = bench.consume(4);
    // More than the prefetch, several times over.
    for _ in 0..45 {
        bench.publish_raw(b"{").await;
    }
    for n in 0..40 {
        bench.publish(&format!("s-{n}"), "Ada").await;
    }
    let mut taken = BTreeSet::new();
    while taken.len() < 40 {
        taken.insert(running.next().await.0.provisioning.signup_id.to_string());
    }
    bench.dead_queue_holds(2).await;
    for _ in 0..45 {
        bench.next_in(&bench.settings.dead_queue).await;
    }
    bench.queue_settles_without_messages().await;
    assert!(running.stop().await.is_empty());
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_message_is_told_of_as_rejected_only_once_it_is_put_aside() {
    let bench = bench_with_room_for(1).await;
    bench.door.admit_queued(&[testing::event("s-1", "Ada")]).await.unwrap();
    let running = bench.consume(4);
    bench.publish_raw(b"{").await;
    bench.dead_queue_holds(1).await;
    bench.publish("s-1", "Eve").await;
    bench.publish_raw(WRONG).await;
    soon(async {
        // Both were judged, and have given their permits back.
        while bench.standing(&bench.settings.queue).await.1 == 0 || running.capacity.available_permits() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bench.publish("s-2", "Ada").await;
    let mut running = running;
    assert_eq!(running.next().await.0.provisioning.signup_id.as_str(), "s-2");
    assert!(bench.ledger.waiting_events(10).await.unwrap().is_empty(), "neither is aside yet");
    for _ in 0..3 {
        bench.next_in(&bench.settings.dead_queue).await;
    }
    running.stop().await;
    assert_eq!(bench.ledger.waiting_events(10).await.unwrap().len(), 2);
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}
