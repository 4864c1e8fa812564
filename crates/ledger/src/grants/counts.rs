//! How many grants there are, at the same cost however many: triggers count them (decision 0042).

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait as _;

use crate::{
    connect::Ledger,
    error::LedgerError,
    grants::words::{GrantReason, GrantState},
    word::Word,
};

/// How many grants of one reason stand in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCount {
    /// Why they were asked for.
    pub reason: Word<GrantReason>,
    /// How they stand.
    pub state: Word<GrantState>,
    /// How many.
    pub count: u64,
}

impl GrantCount {
    /// How many of these stand in one state, whatever the reason.
    pub fn in_state(counts: &[Self], state: GrantState) -> u64 {
        counts.iter().filter(|count| count.state == state).map(|count| count.count).sum()
    }
}

/// What the triggers have counted, folded or not.
const COUNTS: &str = "SELECT reason, state, n FROM grant_counts UNION ALL SELECT reason, state, n FROM grant_changes";

/// SQLite has no changes that are still to be folded.
const COUNTS_EMBEDDED: &str = "SELECT reason, state, n FROM grant_counts";

/// One page of changes moves into the counts. Sorted, so that two workers that do it at once don't wait in a circle.
pub(crate) const FOLD: &str = "WITH folded AS (DELETE FROM grant_changes WHERE id = ANY(ARRAY(SELECT id FROM \
                               grant_changes ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)) \
                               RETURNING reason, state, n) INSERT INTO grant_counts (reason, state, n) \
                               SELECT reason, state, SUM(n) FROM folded GROUP BY 1, 2 ORDER BY 1, 2 \
                               ON CONFLICT (reason, state) DO UPDATE SET n = grant_counts.n + excluded.n";

impl Ledger {
    /// Counts grants, those that have ended too.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_grants(&self) -> Result<Vec<GrantCount>, LedgerError> {
        let ledger = self.clone();
        self.detached("count_grants", async move {
            let text = if ledger.is_embedded() { COUNTS_EMBEDDED } else { COUNTS };
            let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
            for row in ledger.db.query_all_raw(ledger.statement(text, [])).await? {
                let place = (row.try_get("", "reason")?, row.try_get("", "state")?);
                *counts.entry(place).or_default() += row.try_get::<i64>("", "n")?;
            }
            let counts = counts.into_iter().filter_map(|((reason, state), n)| {
                let count = u64::try_from(n).ok().filter(|count| *count > 0)?;
                Some(GrantCount { reason: reason.into(), state: state.into(), count })
            });
            Ok(counts.collect())
        })
        .await
    }
}
