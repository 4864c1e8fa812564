//! A ledger of an earlier release in PostgreSQL, with a broker.

use std::collections::BTreeSet;

use super::parent_app::ParentApp;
use crate::upgrade::{ENDS, Earlier};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_an_earlier_release_is_worked_to_its_end() {
    let mut earlier = Earlier::of("postgres").await;
    let parent_app = ParentApp::join(&mut earlier.place).await;
    earlier.is_worked_on().await;
    // One event has waited for the broker since; what was published then is not published again.
    let published = parent_app.take_all(&earlier.place, "OUTCOME_QUEUE").await;
    let mut signups: Vec<_> =
        published.iter().map(|taken| taken.json()["data"]["signup_id"].as_str().unwrap().to_owned()).collect();
    signups.sort();
    let expected: BTreeSet<_> = ENDS.iter().map(|(signup_id, _)| *signup_id).chain(["not-published"]).collect();
    assert_eq!(signups, expected.into_iter().collect::<Vec<_>>());
}

async fn earlier() -> Earlier {
    let mut earlier = Earlier::of("postgres").await;
    drop(ParentApp::join(&mut earlier.place).await);
    earlier.place.settings.retain(|name, _| !name.contains("AMQP"));
    earlier
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_not_migrated_under_workers() {
    earlier().await.is_not_migrated_under_workers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_not_migrated_beside_an_escrow() {
    earlier().await.is_not_migrated_beside_an_escrow().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_later_release_is_refused() {
    earlier().await.of_a_later_release_is_refused().await;
}
