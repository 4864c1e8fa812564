//! Who publishes outcome events: one worker at a time, by a lease.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    sea_query::{Expr, OnConflict, Query},
};

use crate::{
    connect::{Ledger, millis},
    entity::publishing_lease::{Column, Entity},
    error::LedgerError,
    ids::WorkerId,
    outbox::mark,
    transactions::Ending::Commit,
};

/// The key of the one row.
const THE_ONE: i32 = 1;

/// An end of the lease that lies further ahead than this many lengths was written before the clock was set back.
const PLAUSIBLE_LENGTHS: i64 = 4;

/// The exclusive right to publish outcome events. It ends by itself unless it is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishingLease {
    owner: WorkerId,
    /// The count of owners: a lease that was lost and won again is another one.
    epoch: i64,
}

impl Ledger {
    /// Takes the lease if no one holds it.
    ///
    /// # Errors
    /// When the database does not answer. A lease whose answer was lost expires.
    pub async fn take_publishing(
        &self,
        worker: &WorkerId,
        length: Duration,
    ) -> Result<Option<PublishingLease>, LedgerError> {
        let (ledger, worker) = (self.clone(), worker.clone());
        self.detached("take_publishing", async move {
            // Everyone who waits asks several times a second: so they read, and write only what they may win.
            let held = Entity::find_by_id(THE_ONE).filter(Expr::not(is_free(&ledger, length)));
            if held.count(&ledger.db).await? > 0 {
                return Ok(None);
            }
            let until = ledger.now().add(millis(length));
            let mut taken = OnConflict::column(Column::Id);
            taken
                .update_columns([Column::Owner, Column::LeaseUntil])
                .value(Column::Epoch, Expr::col((Entity, Column::Epoch)).add(1))
                .action_and_where(is_free(&ledger, length));
            let query = Query::insert()
                .into_table(Entity)
                .columns([Column::Id, Column::Owner, Column::LeaseUntil, Column::Epoch])
                .values_panic([Expr::val(THE_ONE), Expr::val(worker.as_str()), until, Expr::val(1)])
                .on_conflict(taken)
                .returning(Query::returning().column(Column::Epoch))
                .to_owned();
            let Some(row) = ledger.db.query_one(&query).await? else { return Ok(None) };
            ledger.count_commit();
            Ok(Some(PublishingLease { owner: worker, epoch: row.try_get("", "epoch")? }))
        })
        .await
    }

    /// Whether the lease still is this one: the fence before a batch is sent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holds_publishing(&self, lease: &PublishingLease) -> Result<bool, LedgerError> {
        let (ledger, lease) = (self.clone(), lease.clone());
        self.detached("holds_publishing", async move {
            let held = Entity::find_by_id(THE_ONE).filter(is(&lease));
            Ok(held.filter(Expr::col(Column::LeaseUntil).gt(ledger.now())).count(&ledger.db).await? > 0)
        })
        .await
    }

    /// Marks events that the broker has confirmed, and renews the lease for it. Answers whether the lease still was
    /// this one; the events are marked either way, since they are published.
    ///
    /// # Errors
    /// When the database does not answer; the events are then sent again, under the same ids.
    pub async fn published(
        &self,
        lease: &PublishingLease,
        length: Duration,
        seqs: Vec<i64>,
    ) -> Result<bool, LedgerError> {
        let (ledger, lease) = (self.clone(), lease.clone());
        let work = self.transaction_without_time(async move |txn| {
            if !seqs.is_empty() {
                mark(&ledger, txn, &seqs).await?;
            }
            let renewed = Entity::update_many()
                .col_expr(Column::LeaseUntil, ledger.now().add(millis(length)))
                .filter(Column::Id.eq(THE_ONE))
                .filter(is(&lease))
                .exec(txn)
                .await?;
            Ok(Commit(renewed.rows_affected > 0))
        });
        self.detached("published", work).await
    }

    /// Gives the lease back, so that another worker can have it at once.
    ///
    /// # Errors
    /// When the database does not answer; the lease then expires.
    pub async fn release_publishing(&self, lease: &PublishingLease) -> Result<(), LedgerError> {
        let (ledger, lease) = (self.clone(), lease.clone());
        self.detached("release_publishing", async move {
            Entity::update_many()
                .col_expr(Column::Owner, Expr::val(None::<String>))
                .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
                .filter(Column::Id.eq(THE_ONE))
                .filter(is(&lease))
                .exec(&ledger.db)
                .await?;
            ledger.count_commit();
            Ok(())
        })
        .await
    }
}

/// Given back, over, or from before the clock was set back.
fn is_free(ledger: &Ledger, length: Duration) -> Expr {
    let until = || Expr::col((Entity, Column::LeaseUntil));
    let farthest = ledger.now().add(PLAUSIBLE_LENGTHS.saturating_mul(millis(length)));
    until().is_null().or(until().lte(ledger.now())).or(until().gt(farthest))
}

fn is(lease: &PublishingLease) -> Expr {
    Expr::col(Column::Owner).eq(lease.owner.as_str()).and(Expr::col(Column::Epoch).eq(lease.epoch))
}
