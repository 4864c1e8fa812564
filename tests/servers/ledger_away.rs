//! The database away, frozen or cut off, while a token is on its way: new work stops, the broker keeps the backlog, the
//! log says so once, and the token is kept.

use std::{collections::BTreeMap, time::Duration};

use foxden_ledger::Provisioning;
use serde_json::Value;

use super::{evidence::evidence, own_servers::OwnServers, parent_app::ParentApp, relay::Relay};
use crate::support::{PATIENCE, Place, Worker, event, server};

/// How many lines of one kind at `warn` or `error` an outage may bring: one for each signup in work, and a few.
const HANDFUL: usize = 5;

/// How long the database is frozen: longer than any operation on it may take (20 s), and than the lease.
const FROZEN: Duration = Duration::from_secs(22);

/// A place with a database of its own and the broker that the tests share. The first user is made, and its answer comes
/// late enough for the database to be gone by then.
async fn place() -> (Place, ParentApp, OwnServers) {
    let servers = OwnServers::up_database().await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_at(&mut place, &servers.url("DATABASE_URL"), &server("AMQP_URL")).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_CONCURRENCY", "4");
    place.set("FOXDEN_CALL_TIMEOUT", "5s");
    place.set("FOXDEN_LEASE", "16s");
    place.sim.set_faults("POST /users: stall_after_work(4s) first 1".parse().unwrap());
    (place, parent, servers)
}

/// Publishes the signup whose answer comes late, and waits until its call is under way.
async fn one_under_way(place: &Place, parent: &ParentApp) {
    parent.publish(event("held").to_string().as_bytes()).await;
    while place.sim.requests("POST /users") == 0 {
        tokio::task::yield_now().await;
    }
}

async fn publish(parent: &ParentApp, count: usize) {
    for number in 0..count {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
}

/// Waits until exactly so many messages wait in the signup queue.
async fn queue_settles_at(place: &Place, parent: &ParentApp, count: u32) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let waiting = parent.waiting(place, "QUEUE").await;
        if waiting == count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{waiting} wait instead of {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the outbox is empty.
async fn no_event_waits(place: &Place) {
    let ledger = place.ledger().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while ledger.count_waiting_events().await.unwrap() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "the outbox is not emptied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ledger.close().await.unwrap();
}

/// All are provisioned, by one call for each user and one for each store.
async fn each_is_made_once(place: &Place, rows: &[Provisioning]) {
    place.books_agree(rows).await;
    let sent = ["POST /users", "POST /stores"].map(|route| place.sim.requests(route));
    assert_eq!(sent, [rows.len() as u64; 2], "no call was sent twice");
}

/// No kind of complaint fills the log.
fn complains_little(worker: &Worker) {
    let log = worker.log();
    let mut complaints: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if line["level"] == "warn" || line["level"] == "error" {
            let kind = line["event"].as_str().or(line["target"].as_str()).unwrap().to_owned();
            *complaints.entry(kind).or_default() += 1;
        }
    }
    assert!(complaints.values().all(|count| *count <= HANDFUL), "{complaints:?}");
}

/// One outage: told once when it began, and once when it was over.
fn tells_of_one_outage(worker: &Worker) {
    let told = ["ledger.unavailable", "ledger.recovered"].map(|name| worker.events(name).len());
    assert_eq!(told, [1, 1], "{}", worker.log());
    complains_little(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_the_broker_keeps_the_backlog_and_the_escrow_the_token() {
    const BACKLOG: usize = 20;
    let (place, parent, servers) = place().await;
    let mut workers = Vec::new();
    for name in ["one", "two"] {
        let worker = place.worker_with(name, &[("FOXDEN_ESCROW_DIR", &format!("escrow-{name}"))]);
        worker.until("broker.connected").await;
        workers.push((name, worker));
    }
    one_under_way(&place, &parent).await;
    servers.kill("postgres").await;
    publish(&parent, BACKLOG).await;

    let at = workers.iter().position(|(_, worker)| !worker.events("signup.accepted").is_empty()).unwrap();
    let (name, victim) = workers.remove(at);
    let (_, lasting) = workers.remove(0);
    victim.until("escrow.kept").await;
    for worker in [&victim, &lasting] {
        worker.until("ledger.unavailable").await;
    }
    assert_eq!(victim.events("ledger.unavailable").len(), 1);
    complains_little(&victim);
    victim.crash();
    // The other one holds as many as it has room for.
    queue_settles_at(&place, &parent, BACKLOG as u32 - 4).await;
    assert_eq!(parent.waiting(&place, "DEAD_QUEUE").await, 0);
    let escrow = format!("escrow-{name}");
    let mut too_early = place.worker_with("too-early", &[("FOXDEN_ESCROW_DIR", &escrow)]);
    assert_eq!(too_early.ended().await, Some(1), "it has nothing to begin with:\n{}", too_early.log());

    servers.restart("postgres").await;
    let next = place.worker_with("next", &[("FOXDEN_ESCROW_DIR", &escrow)]);
    next.until("escrow.drained").await;
    let rows = place.settled(BACKLOG + 1).await;
    lasting.until("ledger.recovered").await;
    tells_of_one_outage(&lasting);
    assert!(next.events("ledger.unavailable").is_empty());
    for worker in [lasting, next] {
        worker.stop().await;
    }
    each_is_made_once(&place, &rows).await;
    assert_eq!(parent.waiting(&place, "DEAD_QUEUE").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_noticed_and_nothing_is_lost_or_doubled() {
    const BACKLOG: usize = 10;
    let (place, parent, servers) = place().await;
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    one_under_way(&place, &parent).await;
    servers.freeze("postgres").await;
    let frozen_until = tokio::time::Instant::now() + FROZEN;
    publish(&parent, BACKLOG).await;
    worker.until("escrow.kept").await;
    worker.until("ledger.unavailable").await;
    // Whatever was asked has been given up by then; the server does it all the same once it goes on.
    tokio::time::sleep_until(frozen_until).await;
    servers.thaw("postgres").await;
    let rows = place.settled(BACKLOG + 1).await;
    worker.until("ledger.recovered").await;
    tells_of_one_outage(&worker);
    worker.stop().await;
    each_is_made_once(&place, &rows).await;
    assert_eq!(parent.waiting(&place, "DEAD_QUEUE").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_no_escrow_takes_is_kept_in_memory_until_the_ledger_is_back() {
    let (mut place, parent, servers) = place().await;
    place.set("FOXDEN_ESCROW_DIR", "escrow");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    one_under_way(&place, &parent).await;
    std::fs::remove_dir_all(place.path("escrow")).unwrap();
    servers.kill("postgres").await;
    let failed = worker.until("escrow.failed").await;
    assert_eq!((&failed["level"], &failed["signup_id"]), (&"error".into(), &"held".into()));
    // From here on it is in memory alone.
    assert_eq!(worker.until("ledger.record_failed").await["in_escrow"], false);
    servers.restart("postgres").await;
    worker.until("ledger.recorded_late").await;
    let rows = place.settled(1).await;
    worker.stop().await;
    place.books_agree(&rows).await;
    assert_eq!(place.sim.requests("POST /users"), 1, "no call was sent twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_doubles_nothing() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let relay = Relay::to(&place.settings["FOXDEN_DATABASE_URL"]).await;
    let url = relay.through(&place.settings["FOXDEN_DATABASE_URL"]);
    let worker = place.worker_with("worker", &[("FOXDEN_DATABASE_URL", &url)]);
    worker.until("broker.connected").await;
    // The commits of one signup: accepted, its user recorded, its store recorded.
    for (settled, commits_first) in [(1, 2), (2, 1), (3, 0)] {
        let body = event(&format!("s{commits_first}")).to_string();
        let (cut, ()) = tokio::join!(relay.cut_at_commit(commits_first, PATIENCE), parent.publish(body.as_bytes()));
        assert!(cut, "commit {commits_first} did not come:\n{}", worker.log());
        place.settled(settled).await;
        // What tells of it is done before the next one's commits are counted.
        parent.take(&place, "OUTCOME_QUEUE", 1).await;
        no_event_waits(&place).await;
    }
    let rows = place.settled(3).await;
    worker.stop().await;
    each_is_made_once(&place, &rows).await;
    // Asked again, the ledger tells its worker that it was done: nothing waits for a lease to end or is written twice.
    let evidence = evidence(&place).await;
    assert!(evidence.len() == 6 && evidence.iter().all(|attempt| attempt.kind == "create"));
    parent.until_empty(&place, "QUEUE").await;
}
