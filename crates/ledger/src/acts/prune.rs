//! Pruning: evidence and outcome events of signups that were closed long ago.
//!
//! Nothing of a signup that is not closed is pruned: what is known of it steers it. What stays of a closed one
//! answers who asked for it, what it has at Foxy, and when: decision 0050.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait as _, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    connect::{Ledger, millis},
    connections::Transaction,
    entity::{attempt, credential, outbox, provisioning},
    error::LedgerError,
    state::AttemptOutcome,
    transactions::Ending::{Commit, RollBack},
};

/// How many signups one transaction takes the evidence of: on SQLite other writers wait for it.
const SIGNUPS: i64 = 200;

/// How many published events, or trips, one statement looks at.
const EVENTS: u64 = 500;

/// What one page of pruning evidence came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EvidencePage {
    /// How many signups were looked at. None: there are no more, or another worker prunes just now.
    pub signups: u64,
    /// How many pieces of evidence were deleted.
    pub deleted: u64,
}

/// Where an event stands in the order in which events were published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaceOfEvent {
    published_at: i64,
    seq: i64,
}

/// What one page of pruning events came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventsPage {
    /// How many were deleted.
    pub deleted: u64,
    /// Behind which event the next page begins, if there may be one.
    pub next: Option<PlaceOfEvent>,
}

impl Ledger {
    /// Deletes the evidence of the signups that were closed first, of those closed longer ago than `keep` whose
    /// evidence is still there: one page of them. What says that Foxy may have more than the row shows stays, as does
    /// what people did.
    ///
    /// One worker does this at a time. Another is not waited for, nor is a row that is locked.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was deleted, or it is not known. To repeat it is harmless.
    pub async fn prune_evidence(&self, keep: Duration) -> Result<EvidencePage, LedgerError> {
        let ledger = self.clone();
        let work = self.transaction(async move |txn, now| {
            let Some(from) = ledger.lock_pruned_to(txn).await? else { return Ok(RollBack(EvidencePage::default())) };
            let Some(to) = ledger.end_of_page(txn, from, now - millis(keep)).await? else {
                return Ok(RollBack(EvidencePage::default()));
            };
            use provisioning::{Column, Entity};
            // All that were closed in the last millisecond of the page are in it.
            let closed = Entity::find().select_only().column(Column::Id).filter(Column::ClosedAt.gt(from));
            let ids: Vec<String> = closed.filter(Column::ClosedAt.lte(to)).into_tuple().all(txn).await?;
            let deleted = delete_evidence(txn, &ids).await?;
            let done = "UPDATE pruned_evidence SET closed_to = $1 WHERE id = 1";
            txn.execute_raw(ledger.statement(done, [to.into()])).await?;
            Ok(Commit(EvidencePage { signups: ids.len() as u64, deleted }))
        });
        self.detached("prune_evidence", work).await
    }

    /// How far evidence was pruned: that of every signup closed at this moment or before; epoch milliseconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn evidence_pruned_to(&self) -> Result<i64, LedgerError> {
        let ledger = self.clone();
        self.detached("evidence_pruned_to", async move {
            let row = ledger.db.query_one_raw(ledger.statement(PRUNED_TO, [])).await?;
            Ok(row.map(|row| row.try_get("", "closed_to")).transpose()?.unwrap_or(0))
        })
        .await
    }

    /// Until when it was pruned. `None` if another worker prunes.
    async fn lock_pruned_to(&self, txn: &Transaction) -> Result<Option<i64>, LedgerError> {
        // SQLite has one writer at a time, and that is this transaction.
        let lock = if self.is_embedded() { "" } else { " FOR UPDATE SKIP LOCKED" };
        let row = txn.query_one_raw(self.statement(&format!("{PRUNED_TO}{lock}"), [])).await?;
        Ok(row.map(|row| row.try_get("", "closed_to")).transpose()?)
    }

    /// When the last signup of the page was closed. `None` if there is none to prune.
    async fn end_of_page(&self, txn: &Transaction, from: i64, before: i64) -> Result<Option<i64>, LedgerError> {
        let page = format!(
            "SELECT MAX(closed_at) AS last FROM (SELECT closed_at FROM provisionings WHERE closed_at IS NOT NULL \
             AND closed_at > $1 AND closed_at < $2 ORDER BY closed_at LIMIT {SIGNUPS}) AS page"
        );
        let row = txn.query_one_raw(self.statement(&page, [from.into(), before.into()])).await?;
        Ok(row.map(|row| row.try_get("", "last")).transpose()?.flatten())
    }

    /// Deletes one page, behind `after`, of the events that were published longer ago than `keep`. Those of a signup
    /// that is not closed stay: whether it has any, and which is the last of a parked one, decides what is published
    /// next.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was deleted, or it is not known. To repeat it is harmless.
    pub async fn prune_events(&self, keep: Duration, after: PlaceOfEvent) -> Result<EventsPage, LedgerError> {
        use outbox::{Column, Entity};
        let (ledger, before) = (self.clone(), self.now_ms().await? - millis(keep));
        self.detached("prune_events", async move {
            let place = Expr::tuple([Expr::col(Column::PublishedAt), Expr::col(Column::Seq)].map(SimpleExpr::from));
            let page: Vec<(i64, i64)> = Entity::find()
                .select_only()
                .columns([Column::PublishedAt, Column::Seq])
                .filter(Column::PublishedAt.is_not_null())
                .filter(Column::PublishedAt.lt(before))
                .filter(place.gt(Expr::tuple([Expr::val(after.published_at), Expr::val(after.seq)])))
                .order_by_asc(Column::PublishedAt)
                .order_by_asc(Column::Seq)
                .limit(EVENTS)
                .into_tuple()
                .all(&ledger.db)
                .await?;
            let Some(&(published_at, seq)) = page.last() else { return Ok(EventsPage::default()) };
            let is_full = page.len() as u64 == EVENTS;
            let next = is_full.then_some(PlaceOfEvent { published_at, seq });
            let seqs: Vec<String> = page.iter().map(|(_, seq)| seq.to_string()).collect();
            let deleted = ledger.db.execute_raw(ledger.statement(&ledger.deleting(&seqs.join(", ")), [])).await?;
            if deleted.rows_affected() > 0 {
                ledger.count_commit();
            }
            Ok(EventsPage { deleted: deleted.rows_affected(), next })
        })
        .await
    }

    /// Deletes a page of the trips that were over longer ago than `keep`; what became of their grants stays. Answers
    /// how many.
    ///
    /// # Errors
    /// When the database does not answer; then nothing was deleted, or it is not known. To repeat it is harmless.
    pub async fn prune_trips(&self, keep: Duration) -> Result<u64, LedgerError> {
        let (ledger, before) = (self.clone(), self.now_ms().await? - millis(keep));
        self.detached("prune_trips", async move {
            let old = format!("SELECT id FROM trips WHERE expires_at < $1 ORDER BY expires_at LIMIT {EVENTS}");
            let text = if ledger.is_embedded() {
                format!("DELETE FROM trips WHERE id IN ({old})")
            } else {
                format!("DELETE FROM trips WHERE id = ANY(ARRAY({old} FOR UPDATE SKIP LOCKED))")
            };
            let deleted = ledger.db.execute_raw(ledger.statement(&text, [before.into()])).await?.rows_affected();
            if deleted > 0 {
                ledger.count_commit();
            }
            Ok(deleted)
        })
        .await
    }

    /// Deletes these events but for those of open signups. The subquery that finds the signup answers one value, so
    /// it stays one look into an index for each event: `NOT EXISTS` leaves the planner the choice to read all
    /// signups.
    fn deleting(&self, seqs: &str) -> String {
        let of_none_that_is_open = "COALESCE((SELECT p.state FROM provisionings p WHERE p.signup_id = outbox.signup_id), \
                                    'closed') = 'closed'";
        let old = format!("SELECT seq FROM outbox WHERE seq IN ({seqs}) AND {of_none_that_is_open}");
        if self.is_embedded() {
            format!("DELETE FROM outbox WHERE seq IN ({old})")
        } else {
            // What another worker prunes just now is not waited for.
            format!("DELETE FROM outbox WHERE seq = ANY(ARRAY({old} FOR UPDATE OF outbox SKIP LOCKED))")
        }
    }
}

const PRUNED_TO: &str = "SELECT closed_to FROM pruned_evidence WHERE id = 1";

async fn delete_evidence(txn: &Transaction, ids: &[String]) -> Result<u64, LedgerError> {
    use attempt::Column as A;
    use credential::Column as C;
    // A store that was left behind has its domain in the evidence of its call alone.
    let left: Vec<String> = credential::Entity::find()
        .select_only()
        .column(C::ProvisioningId)
        .filter(C::ProvisioningId.is_in(ids.iter().map(String::as_str)))
        .filter(C::Apart.eq(true))
        .into_tuple()
        .all(txn)
        .await?;
    let (with, without): (Vec<&str>, Vec<&str>) =
        ids.iter().map(String::as_str).partition(|id| left.iter().any(|of| of == id));
    let mut deleted = 0;
    for (ids, made_too) in [(with, false), (without, true)] {
        if ids.is_empty() {
            continue;
        }
        let outcomes = AttemptOutcome::ALL.iter().filter(|outcome| outcome.is_prunable());
        let outcomes =
            outcomes.filter(|outcome| made_too || **outcome != AttemptOutcome::Done).map(|word| word.as_str());
        let old =
            attempt::Entity::delete_many().filter(A::ProvisioningId.is_in(ids)).filter(A::Outcome.is_in(outcomes));
        deleted += old.exec(txn).await?.rows_affected;
    }
    Ok(deleted)
}
