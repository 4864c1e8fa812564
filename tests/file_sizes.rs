//! A limit on the size of files, which makes writes fail with an I/O error where a full disk would refuse them for
//! want of room.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{PATIENCE, Place, Worker, lines};

/// Sets the limit of a process that runs already.
fn limit(worker: &Worker, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let status = Command::new("prlimit").args(["--pid", &worker.pid().to_string(), &limit]).status().unwrap();
    assert!(status.success(), "prlimit comes with util-linux");
}

fn size(place: &Place, file: &str) -> u64 {
    std::fs::metadata(place.path(file)).unwrap().len()
}

/// Submits signups, and waits until `calls` more calls have arrived at Foxy.
async fn under_way(place: &Place, ids: &[String], calls: u64) {
    let (before, started) = (place.sim.requests("POST /users"), Instant::now());
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    while place.sim.requests("POST /users") < before + calls {
        assert!(started.elapsed() < PATIENCE, "{} of {calls} calls", place.sim.requests("POST /users") - before);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_outlives_a_limit_on_its_files_and_loses_no_token_to_it() {
    let mut place = Place::new().await;
    // Each result comes late enough for the limit to be there first.
    place.sim.set_faults("POST /users: stall_after_work(1s)".parse().unwrap());
    place.set("FOXDEN_CONCURRENCY", "4");
    let ids: Vec<String> = (1..=12).map(|number| format!("s{number:02}")).collect();
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    under_way(&place, &ids[..4], 4).await;
    // The ledger can't grow any more; its log and the escrow's small files still can.
    let wal = size(&place, "ledger.db-wal");
    assert!(wal > 4 * size(&place, "worker.log"), "the log would meet the limit first");
    limit(&worker, &wal.to_string());
    worker.until("escrow.kept").await;
    limit(&worker, "unlimited");
    place.settled(4).await;

    // Nothing can grow: the tokens are in memory alone, and not even the log says so.
    under_way(&place, &ids[4..8], 4).await;
    limit(&worker, "256");
    let before = worker.events("ledger.recorded_late").len();
    // Their answers come, and what is tried with them fails.
    tokio::time::sleep(Duration::from_secs(3)).await;
    limit(&worker, "unlimited");
    place.settled(8).await;
    assert!(worker.events("ledger.recorded_late").len() > before, "the ledger took them all the time");

    place.feed(&["submit", "-"], &lines(ids[8..].iter().map(String::as_str)));
    // Read by this process, not by the one that wrote it.
    let rows = place.settled(12).await;
    worker.stop().await;
    place.books_agree(&rows).await;
    let sent = ["POST /users", "POST /stores"].map(|route| place.sim.requests(route));
    assert_eq!(sent, [12, 12], "no call was sent twice");
}
