//! Captcha codes: given by an event, by the settings, or by nobody.

use foxden_ledger::{ParkedReason, Provisioning, State};
use foxy_sim::{CaptchaPolicy, Config};
use serde_json::{Value, json};

use crate::support::{Place, event};

const GOOD: &str = "P1_solved-by-a-person";

/// A place whose Foxy takes one code, and a captcha for users and stores.
async fn place() -> Place {
    let config =
        Config { captcha: CaptchaPolicy::UsersAndStores, captcha_code: Some(GOOD.into()), ..Config::default() };
    Place::with(config).await
}

/// A signup with these codes.
fn signup(id: &str, user_code: &str, store_code: &str) -> Value {
    let mut signup = event(id);
    signup["captcha"] = json!({ "user_code": user_code, "store_code": store_code });
    signup
}

/// What `submit` counts.
fn submit(place: &Place, event: &Value) -> Value {
    let output = place.feed_any(&["submit", "--json", "-"], &event.to_string());
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn rested(place: &Place) -> Provisioning {
    place.settled(1).await.remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_the_right_codes_is_provisioned_where_foxy_demands_them() {
    let place = place().await;
    let worker = place.worker("worker");
    submit(&place, &signup("s1", GOOD, GOOD));
    assert_eq!(rested(&place).await.state, State::Closed);
    // Solved again for what is there already.
    assert_eq!(submit(&place, &signup("s1", "again", "again"))["known"], 1);
    worker.stop().await;
    assert_eq!((place.sim.requests("POST /users"), place.sim.requests("POST /stores")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_code_parks_its_signup_until_it_comes_with_a_fresh_one() {
    let place = place().await;
    let worker = place.worker("worker");
    let stale = signup("s1", "stale", "stale");
    submit(&place, &stale);
    let parked = rested(&place).await;
    assert_eq!((parked.parked_reason, parked.user_uri), (Some(ParkedReason::CaptchaRefused), None));
    assert_eq!(place.sim.requests("POST /users"), 1, "the same code is not tried again");

    // Of two codes the first has served, and the other has expired meanwhile.
    let half = signup("s1", GOOD, "expired");
    assert_eq!(submit(&place, &half)["corrected"], 1);
    let parked = rested(&place).await;
    assert_eq!(parked.parked_reason, Some(ParkedReason::CaptchaRefused));
    assert!(parked.user_uri.is_some());
    // Copies that come late bring no code back that was tried.
    for repeat in [&stale, &half] {
        assert_eq!(submit(&place, repeat)["known"], 1);
    }
    assert_eq!(submit(&place, &signup("s1", "served", GOOD))["corrected"], 1);
    let row = rested(&place).await;
    assert_eq!((row.state, row.user_uri), (State::Closed, parked.user_uri));
    worker.stop().await;
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 1));
    assert_eq!(place.sim.requests("POST /stores"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_lacks_the_code_of_its_step_stops_nobody_else() {
    let place = place().await;
    let worker = place.worker("worker");
    let stale = signup("s1", "stale", "stale");
    submit(&place, &stale);
    assert_eq!(rested(&place).await.parked_reason, Some(ParkedReason::CaptchaRefused));
    // Without the code that it had, or with another for the other call only, it would be refused again.
    for lacking in [event("s1"), signup("s1", "stale", GOOD)] {
        assert_eq!(submit(&place, &lacking)["known"], 1);
    }
    let mut user_only = event("s1");
    user_only["captcha"] = json!({ "user_code": GOOD });
    assert_eq!(submit(&place, &user_only)["corrected"], 1);
    let parked = rested(&place).await;
    assert_eq!(parked.parked_reason, Some(ParkedReason::CaptchaRefused));
    assert!(parked.user_uri.is_some());
    assert_eq!(submit(&place, &signup("s1", GOOD, GOOD))["corrected"], 1);
    assert_eq!(rested(&place).await.state, State::Closed);
    assert!(worker.events("foxy.paused").is_empty());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_code_calls_are_paused_and_nothing_is_parked() {
    let place = place().await;
    let worker = place.worker("worker");
    submit(&place, &event("s1"));
    let paused = worker.until("foxy.paused").await;
    assert_eq!(paused["fault"], "Foxy demands a captcha; ask Foxy to exempt this client from it");
    worker.stop().await;
    assert!(place.sim.books().users.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_of_the_settings_serves_events_without_one() {
    let mut place = place().await;
    place.set("FOXDEN_FOXY_H_CAPTCHA_CODE", GOOD);
    let worker = place.worker("worker");
    submit(&place, &event("s1"));
    assert_eq!(rested(&place).await.state, State::Closed);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_code_of_the_settings_pauses_calls_and_an_events_own_wins() {
    let mut place = place().await;
    place.set("FOXDEN_FOXY_H_CAPTCHA_CODE", "of-another-key");
    let worker = place.worker("worker");
    submit(&place, &signup("s1", GOOD, GOOD));
    assert_eq!(rested(&place).await.state, State::Closed);
    submit(&place, &event("s2"));
    let paused = worker.until("foxy.paused").await;
    assert!(paused["fault"].as_str().unwrap().contains("the setting h_captcha_code"), "{paused}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_a_lost_call_has_used_up_is_replaced_once_that_call_was_looked_up() {
    let place = Place::with(Config { captcha: CaptchaPolicy::UsersAndStores, ..Config::default() }).await;
    let faults = "POST /users: reset_before_work nth 1; POST /users: captcha nth 2";
    place.sim.set_faults(faults.parse().unwrap());
    let worker = place.worker("worker");
    submit(&place, &signup("s1", "once", "first"));
    let parked = rested(&place).await;
    assert_eq!((parked.parked_reason, parked.in_doubt), (Some(ParkedReason::CaptchaRefused), true));
    let seen = || (place.sim.requests("GET /reporting/email_exists"), place.sim.requests("POST /users"));
    assert_eq!(seen(), (1, 2));
    assert_eq!(submit(&place, &signup("s1", "fresh", "first"))["corrected"], 1);
    assert_eq!(rested(&place).await.state, State::Closed);
    assert_eq!(seen(), (2, 3), "still in doubt, it was looked up once more before anything was sent");
    worker.stop().await;
}
