//! `foxden verify-foxy` against the simulator.

use std::collections::BTreeMap;

use foxy_sim::{Allows, CaptchaPolicy, Config};
use serde_json::Value;

use crate::support::Place;

/// The findings of one kind, by id.
type Found = BTreeMap<String, String>;

/// What a run has said.
struct Run {
    exit: Option<i32>,
    assumptions: Found,
    experiments: Found,
    /// What was seen in each experiment.
    seen: Found,
    /// The setting, as it is to be set.
    allows: Option<String>,
    /// What is left at Foxy, one line for each.
    left: Vec<String>,
}

async fn run(place: &Place, arguments: &[&str]) -> Run {
    let arguments = [&["verify-foxy", "--sandbox", "--json"], arguments].concat();
    let ended = place.run(&arguments);
    let said = String::from_utf8(ended.stderr).unwrap();
    let left = said.lines().filter_map(|line| line.strip_prefix("left at Foxy: ")).map(str::to_owned).collect();
    let (assumptions, experiments, seen) = (Found::new(), Found::new(), Found::new());
    let mut run = Run { exit: ended.status.code(), assumptions, experiments, seen, allows: None, left };
    for line in String::from_utf8(ended.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| line[name].as_str().map(str::to_owned);
        if let Some(id) = word("assumption") {
            run.assumptions.insert(id, word("finding").unwrap());
        } else if let Some(id) = word("experiment") {
            assert!(!word("means").unwrap().is_empty());
            run.seen.insert(id.clone(), word("seen").unwrap());
            run.experiments.insert(id, word("finding").unwrap());
        } else {
            assert_eq!(word("setting").as_deref(), Some("FOXDEN_FOXY_ALLOWS"));
            run.allows = word("value");
        }
    }
    run
}

/// Exit status, and each assumption with what was found.
async fn verify(place: &Place, arguments: &[&str]) -> (Option<i32>, Found) {
    let run = run(place, arguments).await;
    (run.exit, run.assumptions)
}

/// A Foxy that allows these.
async fn allowing(allows: &str) -> Place {
    Place::with(Config { allows: allows.parse().unwrap(), ..Config::default() }).await
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_is_found_by_itself_and_printed_as_the_setting() {
    for allows in ["none", "X1", "X2", "X3", "X4", "X5", "X6", "X1,X2,X3,X4,X5,X6"] {
        let place = allowing(allows).await;
        let run = run(&place, &["--yes"]).await;
        let expected = if allows == "none" { "" } else { allows };
        assert_eq!((run.allows.as_deref(), run.exit), (Some(expected), Some(0)), "{:#?}", run.experiments);
        let refused = run.experiments.iter().filter(|(_, finding)| *finding == "refused");
        assert!(refused.clone().all(|(id, _)| !allows.contains(id.as_str())), "{allows}: {:#?}", run.experiments);
        assert_eq!(refused.count() + expected.split(',').filter(|id| !id.is_empty()).count(), 6, "{allows}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_deleted_is_deleted_and_the_rest_is_listed_with_its_address() {
    let place = Place::with(Config { allows: Allows::all(), ..Config::default() }).await;
    let all = run(&place, &["--yes"]).await;
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (0, 0), "{:#?}", all.left);
    assert!(all.left.len() == 1 && all.left[0].starts_with("the OAuth client foxden_verify_"), "{:#?}", all.left);
    assert!(all.left[0].contains("/clients/"), "{:#?}", all.left);

    let place = allowing("none").await;
    let none = run(&place, &["--yes"]).await;
    let books = place.sim.books();
    for address in [&books.users[0].uri, &books.stores[0].uri] {
        assert!(none.left.iter().any(|line| line.ends_with(address.as_str())), "{:#?}", none.left);
    }
    let integrations = none.left.iter().filter(|line| line.contains("/integrations/"));
    assert_eq!((none.left.len(), integrations.count()), (4, 1), "{:#?}", none.left);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_pace_of_calls_changes_no_finding() {
    let mut place = Place::with(Config { allows: Allows::all(), ..Config::default() }).await;
    place.set("FOXDEN_FOXY_RATE", "25");
    place.set("FOXDEN_FOXY_BURST", "1");
    let run = run(&place, &["--yes"]).await;
    assert_eq!((run.exit, run.allows.as_deref()), (Some(0), Some("X1,X2,X3,X4,X5,X6")), "{:#?}", run.experiments);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_that_stays_taken_does_not_count_as_a_deletion() {
    let place = allowing("X3-kept").await;
    let run = run(&place, &["--yes"]).await;
    assert_eq!((run.experiments["X3"].as_str(), run.allows.as_deref()), ("refused", Some("")));
    assert!(run.seen["X3"].contains("the email stays taken"), "{}", run.seen["X3"]);
    assert_eq!(place.sim.books().users.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_is_not_kept_is_called_a_contradiction() {
    let place = allowing("X1,X5").await;
    place.sim.add_fault("POST /stores/{id}/integrations: forbidden nth 1".parse().unwrap());
    let run = run(&place, &["--yes"]).await;
    assert_eq!(
        (run.exit, run.experiments["X1"].as_str(), run.allows.as_deref()),
        (Some(3), "contradicted", Some("X5"))
    );
    assert!(run.seen["X1"].starts_with("OPTIONS offers it, but the call was refused"), "{}", run.seen["X1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_cleaned_up_is_listed_and_proves_nothing() {
    let place = Place::with(Config { allows: Allows::all(), ..Config::default() }).await;
    place.sim.add_fault("DELETE /stores/{id}: status(503)".parse().unwrap());
    let run = run(&place, &["--yes"]).await;
    assert_eq!((run.exit, run.experiments["X3"].as_str()), (Some(3), "unclear"), "{:#?}", run.seen);
    let books = place.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 2));
    for address in books.stores.iter().map(|store| &store.uri).chain([&books.users[0].uri]) {
        assert!(run.left.iter().any(|line| line.ends_with(address.as_str())), "{address}: {:#?}", run.left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_lists_what_it_made_and_may_have_made() {
    let mut place = Place::new().await;
    for (name, value) in [("CALL_TIMEOUT", "60s"), ("LEASE", "90s"), ("SHUTDOWN_GRACE", "70s")] {
        place.set(&format!("FOXDEN_{name}"), value);
    }
    place.sim.add_fault("POST /stores: stall_before_work(5m)".parse().unwrap());
    let mut verify = place.start("verify", &["verify-foxy", "--sandbox", "--yes"], &[]);
    while place.sim.requests("POST /stores") == 0 {
        assert!(verify.has_ended().is_none(), "{}", verify.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    verify.signal("INT");
    assert_eq!(verify.ended().await, Some(3), "{}", verify.log());
    let user = &place.sim.books().users[0].uri;
    let said = verify.log();
    assert!(said.contains(&format!("{user}\n")) && said.contains("left at Foxy: perhaps the store"), "{said}");
}
