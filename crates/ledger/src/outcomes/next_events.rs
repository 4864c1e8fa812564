//! What the publisher may send next, found in looks of bounded cost however much waits.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Alias, Expr, Order, Query, SelectStatement},
};

use crate::{
    connect::Ledger,
    entity::outbox::{Column, Entity, Model},
    error::LedgerError,
    outbox::{OutcomeEvent, Waiting},
    state::OutcomeKind,
};

/// How many rows one look takes in. Enough for many batches; few enough that a look takes some milliseconds.
const WINDOW: u64 = 200;

/// Where to look, and for what.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Behind this place in the order of the outbox; 0 is the beginning.
    pub after: i64,
    /// The kinds that the publisher sends now. All others are passed over, and what waits behind one of them for the
    /// same signup waits on.
    pub kinds: Vec<OutcomeKind>,
    /// Rows that can't be read. They hold up nothing behind them.
    pub set_aside: Vec<i64>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Looked {
    /// The events that may be sent now, in order: at most one of each signup, the oldest that waits.
    pub ready: Vec<Waiting>,
    /// Rows that can't be read.
    pub damaged: Vec<DamagedEvent>,
    /// The words of the kinds that were passed over, known ones and others.
    pub passed_over: BTreeSet<String>,
    /// Where the look ended, if more may wait behind it.
    pub more_after: Option<i64>,
    /// The last place that was seen.
    pub last: i64,
}

/// An event that waits and whose body can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEvent {
    /// Its place in the order of the outbox.
    pub seq: i64,
    /// The event's id.
    pub event_id: String,
    /// The signup that it tells of.
    pub signup_id: String,
}

impl Ledger {
    /// Looks for events that may be published next. One look takes in a bounded part of the outbox; the next one
    /// begins at [`Looked::more_after`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn next_events(&self, look: Look) -> Result<Looked, LedgerError> {
        let ledger = self.clone();
        self.detached("next_events", async move {
            let window: Vec<(i64, String, String)> = Entity::find()
                .select_only()
                .columns([Column::Seq, Column::SignupId, Column::Kind])
                .filter(Column::PublishedAt.is_null())
                .filter(Column::Seq.gt(look.after))
                .order_by_asc(Column::Seq)
                .limit(WINDOW)
                .into_tuple()
                .all(&ledger.db)
                .await?;
            let last = window.last().map_or(look.after, |row| row.0);
            let is_full = u64::try_from(window.len()).is_ok_and(|rows| rows == WINDOW);
            let mut looked = Looked { more_after: is_full.then_some(last), last, ..Looked::default() };
            let candidates = candidates(window, &look, &mut looked.passed_over);
            if candidates.is_empty() {
                return Ok(looked);
            }
            let oldest = Expr::SubQuery(None, Box::new(oldest_of_its_signup(&look.set_aside).into()));
            let mut rows = Entity::find()
                .filter(Column::Seq.is_in(candidates))
                .filter(Expr::col((Entity, Column::Seq)).eq(oldest))
                .all(&ledger.db)
                .await?;
            // Here and not there: some releases of PostgreSQL sort what they find by a list of keys.
            rows.sort_unstable_by_key(|row| row.seq);
            for row in rows {
                match read(row) {
                    Ok(event) => looked.ready.push(event),
                    Err(damaged) => looked.damaged.push(damaged),
                }
            }
            Ok(looked)
        })
        .await
    }
}

/// The first row of each signup in the window, unless it is of a kind that is passed over.
fn candidates(window: Vec<(i64, String, String)>, look: &Look, passed_over: &mut BTreeSet<String>) -> Vec<i64> {
    let mut signups = BTreeSet::new();
    let mut candidates = Vec::new();
    for (seq, signup_id, kind) in window {
        if look.set_aside.contains(&seq) || !signups.insert(signup_id) {
            continue;
        }
        if OutcomeKind::parse(&kind).is_some_and(|kind| look.kinds.contains(&kind)) {
            candidates.push(seq);
        } else {
            passed_over.insert(kind);
        }
    }
    candidates
}

/// The oldest row that waits for the signup of a row of the outer query. Correlated, and so one seek in an index for
/// each: a join leaves the planner the choice to read everything that waits.
fn oldest_of_its_signup(set_aside: &[i64]) -> SelectStatement {
    let earlier = || Alias::new("earlier");
    let mut query = Query::select()
        .column((earlier(), Column::Seq))
        .from_as(Entity, earlier())
        .and_where(Expr::col((earlier(), Column::PublishedAt)).is_null())
        .and_where(Expr::col((earlier(), Column::SignupId)).eq(Expr::col((Entity, Column::SignupId))))
        .order_by((earlier(), Column::Seq), Order::Asc)
        .limit(1)
        .to_owned();
    if !set_aside.is_empty() {
        query.and_where(Expr::col((earlier(), Column::Seq)).is_not_in(set_aside.iter().copied()));
    }
    query
}

fn read(row: Model) -> Result<Waiting, DamagedEvent> {
    // The kind was read as one that is sent, or the row would be no candidate.
    match (OutcomeKind::parse(&row.kind), serde_json::from_str(&row.body)) {
        (Some(kind), Ok(data)) => {
            let event = OutcomeEvent { kind, data };
            Ok(Waiting { seq: row.seq, event_id: row.event_id, at_ms: row.created_at, event })
        }
        _ => Err(DamagedEvent { seq: row.seq, event_id: row.event_id, signup_id: row.signup_id }),
    }
}
