//! How long an upgrade takes: a ledger as the previous release left it is brought to this release's schema by the door
//! that `foxden migrate up` uses. On SQLite always; on PostgreSQL too where `DATABASE_URL` names one.
//! `FOXDEN_BENCH_ROWS` says how many signups it holds.

mod earlier;
mod log;

use std::time::Instant;

use foxden_ledger::{Ledger, ProvisioningId};
use foxden_migrations::Migrator;
use sea_orm::{ConnectionTrait as _, Database};
use sea_orm_migration::MigratorTrait as _;

const ROWS: u64 = 100_000;

/// The schema that workers of the previous release can still work with, filled.
async fn make(url: &str, rows: u64) {
    let db = Database::connect(url).await.expect("the database answers");
    let compatible = Migrator::migrations().len() - foxden_migrations::rebuilding().len();
    Migrator::up(&db, Some(u32::try_from(compatible).expect("a few"))).await.expect("an empty database migrates");
    earlier::fill(&db, rows).await;
    db.close().await.expect("it closes");
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn migrate(name: &str, url: &str, rows: u64) {
    let ledger = Ledger::connect(url, 1).await.expect("the database answers");
    log::begin();
    let started = Instant::now();
    ledger.migrate_up().await.expect("it migrates");
    let end = Instant::now();
    let took = end.duration_since(started);
    println!("{:<44} {:>8.2} s", format!("{name}, {rows} signups: migrated in"), took.as_secs_f64());
    for (migration, took) in log::taken(end) {
        println!("    {migration:<40} {:>8.2} s", took.as_secs_f64());
    }
    ledger.close().await.expect("it closes");
}

#[tokio::main]
async fn main() {
    log::listen();
    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its size and server")]
    let [rows, server] = ["FOXDEN_BENCH_ROWS", "DATABASE_URL"].map(|name| std::env::var(name).ok());
    let rows = rows.map_or(ROWS, |rows| rows.parse().expect("FOXDEN_BENCH_ROWS is a number"));

    let dir = tempfile::tempdir().expect("a place for a database");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    make(&format!("{url}?mode=rwc"), rows).await;
    migrate("SQLite", &url, rows).await;
    dir.close().expect("it is ours");

    if let Some(server) = server {
        let name = format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        Ledger::create_database(&server, &name).await.expect("the server makes one").close().await.expect("it closes");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{base}/{name}");
        make(&url, rows).await;
        migrate("PostgreSQL", &url, rows).await;
        let admin = Database::connect(&server).await.expect("the database answers");
        admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.expect("it is ours");
    }
}
