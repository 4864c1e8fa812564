//! Marking a ledger that was restored from an older copy: Foxy may have more than its rows say.

use sea_orm::{ConnectionTrait as _, Value};

use crate::{
    alone::InUse,
    audit::{self, By, Deed},
    connect::Ledger,
    connections::Transaction,
    error::LedgerError,
    evidence,
    state::Act,
    transactions::Ending::{Commit, RollBack},
};

/// What asking to mark a restored ledger came to. Unless it is marked, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkRestored {
    /// It is marked.
    Marked(Marked),
    /// Leases are alive: a worker is at work, or was when the copy was made.
    InUse(InUse),
    /// It holds a signup that was accepted after the time given, so the copy is not that old.
    Newer {
        /// When the newest was accepted; epoch milliseconds.
        accepted_at_ms: i64,
    },
    /// The time given has not come yet.
    Future {
        /// What the ledger's clock shows; epoch milliseconds.
        now_ms: i64,
    },
}

/// How many rows were marked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marked {
    /// Those that go on by themselves, after a lookup.
    pub open: u64,
    /// Those that rest until someone acts. They begin with a lookup then.
    pub parked: u64,
    /// Those that an earlier run for the same copy had marked.
    pub marked_before: u64,
    /// Those that are closed, and were left alone.
    pub closed: u64,
}

/// The rows to mark. One that was accepted later than the copy was made is not from it.
const UNMARKED: &str = "state <> 'closed' AND accepted_at <= $1 AND (restored_to IS NULL OR restored_to <> $1)";

impl Ledger {
    /// Marks every row that is not closed as one that comes from a copy of the ledger made at `to_ms`. What happened
    /// to its signup between then and now is unknown, so whatever it stands at is in doubt, and so is every natural
    /// key that it tries from now on: it is looked up before anything is sent.
    ///
    /// One transaction that keeps workers out while it lasts, which on a large ledger is longer than other operations
    /// may take. To repeat it for the same copy is harmless, also after workers have gone on.
    ///
    /// # Errors
    /// When the database does not answer; then nothing is marked, or it is not known.
    pub async fn mark_restored(&self, to_ms: i64, by: &By) -> Result<MarkRestored, LedgerError> {
        let (ledger, by) = (self.clone(), by.clone());
        Self::undisturbed(self.transaction(async move |txn, _| {
            let (now, in_use) = ledger.keep_workers_out(txn).await?;
            if let Some(refused) = ledger.refusal(txn, to_ms, now, in_use).await? {
                return Ok(RollBack(refused));
            }
            let marked = ledger.count_marks(txn, to_ms).await?;
            let (to, when) = (Value::from(to_ms), Value::from(now));
            let evidence = evidence::of_restored(&ledger, UNMARKED, to.clone(), &by.who, now);
            txn.patiently(|inner| inner.execute_raw(evidence)).await?;
            // The step's age starts over: no one could work on it meanwhile. No worker is running, so any call that was
            // under way has ended. A parked signup is in doubt once it continues; until then it is judged as it stood.
            let update = format!(
                "UPDATE provisionings SET restored_to = $1, epoch = epoch + 1, updated_at = $2, doubt_ended_at = $2, \
                 refused = NULL, lookups = 0, retries = 0, tries = 0, tried_ms = 0, step_since = $2, \
                 lease_owner = NULL, lease_until = NULL, in_doubt = CASE WHEN state = 'parked' THEN in_doubt ELSE TRUE END, \
                 due_at = CASE WHEN state = 'parked' THEN due_at ELSE $2 END, \
                 state = CASE WHEN state = 'parked' THEN state ELSE 'unknown' END WHERE {UNMARKED}"
            );
            let update = ledger.statement(&update, [to, when]);
            txn.patiently(|inner| inner.execute_raw(update)).await?;
            let detail = format!("open: {}, parked: {}", marked.open, marked.parked);
            let deed = Deed { detail: Some(detail), ..Deed::to_all(Act::MarkRestored) };
            audit::write(txn, &by, &deed, now).await?;
            Ok(Commit(MarkRestored::Marked(marked)))
        }))
        .await
    }

    /// Why the ledger must not be marked.
    async fn refusal(
        &self,
        txn: &Transaction,
        to_ms: i64,
        now: i64,
        in_use: Option<InUse>,
    ) -> Result<Option<MarkRestored>, LedgerError> {
        if to_ms > now {
            return Ok(Some(MarkRestored::Future { now_ms: now }));
        }
        if let Some(in_use) = in_use {
            return Ok(Some(MarkRestored::InUse(in_use)));
        }
        // Those that came after an earlier run are no part of the copy.
        let newer = "SELECT MAX(accepted_at) AS newest FROM provisionings WHERE accepted_at > $1 \
                     AND NOT EXISTS (SELECT 1 FROM provisionings WHERE restored_to = $1)";
        let newest = txn.query_one_raw(self.statement(newer, [to_ms.into()])).await?;
        let newest = newest.map(|row| row.try_get::<Option<i64>>("", "newest")).transpose()?.flatten();
        Ok(newest.map(|accepted_at_ms| MarkRestored::Newer { accepted_at_ms }))
    }

    async fn count_marks(&self, txn: &Transaction, to_ms: i64) -> Result<Marked, LedgerError> {
        let query = format!(
            "SELECT COALESCE(SUM(CASE WHEN {UNMARKED} AND state <> 'parked' THEN 1 ELSE 0 END), 0) AS open, \
             COALESCE(SUM(CASE WHEN {UNMARKED} AND state = 'parked' THEN 1 ELSE 0 END), 0) AS parked, \
             COALESCE(SUM(CASE WHEN restored_to = $1 THEN 1 ELSE 0 END), 0) AS marked, \
             COALESCE(SUM(CASE WHEN state = 'closed' THEN 1 ELSE 0 END), 0) AS closed FROM provisionings"
        );
        let query = self.statement(&query, [to_ms.into()]);
        let Some(row) = txn.patiently(|inner| inner.query_one_raw(query)).await? else {
            return Ok(Marked::default());
        };
        let count = |name| Ok::<_, LedgerError>(row.try_get::<i64>("", name)?.unsigned_abs());
        Ok(Marked {
            open: count("open")?,
            parked: count("parked")?,
            marked_before: count("marked")?,
            closed: count("closed")?,
        })
    }

    /// A random id, as an expression that gives another one for each row.
    pub(crate) fn fresh_id(&self) -> &'static str {
        if self.is_embedded() {
            "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || \
             substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
        } else {
            "CAST(gen_random_uuid() AS TEXT)"
        }
    }
}
