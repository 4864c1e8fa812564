//! Silence on the way to the database: connections stay open and carry nothing any more. No error says so.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    parent_app::ParentApp,
    relay::{Relay, Way},
};
use crate::support::{Place, event};

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("silence: {line}");
}

/// A worker whose way to its database is a relay, with few connections and calls that take a moment.
async fn place() -> (Place, ParentApp, Relay) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_DATABASE_POOL", "2");
    place.sim.set_latency("200".parse().unwrap());
    let relay = Relay::to(&place.settings["FOXDEN_DATABASE_URL"]).await;
    (place, parent, relay)
}

async fn publish(parent: &ParentApp, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        parent.publish(event(&id).to_string().as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_the_database_that_have_fallen_silent_are_replaced_with_the_pool_full() {
    let (place, parent, relay) = place().await;
    let url = relay.through(&place.settings["FOXDEN_DATABASE_URL"]);
    // What was asked over a silent connection is given up after 17 s, though all signups may be settled long before.
    let settings = [("FOXDEN_DATABASE_URL", url.as_str()), ("FOXDEN_SHUTDOWN_GRACE", "45s")];
    let worker = place.worker_with("worker", &settings);
    worker.until("broker.connected").await;
    for round in 0..2 {
        publish(&parent, (0..10).map(|number| format!("s{round}{number}"))).await;
        // Calls are under way, whose results meet the silence.
        let before = place.sim.requests("POST /stores");
        while place.sim.requests("POST /stores") < before + 2 {
            tokio::task::yield_now().await;
        }
        let silenced = Instant::now();
        relay.silence(Way::ToServer);
        relay.silence(Way::ToClient);
        let rows = place.settled(10 * (round + 1)).await;
        say(&format!("round {round}: all {} settled {:.1?} after the silence began", rows.len(), silenced.elapsed()));
    }
    let rows = place.settled(20).await;
    let escrow = std::fs::read_dir(place.path("foxden-escrow")).unwrap();
    let waits =
        |file: std::io::Result<std::fs::DirEntry>| file.unwrap().path().extension().is_some_and(|e| e == "escrow");
    let started = Instant::now();
    if escrow.into_iter().any(waits) {
        while std::fs::read_dir(place.path("foxden-escrow")).unwrap().any(waits) {
            assert!(started.elapsed() < crate::support::PATIENCE, "the escrow is not drained");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_served_nothing_ends_and_the_next_one_finds_its_tokens() {
    let (place, parent, relay) = place().await;
    let url = relay.through(&place.settings["FOXDEN_DATABASE_URL"]);
    let settings = [("FOXDEN_DATABASE_URL", url.as_str()), ("FOXDEN_DATABASE_GIVE_UP_AFTER", "5s")];
    let mut worker = place.worker_with("cut-off", &settings);
    worker.until("broker.connected").await;
    publish(&parent, ["s1".to_owned()]).await;
    while place.sim.requests("POST /users") == 0 {
        tokio::task::yield_now().await;
    }
    relay.go_deaf();
    worker.until("escrow.kept").await;
    let deaf = Instant::now();
    let given_up = worker.until("ledger.given_up").await;
    assert_eq!(given_up["level"], "error");
    assert_eq!(worker.ended().await, Some(7), "{}", worker.log());
    say(&format!("ended {:.1?} after the silence began", deaf.elapsed()));
    assert_eq!(worker.events("worker.cut_off").len(), 1);
    let next = place.worker("next");
    next.until("escrow.drained").await;
    let rows = place.settled(1).await;
    next.stop().await;
    place.books_agree(&rows).await;
    assert_eq!(place.sim.requests("POST /users"), 1, "no call was sent twice");
}
