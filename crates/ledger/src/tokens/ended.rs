//! The end of `FXD1`, which says nothing of whose it is: from when none is left, one that turns up was put there.

use foxden_vault::{Format, Sealed};
use sea_orm::{ConnectionTrait as _, Statement};

use crate::{
    audit::{self, By, Deed},
    connect::Ledger,
    connections::Transaction,
    error::LedgerError,
    keys::Contents,
    state::Act,
    transactions::Ending::{Commit, RollBack},
};

/// What came of ending `FXD1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfFxd1 {
    /// None is left, and the ledger notes it from now on.
    Now,
    /// It was noted before.
    Before,
    /// An envelope of it is left.
    NotYet,
}

impl Ledger {
    /// Whether this ledger has noted that no envelope of `FXD1` is left in it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_fxd1_ended(&self) -> Result<bool, LedgerError> {
        let (ledger, query) = (self.clone(), self.note_of_end());
        self.detached("has_fxd1_ended", async move { Ok(ledger.db.query_one_raw(query).await?.is_some()) }).await
    }

    fn note_of_end(&self) -> Statement {
        self.statement("SELECT format FROM ended_formats WHERE format = $1", [name().into()])
    }

    /// Refuses a token that this transaction has just written, if it is of `FXD1` and that has ended. To be asked
    /// after the write: that holds the table's lock, so an end that has not counted the token is seen here.
    pub(crate) async fn refuse_if_ended(&self, txn: &Transaction, written: &Sealed) -> Result<(), LedgerError> {
        if written.format() == Format::Fxd1 && txn.query_one_raw(self.note_of_end()).await?.is_some() {
            return Err(LedgerError::FormatEnded);
        }
        Ok(())
    }

    /// Notes that no envelope of `FXD1` is left, if none is. The audit has who ended it: it shows an end whose note was
    /// deleted since.
    ///
    /// # Errors
    /// When the database does not answer; then it may have happened. To repeat it is harmless.
    pub async fn end_fxd1(&self, by: &By) -> Result<EndOfFxd1, LedgerError> {
        let (ledger, by) = (self.clone(), by.clone());
        let work = self.transaction(async move |txn, now| {
            if !ledger.is_embedded() {
                // A token that comes out of an escrow meanwhile is counted here, or refused by `refuse_if_ended`. No
                // other table is locked: workers take the two in either order.
                txn.execute_unprepared("LOCK TABLE credentials IN SHARE ROW EXCLUSIVE MODE").await?;
            }
            for (table, column) in Contents::ALL.map(Contents::place) {
                let magic = if ledger.is_embedded() { "x'46584431'" } else { r"'\x46584431'::bytea" };
                let left = format!(
                    "SELECT id FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 1, 4) = {magic} LIMIT 1"
                );
                if txn.query_one_raw(ledger.statement(&left, [])).await?.is_some() {
                    return Ok(RollBack(EndOfFxd1::NotYet));
                }
            }
            let note = "INSERT INTO ended_formats (format, ended_at) VALUES ($1, $2) ON CONFLICT (format) DO NOTHING";
            let noted = txn.execute_raw(ledger.statement(note, [name().into(), now.into()])).await?;
            if noted.rows_affected() == 0 {
                return Ok(RollBack(EndOfFxd1::Before));
            }
            let deed = Deed { detail: Some("FXD1 has ended".to_owned()), ..Deed::to_all(Act::Reseal) };
            audit::write(txn, &by, &deed, now).await?;
            Ok(Commit(EndOfFxd1::Now))
        });
        self.detached("end_fxd1", work).await
    }

    /// Takes the note back: a person says that an envelope of `FXD1` may yet come, out of an escrow that was
    /// overlooked. Answers whether there was one.
    ///
    /// # Errors
    /// As [`Ledger::end_fxd1`].
    pub async fn admit_fxd1(&self, by: &By) -> Result<bool, LedgerError> {
        let (ledger, by) = (self.clone(), by.clone());
        let work = self.transaction(async move |txn, now| {
            let gone = ledger.statement("DELETE FROM ended_formats WHERE format = $1", [name().into()]);
            if txn.execute_raw(gone).await?.rows_affected() == 0 {
                return Ok(RollBack(false));
            }
            let deed = Deed { detail: Some("FXD1 is admitted again".to_owned()), ..Deed::to_all(Act::Reseal) };
            audit::write(txn, &by, &deed, now).await?;
            Ok(Commit(true))
        });
        self.detached("admit_fxd1", work).await
    }
}

fn name() -> String {
    String::from_utf8_lossy(&Format::Fxd1.magic()).into_owned()
}
