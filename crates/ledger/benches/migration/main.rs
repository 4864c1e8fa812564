//! How long an upgrade takes: a ledger as the previous release left it is brought to this release's schema by the door
//! that `foxden migrate up` uses. On SQLite always; on PostgreSQL too where `DATABASE_URL` names one.
//! `FOXDEN_BENCH_ROWS` says how many signups it holds.

mod earlier;
mod log;

use std::time::{Duration, Instant};

use foxden_ledger::{Ledger, ProvisioningId};
use foxden_migrations::Migrator;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use sea_orm_migration::MigratorTrait as _;

const ROWS: u64 = 100_000;

/// How often the disk is looked at while the ledger is migrated.
const LOOK: Duration = Duration::from_millis(50);

/// An odd number, for a median.
const COUNTS: usize = 3;

/// The schema that workers of the previous release can still work with, filled.
async fn make(url: &str, rows: u64) {
    let db = Database::connect(url).await.expect("the database answers");
    let compatible = Migrator::migrations().len() - foxden_migrations::rebuilding().len();
    Migrator::up(&db, Some(u32::try_from(compatible).expect("a few"))).await.expect("an empty database migrates");
    earlier::fill(&db, rows).await;
    db.close().await.expect("it closes");
}

/// What the disk holds of a ledger: bytes by what they are for.
type Room = Vec<(&'static str, u64)>;

/// SQLite's files, the temporary ones included, which have no name: those that this process has open.
fn files() -> Room {
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let about = open.filter_map(|fd| std::fs::metadata(fd.ok()?.path()).ok()).filter(std::fs::Metadata::is_file);
    vec![("files", about.map(|file| file.len()).sum())]
}

async fn on_server(db: &DatabaseConnection) -> Room {
    let query = "SELECT pg_database_size(current_database()) AS files, \
                 CAST(pg_current_wal_lsn() - '0/0'::pg_lsn AS BIGINT) AS log, temp_bytes AS sorted \
                 FROM pg_stat_database WHERE datname = current_database()";
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), query)).await.expect("it answers");
    let row = row.expect("one row");
    let bytes = |name: &str| u64::try_from(row.try_get::<i64>("", name).expect("a number")).expect("not negative");
    vec![("files", bytes("files")), ("write-ahead log", bytes("log")), ("sorted on disk", bytes("sorted"))]
}

/// Until the ledger is migrated: the time, and the most of each that the disk has held.
async fn watched(ledger: &Ledger, room: &impl AsyncFn() -> Room) -> (Duration, Room) {
    let (started, mut most) = (Instant::now(), room().await);
    let mut work = std::pin::pin!(ledger.migrate_up());
    loop {
        match tokio::time::timeout(LOOK, &mut work).await {
            Ok(done) => break done.map(|()| (started.elapsed(), most)).expect("it migrates"),
            Err(_) => most.iter_mut().zip(room().await).for_each(|(most, now)| most.1 = most.1.max(now.1)),
        }
    }
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn migrate(name: &str, url: &str, rows: u64, room: impl AsyncFn() -> Room) {
    let ledger = Ledger::connect(url, 1).await.expect("the database answers");
    let before = room().await;
    log::begin();
    let (took, most) = watched(&ledger, &room).await;
    let end = Instant::now();
    // PostgreSQL reports what a transaction wrote to sort a moment after its end.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = room().await;
    println!("{:<44} {:>8.2} s", format!("{name}, {rows} signups: migrated in"), took.as_secs_f64());
    for (migration, took) in log::taken(end) {
        println!("    {migration:<40} {:>8.2} s", took.as_secs_f64());
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("    {:<40} {:>8.0} MiB", "on disk before", mib(before[0].1));
    for ((before, most), after) in before.iter().zip(most).zip(after) {
        let what = format!("{}: more, at most", before.0);
        println!("    {what:<40} {:>8.0} MiB", mib(most.1.max(after.1) - before.1));
    }
    let mut took = Vec::new();
    for _ in 0..COUNTS {
        let started = Instant::now();
        ledger.count_by_key().await.expect("it counts");
        took.push(started.elapsed());
    }
    took.sort();
    println!("    {:<40} {:>8.2} s", "counted by key, afterwards", took[COUNTS / 2].as_secs_f64());
    ledger.close().await.expect("it closes");
}

#[tokio::main]
async fn main() {
    log::listen();
    #[expect(clippy::disallowed_methods, reason = "the one place where a benchmark reads its size and server")]
    let [rows, server] = ["FOXDEN_BENCH_ROWS", "DATABASE_URL"].map(|name| std::env::var(name).ok());
    let rows = rows.map_or(ROWS, |rows| rows.parse().expect("FOXDEN_BENCH_ROWS is a number"));

    let dir = tempfile::tempdir().expect("a place for a database");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    make(&format!("{url}?mode=rwc"), rows).await;
    migrate("SQLite", &url, rows, async || files()).await;
    dir.close().expect("it is ours");

    if let Some(server) = server {
        let name = format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        Ledger::create_database(&server, &name).await.expect("the server makes one").close().await.expect("it closes");
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{base}/{name}");
        make(&url, rows).await;
        let watch = Database::connect(&url).await.expect("the database answers");
        migrate("PostgreSQL", &url, rows, async || on_server(&watch).await).await;
        watch.close().await.expect("it closes");
        let admin = Database::connect(&server).await.expect("the database answers");
        admin.execute_unprepared(&format!("DROP DATABASE {name}")).await.expect("it is ours");
    }
}
