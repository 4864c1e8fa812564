//! `foxden retry` of a signup that waits.

use std::time::{Duration, Instant};

use foxden_ledger::{Provisioning, State};

use crate::support::{PATIENCE, Place, event, row};

/// A place whose pauses no test waits for.
async fn patient(fault: &str) -> Place {
    let mut place = Place::new().await;
    place.set("FOXDEN_RETRY_INITIAL", "30m");
    place.set("FOXDEN_RETRY_MAX", "1h");
    place.sim.set_faults(fault.parse().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    place
}

/// Once it waits after its first try.
async fn waiting(place: &Place) -> Provisioning {
    let started = Instant::now();
    loop {
        let row = row(place, "s1").await;
        if row.state == State::Due && row.due_at_ms > Some(row.updated_at_ms) {
            return row;
        }
        assert!(started.elapsed() < PATIENCE, "{row:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_cuts_the_pause_after_a_failed_try_short() {
    let place = patient("POST /users: rate_limited first 1").await;
    let worker = place.worker("worker");
    waiting(&place).await;
    assert!(place.feed(&["retry", "s1"], "").contains("s1 is due; a worker picks it up"));
    place.settled(1).await;
    worker.stop().await;
    let acts = place.json(&["show", "s1", "--json"])["audit"].clone();
    assert_eq!((&acts[0]["act"], &acts[0]["note"]), (&"retry".into(), &"was waiting to be tried again".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_foxy_asked_for_is_not_cut_short() {
    let place = patient("POST /users: rate_limited(1200) first 1").await;
    let worker = place.worker("worker");
    let row = waiting(&place).await;
    assert!(row.not_before_ms.unwrap() < row.due_at_ms.unwrap(), "the rest is our own: {row:?}");
    let refused = place.run(&["retry", "s1"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("error: s1 waits until 20"), "{said}");
    assert!(said.ends_with("Z: Foxy asked for a pause, or the rate of calls leaves no room sooner\n"), "{said}");
    assert_eq!(place.json(&["show", "s1", "--json"])["audit"], serde_json::json!([]));
    worker.stop().await;
}
