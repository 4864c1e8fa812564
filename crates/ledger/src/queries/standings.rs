//! How many provisionings stand in which place, and since when, and how many events wait: at the same cost on a
//! ledger of any size.
//!
//! The database keeps the counts as rows change, by triggers (decision 0042). What is in flight they leave out: it
//! changes the most often, and is no more than workers can have under way, so it is read as it is.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, QueryResult};

use crate::{
    connect::Ledger,
    error::{LedgerError, leave_out_damaged},
    grants,
    state::{ParkedReason, State, Step},
};

/// How many provisionings stand in one place, and since when the oldest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The step.
    pub step: Step,
    /// The state.
    pub state: State,
    /// The reason, for those that are parked, or were when they were cancelled.
    pub parked_reason: Option<ParkedReason>,
    /// How many.
    pub count: u64,
    /// When the oldest of them was accepted; epoch milliseconds.
    pub oldest_ms: i64,
}

impl Standing {
    /// Whether a person closed these before they were provisioned.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self.state, State::Closed) && !matches!(self.step, Step::Done)
    }
}

/// What the triggers have counted, folded or not, and what they leave out. In one statement, so that a row that moves
/// meanwhile is in one place; what is in flight is read once, for both steps.
const COUNTS: &str = "WITH found AS MATERIALIZED (SELECT COUNT(CASE step WHEN 'user' THEN 1 END) AS users, \
                      MIN(CASE step WHEN 'user' THEN accepted_at END) AS first_user, \
                      COUNT(CASE step WHEN 'store' THEN 1 END) AS stores, \
                      MIN(CASE step WHEN 'store' THEN accepted_at END) AS first_store \
                      FROM provisionings WHERE state = 'in_flight') \
                      SELECT step, state, parked_reason, n, CAST(NULL AS BIGINT) AS oldest FROM standings \
                      UNION ALL SELECT step, state, parked_reason, n, NULL FROM standing_changes \
                      UNION ALL SELECT 'user', 'in_flight', '', users, first_user FROM found \
                      UNION ALL SELECT 'store', 'in_flight', '', stores, first_store FROM found";

/// One page of changes moves into the counts. Sorted, so that two workers that do it at once don't wait in a circle.
const FOLD: &str = "WITH folded AS (DELETE FROM standing_changes WHERE id = ANY(ARRAY(SELECT id FROM standing_changes \
                    ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)) RETURNING step, state, parked_reason, n) \
                    INSERT INTO standings (step, state, parked_reason, n) \
                    SELECT step, state, parked_reason, SUM(n) FROM folded GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 \
                    ON CONFLICT (step, state, parked_reason) DO UPDATE SET n = standings.n + excluded.n";

/// What the triggers have counted, folded or not.
const WAITING: &str = "SELECT n FROM waiting_events UNION ALL SELECT n FROM waiting_event_changes";

/// SQLite has no changes that are still to be folded.
const WAITING_EMBEDDED: &str = "SELECT n FROM waiting_events";

const FOLD_WAITING: &str = "WITH folded AS (DELETE FROM waiting_event_changes WHERE id = ANY(ARRAY(SELECT id FROM \
                            waiting_event_changes ORDER BY id LIMIT 10000 FOR UPDATE SKIP LOCKED)) RETURNING n) \
                            UPDATE waiting_events SET n = waiting_events.n + more.n \
                            FROM (SELECT SUM(n) AS n FROM folded HAVING COUNT(*) > 0) AS more";

/// A place as it is stored, in the order in which places are shown.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    state: String,
    parked_reason: String,
    step: String,
}

/// How many are there, and since when the oldest, where that is known already.
#[derive(Default)]
struct Counted {
    n: i64,
    oldest_ms: Option<i64>,
}

impl Ledger {
    /// Counts provisionings by place. A place that its last one leaves meanwhile is left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        let ledger = self.clone();
        self.detached("standings", async move {
            let rows = ledger.db.query_all_raw(ledger.statement(COUNTS, [])).await?;
            let mut standings = leave_out_damaged(sum(&rows)?.into_iter().map(|(place, counted)| place.read(&counted)));
            let ask = standings.iter().enumerate().filter(|(_, standing)| standing.state != State::InFlight);
            let ask: Vec<String> = ask.map(|(place, standing)| oldest(place, standing)).collect();
            if !ask.is_empty() {
                for row in ledger.db.query_all_raw(ledger.statement(&ask.join(" UNION ALL "), [])).await? {
                    let place: i32 = row.try_get("", "place")?;
                    let found = row.try_get::<Option<i64>>("", "oldest")?;
                    if let Some(standing) = usize::try_from(place).ok().and_then(|place| standings.get_mut(place)) {
                        standing.oldest_ms = found.unwrap_or(GONE);
                    }
                }
            }
            standings.retain(|standing| standing.oldest_ms != GONE);
            Ok(standings)
        })
        .await
    }

    /// How many outcome events wait.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_waiting_events(&self) -> Result<u64, LedgerError> {
        let ledger = self.clone();
        self.detached("count_waiting_events", async move {
            let text = if ledger.is_embedded() { WAITING_EMBEDDED } else { WAITING };
            let mut waiting = 0;
            for row in ledger.db.query_all_raw(ledger.statement(text, [])).await? {
                waiting += row.try_get::<i64>("", "n")?;
            }
            Ok(u64::try_from(waiting).unwrap_or(0))
        })
        .await
    }

    /// Moves changes into the counts, so that there are never many of them. SQLite's are there already.
    pub(crate) async fn fold_counts(&self) -> Result<(), LedgerError> {
        if self.is_embedded() {
            return Ok(());
        }
        for fold in [FOLD, FOLD_WAITING, grants::counts::FOLD] {
            if self.db.execute_raw(self.statement(fold, [])).await?.rows_affected() > 0 {
                self.count_commit();
            }
        }
        Ok(())
    }
}

/// The time of no row.
const GONE: i64 = i64::MIN;

fn sum(rows: &[QueryResult]) -> Result<BTreeMap<Place, Counted>, LedgerError> {
    let mut places: BTreeMap<Place, Counted> = BTreeMap::new();
    for row in rows {
        let [state, parked_reason, step] = ["state", "parked_reason", "step"].map(|column| row.try_get("", column));
        let place = Place { state: state?, parked_reason: parked_reason?, step: step? };
        let counted = places.entry(place).or_default();
        counted.n += row.try_get::<i64>("", "n")?;
        counted.oldest_ms = [counted.oldest_ms, row.try_get("", "oldest")?].into_iter().flatten().min();
    }
    places.retain(|_, counted| counted.n > 0);
    Ok(places)
}

impl Place {
    fn read(&self, counted: &Counted) -> Result<Standing, LedgerError> {
        let damaged = |column| LedgerError::Damaged { id: "(in a count)".to_owned(), column };
        let reason = Some(self.parked_reason.as_str()).filter(|word| !word.is_empty());
        Ok(Standing {
            step: Step::parse(&self.step).ok_or_else(|| damaged("step"))?,
            state: State::parse(&self.state).ok_or_else(|| damaged("state"))?,
            parked_reason: reason
                .map(|word| ParkedReason::parse(word).ok_or_else(|| damaged("parked_reason")))
                .transpose()?,
            count: u64::try_from(counted.n).unwrap_or(0),
            oldest_ms: counted.oldest_ms.unwrap_or(GONE),
        })
    }
}

/// Asks for the oldest of a place. In words that the index by place serves.
fn oldest(place: usize, standing: &Standing) -> String {
    let reason = standing.parked_reason.map_or("", ParkedReason::as_str);
    format!(
        "SELECT {place} AS place, MIN(accepted_at) AS oldest FROM provisionings WHERE state = '{}' AND step = '{}' \
         AND COALESCE(parked_reason, '') = '{reason}' AND state <> 'in_flight'",
        standing.state, standing.step
    )
}
