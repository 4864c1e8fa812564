//! Saying that a ledger belongs to another Foxy than it says.

use sea_orm::{ConnectionTrait as _, Value};

use crate::{
    alone::InUse,
    audit::{self, By, Deed},
    belonging,
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
    InUse(InUse),
}

/// Where addresses at Foxy are kept.
const ADDRESSES: [(&str, &str); 4] = [
    ("provisionings", "user_uri"),
    ("provisionings", "store_uri"),
    ("credentials", "resource_uri"),
    ("grants", "expected_uri"),
];

impl Ledger {
    /// Makes a ledger that belongs to `from` belong to `to`, with all its tokens: a person says that both are the
    /// same Foxy under another name or in other books. Where both are addresses, what is at the one is at the other
    /// from then on. One transaction, so it has happened or it has not.
    ///
    /// # Errors
    /// When the database does not answer; then it may have happened. To repeat it is harmless.
    pub async fn rebind(&self, from: &WhichFoxy, to: &WhichFoxy, by: &By) -> Result<Rebind, LedgerError> {
        let (ledger, from, to, by) = (self.clone(), from.clone(), to.clone(), by.clone());
        let work = self.transaction(async move |txn, _| {
            let (now, in_use) = ledger.keep_workers_out(txn).await?;
            match belonging::read_in(txn).await? {
                Some(foxy) if foxy == to => return Ok(RollBack(Rebind::Already)),
                Some(foxy) if foxy == from => {}
                other => return Ok(RollBack(Rebind::BelongsTo(other))),
            }
            if let Some(in_use) = in_use {
                return Ok(RollBack(Rebind::InUse(in_use)));
            }
            let values = || [Value::from(to.to_string()), Value::from(from.to_string())];
            let change = "UPDATE which_foxy SET foxy = $1, since = $3 WHERE foxy = $2";
            txn.execute_raw(ledger.statement(change, values().into_iter().chain([now.into()]))).await?;
            if matches!((&from, &to), (WhichFoxy::Origin(_), WhichFoxy::Origin(_))) {
                for (table, column) in ADDRESSES {
                    let moved = format!(
                        "UPDATE {table} SET {column} = $1 || substr({column}, length($2) + 1) \
                         WHERE substr({column}, 1, length($2) + 1) = $2 || '/'"
                    );
                    let moved = ledger.statement(&moved, values());
                    txn.patiently(|inner| inner.execute_raw(moved)).await?;
                }
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
