//! Silence on the way to the broker: connections stay open and carry nothing any more, while new ones work. Nothing says
//! so; heartbeats and limits must.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    parent_app::ParentApp,
    relay::{Relay, Way},
};
use crate::support::{Place, event};

/// Heartbeats of 10 s are missed twice, the broker and its client each on its own side; the rest is for a busy machine.
const BOUND: Duration = Duration::from_secs(120);

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("silence: {line}");
}

/// Silences all connections there are, twice: each time signups are taken and outcomes published over new ones.
async fn twice(ways: &[Way]) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let broker = place.settings["FOXDEN_AMQP_URL"].clone();
    let relay = Relay::to(&broker).await;
    let worker = place.worker_with("worker", &[("FOXDEN_AMQP_URL", &relay.through(&broker))]);
    worker.until("outbox.taken_over").await;
    for round in 0..3_u32 {
        parent.publish(event(&format!("before-{round}")).to_string().as_bytes()).await;
        until(&place, &parent, 2 * round + 1).await;
        if round == 2 {
            break;
        }
        let silenced = Instant::now();
        for way in ways {
            relay.silence(*way);
        }
        parent.publish(event(&format!("during-{round}")).to_string().as_bytes()).await;
        until(&place, &parent, 2 * round + 2).await;
        say(&format!("{ways:?}: taken and published {:.1?} after the silence began", silenced.elapsed()));
    }
    worker.stop().await;
}

/// Waits until outcome events of so many signups are in the queue, or more: one may come again.
async fn until(place: &Place, parent: &ParentApp, count: u32) {
    let started = Instant::now();
    while parent.waiting(place, "OUTCOME_QUEUE").await < count {
        assert!(started.elapsed() < BOUND, "no {count} outcome events in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consuming_and_publishing_leave_connections_that_have_fallen_silent() {
    twice(&[Way::ToServer, Way::ToClient]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_reaches_the_broker_is_left() {
    twice(&[Way::ToServer]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_which_nothing_comes_from_the_broker_is_left() {
    twice(&[Way::ToClient]).await;
}
