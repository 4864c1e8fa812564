//! The mark on stores: whose each is, written at Foxy and in nobody's way.

use std::time::{Duration, Instant};

use foxden_ledger::State;
use foxden_vault::ClientSecret;
use foxy_api::{ApiOrigins, Foxy, Settings, Visibility};

use crate::support::{PATIENCE, Place, lines, row};

/// The attributes of a signup's store, read with the store's own token: name and value, and whether they are hidden
/// from other clients.
async fn marks(place: &Place, signup_id: &str) -> Vec<(String, String, bool)> {
    let (id, secret) = place.sim.client();
    let foxy = Foxy::try_new(Settings {
        api: ApiOrigins::explicit(place.sim.base_url()).unwrap(),
        client_id: id.into(),
        client_secret: ClientSecret::new(secret),
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(20),
        connection_idle: Duration::from_secs(3),
        rate: None,
        h_captcha_code: None,
        user_agent: "foxden-test/1".into(),
    })
    .unwrap();
    let ledger = place.ledger().await;
    let token = place.store_token(&ledger, &row(place, signup_id).await).await;
    let store = foxy.store(token).read().await.unwrap();
    let read = |mark: foxy_api::Attribute| (mark.name, mark.value, mark.visibility == Visibility::Restricted);
    store.attributes.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_store_has_its_signup_id_on_it_where_that_is_wanted() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["s1"]));
    let worker = place.worker("unmarked");
    place.settled(1).await;
    worker.stop().await;
    assert!(marks(&place, "s1").await.is_empty());
    place.feed(&["submit", "-"], &lines(["s2"]));
    let worker = place.worker_with("marking", &[("FOXDEN_MARK_STORES", "true"), ("FOXDEN_LOG", "debug")]);
    let told = worker.until("store.marked").await;
    assert_eq!((&told["signup_id"], &told["level"]), (&"s2".into(), &"debug".into()));
    assert_eq!(marks(&place, "s2").await, [("foxden_signup_id".to_owned(), "s2".to_owned(), true)]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_fails_or_hangs_is_in_nobodys_way() {
    let mut place = Place::new().await;
    place.set("FOXDEN_MARK_STORES", "true");
    place.set("FOXDEN_CONCURRENCY", "1");
    place.sim.set_faults("POST /stores/{id}/attributes: status(400) nth 1".parse().unwrap());
    place.feed(&["submit", "-"], &lines(["s1"]));
    let worker = place.worker("refused");
    let told = worker.until("store.not_marked").await;
    assert_eq!((&told["signup_id"], &told["reason"]), (&"s1".into(), &"Foxy refused with status 400".into()));
    worker.stop().await;

    // No mark is ever answered; all is made meanwhile, one after the other, and a stop waits for none of them.
    place.set("FOXDEN_CALL_TIMEOUT", "10m");
    place.set("FOXDEN_LEASE", "12m");
    place.set("FOXDEN_SHUTDOWN_GRACE", "12m");
    place.sim.set_faults("POST /stores/{id}/attributes: stall_before_work(20m)".parse().unwrap());
    place.feed(&["submit", "-"], &lines(["s2", "s3", "s4"]));
    let worker = place.worker("hanging");
    let rows = place.settled(4).await;
    assert!(rows.iter().all(|row| row.state == State::Closed));
    let started = Instant::now();
    while place.sim.requests("POST /stores/{id}/attributes") < 4 {
        assert!(started.elapsed() < PATIENCE, "{}", worker.log());
        tokio::task::yield_now().await;
    }
    assert!(worker.events("store.not_marked").is_empty());
    worker.stop().await;
}
