//! How long it takes to move 100,000 envelopes to another key: `make bench`. On SQLite always; on PostgreSQL too where
//! `DATABASE_URL` names one.

#[path = "../../ledger/benches/support/mod.rs"]
mod support;

use std::{sync::Arc, time::Instant};

use foxden_custody::{Custody, Reseal};
use foxden_ledger::{Ledger, ProvisioningId};
use foxden_vault::KeyRing;

use support::signup;

const ENVELOPES: usize = 100_000;

/// As many in one transaction as `foxden keys reseal` moves.
const PAGE: u64 = 200;

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn measure(name: &str, ledger: Ledger) {
    ledger.migrate_up().await.expect("an empty database migrates");
    let key = |name| foxden_vault::generate_key(name).expect("the operating system gives random bytes");
    let (old, new) = (key("old"), key("new"));
    let custody = |keys: &str| Custody::new(Arc::new(KeyRing::parse(keys).expect("generated keys parse")), "bench");
    let (before, after) = (custody(&old), custody(&format!("{},{}", *new, *old)));
    for first in (0..ENVELOPES).step_by(500) {
        let batch = (first..first + 500).map(|number| signup(&before, number)).collect();
        ledger.accept_queued(batch).await.expect("accepting works");
    }
    let started = Instant::now();
    let mut walk = Reseal::begin(&ledger, &after).await.expect("the ledger answers");
    let mut moved = 0;
    while let Some(page) = walk.next_page(PAGE).await.expect("every page moves") {
        moved += page.moved;
    }
    assert_eq!(moved, ENVELOPES as u64);
    println!("{name:<12} {moved} envelopes moved in {:.1} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    ledger.keys_in_use().await.expect("the ledger answers");
    println!("{name:<12} keys in use found in {:.1} ms", started.elapsed().as_secs_f64() * 1000.0);
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a place for a database");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    measure("SQLite", Ledger::connect(&url, 1).await.expect("SQLite opens")).await;

    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its server")]
    if let Ok(server) = std::env::var("DATABASE_URL") {
        let name = format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        let ledger = Ledger::create_database(&server, &name).await.expect("the server makes a database");
        measure("PostgreSQL", ledger).await;
    }
}
