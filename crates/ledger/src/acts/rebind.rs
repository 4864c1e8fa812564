//! Saying that a ledger belongs to another Foxy than it says.

use sea_orm::{ConnectionTrait as _, Value};

use crate::{
    audit::{self, By, Deed},
    connect::Ledger,
    error::LedgerError,
    state::Act,
    transactions::Ending::{Commit, RollBack},
    which_foxy::WhichFoxy,
};

/// What asking to rebind a ledger came to. Unless it is rebound, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebind {
    /// It belongs to the other one now.
    Rebound {
        /// How many tokens said that they are of the first one, and say the other one now.
        tokens: u64,
    },
    /// It belongs to the other one already: an earlier run has done it.
    Already,
    /// It belongs to neither of the two; `None`: to none yet.
    BelongsTo(Option<WhichFoxy>),
    /// Leases are alive: a worker is at work.
    InUse {
        /// How many.
        leases: u64,
        /// When the last of them ends; epoch milliseconds.
        until_ms: i64,
    },
}

impl Ledger {
    /// Makes a ledger that belongs to `from` belong to `to`, with all its tokens: a person says that both are the same Foxy
    /// under another name or in other books. One transaction, so it has happened or it has not.
    ///
    /// # Errors
    /// When the database does not answer; then it may have happened. To repeat it is harmless.
    pub async fn rebind(&self, from: &WhichFoxy, to: &WhichFoxy, by: &By) -> Result<Rebind, LedgerError> {
        match self.foxy().await? {
            Some(foxy) if foxy == *to => return Ok(Rebind::Already),
            Some(foxy) if foxy == *from => {}
            other => return Ok(Rebind::BelongsTo(other)),
        }
        let (ledger, from, to, by) = (self.clone(), from.to_string(), to.to_string(), by.clone());
        let work = self.transaction(async move |txn, now| {
            if !ledger.is_embedded() {
                txn.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
                // No one may claim between the look at the leases and the commit.
                let lock = "LOCK TABLE provisionings IN SHARE ROW EXCLUSIVE MODE";
                txn.patiently(|inner| inner.execute_unprepared(lock)).await?;
            }
            let alive = "SELECT COUNT(*) AS n, MAX(lease_until) AS last FROM provisionings WHERE lease_until >= $1";
            if let Some(row) = txn.query_one_raw(ledger.statement(alive, [now.into()])).await?
                && let Some(until_ms) = row.try_get::<Option<i64>>("", "last")?
            {
                let leases = row.try_get::<i64>("", "n")?.unsigned_abs();
                return Ok(RollBack(Rebind::InUse { leases, until_ms }));
            }
            let values = || [Value::from(to.clone()), Value::from(from.clone())];
            let change = "UPDATE which_foxy SET foxy = $1, since = $3 WHERE foxy = $2";
            let row = ledger.statement(change, values().into_iter().chain([now.into()]));
            if txn.execute_raw(row).await?.rows_affected() == 0 {
                // Another one was quicker; who asks again sees what holds.
                return Ok(RollBack(Rebind::Already));
            }
            let tokens = ledger.statement("UPDATE credentials SET which_foxy = $1 WHERE which_foxy = $2", values());
            let tokens = txn.patiently(|inner| inner.execute_raw(tokens)).await?.rows_affected();
            let detail = format!("from {from} to {to}, tokens: {tokens}");
            audit::write(txn, &by, &Deed { detail: Some(detail), ..Deed::to_all(Act::Rebind) }, now).await?;
            Ok(Commit(Rebind::Rebound { tokens }))
        });
        Self::undisturbed(work).await
    }
}
