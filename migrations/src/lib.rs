//! The ledger's schema, as sea-orm migrations.
//!
//! One migration per file, named by its file; a file is never renamed once released, since the name is what the
//! database remembers. Every migration runs on SQLite and PostgreSQL from the same code, and leaves a schema that the
//! previous release can still work with, but for those that rebuild the ledger: [`rebuilding`].
//!
//! Times are milliseconds since the Unix epoch in `BIGINT` columns: on SQLite timestamps are text, and their text does
//! not sort in order of time.

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, async_trait};

mod m20261122_000001_create_ledger;
mod m20261122_000002_superseded_contents;
mod m20261122_000003_index_keys_in_use;
mod m20261122_000005_audit;
mod m20261128_000006_doubt_has_an_end;
mod m20261128_000007_queues_and_tries;
mod m20261128_000008_one_publisher;
mod m20261128_000009_late_tokens;
mod m20261128_000010_restored_to;
mod m20261128_000011_not_before;
mod m20261128_000012_lists;
mod m20261128_000013_store_paths;
mod m20261128_000014_audit_is_not_replaced;
mod m20261128_000019_which_foxy;
mod m20261128_000020_clients_of_tokens;
mod m20261128_000022_standings;
mod m20261129_000024_prune;
mod m20261129_000025_waiting_events;
mod m20261129_000028_ended_formats;
mod m20261129_000029_grants;

/// The list of migrations, in the order in which they run.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        compatible().into_iter().chain(rebuilding()).collect()
    }
}

/// Those under which workers of the previous release can keep running.
fn compatible() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m20261122_000001_create_ledger::Migration),
        Box::new(m20261122_000002_superseded_contents::Migration),
        Box::new(m20261122_000003_index_keys_in_use::Migration),
        Box::new(m20261122_000005_audit::Migration),
        Box::new(m20261128_000006_doubt_has_an_end::Migration),
        Box::new(m20261128_000007_queues_and_tries::Migration),
        Box::new(m20261128_000008_one_publisher::Migration),
        Box::new(m20261128_000009_late_tokens::Migration),
        Box::new(m20261128_000010_restored_to::Migration),
        Box::new(m20261128_000011_not_before::Migration),
        Box::new(m20261128_000012_lists::Migration),
        Box::new(m20261128_000013_store_paths::Migration),
        Box::new(m20261128_000014_audit_is_not_replaced::Migration),
    ]
}

/// Those that rebuild the ledger, the last ones of the list: the previous release can't work with what they leave. A
/// ledger that lacks one of them is migrated only while no lease on it is alive.
pub fn rebuilding() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(m20261128_000019_which_foxy::Migration),
        Box::new(m20261128_000022_standings::Migration),
        Box::new(m20261128_000020_clients_of_tokens::Migration),
        Box::new(m20261129_000024_prune::Migration),
        Box::new(m20261129_000025_waiting_events::Migration),
        Box::new(m20261129_000028_ended_formats::Migration),
        Box::new(m20261129_000029_grants::Migration),
    ]
}
