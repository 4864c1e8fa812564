//! A person closes a signup for good.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use foxden_ledger::State;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Place, event, row};

const REASON: [&str; 2] = ["--reason", "published by mistake"];

fn cancel(place: &Place, signup_id: &str, more: &[&str]) -> Output {
    place.run(&[&["cancel", signup_id], &REASON[..], more].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

/// Refused with status 1, and these words.
fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(output).contains(words), "{}", said(output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_signup_is_cancelled_once_and_looks_cancelled_everywhere() {
    let place = Place::new().await;
    let mut parking = event("s1");
    parking["store"]["domain"] = "www".into();
    for signup in [&parking, &event("s2")] {
        place.feed(&["submit", "-"], &signup.to_string());
    }
    let worker = place.worker("worker");
    place.settled(2).await;

    let unasked = cancel(&place, "s1", &[]);
    assert_eq!(unasked.status.code(), Some(2));
    assert!(said(&unasked).contains("--yes"), "{}", said(&unasked));
    refused(&cancel(&place, "s2", &["--yes"]), "it is provisioned already");
    assert_eq!(cancel(&place, "s3", &["--yes"]).status.code(), Some(4));

    let done: Value = serde_json::from_slice(&cancel(&place, "s1", &["--yes", "--json"]).stdout).unwrap();
    assert_eq!((&done["cancelled"], &done["left_at_foxy"]["user"]), (&json!(true), &json!("there")));
    assert_eq!(done["left_at_foxy"]["store"], "absent");
    refused(&cancel(&place, "s1", &["--yes"]), "it is cancelled already");
    refused(&place.run(&["retry", "s1"]), "was cancelled");

    let show = place.json(&["show", "s1", "--json"]);
    assert_eq!(
        (&show["state"], &show["cancelled"], &show["payload_kept"]),
        (&json!("closed"), &json!(true), &json!(false))
    );
    assert_eq!(show["parked_reason"], Value::Null);
    assert!(show["tokens"].as_array().unwrap().iter().all(|token| token["wiped"] == true), "{show}");
    let evidence = show["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(evidence["note"], "was parked: domain_reserved; published by mistake");
    let text = place.feed(&["show", "s1"], "");
    for words in ["cancelled (was parked: domain_reserved)", "left at Foxy  the user http", "no store"] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    let counts = place.json(&["status", "--json"]);
    let told = ["closed", "provisioned", "cancelled", "parked"].map(|name| counts[name].as_u64().unwrap());
    assert_eq!((told, &counts["parked_reasons"]), ([2, 1, 1, 0], &json!({})));
    let listed = |state| place.feed(&["status", "--list", "9", "--state", state, "--json"], "").lines().count();
    assert_eq!(["closed", "provisioned", "cancelled"].map(listed), [2, 1, 1]);
    assert!(place.feed(&["explain", "cancelled"], "").contains("new signup id"));

    // The same event is a duplicate, another one is refused.
    let repeated = place.feed(&["submit", "--json", "-"], &parking.to_string());
    let repeated: Value = serde_json::from_str(&repeated).unwrap();
    assert_eq!(repeated["known"], 1);
    parking["store"]["domain"] = "another".into();
    let conflict = place.feed_any(&["submit", "-"], &parking.to_string());
    assert_eq!(conflict.status.code(), Some(3));
    assert!(
        said(&conflict).contains("the signup was cancelled; publish it under a new signup id"),
        "{}",
        said(&conflict)
    );
    worker.stop().await;
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_begun_is_cancelled_and_never_made() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &event("s1").to_string());
    let done = said(&cancel(&place, "s1", &["--yes"]));
    assert!(done.contains("s1 is cancelled. Left at Foxy: no user, no store"), "{done}");
    let worker = place.worker_with("worker", &[("FOXDEN_HEARTBEAT", "100ms")]);
    let heartbeat = worker.until("worker.heartbeat").await;
    assert_eq!((&heartbeat["closed"], &heartbeat["cancelled"]), (&json!(1), &json!(1)));
    worker.stop().await;
    assert!(place.sim.books().users.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_holds_is_left_to_it_until_its_lease_is_over() {
    let mut place = Place::new().await;
    // Nothing that this test does takes so long, and the lease must be longer still.
    place.set("FOXDEN_CALL_TIMEOUT", "60s");
    place.set("FOXDEN_SHUTDOWN_GRACE", "70s");
    place.set("FOXDEN_LEASE", "80s");
    place.sim.set_faults("POST /users: stall_before_work(60s)".parse().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker("worker");
    let started = Instant::now();
    while row(&place, "s1").await.state != State::InFlight {
        assert!(started.elapsed() < PATIENCE, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refused(&cancel(&place, "s1", &["--yes"]), "a worker is at work on it, and a call may be under way");
    assert_eq!(row(&place, "s1").await.state, State::InFlight);
    worker.crash();
}
