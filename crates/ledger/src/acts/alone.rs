//! Having the ledger to oneself, for what a person does to all of it.

use sea_orm::ConnectionTrait as _;

use crate::{connect::Ledger, connections::Transaction, error::LedgerError};

/// Leases that are alive: workers are at work, or were a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// How many.
    pub leases: u64,
    /// When the last of them ends; epoch milliseconds.
    pub until_ms: i64,
}

impl Ledger {
    /// Keeps workers out until the transaction ends. Answers the time, and who is in the way. The time is read after
    /// the wait for the lock: what a worker still wrote meanwhile is not in the future then, and a lease that ended
    /// is over.
    ///
    /// On PostgreSQL the lock and all that follows may take as long as it takes.
    pub(crate) async fn keep_workers_out(&self, txn: &Transaction) -> Result<(i64, Option<InUse>), LedgerError> {
        if !self.is_embedded() {
            txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            // No one may claim between the look at the leases and the commit.
            let lock = "LOCK TABLE provisionings IN SHARE ROW EXCLUSIVE MODE";
            txn.patiently(|inner| inner.execute_unprepared(lock)).await?;
        }
        let now = self.now_in(txn).await?;
        let alive = "SELECT COUNT(*) AS n, MAX(lease_until) AS last FROM provisionings WHERE lease_until >= $1";
        let Some(row) = txn.query_one_raw(self.statement(alive, [now.into()])).await? else { return Ok((now, None)) };
        let leases = row.try_get::<i64>("", "n")?.unsigned_abs();
        let last = row.try_get::<Option<i64>>("", "last")?;
        Ok((now, last.map(|until_ms| InUse { leases, until_ms })))
    }
}
