//! A database that takes no writes for a while, as a standby does, or one that an operator has locked. A session that
//! was opened meanwhile stays read-only for as long as it lives.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use tokio::time::Instant;

use super::parent_app::ParentApp;
use crate::support::{Place, event, server};

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("read-only: {line}");
}

/// The server, by way of another database, and the name of the place's.
async fn server_of(place: &Place) -> (DatabaseConnection, String) {
    let url = url::Url::parse(&place.settings["FOXDEN_DATABASE_URL"]).unwrap();
    (Database::connect(server("DATABASE_URL")).await.unwrap(), url.path().trim_start_matches('/').to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_were_opened_read_only_are_replaced_once_the_database_takes_writes() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_DATABASE_POOL", "4");
    let (server, name) = server_of(&place).await;
    let (worker, mut settled) = (place.worker("worker"), 0);
    worker.until("broker.connected").await;
    for round in 0..2 {
        let run = async |sql: String| {
            server.execute_unprepared(&sql).await.unwrap();
        };
        let since = worker.events("ledger.unavailable").len();
        run(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
        // The sessions that there are can write; those that take their place can't.
        run(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")).await;
        for number in 0..10 {
            parent.publish(event(&format!("s{round}{number}")).to_string().as_bytes()).await;
        }
        settled += 10;
        worker.until_after("ledger.unavailable", since).await;
        // It looks for work every 50 ms, so by then all of its sessions are new ones.
        tokio::time::sleep(Duration::from_secs(3)).await;
        run(format!("ALTER DATABASE {name} SET default_transaction_read_only = off")).await;
        let writable = Instant::now();
        place.settled(settled).await;
        say(&format!("round {round}: at work {:.1?} after the database took writes again", writable.elapsed()));
        worker.until_ledger_recovered().await;
    }
    let rows = place.settled(settled).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}
