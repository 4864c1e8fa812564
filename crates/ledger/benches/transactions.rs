//! What the ledger's transactions cost: `make bench`. On SQLite always; on PostgreSQL too where `DATABASE_URL` names one.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foxden_custody::Custody;
use foxden_ledger::{Ledger, NewSignup, ProvisioningId, WorkerId};
use foxden_vault::KeyRing;

use support::signup;

const SIGNUPS: usize = 2_000;
const LEASE: Duration = Duration::from_secs(60);

fn signups() -> Vec<NewSignup> {
    let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
    let custody = Custody::new(Arc::new(KeyRing::parse(&key).expect("a generated key parses")), "bench");
    (0..SIGNUPS).map(|number| signup(&custody, number)).collect()
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
fn report(database: &str, what: &str, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{database:<12} {what:<32} {:>8.0} /s", SIGNUPS as f64 / seconds);
}

async fn measure(name: &str, ledger: Ledger, at_once: usize) {
    ledger.migrate_up().await.expect("an empty database migrates");

    let started = Instant::now();
    for batch in signups().chunks(500) {
        ledger.accept_queued(batch.to_vec()).await.expect("accepting works");
    }
    report(name, "accepted, 500 a transaction", started);

    let (owner, mut waiting) = (WorkerId::new(), signups());
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    while let Some(signup) = waiting.pop() {
        let (ledger, owner) = (ledger.clone(), owner.clone());
        running.spawn(async move { ledger.accept_leased(signup, &owner, LEASE).await.expect("accepting works") });
        if running.len() == at_once {
            running.join_next().await;
        }
    }
    running.join_all().await;
    report(name, &format!("accepted singly, {at_once} at once"), started);

    let started = Instant::now();
    while !ledger.claim(&owner, 32, LEASE).await.expect("claiming works").claimed.is_empty() {}
    report(name, "claimed, 32 at a time", started);
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a place for a database");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    measure("SQLite", Ledger::connect(&url, 1).await.expect("SQLite opens"), 16).await;

    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its server")]
    if let Ok(server) = std::env::var("DATABASE_URL") {
        let name = format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        let ledger = Ledger::create_database(&server, &name).await.expect("the server makes a database");
        measure("PostgreSQL", ledger, 16).await;
    }
}
