//! `foxden verify-foxy` against the simulator.

use std::collections::BTreeMap;

use foxy_sim::{CaptchaPolicy, Config};
use serde_json::Value;

use crate::support::Place;

/// Exit status, and each assumption with what was found.
async fn verify(place: &Place, arguments: &[&str]) -> (Option<i32>, BTreeMap<String, String>) {
    let arguments = [&["verify-foxy", "--sandbox", "--json"], arguments].concat();
    let ended = place.run(&arguments);
    let lines = String::from_utf8(ended.stdout).unwrap();
    let word = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (word(&line, "assumption"), word(&line, "finding"))
    };
    (ended.status.code(), lines.lines().map(read).collect())
}

fn count(found: &BTreeMap<String, String>, word: &str) -> usize {
    found.values().filter(|finding| *finding == word).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_keeps_every_assumption_that_can_be_tried() {
    let place = Place::new().await;
    let (exit, found) = verify(&place, &["--yes"]).await;
    assert_eq!((exit, found.len(), count(&found, "held")), (Some(0), 20, 20), "{found:#?}");
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 1));
    assert!(books.users[0].email.starts_with("foxden-verify-"), "{:?}", books.users);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_hold_is_told_and_what_hangs_on_it_is_not_tried() {
    let place = Place::with(Config { captcha: CaptchaPolicy::Users, ..Config::default() }).await;
    place.sim.add_fault("GET /reporting/email_exists: status(404)".parse().unwrap());
    let (exit, found) = verify(&place, &["--yes"]).await;
    assert_eq!((exit, found.len()), (Some(3), 20), "{found:#?}");
    assert_eq!((found["user-created"].as_str(), found["email-absent"].as_str()), ("broken", "broken"));
    assert_eq!((count(&found, "held"), count(&found, "not_tried")), (3, 15), "{found:#?}");
    assert_eq!((place.sim.requests("POST /users"), place.sim.books().users.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_production_or_without_leave() {
    let mut place = Place::new().await;
    let (exit, found) = verify(&place, &[]).await;
    assert_eq!((exit, found.len(), place.sim.total_requests()), (Some(2), 0, 0));
    place.set("FOXDEN_FOXY_API", "https://hapi.example");
    let ended = place.run(&["verify-foxy", "--sandbox", "--yes"]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("must be sandbox, simulator") && said.contains("Nothing was sent"), "{said}");
}
