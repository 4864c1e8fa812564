//! `FOXDEN_FOXY_ALLOWS`, seen from outside.

use crate::support::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_says_at_its_start_what_foxy_allows() {
    let mut place = Place::new().await;
    let silent = place.worker("silent");
    assert!(silent.until("worker.started").await.get("foxy_allows").is_none());
    drop(silent);
    place.set("FOXDEN_FOXY_ALLOWS", "X4,X1");
    let worker = place.worker("worker");
    assert_eq!(worker.until("worker.started").await["foxy_allows"], "X1,X4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_permission_is_a_mistake_in_the_settings() {
    let mut place = Place::new().await;
    place.set("FOXDEN_FOXY_ALLOWS", "X1,X7");
    let ended = place.run(&["worker"]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("FOXDEN_FOXY_ALLOWS") && said.contains("from X1 to X6"), "{said}");
    assert_eq!(place.sim.total_requests(), 0);
}
