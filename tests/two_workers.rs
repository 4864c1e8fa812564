//! Two workers without a broker on one SQLite file.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use foxden_ledger::{ParkedReason, Provisioning, State};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

use crate::support::{PATIENCE, Place, Worker, lines};

/// Users and stores whose answers are lost, with and without their work done.
const FAULTS: &str = "POST /users: reset_before_work every 9; POST /users: reset_after_work every 13; \
                      POST /stores: gateway_html(502) every 7; POST /stores: no_token every 11";

/// How many signups a worker has in work at once.
const CONCURRENCY: usize = 3;

/// One row of evidence.
struct Evidence {
    signup_id: String,
    owner: String,
    kind: String,
    step: String,
    outcome: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_one_file_double_nothing_when_one_of_them_is_killed() {
    let config = foxy_sim::Config {
        latency: "50..150".parse().unwrap(),
        faults: FAULTS.parse().unwrap(),
        ..foxy_sim::Config::default()
    };
    let mut place = Place::with(config).await;
    place.set("FOXDEN_CONCURRENCY", &CONCURRENCY.to_string());
    // As short as a call of this length allows.
    place.set("FOXDEN_CALL_TIMEOUT", "1s");
    place.set("FOXDEN_LEASE", "11100ms");
    let (killed, survivor) = (place.worker("killed"), place.worker("survivor"));
    let owners = [boot(&killed).await, boot(&survivor).await];
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();

    let (mut submitted, started) = (BTreeSet::new(), Instant::now());
    let left = loop {
        assert!(started.elapsed() < PATIENCE, "not both have made something, or the first is never met with a call");
        if count(&database, "provisionings WHERE state NOT IN ('closed', 'parked')").await < 10 {
            submit(&place, &mut submitted, 10);
        }
        if !have_all_made_something(&database, &owners).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        killed.freeze().await;
        let announced = announced_by(&database, &owners[0]).await;
        if !announced.is_empty() {
            break announced;
        }
        killed.thaw();
    };
    killed.crash();
    submit(&place, &mut submitted, 10);
    let rows = place.settled(submitted.len()).await;
    let evidence = all_evidence(&database).await;
    database.close().await.unwrap();

    let vanished = evidence.iter().filter(|e| e.kind == "expired" && e.owner == owners[0]);
    let taken_over: BTreeSet<String> = vanished.map(|e| e.signup_id.clone()).collect();
    assert!(left.is_subset(&taken_over), "{left:?} were announced by the killed worker, {taken_over:?} taken over");
    survivor.stop().await;

    let ids: BTreeSet<String> = rows.iter().map(|row| row.signup_id.to_string()).collect();
    assert_eq!(ids, submitted);
    for row in &rows {
        assert!(row.state == State::Closed || faults_explain(row, &evidence), "{row:?}");
    }
    place.tokens_open_their_stores(&rows).await;
    nothing_was_made_twice(&place, &submitted);
    no_call_was_sent_without_evidence(&place, &evidence);
}

/// The id of this boot of a worker, once it is ready.
async fn boot(worker: &Worker) -> String {
    worker.until("worker.started").await["worker"].as_str().unwrap().to_owned()
}

fn submit(place: &Place, submitted: &mut BTreeSet<String>, count: usize) {
    let first = submitted.len();
    let ids: Vec<String> = (first..first + count).map(|number| format!("acct_{number:03}")).collect();
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    submitted.extend(ids);
}

async fn count(database: &DatabaseConnection, of: &str) -> usize {
    let query = Statement::from_string(DbBackend::Sqlite, format!("SELECT COUNT(*) AS n FROM {of}"));
    let count: i64 = database.query_one_raw(query).await.unwrap().unwrap().try_get("", "n").unwrap();
    usize::try_from(count).unwrap()
}

/// Whether each worker has made several users and stores.
async fn have_all_made_something(database: &DatabaseConnection, owners: &[String]) -> bool {
    for owner in owners {
        if count(database, &format!("attempts WHERE outcome = 'done' AND owner = '{owner}'")).await < CONCURRENCY {
            return false;
        }
    }
    true
}

/// The signups for which this worker has announced a call that it has not recorded.
async fn announced_by(database: &DatabaseConnection, owner: &str) -> BTreeSet<String> {
    let query = format!("SELECT signup_id FROM provisionings WHERE state = 'in_flight' AND lease_owner = '{owner}'");
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "signup_id").unwrap()).collect()
}

async fn all_evidence(database: &DatabaseConnection) -> Vec<Evidence> {
    let query = "SELECT signup_id, a.owner, a.kind, a.step, a.outcome FROM attempts a \
                 JOIN provisionings p ON p.id = a.provisioning_id";
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Sqlite, query)).await.unwrap();
    let text = |row: &sea_orm::QueryResult, column| row.try_get::<String>("", column).unwrap();
    rows.iter()
        .map(|row| Evidence {
            signup_id: text(row, "signup_id"),
            owner: text(row, "owner"),
            kind: text(row, "kind"),
            step: text(row, "step"),
            outcome: text(row, "outcome"),
        })
        .collect()
}

/// Parked since a token was lost, at a step where an answer was lost or a worker vanished.
fn faults_explain(row: &Provisioning, evidence: &[Evidence]) -> bool {
    let step = match row.parked_reason {
        Some(ParkedReason::UserTokenLost | ParkedReason::EmailInDoubt) => "user",
        Some(ParkedReason::StoreTokenLost) => "store",
        _ => return false,
    };
    evidence.iter().any(|e| {
        let answer_lost =
            e.kind == "create" && matches!(e.outcome.as_str(), "unknown" | "unknown_on_kept_connection" | "token_lost");
        e.signup_id == row.signup_id.as_str() && e.step == step && (answer_lost || e.kind == "expired")
    })
}

/// The simulator keeps emails and domains unique, as Foxy does. So stores are counted by their names, of which each signup
/// has its own; and a second call for a user would have parked its signup as `email_taken`.
fn nothing_was_made_twice(place: &Place, submitted: &BTreeSet<String>) {
    let books = place.sim.books();
    let made: Vec<Vec<String>> = vec![
        books.users.iter().map(|user| user.email.replace("@customers.example", "")).collect(),
        books.stores.iter().map(|store| store.name.replace("Engines ", "")).collect(),
    ];
    for made in made {
        let unique: BTreeSet<String> = made.iter().cloned().collect();
        assert_eq!(unique.len(), made.len(), "made twice: {made:?}");
        assert!(unique.is_subset(submitted), "made for nobody: {unique:?}");
    }
}

/// Each request to create something has its row of evidence. Of a call whose worker vanished nobody knows whether it was
/// sent.
fn no_call_was_sent_without_evidence(place: &Place, evidence: &[Evidence]) {
    for (step, route) in [("user", "POST /users"), ("store", "POST /stores")] {
        let count = |is: &dyn Fn(&Evidence) -> bool| evidence.iter().filter(|e| e.step == step && is(e)).count() as u64;
        let sent = count(&|e| e.kind == "create" && e.outcome != "no_effect");
        let vanished = count(&|e| e.kind == "expired");
        let received = place.sim.requests(route);
        assert!((sent..=sent + vanished).contains(&received), "{route}: {received}, of {sent} and {vanished}");
        assert!(vanished <= CONCURRENCY as u64);
    }
}
