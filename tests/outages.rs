//! Foxy away, ill, or asking for patience: what a worker sends meanwhile, what it says, and what is there afterwards.

use std::time::Duration;

use foxden_ledger::{Provisioning, State};
use serde_json::Value;

use crate::support::{PATIENCE, Place, Worker, event, lines, row};

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("acct_{number:03}")).collect()
}

/// Waits until the simulator has had so many requests of this kind.
async fn until_asked(place: &Place, route: &str, count: u64) {
    let asked = async {
        while place.sim.requests(route) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{route} is not asked"));
}

/// Waits for a heartbeat that says this, after those that were there already.
pub(crate) async fn until_heartbeat(worker: &Worker, says: impl Fn(&Value) -> bool) -> Value {
    let before = worker.events("worker.heartbeat").len();
    let heard = async {
        loop {
            if let Some(beat) = worker.events("worker.heartbeat").into_iter().skip(before).find(&says) {
                return beat;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("no such heartbeat: {}", worker.log()))
}

fn creates_and_lookups(place: &Place) -> u64 {
    let routes = ["POST /users", "POST /stores", "GET /stores", "GET /reporting", "GET /reporting/email_exists"];
    routes.into_iter().map(|route| place.sim.requests(route)).sum()
}

fn all_closed(rows: &[Provisioning]) -> bool {
    rows.iter().all(|row| row.state == State::Closed)
}

async fn in_an_outage_calls_stop(fault: &str) {
    let mut place = Place::new().await;
    place.set("FOXDEN_CONCURRENCY", "4");
    place.set("FOXDEN_HEARTBEAT", "100ms");
    // Token and links are known before the outage, so that creates are what meets it.
    place.feed(&["submit", "-"], &event("first").to_string());
    let worker = place.worker("worker");
    place.settled(1).await;
    place.sim.set_faults(fault.parse().unwrap());
    let ids = ids(30);
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    let down = worker.until("foxy.down").await;
    assert_eq!((&down["level"], &down["failures"]), (&"warn".into(), &5.into()), "{fault}");
    assert!(!down["last"].as_str().unwrap().is_empty(), "{fault}");
    until_heartbeat(&worker, |beat| beat["gate"] == "down" && beat["under_way"] == 0).await;

    let (before, looks) = (creates_and_lookups(&place), place.sim.requests("GET /"));
    until_asked(&place, "GET /", looks + 2).await;
    assert_eq!(creates_and_lookups(&place), before, "nothing is sent but looks: {fault}");

    place.sim.set_faults("".parse().unwrap());
    let up = worker.until("foxy.up").await;
    assert!(up["failures"].as_u64() >= Some(5) && up["down_s"].is_u64(), "{up}");
    let rows = place.settled(31).await;
    until_heartbeat(&worker, |beat| beat["gate"] == "open").await;
    for event in ["foxy.down", "foxy.up"] {
        assert_eq!(worker.events(event).len(), 1, "{event} for {fault}:\n{}", worker.log());
    }
    worker.stop().await;
    assert!(all_closed(&rows), "{fault}");
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_outage_calls_stop_but_for_looks_and_afterwards_every_signup_is_made_once() {
    tokio::join!(
        in_an_outage_calls_stop("*: status 500"),
        in_an_outage_calls_stop("*: gateway_html 503"),
        in_an_outage_calls_stop("*: reset_before_work"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_foxy_says_of_patience_holds_for_every_call_of_the_worker() {
    let mut place = Place::new().await;
    place.set("FOXDEN_CONCURRENCY", "1");
    place.set("FOXDEN_HEARTBEAT", "100ms");
    place.sim.set_faults("POST /users: rate_limited(3600) nth 1".parse().unwrap());
    place.feed(&["submit", "-"], &lines(["s1", "s2", "s3"]));
    let worker = place.worker("worker");
    let slowed = worker.until("foxy.slowed").await;
    assert!(slowed["hold_s"].as_f64() > Some(3500.0), "{slowed}");
    until_heartbeat(&worker, |beat| beat["gate"] == "held" && beat["under_way"] == 0).await;
    until_heartbeat(&worker, |beat| beat["due"] == 3).await;
    assert_eq!(place.sim.requests("POST /users"), 1);
    assert!(worker.events("foxy.down").is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_waits_for_its_turn_stops_at_once_and_leaves_the_signup_due() {
    let mut place = Place::new().await;
    // The first signup takes five requests; the next turn comes within a lease, and after all that a test would wait for.
    place.set("FOXDEN_FOXY_RATE", "0.025");
    place.set("FOXDEN_FOXY_BURST", "5");
    place.set("FOXDEN_HEARTBEAT", "100ms");
    place.set("FOXDEN_LEASE", "60s");
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker("worker");
    let rows = place.settled(1).await;
    assert!(all_closed(&rows));
    place.feed(&["submit", "-"], &event("s2").to_string());
    until_heartbeat(&worker, |beat| beat["under_way"] == 1).await;
    worker.stop().await;
    let row = row(&place, "s2").await;
    assert!(row.state == State::Due && row.lease_until_ms.is_none(), "{row:?}");
    assert_eq!(place.sim.books().users.len(), 1);
}
