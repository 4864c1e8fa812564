//! Many signups are acknowledged by one frame, and none that is not in the ledger.

use std::collections::BTreeSet;

use foxden_ledger::SignupId;

use super::{
    bench::{Bench, Running, broker_url},
    dead_queue_full::bench_with_room_for,
    tap::Tap,
};
use crate::{AmqpUrl, testing};

const SIGNUPS: usize = 300;
const PREFETCH: u16 = 64;

/// Lets the consumer reach its broker by way of a tap.
async fn tapped(bench: &mut Bench) -> Tap {
    let (tap, url) = Tap::to(&broker_url()).await;
    bench.settings.url = AmqpUrl::parse(&url).unwrap();
    bench.prefetch = PREFETCH;
    tap
}

async fn publish(bench: &Bench, numbers: std::ops::Range<usize>) {
    let id = |number| SignupId::parse(&format!("s-{number}")).unwrap();
    let signups: Vec<_> = numbers.map(|number| (id(number), testing::body(id(number).as_str(), "Ada"))).collect();
    bench.publisher.publish_signups(signups.iter().map(|(id, body)| (id, body.as_slice()))).await.unwrap();
}

/// Waits for this number of signups, each of which is handed over once.
async fn taken(running: &mut Running, signups: usize) {
    let mut taken = BTreeSet::new();
    for _ in 0..signups {
        let signup_id = running.next().await.0.provisioning.signup_id.to_string();
        assert!(taken.insert(signup_id.clone()), "{signup_id} was handed over twice");
    }
}

#[tokio::test]
async fn what_is_committed_together_is_acknowledged_together() {
    let mut bench = Bench::new().await;
    let tap = tapped(&mut bench).await;
    publish(&bench, 0..SIGNUPS).await;
    let mut running = bench.consume(SIGNUPS);
    taken(&mut running, SIGNUPS).await;
    assert!(running.stop().await.is_empty());
    let heard = tap.heard().pop().unwrap();
    assert_eq!(heard.acknowledged.len(), SIGNUPS);
    assert!(heard.given_back.is_empty());
    assert!(heard.frames * 4 <= SIGNUPS, "{} frames for {SIGNUPS} signups", heard.frames);
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_message_that_waits_is_not_acknowledged_with_those_behind_it() {
    let mut bench = bench_with_room_for(1).await;
    let tap = tapped(&mut bench).await;
    // The first has room in the dead queue, the second waits; and so does the third, where some before it are settled.
    bench.publish_raw(b"{ first").await;
    bench.publish_raw(b"{ second").await;
    publish(&bench, 0..20).await;
    bench.publish_raw(b"{ third").await;
    publish(&bench, 20..40).await;
    let mut running = bench.consume(40);
    taken(&mut running, 40).await;
    assert!(running.stop().await.is_empty());
    let heard = tap.heard().pop().unwrap();
    assert_eq!((heard.delivered.len(), heard.acknowledged.len()), (43, 41));
    bench.queue_settles_at(2, 0).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_connection_that_is_lost_brings_back_what_was_not_acknowledged_and_nothing_else() {
    let mut bench = Bench::new().await;
    let tap = tapped(&mut bench).await;
    publish(&bench, 0..SIGNUPS).await;
    tap.cut_after(2);
    let mut running = bench.consume(SIGNUPS);
    // Those that were committed and not acknowledged are duplicates.
    taken(&mut running, SIGNUPS).await;
    bench.queue_settles_without_messages().await;
    assert!(running.stop().await.is_empty());
    let heard = tap.heard();
    let [first, second] = heard.as_slice() else { panic!("{} connections", heard.len()) };
    assert!(first.frames == 2 && first.acknowledged.len() > 2, "{first:?}");
    assert_eq!(second.delivered.len(), SIGNUPS - first.acknowledged.len());
    assert_eq!(second.acknowledged, second.delivered);
    bench.queue_settles_at(0, 0).await;
    bench.tidy_up().await;
}
