//! Whether the database keeps what it has confirmed.

use std::fmt;

use sea_orm::ConnectionTrait as _;

use crate::{connect::Ledger, error::LedgerError};

/// Why a database may lose, or not take, what the ledger writes. Promise 1 rests on a commit that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityRisk {
    /// PostgreSQL does not wait for its disk at all: a crash of its machine may damage the whole database.
    FsyncOff,
    /// PostgreSQL confirms a commit before it is on disk: a crash of the server loses the last of them.
    SynchronousCommitOff,
    /// PostgreSQL may find pages half-written after a crash of its machine.
    FullPageWritesOff,
    /// The server is a standby, or is still recovering: it takes no writes.
    InRecovery,
}

impl DurabilityRisk {
    /// The setting or state at fault, as PostgreSQL calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FsyncOff => "fsync",
            Self::SynchronousCommitOff => "synchronous_commit",
            Self::FullPageWritesOff => "full_page_writes",
            Self::InRecovery => "pg_is_in_recovery",
        }
    }
}

impl fmt::Display for DurabilityRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FsyncOff => "fsync is off: a crash of the server's machine may damage the whole database",
            Self::SynchronousCommitOff => "synchronous_commit is off: a crash of the server loses commits it confirmed",
            Self::FullPageWritesOff => "full_page_writes is off: a crash of the server's machine may damage pages",
            Self::InRecovery => "the server is in recovery: it is a standby, or not started yet, and takes no writes",
        })
    }
}

impl Ledger {
    /// What speaks against trusting the database's commits (PostgreSQL docs: Write Ahead Log, settings). Empty for
    /// SQLite, whose file is opened with `synchronous=FULL`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn durability_risks(&self) -> Result<Vec<DurabilityRisk>, LedgerError> {
        if self.is_embedded() {
            return Ok(Vec::new());
        }
        let ledger = self.clone();
        self.detached("durability_risks", async move {
            let query = "SELECT current_setting('fsync') = 'off' AS fsync, \
                         current_setting('synchronous_commit') = 'off' AS commits, \
                         current_setting('full_page_writes') = 'off' AS pages, \
                         pg_is_in_recovery() AS recovering";
            let lacking = || LedgerError::unavailable("no row for its settings");
            let row = ledger.db.query_one_raw(ledger.statement(query, [])).await?.ok_or_else(lacking)?;
            let risks = [
                ("fsync", DurabilityRisk::FsyncOff),
                ("commits", DurabilityRisk::SynchronousCommitOff),
                ("pages", DurabilityRisk::FullPageWritesOff),
                ("recovering", DurabilityRisk::InRecovery),
            ];
            let mut found = Vec::new();
            for (column, risk) in risks {
                if row.try_get::<bool>("", column)? {
                    found.push(risk);
                }
            }
            Ok(found)
        })
        .await
    }
}
