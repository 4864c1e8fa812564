//! A disk that fills up and frees again, under an embedded ledger. What was acknowledged and published must be what another
//! process reads.

use std::time::Duration;

use super::{parent_app::ParentApp, small_disk::SmallDisk};
use crate::support::{Place, event, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_finds_its_escrow_s_disk_full_starts_once_there_is_room() {
    let mut place = Place::new().await;
    let Some(disk) = SmallDisk::mount(&place.path("disk"), 1) else { return };
    let escrow = place.path("disk/escrow");
    std::fs::create_dir(&escrow).unwrap();
    place.set("FOXDEN_ESCROW_DIR", escrow.to_str().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    disk.fill();
    let worker = place.worker("worker");
    let full = worker.until("escrow.full").await;
    assert_eq!(full["level"], "error");
    assert!(full["error"].as_str().unwrap().contains("No space left on device"), "{full}");
    assert!(worker.events("worker.started").is_empty());
    disk.free();
    worker.until("escrow.has_room").await;
    place.settled(1).await;
    worker.stop().await;
    assert_eq!(files_in(&escrow), 0, "what was tried is removed");
    drop(disk);
}

fn files_in(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_around_a_full_disk_is_there_for_the_next_process() {
    let mut place = Place::new().await;
    let Some(disk) = SmallDisk::mount(&place.path("disk"), 24) else { return };
    place.set("FOXDEN_DATABASE_URL", &format!("sqlite:{}", place.path("disk/ledger.db").display()));
    let parent = ParentApp::join_broker(&mut place, &server("AMQP_URL")).await;
    let mut published = 0;
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    for round in 0..2 {
        parent.publish(event(&format!("before{round}")).to_string().as_bytes()).await;
        published += 1;
        place.settled(published).await;
        // Before: the worker may notice while these are published.
        let since = worker.events("ledger.unavailable").len();
        disk.fill();
        for number in 0..3 {
            parent.publish(event(&format!("during{round}{number}")).to_string().as_bytes()).await;
        }
        worker.until_after("ledger.unavailable", since).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        disk.free();
        for number in 0..10 {
            parent.publish(event(&format!("after{round}{number}")).to_string().as_bytes()).await;
        }
        published += 13;
        // Read by this process, not by the one that wrote it.
        place.settled(published).await;
        worker.until_ledger_recovered().await;
    }
    parent.until_empty(&place, "QUEUE").await;
    worker.stop().await;
    let rows = place.settled(published).await;
    assert_eq!(rows.len(), published);
    place.books_agree(&rows).await;
    assert_eq!(parent.waiting(&place, "OUTCOME_QUEUE").await as usize, published, "each is reported once");
    drop(disk);
}
