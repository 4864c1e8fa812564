//! Custody for people: tokens that are opened on the record, customers who are forgotten, and what a process gives away.

use std::{os::unix::process::ExitStatusExt as _, process::Output};

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;

use crate::support::{Place, event, row};

/// Stands for a customer in all that is written.
const CUSTOMER: &str = "customer-7";

/// A place where `s1` is provisioned, and `s2` parked for a domain that is taken.
async fn settled() -> Place {
    let place = Place::new().await;
    place.sim.set_faults("POST /stores: status 400 nth 2".parse().unwrap());
    for id in ["s1", "s2"] {
        let mut event = event(id);
        event["user"]["id"] = format!("{CUSTOMER}-{id}").into();
        place.feed(&["submit", "-"], &event.to_string());
        let worker = place.worker("worker");
        place.settled(if id == "s1" { 1 } else { 2 }).await;
        worker.stop().await;
    }
    assert!(row(&place, "s2").await.parked_reason.is_some());
    place
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `show` tells of people's acts, the newest first.
fn audit(place: &Place, signup_id: &str) -> Vec<Value> {
    place.json(&["show", signup_id, "--json"])["audit"].as_array().unwrap().clone()
}

/// Runs a shell with the token of `s1`.
fn shell(place: &Place, script: &str) -> Output {
    place.run(&["token", "s1", "--exec", "--", "/bin/sh", "-c", script, "a0", "a1"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_gets_the_token_in_its_environment_and_nothing_of_foxdens() {
    let mut place = settled().await;
    place.set("FOXY_STORE_URI", "https://left.over.example");
    place.set("PGPASSWORD", "hunter2");
    let said = shell(
        &place,
        "env; echo; tr '\\0' ' ' </proc/$$/cmdline; echo; for fd in /proc/$$/fd/*; do readlink $fd; done; exit 0",
    );
    assert!(said.status.success(), "{said:?}");
    let out = text(&said.stdout);
    let mut parts = out.splitn(3, "\n\n");
    let (environment, rest) = (parts.next().unwrap(), parts.next().unwrap());
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let token = value("FOXY_ACCESS_TOKEN").unwrap();
    let store = row(&place, "s1").await.store_uri.unwrap();
    assert!(place.sim.access_token_is_valid(token).is_some());
    assert_eq!((value("FOXY_STORE_URI"), value("FOXY_API_HOME")), (Some(store.as_str()), Some(place.sim.base_url())));
    assert!(!environment.contains("FOXDEN_") && value("PGPASSWORD").is_none(), "{environment}");
    assert!(rest.starts_with("/bin/sh -c") && !rest.contains(token), "{rest}");
    assert!(!rest.contains("ledger.db"), "no file of foxden's is left open: {rest}");
    assert!(!text(&said.stderr).contains(token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commands_exit_status_and_its_signals_are_its_own() {
    let place = settled().await;
    assert_eq!(shell(&place, "exit 7").status.code(), Some(7));
    assert_eq!(shell(&place, "kill -TERM $$").status.signal(), Some(15));
    let missing = place.run(&["token", "s1", "--exec", "--", "./is-not-there"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("could not run ./is-not-there"), "{missing:?}");
    for wrong in [
        &["token", "s1", "--exec"][..],
        &["token", "s1", "--", "env"],
        &["token", "s1", "--exec", "--json", "--", "env"],
    ] {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opens_a_token_is_recorded_logged_and_shown() {
    let place = settled().await;
    let opened = place.run(&["token", "s1", "--as", "ada", "--reason", "ticket 4711"]);
    assert!(opened.status.success(), "{opened:?}");
    let line = text(&opened.stderr).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).next().unwrap();
    assert_eq!((&line["event"], &line["signup_id"]), (&"token.opened".into(), &"s1".into()));
    assert_eq!((&line["reason"], &line["scope"]), (&"ticket 4711".into(), &"store_full_access".into()));
    assert!(line["who"].as_str().unwrap().starts_with("ada via "), "{line}");
    let entry = audit(&place, "s1").remove(0);
    assert_eq!((&entry["act"], &entry["reason"]), (&"open_token".into(), &"ticket 4711".into()));
    assert_eq!(entry["who"], line["who"]);
    let shown = place.feed(&["show", "s1"], "");
    assert!(shown.contains("ada via ") && shown.contains("ticket 4711"), "{shown}");

    place.feed(&["token", "s1"], "");
    assert!(!audit(&place, "s1")[0]["who"].as_str().unwrap().is_empty(), "the account, where nobody says a name");
    place.feed(&["retry", "s2"], "");
    assert_eq!(audit(&place, "s2")[0]["act"], "retry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_given_out_on_the_record_or_not_at_all() {
    let mut place = settled().await;
    place.set("FOXDEN_TOKEN_REASON", "required");
    let refused = place.run(&["token", "s1"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(text(&refused.stderr).contains("--reason"), "{refused:?}");
    assert!(audit(&place, "s1").is_empty());
    let token = &["token", "s1", "--reason", "ticket 4711"];
    place.feed(token, "");

    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute_unprepared(full).await.unwrap();
    database.close().await.unwrap();
    let asked = place.sim.total_requests();
    let refused = place.run(token);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{refused:?}");
    assert!(text(&refused.stderr).contains("could not be recorded in the ledger"), "{refused:?}");
    assert_eq!(place.sim.total_requests(), asked, "Foxy is not asked for a token that nobody may have");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_customer_is_in_no_file_and_the_same_event_makes_nothing_anew() {
    let place = settled().await;
    let worker = place.worker("beside");
    worker.until("worker.started").await;
    let said = place.feed(&["forget", "s1", "--reason", "request 12"], "");
    let before = row(&place, "s1").await;
    for part in [before.store_uri.as_deref().unwrap(), before.user_uri.as_deref().unwrap(), "--tokens", "foxden dead"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    place.feed(&["token", "s1"], "");
    let shown = place.json(&["show", "s1", "--json"]);
    assert!(shown["forgotten_at"].is_string() && shown["user_id"].is_null() && shown["state"] == "closed", "{shown}");
    for file in ["ledger.db", "ledger.db-wal"] {
        let bytes = std::fs::read(place.path(file)).unwrap_or_default();
        let name = format!("{CUSTOMER}-s1");
        assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{file}");
    }

    let mut changed = event("s1");
    changed["store"]["name"] = "Another".into();
    for repeat in [event("s1"), changed] {
        let known: Value = serde_json::from_str(&place.feed(&["submit", "-", "--json"], &repeat.to_string())).unwrap();
        assert_eq!((&known["submitted"], &known["known"]), (&0.into(), &1.into()));
    }
    assert_eq!(place.run(&["forget", "s1", "--tokens"]).status.code(), Some(2), "that takes --yes");
    let all = place.json(&["forget", "s1", "--tokens", "--links", "--yes", "--json"]);
    assert_eq!(
        (&all["tokens_wiped"], &all["tokens_kept"], &all["gone_from_file"]),
        (&1.into(), &0.into(), &true.into())
    );
    assert_eq!(all["left_at_foxy"]["store_uri"], before.store_uri.unwrap());
    let refused = place.run(&["token", "s1"]);
    assert!(text(&refused.stderr).contains("no store token any more: its customer was forgotten"), "{refused:?}");
    assert_eq!(audit(&place, "s1").len(), 3);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_customer_is_forgotten_once_the_signup_is_cancelled() {
    let place = settled().await;
    let refused = place.run(&["forget", "s2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("close it first, with `foxden cancel s2"), "{refused:?}");
    assert_eq!(place.run(&["cancel", "s2", "--yes"]).status.code(), Some(2), "that takes a reason");
    place.feed(&["cancel", "s2", "--reason", "request 12", "--yes"], "");
    let said = place.feed(&["forget", "s2"], "");
    assert!(said.contains("Left at Foxy: "), "{said}");
    assert_eq!(place.run(&["retry", "s2"]).status.code(), Some(1));
    let counts = place.json(&["status", "--json"]);
    assert_eq!((&counts["parked"], &counts["cancelled"], &counts["provisioned"]), (&0.into(), &1.into(), &1.into()));
    let acts: Vec<_> = audit(&place, "s2").iter().map(|entry| entry["act"].clone()).collect();
    assert_eq!(acts, ["forget", "cancel"]);
    place.feed(&["submit", "-"], &event("s3").to_string());
    let refused = place.run(&["forget", "s3"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("there is still work to do for it"), "{refused:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_dumps_no_core() {
    let place = Place::new().await;
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_foxy_replaces_is_opened_again_and_again() {
    let place = settled().await;
    for faults in ["POST /token: rotate", "POST /token: rotate(later)"] {
        place.sim.set_faults(faults.parse().unwrap());
        for _ in 0..3 {
            let said = place.run(&["token", "s1"]);
            assert!(said.status.success(), "{faults}: {said:?}");
            assert!(place.sim.access_token_is_valid(text(&said.stdout).trim()).is_some());
        }
    }
    place
        .sim
        .set_faults("POST /token: scope(user_full_access) nth 1; POST /token: token_type(mac) nth 2".parse().unwrap());
    for problem in ["a token of another scope, which was not used", "a token that is no bearer token"] {
        let said = place.run(&["token", "s1"]);
        assert_eq!((said.status.code(), said.stdout.len()), (Some(1), 0), "{said:?}");
        assert!(text(&said.stderr).contains(problem), "{said:?}");
    }
    assert!(place.run(&["token", "s1"]).status.success());
}
