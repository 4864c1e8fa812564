//! The schema: bringing it up to this release's, and looking at it.

use foxden_migrations::Migrator;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use sea_orm_migration::{MigrationStatus, MigratorTrait as _};

use crate::{connect::Ledger, error::LedgerError, transactions::Ending::Commit};

/// The key of PostgreSQL's advisory lock that migrations take, so that of several processes one migrates at a time.
/// Any number would do, as long as it never changes: this one spells "foxden".
const MIGRATION_LOCK: i64 = 0x666f_7864_656e;

impl Ledger {
    /// Brings the schema up to this release's. Any number of processes may call it at once.
    ///
    /// # Errors
    /// When the database does not answer, or holds a schema of a later release.
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
            match down {
                None => txn.patiently(|inner| Migrator::up(inner, None)).await?,
                Some(steps) => txn.patiently(|inner| Migrator::down(inner, Some(steps))).await?,
            }
            Ok(Commit(()))
        }))
        .await
    }

    /// Every migration of this release with whether it has been applied.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>, LedgerError> {
        let ledger = self.clone();
        let all = self
            .detached("migrations", async move { Ok(Migrator::get_migration_with_status(&ledger.db).await?) })
            .await?;
        Ok(all.iter().map(|m| (m.name().to_owned(), m.status() == MigrationStatus::Applied)).collect())
    }
}
