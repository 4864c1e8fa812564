//! The schema: bringing it up to this release's, and looking at it.

use std::collections::HashSet;

use foxden_migrations::Migrator;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use sea_orm_migration::{MigratorTrait as _, SchemaManager, seaql_migrations};

use crate::{
    alone::InUse, connect::Ledger, connections::Transaction, error::LedgerError, transactions::Ending::Commit,
};

/// The key of PostgreSQL's advisory lock that migrations take, so that of several processes one migrates at a time.
/// Any number would do, as long as it never changes: this one spells "foxden".
const MIGRATION_LOCK: i64 = 0x666f_7864_656e;

impl Ledger {
    /// Brings the schema up to this release's. Any number of processes may call it at once.
    ///
    /// # Errors
    /// When the database does not answer, or holds a schema of a later release; and [`LedgerError::InUse`] if leases
    /// are alive, of workers that could not work with this release's schema. Then nothing was changed.
    pub async fn migrate_up(&self) -> Result<(), LedgerError> {
        self.migrate(None).await
    }

    /// Takes back the last `steps` migrations, with the data they hold.
    ///
    /// # Errors
    /// As [`Ledger::migrate_up`].
    pub async fn migrate_down(&self, steps: u32) -> Result<(), LedgerError> {
        self.migrate(Some(steps)).await
    }

    async fn migrate(&self, down: Option<u32>) -> Result<(), LedgerError> {
        let ledger = self.clone();
        Self::undisturbed(self.transaction(async move |txn, _| {
            if !ledger.is_embedded() {
                // A migration of a large ledger takes as long as it takes.
                txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
                let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
                txn.patiently(|inner| inner.query_one_raw(Statement::from_string(DbBackend::Postgres, lock))).await?;
            }
            let schema = judged(txn.patiently(Migrator::get_migration_models).await?)?;
            match down {
                None => {
                    if must_be_rebuilt(&schema)
                        && let Some(in_use) = ledger.keep_all_workers_out(txn).await?
                    {
                        return Err(LedgerError::InUse(in_use));
                    }
                    txn.patiently(|inner| Migrator::up(inner, None)).await?;
                }
                Some(steps) => txn.patiently(|inner| Migrator::down(inner, Some(steps))).await?,
            }
            Ok(Commit(()))
        }))
        .await
    }

    /// As [`Ledger::keep_workers_out`], and sees an idle worker by its right to publish, too. An idle worker without a
    /// broker has no lease of either kind, and is not seen: OPERATIONS.md says to stop all workers first.
    async fn keep_all_workers_out(&self, txn: &Transaction) -> Result<Option<InUse>, LedgerError> {
        let (now, in_use) = self.keep_workers_out(txn).await?;
        // Of the release that made the table, or a later one.
        if !txn.patiently(|inner| async move { SchemaManager::new(inner).has_table("publishing_lease").await }).await? {
            return Ok(in_use);
        }
        if !self.is_embedded() {
            let lock = "LOCK TABLE publishing_lease IN SHARE ROW EXCLUSIVE MODE";
            txn.patiently(|inner| inner.execute_unprepared(lock)).await?;
        }
        let alive = self.statement("SELECT lease_until FROM publishing_lease WHERE lease_until >= $1", [now.into()]);
        let Some(row) = txn.query_one_raw(alive).await? else { return Ok(in_use) };
        let until_ms: i64 = row.try_get("", "lease_until")?;
        let InUse { leases, until_ms: last } = in_use.unwrap_or(InUse { leases: 0, until_ms });
        Ok(Some(InUse { leases: leases + 1, until_ms: last.max(until_ms) }))
    }

    /// Every migration of this release with whether it has been applied.
    ///
    /// # Errors
    /// When the database does not answer, or holds a schema of a later release.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>, LedgerError> {
        let ledger = self.clone();
        self.detached("migrations", async move { judged(Migrator::get_migration_models(&ledger.db).await?) }).await
    }

    /// Whether [`Ledger::migrate_up`] will rebuild what an earlier release has written. A new ledger is not rebuilt.
    ///
    /// # Errors
    /// As [`Ledger::migrations`].
    pub async fn must_be_rebuilt(&self) -> Result<bool, LedgerError> {
        Ok(must_be_rebuilt(&self.migrations().await?))
    }
}

/// Every migration of this release, in their order, with whether it is among those that were applied.
fn judged(applied: Vec<seaql_migrations::Model>) -> Result<Vec<(String, bool)>, LedgerError> {
    let mut applied: HashSet<String> = applied.into_iter().map(|row| row.version).collect();
    let known = Migrator::get_migration_files();
    let schema = known.iter().map(|one| (one.name().to_owned(), applied.remove(one.name()))).collect();
    match applied.into_iter().max() {
        Some(migration) => Err(LedgerError::OfLaterRelease { migration }),
        None => Ok(schema),
    }
}

/// The migrations that rebuild are the last ones.
fn must_be_rebuilt(schema: &[(String, bool)]) -> bool {
    let is_new = schema.iter().all(|(_, is_applied)| !is_applied);
    let rebuilding = schema.iter().rev().take(foxden_migrations::rebuilding().len());
    !is_new && rebuilding.into_iter().any(|(_, is_applied)| !is_applied)
}
