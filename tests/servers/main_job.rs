//! From a published event to a sealed token.

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

use super::parent_app::ParentApp;
use crate::support::{Place, event, lines};

/// A place with servers, its schema and its topology.
async fn place() -> (Place, ParentApp) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    (place, parent)
}

/// The same, where no call times out: on a busy machine one may take long, and a lost answer is another matter.
async fn patient_place() -> (Place, ParentApp) {
    let (mut place, parent) = place().await;
    for (name, value) in [("CALL_TIMEOUT", "60s"), ("SHUTDOWN_GRACE", "90s"), ("LEASE", "2m")] {
        place.set(&format!("FOXDEN_{name}"), value);
    }
    (place, parent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_event_becomes_one_user_one_store_and_one_token_that_opens() {
    let (place, parent) = patient_place().await;
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    for number in 0..25 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    let rows = place.settled(25).await;
    place.books_agree(&rows).await;
    let outcomes = parent.take(&place, "OUTCOME_QUEUE", 25).await;
    for outcome in &outcomes {
        let told = outcome.json();
        assert_eq!((&told["specversion"], &told["type"]), (&"1.0".into(), &"com.foxden.signup.provisioned.v1".into()));
        let row = rows.iter().find(|row| told["subject"] == row.signup_id.as_str()).unwrap();
        assert_eq!(told["data"]["store_uri"].as_str(), row.store_uri.as_deref());
    }
    parent.until_empty(&place, "QUEUE").await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_published_twice_is_made_once() {
    let (place, parent) = patient_place().await;
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    for _ in 0..2 {
        for number in 0..5 {
            parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
        }
    }
    let rows = place.settled(5).await;
    parent.until_empty(&place, "QUEUE").await;
    worker.until("signup.duplicate").await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_accepted_is_dead_lettered_with_its_reason_and_blocks_nothing() {
    let (place, parent) = place().await;
    let mut worker = place.worker("worker");
    worker.until("broker.connected").await;
    let mut wrong = event("wrong");
    wrong["store"]["country"] = "XX".into();
    wrong["user"]["email"] = "none".into();
    parent.publish(b"{ not json").await;
    parent.publish(&[0xff, 0xfe]).await;
    parent.publish(wrong.to_string().as_bytes()).await;
    parent.publish(event("good").to_string().as_bytes()).await;
    place.settled(1).await;
    let mut changed = event("good");
    changed["store"]["name"] = "Another".into();
    parent.publish(changed.to_string().as_bytes()).await;

    let dead = parent.take(&place, "DEAD_QUEUE", 4).await;
    let of = |body: &[u8]| dead.iter().find(|dead| dead.body == body).expect("its body is kept");
    assert_eq!(of(b"{ not json").header("x-foxden-reason"), "unreadable");
    assert_eq!(of(&[0xff, 0xfe]).header("x-foxden-reason"), "unreadable");
    let refused = of(wrong.to_string().as_bytes());
    assert_eq!(refused.header("x-foxden-reason"), "invalid");
    let mistakes = refused.header("x-foxden-mistakes");
    assert!(mistakes.contains("store.country") && mistakes.contains("user.email"), "{mistakes}");
    assert_eq!(of(changed.to_string().as_bytes()).header("x-foxden-reason"), "conflict");
    parent.until_empty(&place, "QUEUE").await;
    // The last line may come after the letter that it tells of.
    worker.terminate();
    assert_eq!(worker.ended().await, Some(0));
    assert_eq!(worker.events("signup.dead_lettered").len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_s_signups_are_taken_up_by_the_next() {
    let (mut place, parent) = place().await;
    place.sim.set_latency("20..60".parse().unwrap());
    place.set("FOXDEN_CONCURRENCY", "4");
    let first = place.worker("first");
    first.until("broker.connected").await;
    for number in 0..30 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    while place.sim.books().stores.len() < 6 {
        tokio::task::yield_now().await;
    }
    first.crash();
    let next = place.worker("next");
    let rows = place.settled(30).await;
    next.stop().await;
    let books = place.sim.books();
    assert!(books.users.len() <= 30 && books.stores.len() <= 30, "made twice");
    assert_eq!(rows.len(), 30, "none is lost");
    let lost = rows.iter().filter(|row| row.parked_reason.is_some()).count();
    assert!(lost <= 4, "only what was under way at the kill can have lost its token: {lost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_the_load() {
    let (place, parent) = place().await;
    place.sim.set_latency("20..60".parse().unwrap());
    let workers = [place.worker("one"), place.worker("two")];
    for worker in &workers {
        worker.until("broker.connected").await;
    }
    for number in 0..60 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    let rows = place.settled(60).await;
    place.books_agree(&rows).await;
    for worker in workers {
        assert!(!worker.events("store.created").is_empty(), "both had work");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submit_publishes_to_the_broker_where_there_is_one() {
    let (place, parent) = place().await;
    let said = place.feed(&["submit", "-", "--json"], &lines(["s1", "s2", "s3"]));
    assert!(said.contains("\"submitted\":3"), "{said}");
    assert_eq!(parent.waiting(&place, "QUEUE").await, 3, "the queue is there before any worker was");
    let worker = place.worker("worker");
    let rows = place.settled(3).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_s_schema_is_the_operator_s_to_change() {
    let mut place = Place::new().await;
    let _parent = ParentApp::join(&mut place).await;
    let mut worker = place.worker("worker");
    assert_eq!(worker.ended().await, Some(1));
    assert!(worker.log().contains("foxden migrate up"), "{}", worker.log());
    assert_eq!(place.run(&["migrate", "status"]).status.code(), Some(3));
    place.feed(&["migrate", "up"], "");
    assert_eq!(place.run(&["migrate", "status"]).status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clean_provisionings_cost_two_requests_and_three_transactions_each() {
    let (mut place, parent) = patient_place().await;
    // Whatever runs by the clock would be counted too.
    place.set("FOXDEN_POLL_INTERVAL", "10m");
    place.set("FOXDEN_LEASE", "30m");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    parent.publish(event("first").to_string().as_bytes()).await;
    place.settled(1).await;
    let requests = place.sim.total_requests();
    for number in 0..100 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    let rows = place.settled(101).await;
    parent.take(&place, "OUTCOME_QUEUE", 101).await;
    assert_eq!(place.sim.total_requests() - requests, 200);
    worker.stop().await;
    place.books_agree(&rows).await;
    // By PostgreSQL's own books, which each of the worker's connections brought up to date as it ended: every one of
    // the three transactions writes the provisioning's row once.
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let query = "SELECT n_tup_ins + n_tup_upd AS written FROM pg_stat_user_tables WHERE relname = 'provisionings'";
    let counted = database.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
    assert_eq!(counted.try_get::<i64>("", "written").unwrap(), 3 * 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_written_into_the_ledger_is_not_published() {
    let (mut place, parent) = place().await;
    place.set("FOXDEN_TELL_DUPLICATES", "true");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    parent.publish(event("one").to_string().as_bytes()).await;
    parent.take(&place, "OUTCOME_QUEUE", 1).await;
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    let change = "UPDATE provisionings SET store_uri = 'https://evil.example/stores/1'";
    database.execute_unprepared(change).await.unwrap();
    parent.publish(event("one").to_string().as_bytes()).await;
    let told = parent.take(&place, "OUTCOME_QUEUE", 1).await.remove(0).json();
    assert_eq!((&told["subject"], &told["data"]["store_uri"]), (&"one".into(), &serde_json::Value::Null));
    assert!(told["data"]["user_uri"].is_string(), "{told}");
    assert_eq!(worker.until("outcome.address_withheld").await["field"], "store_uri");
    worker.stop().await;
}
