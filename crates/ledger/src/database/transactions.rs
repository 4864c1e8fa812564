//! The one way to write a transaction.

use crate::{connect::Ledger, connections::Transaction, error::LedgerError};

/// How a transaction ends whose work succeeded.
pub(crate) enum Ending<T> {
    /// What it wrote is committed.
    Commit(T),
    /// It wrote nothing worth keeping: it is rolled back.
    RollBack(T),
}

impl Ledger {
    /// Runs `work` in a write transaction, with the database's time in milliseconds since the epoch, read once at its
    /// start. If `work` fails, the transaction is rolled back.
    ///
    /// The future must not be dropped half-way: run it within [`Ledger::detached`] or [`Ledger::undisturbed`]. It
    /// borrows nothing of the ledger, so it can be passed there as it is.
    pub(crate) fn transaction<T, F>(&self, work: F) -> impl Future<Output = Result<T, LedgerError>> + use<T, F>
    where
        F: AsyncFnOnce(&Transaction, i64) -> Result<Ending<T>, LedgerError>,
    {
        let ledger = self.clone();
        self.transaction_without_time(async move |txn| {
            let now = ledger.now_in(txn).await?;
            work(txn, now).await
        })
    }

    /// The same where the time is not needed, or comes with what the transaction reads first.
    pub(crate) fn transaction_without_time<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, LedgerError>> + use<T, F>
    where
        F: AsyncFnOnce(&Transaction) -> Result<Ending<T>, LedgerError>,
    {
        let ledger = self.clone();
        async move {
            let txn = ledger.begin().await?;
            match work(&txn).await {
                Ok(Ending::Commit(answer)) => {
                    ledger.commit(txn).await?;
                    Ok(answer)
                }
                Ok(Ending::RollBack(answer)) => {
                    txn.rollback().await?;
                    Ok(answer)
                }
                Err(error) => {
                    // Where that fails, the connection is closed, which rolls back as well.
                    drop(txn.rollback().await);
                    Err(error)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{self, By, Deed},
        ids::SignupId,
        state::Act,
    };

    #[tokio::test]
    async fn only_what_is_to_be_committed_is_kept_and_counted() {
        let ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
        ledger.migrate_up().await.unwrap();
        let (before, id) = (ledger.commits(), SignupId::parse("acct_1").unwrap());
        let write = async |end: fn() -> Result<Ending<()>, LedgerError>| {
            let work = ledger.transaction(async |txn, now| {
                audit::write(txn, &By::new("ada"), &Deed::to(Act::Retry, &id), now).await?;
                end()
            });
            let is_ok = work.await.is_ok();
            (is_ok, ledger.audit_of(&id, 9).await.unwrap().len(), ledger.commits() - before)
        };
        assert_eq!(write(|| Ok(Ending::RollBack(()))).await, (true, 0, 0));
        assert_eq!(write(|| Err(LedgerError::unavailable("as the test wants it"))).await, (false, 0, 0));
        assert_eq!(write(|| Ok(Ending::Commit(()))).await, (true, 1, 1));
    }
}
