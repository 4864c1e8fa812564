//! Ways to a PostgreSQL: what works, and what the program says where one does not.

use std::{net::TcpListener, process::Output};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DbBackend, Statement};

use super::{parent_app::ParentApp, pooler::Pooler};
use crate::support::{Place, event, lines};

async fn place() -> Place {
    let mut place = Place::new().await;
    // Its queues are not used here.
    drop(ParentApp::join(&mut place).await);
    place.settings.retain(|name, _| !name.contains("AMQP"));
    place
}

/// What a command says of a database that it can't use, and its exit status.
fn complaint(place: &Place, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = place.run(arguments);
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_keeps_sessions_apart_will_do() {
    let mut place = place().await;
    let direct = place.settings["FOXDEN_DATABASE_URL"].clone();
    let Some(pooler) = Pooler::before(&direct, "session").await else { return };
    place.set("FOXDEN_DATABASE_URL", &pooler.url(&direct));
    place.set("FOXDEN_DATABASE_POOL", "4");
    place.feed(&["migrate", "up"], "");
    place.feed(&["submit", "-"], &lines(["s1", "s2", "s3"]));
    let worker = place.worker("worker");
    let rows = place.settled(3).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_named() {
    let mut place = place().await;
    place.feed(&["migrate", "up"], "");
    let direct = place.settings["FOXDEN_DATABASE_URL"].clone();
    let Some(pooler) = Pooler::before(&direct, "transaction").await else { return };
    place.set("FOXDEN_DATABASE_URL", &pooler.url(&direct));
    // Another client leaves its statement in the pooler's only session, and stays.
    let mut options = ConnectOptions::new(pooler.url(&direct));
    options.map_sqlx_postgres_opts(|options| options.extra_float_digits(None));
    let first = Database::connect(options).await.unwrap();
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT $1::text AS one", ["1".into()]);
    first.query_one_raw(statement).await.unwrap();
    let (status, said) = complaint(&place, &["status"]);
    let advice = "a connection pooler in transaction mode is in between; use its session mode, or connect directly";
    assert!(status == Some(1) && said.contains(advice), "{status:?}: {said}");
    first.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_can_not_be_reached_is_told_apart() {
    let mut place = place().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    for (url, reason) in [
        (format!("postgres://u:p@127.0.0.1:{free}/db"), "nothing listens on its port"),
        ("postgres://u:p@no-such-host.invalid/db".to_owned(), "its host name is not known"),
        ("postgres://u@/db?host=/nowhere/at/all".to_owned(), "its socket is not there"),
        (format!("postgres://u:p@127.0.0.1:{silent}/db"), "something listens on its port, but does not answer"),
    ] {
        place.set("FOXDEN_DATABASE_URL", &url);
        let (status, said) = complaint(&place, &["status"]);
        assert_eq!(status, Some(1), "{url}: {said}");
        assert!(said.contains(&format!("the ledger's database does not answer ({reason})")), "{url}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_may_lose_what_it_confirms_is_warned_of_at_the_start() {
    let place = place().await;
    place.feed(&["migrate", "up"], "");
    let url = &place.settings["FOXDEN_DATABASE_URL"];
    let name = url.rsplit('/').next().unwrap();
    let database = Database::connect(url).await.unwrap();
    database.execute_unprepared(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.unwrap();
    database.close().await.unwrap();
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    let warned = |setting: &str| worker.events("ledger.not_durable").iter().any(|line| line["setting"] == setting);
    assert!(warned("synchronous_commit"), "{}", worker.log());
    assert!(!warned("pg_is_in_recovery"));
    worker.stop().await;
    let output = place.feed_any(&["submit", "-"], &event("s1").to_string());
    assert!(String::from_utf8(output.stderr).unwrap().contains("synchronous_commit is off"));
}
