//! A ledger belongs to one Foxy, and is refused to any other.

use foxden_ledger::{Ledger, SignupId};
use foxy_sim::{Config, Simulator};
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::{Place, lines};

/// What only an earlier release, or a person with a database client, would do.
async fn meddle(place: &Place, statement: &str) {
    let meddler = Database::connect(place.settings["FOXDEN_DATABASE_URL"].as_str()).await.unwrap();
    meddler.execute_unprepared(statement).await.unwrap();
    meddler.close().await.unwrap();
}

async fn provisioned() -> Place {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["acct_1"]));
    let worker = place.worker("first");
    place.settled(1).await;
    worker.stop().await;
    place
}

fn refused(place: &Place, arguments: &[&str]) -> String {
    let ended = place.feed_any(arguments, &lines(["acct_2"]));
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_is_refused_to_another_foxy_and_nothing_is_done() {
    let mut place = provisioned().await;
    let (ours, database) = (place.sim.base_url().to_owned(), place.settings["FOXDEN_DATABASE_URL"].clone());
    let other = Simulator::start(Config::default()).await.unwrap();
    place.set("FOXDEN_FOXY_API", other.base_url());
    let why = format!(
        "error: the ledger at {database} belongs to {ours}, and the settings name {} (FOXDEN_FOXY_API). Nothing was done; \
         set FOXDEN_FOXY_API={ours}, or name that Foxy's ledger with FOXDEN_DATABASE_URL; if both are the same \
         Foxy: foxden migrate rebind\n",
        other.base_url()
    );
    for arguments in [
        &["worker"][..],
        &["token", "acct_1"],
        &["submit", "-"],
        &["show", "acct_1"],
        &["status"],
        &["status", "--orphans"],
        &["retry", "acct_1"],
        &["cancel", "acct_1", "--reason", "test", "--yes"],
        &["forget", "acct_1", "--reason", "test", "--yes"],
        &["keys", "status"],
        &["keys", "reseal"],
        &["migrate", "restored", "--at", "2026-11-28T06:00:00Z", "--reason", "test"],
    ] {
        let said = refused(&place, arguments);
        assert!(said.contains(&why), "{arguments:?}: {said}");
    }
    assert_eq!(other.total_requests(), 0);
    // Its tokens say whose they are.
    let ledger = place.ledger().await;
    let id = SignupId::parse("acct_1").unwrap();
    let row = ledger.find(&id).await.unwrap().unwrap();
    for held in ledger.credentials(&row.id).await.unwrap() {
        let client = held.client.unwrap();
        assert_eq!((client.id.as_str(), client.foxy.to_string()), (place.sim.client().0, ours.clone()));
    }
    ledger.close().await.unwrap();
    // The schema is no one's.
    assert!(place.run(&["migrate", "status"]).status.success());
    place.set("FOXDEN_FOXY_API", &ours);
    assert_eq!(place.json(&["status", "--json"])["signups"], 1, "acct_2 was not taken");
    place.feed(&["token", "acct_1"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_names_of_production_are_one_foxy() {
    let mut place = provisioned().await;
    meddle(&place, "UPDATE which_foxy SET foxy = 'production'").await;
    for name in ["production", "production-io", "https://api.foxy.io", "https://api.foxycart.com/"] {
        place.set("FOXDEN_FOXY_API", name);
        place.feed(&["status"], "");
    }
    for name in ["sandbox", "https://api-sandbox.foxycart.com", "https://foxy.example"] {
        place.set("FOXDEN_FOXY_API", name);
        let said = refused(&place, &["status"]);
        let named = if name == "https://foxy.example" { name } else { "sandbox" };
        assert!(said.contains(&format!("belongs to production, and the settings name {named} (")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_an_earlier_release_is_taken_by_the_foxy_that_its_users_are_at() {
    let place = provisioned().await;
    meddle(&place, "DELETE FROM which_foxy").await;
    meddle(&place, "UPDATE provisionings SET user_uri = 'https://api.foxycart.com/users/1'").await;
    let requests = place.sim.total_requests();
    for arguments in [&["worker"][..], &["token", "acct_1"]] {
        let said = refused(&place, arguments);
        let why = format!("has a user at https://api.foxycart.com/users/1, which is not at {}", place.sim.base_url());
        assert!(said.contains(&why), "{said}");
    }
    let foxy = async |place: &Place| {
        let ledger: Ledger = place.ledger().await;
        let foxy = ledger.foxy().await.unwrap();
        ledger.close().await.unwrap();
        foxy.map(|foxy| foxy.to_string())
    };
    assert_eq!((foxy(&place).await, place.sim.total_requests()), (None, requests), "nothing was done");
    meddle(&place, &format!("UPDATE provisionings SET user_uri = '{}/users/1'", place.sim.base_url())).await;
    place.feed(&["token", "acct_1"], "");
    assert_eq!(foxy(&place).await.as_deref(), Some(place.sim.base_url()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_a_simulator_belongs_to_its_books() {
    let mut place = Place::new().await;
    place.set("FOXDEN_FOXY_API", "simulator");
    place.settings.retain(|name, _| !name.starts_with("FOXDEN_FOXY_CLIENT"));
    place.feed(&["submit", "-"], &lines(["acct_1"]));
    let worker = place.worker("first");
    place.settled(1).await;
    worker.stop().await;
    // Another port each time, and the same books.
    place.feed(&["token", "acct_1"], "");

    place.set("FOXDEN_SIMULATOR_BOOKS", "others.jsonl");
    for arguments in [&["worker"][..], &["token", "acct_1"]] {
        let said = refused(&place, arguments);
        assert!(said.contains("and its books are not at others.jsonl (FOXDEN_SIMULATOR_BOOKS)"), "{said}");
    }
    let others = place.path("others.jsonl");
    assert!(!others.exists(), "books were made for nothing");
    let other = Simulator::start(Config { books: Some(others), ..Config::default() }).await.unwrap();
    for arguments in [&["worker"][..], &["token", "acct_1"], &["show", "acct_1"]] {
        let said = refused(&place, arguments);
        let why = format!("the settings name simulator:{} (FOXDEN_FOXY_API, FOXDEN_SIMULATOR_BOOKS)", other.books_id());
        assert!(said.contains(&why), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulator_without_books_is_no_ones_foxy_and_gets_none() {
    let mut place = provisioned().await;
    let ours = place.sim.base_url().to_owned();
    place.set("FOXDEN_FOXY_API", "simulator");
    place.settings.retain(|name, _| !name.starts_with("FOXDEN_FOXY_CLIENT"));
    for arguments in [&["worker"][..], &["token", "acct_1"], &["submit", "-"], &["status"], &["retry", "acct_1"]] {
        let said = refused(&place, arguments);
        let why = format!("belongs to {ours}, and the settings name a simulator that has no books yet");
        assert!(said.contains(&why), "{arguments:?}: {said}");
    }
    assert!(!place.path("foxy-sim.books.jsonl").exists(), "books were made for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_not_what_its_envelope_says_keeps_no_worker_from_starting() {
    let place = provisioned().await;
    meddle(&place, "UPDATE provisionings SET signup_id = 'acct_9'").await;
    let worker = place.worker("again");
    worker.until("custody.mismatch").await;
    worker.until("worker.started").await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ledger_is_made_by_what_is_to_be_done_to_one() {
    let place = Place::new().await;
    let why = ["--reason", "test"];
    for arguments in
        [&["rebind", "--from", "sandbox", "--to", "production"][..], &["restored", "--at", "2026-11-28T06:00:00Z"]]
    {
        let ended = place.run(&[&["migrate"], arguments, &why[..]].concat());
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(1) && said.contains("there is no ledger at"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_is_rebound_to_another_foxy_by_a_person_who_says_why() {
    let mut place = provisioned().await;
    let (ours, other) = (place.sim.base_url().to_owned(), "http://127.0.0.1:9");
    let rebind = |from: &str, to: &str, more: &[&str]| {
        place.run(&[&["migrate", "rebind", "--from", from, "--to", to][..], more].concat())
    };
    let why = ["--reason", "the simulator moved"];
    assert_eq!(rebind(&ours, other, &[]).status.code(), Some(2), "without a reason");
    let wrong = rebind("sandbox", other, &why);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said.contains(&format!("belongs to {ours}, and not to sandbox")), "{said}");
    let done = rebind(&ours, other, &[&why[..], &["--json"]].concat());
    assert!(done.status.success(), "{done:?}");
    let done: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((done["to"].as_str(), done["tokens"].as_u64()), (Some(other), Some(2)));
    let again = rebind(&ours, other, &[&why[..], &["--json"]].concat());
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).expect("to repeat it is harmless");
    assert_eq!(again["tokens"].as_u64(), Some(0));

    refused(&place, &["status"]);
    place.set("FOXDEN_FOXY_API", other);
    place.feed(&["status"], "");
    let ledger = place.ledger().await;
    let row = ledger.find(&SignupId::parse("acct_1").unwrap()).await.unwrap().unwrap();
    for held in ledger.credentials(&row.id).await.unwrap() {
        assert_eq!(held.client.unwrap().foxy.to_string(), other);
        assert!(held.resource_uri.unwrap().starts_with(&format!("{other}/")));
    }
    for address in [row.user_uri, row.store_uri] {
        assert!(address.unwrap().starts_with(&format!("{other}/")), "what was at the one is at the other");
    }
    ledger.close().await.unwrap();
}
