//! The life of the keys: rotated under load, dropped too early, and envelopes that somebody has moved.

use std::time::{Duration, Instant};

use foxden_ledger::{ParkedReason, State};
use foxden_vault::{KeyId, KeyRing};
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use serde_json::Value;

use crate::support::{PATIENCE, Place, event, lines, row};

fn id(key: &str) -> KeyId {
    KeyRing::parse(key).unwrap().primary()
}

fn generated(place: &Place, name: &str) -> String {
    place.feed(&["keys", "generate", "--name", name], "").trim().to_owned()
}

/// Submits so many signups beside those that there are.
fn submit(place: &Place, ids: &mut Vec<String>, count: usize) {
    let first = ids.len();
    ids.extend((first..first + count).map(|number| format!("acct_{number:03}")));
    place.feed(&["submit", "-"], &lines(ids[first..].iter().map(String::as_str)));
}

async fn envelopes_of(place: &Place, key: &str) -> u64 {
    let ledger = place.ledger().await;
    let count = ledger.count_envelopes_of(id(key), u32::MAX).await.unwrap().envelopes();
    ledger.close().await.unwrap();
    count
}

/// What `keys status` says of a key.
fn status(place: &Place, key: &str) -> (Option<i32>, Value) {
    let ended = place.run(&["keys", "status", "--json"]);
    let said: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let of_key = said["keys"].as_array().unwrap().iter().find(|line| line["id"] == id(key).to_string());
    (ended.status.code(), of_key.cloned().unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a worker says that does not start.
async fn refused_start(place: &Place) -> String {
    let mut worker = place.worker("refused");
    assert_eq!(worker.ended().await, Some(1), "{}", worker.log());
    worker.log()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_while_signups_flow_and_the_old_one_is_dropped() {
    rotate(Place::with(busy()).await).await;
}

/// Calls that take a while, so that signups are under way at any time.
pub(crate) fn busy() -> foxy_sim::Config {
    foxy_sim::Config { latency: "5..20".parse().unwrap(), ..foxy_sim::Config::default() }
}

/// The whole life of a key, step by step as OPERATIONS.md tells it, on whatever ledger the place has.
pub(crate) async fn rotate(mut place: Place) {
    place.set("FOXDEN_KEEP_PAYLOADS", "true");
    let mut ids = Vec::new();
    let (old, new) = (generated(&place, "old"), generated(&place, "new"));

    place.set("FOXDEN_KEYS", &old);
    submit(&place, &mut ids, 20);
    let worker = place.worker("old");
    place.settled(ids.len()).await;
    worker.stop().await;

    place.set("FOXDEN_KEYS", &format!("{old},{new}"));
    let worker = place.worker("both");
    submit(&place, &mut ids, 5);
    place.settled(ids.len()).await;
    worker.stop().await;
    let before = envelopes_of(&place, &old).await;
    assert_eq!(before, 50);

    place.set("FOXDEN_KEYS", &format!("{new},{old}"));
    assert_eq!(status(&place, &old).1["can_be_dropped"], false);
    let worker = place.worker("new-first");
    worker.until("worker.started").await;
    submit(&place, &mut ids, 10);
    let reseal = place.start("reseal", &["keys", "reseal", "--rate", "1"], &[]);
    let started = Instant::now();
    while envelopes_of(&place, &old).await == before {
        assert!(started.elapsed() < PATIENCE, "nothing was moved:\n{}", reseal.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reseal.crash();
    let left = envelopes_of(&place, &old).await;
    assert!(left > 0 && left < before, "{left} of {before}");
    submit(&place, &mut ids, 10);
    let again = place.json(&["keys", "reseal", "--json"]);
    // A server may have committed one page more for the process that was killed.
    assert!((1..=left).contains(&again["moved"].as_u64().unwrap()), "{again} of {left}");
    assert_eq!((&again["refused"], &again["left"]), (&0.into(), &0.into()));
    let rows = place.settled(ids.len()).await;
    worker.stop().await;

    let (exit, standing) = status(&place, &old);
    assert_eq!((exit, &standing["can_be_dropped"], &standing["fingerprints"]), (Some(0), &true.into(), &0.into()));
    let (_, standing) = status(&place, &new);
    assert_eq!((&standing["seals"], &standing["name"]), (&true.into(), &"new".into()));
    assert_eq!((&standing["events"], &standing["tokens"]), (&ids.len().into(), &ids.len().into()));

    place.set("FOXDEN_KEYS", &new);
    let worker = place.worker("new");
    worker.until("worker.started").await;
    place.books_agree(&rows).await;
    let repeated = place.feed_any(&["submit", "-"], &event("acct_000").to_string());
    assert!(text(&repeated.stdout).contains("1 known already"), "{repeated:?}");
    let mut changed = event("acct_000");
    changed["store"]["name"] = "Another".into();
    assert_eq!(place.feed_any(&["submit", "-"], &changed.to_string()).status.code(), Some(3));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_without_a_key_that_only_old_envelopes_need() {
    let mut place = Place::new().await;
    let (old, new) = (generated(&place, "old"), generated(&place, "new"));
    place.set("FOXDEN_KEYS", &old);
    place.feed(&["submit", "-"], &lines(["s1", "s2"]));
    place.set("FOXDEN_KEYS", &format!("{new},{old}"));
    place.feed(&["submit", "-"], &event("s3").to_string());
    place.set("FOXDEN_KEYS", &new);
    let expected = format!("FOXDEN_KEYS lacks a key that is still needed: {} (2 sealed in the ledger)", id(&old));
    let ended = place.feed_any(&["submit", "-"], &event("s4").to_string());
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains(&expected), "{}", text(&ended.stderr));
    let said = refused_start(&place).await;
    assert!(said.contains(&expected), "{said}");
    let (exit, standing) = status(&place, &old);
    assert_eq!((exit, &standing["in_ring"], &standing["events"]), (Some(3), &false.into(), &2.into()));
    let ended = place.run(&["keys", "reseal"]);
    assert_eq!(ended.status.code(), Some(3));
    assert!(text(&ended.stdout).contains("which is not in the ring"), "{}", text(&ended.stdout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_escrow_needs_can_not_be_dropped() {
    let mut place = Place::new().await;
    let (old, new) = (generated(&place, "old"), generated(&place, "new"));
    place.set("FOXDEN_KEYS", &old);
    place.feed(&["migrate", "up"], "");
    let custody = foxden_custody::Custody::new(std::sync::Arc::new(KeyRing::parse(&old).unwrap()), "production");
    let owner = foxden_ledger::ProvisioningId::new();
    let escrow = foxden_custody::Escrow::open(&place.path("foxden-escrow")).unwrap();
    let (scope, token) = (foxden_ledger::Scope::Store, foxden_vault::RefreshToken::new("token"));
    let around = foxden_custody::TokenRow {
        provisioning: owner.clone(),
        signup_id: foxden_ledger::SignupId::parse("acct_000").unwrap(),
        scope,
        serial: 1,
        addresses: Vec::new(),
        client: None,
    };
    let sealed = custody.seal_token(&around, &token).unwrap();
    let credential = foxden_ledger::NewCredential { scope, intent: 1, resource_uri: None, client: None, sealed };
    escrow.keep(&owner, &credential).await.unwrap();

    place.set("FOXDEN_KEYS", &format!("{new},{old}"));
    let (exit, standing) = status(&place, &old);
    assert_eq!((exit, &standing["escrow"], &standing["can_be_dropped"]), (Some(0), &1.into(), &false.into()));
    place.set("FOXDEN_KEYS", &new);
    let said = refused_start(&place).await;
    assert!(said.contains(&format!("{} (1 sealed in FOXDEN_ESCROW_DIR)", id(&old))), "{said}");
    escrow.release(&owner, &credential).await.unwrap();
    place.set("FOXDEN_KEYS", &format!("{new},{old}"));
    assert_eq!(status(&place, &old).1["can_be_dropped"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envelopes_that_were_swapped_are_noticed_and_named_by_their_signups() {
    let mut place = Place::new().await;
    let old = place.settings["FOXDEN_KEYS"].clone();
    place.feed(&["submit", "-"], &lines(["t1", "t2"]));
    let worker = place.worker("before");
    place.settled(2).await;
    // After them, since a worker starts only where one of the newest tokens opens.
    place.feed(&["submit", "-"], &event("t3").to_string());
    place.settled(3).await;
    worker.stop().await;
    place.feed(&["submit", "-"], &lines(["e1", "e2", "e3"]));
    swap(&place, "credentials", "sealed", "provisioning_id", ["t1", "t2"]).await;
    swap(&place, "provisionings", "payload", "id", ["e1", "e2"]).await;

    let refused = place.run(&["token", "t1"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("store token of t1") && said.contains("moved from another row"), "{said}");

    place.set("FOXDEN_KEYS", &format!("{},{old}", generated(&place, "new")));
    let ended = place.run(&["keys", "reseal", "--json"]);
    assert_eq!(ended.status.code(), Some(3));
    let counts: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&counts["moved"], &counts["refused"], &counts["left"]), (&2.into(), &4.into(), &4.into()));
    let said = text(&ended.stderr);
    for (signup_id, what) in [("t1", "token"), ("t2", "token"), ("e1", "event"), ("e2", "event")] {
        assert!(said.contains(&format!("signup {signup_id}: its {what} is left as it is: ")), "{signup_id}: {said}");
    }
    assert!(!said.contains("signup t3") && !said.contains("signup e3"), "{said}");

    let worker = place.worker("after");
    place.settled(6).await;
    worker.stop().await;
    for (signup_id, reason) in
        [("e1", Some(ParkedReason::InvalidEvent)), ("e2", Some(ParkedReason::InvalidEvent)), ("e3", None)]
    {
        let row = row(&place, signup_id).await;
        assert_eq!((row.parked_reason, row.state == State::Parked), (reason, reason.is_some()), "{row:?}");
    }
    assert_eq!(place.sim.books().stores.len(), 4, "nothing was made for a swapped event");

    // The newest event that is still there is what the next start tries.
    let said = refused_start(&place).await;
    assert!(said.contains("event in the ledger, that of signup e2"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_altered_envelope_stops_no_start_and_is_named() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["e1", "e2", "e3"]));
    swap(&place, "provisionings", "payload", "id", ["e2", "e3"]).await;
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    place.settled(3).await;
    let named: Vec<_> = worker.events("keys.envelope_damaged").iter().map(|line| line["signup_id"].clone()).collect();
    assert_eq!(named, ["e3", "e2"]);
    worker.stop().await;
}

/// Swaps a column of two signups, as somebody with a database client could. Of tokens, those that are not wiped.
async fn swap(place: &Place, table: &str, column: &str, key: &str, signups: [&str; 2]) {
    let [one, two] = [row(place, signups[0]).await.id, row(place, signups[1]).await.id];
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let mut envelopes = Vec::new();
    for id in [&one, &two] {
        let query = format!("SELECT hex({column}) AS hex FROM {table} WHERE {key} = '{id}' AND {column} IS NOT NULL");
        let row = database.query_one_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap().unwrap();
        envelopes.push(row.try_get::<String>("", "hex").unwrap());
    }
    for (id, envelope) in [&one, &two].into_iter().zip(envelopes.iter().rev()) {
        let update =
            format!("UPDATE {table} SET {column} = x'{envelope}' WHERE {key} = '{id}' AND {column} IS NOT NULL");
        assert_eq!(database.execute_unprepared(&update).await.unwrap().rows_affected(), 1);
    }
    database.close().await.unwrap();
}
