//! Sweeping up after workers that vanished.

use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, LockBehavior, LockType},
};

use crate::{
    claim::Queue,
    connect::{Ledger, millis},
    entity::provisioning::{Column, Entity},
    error::LedgerError,
    evidence,
    state::{State, Step},
    transactions::Ending::{Commit, RollBack},
    word::Word,
};

/// A provisioning that was moved to `unknown`, since its worker vanished.
#[derive(Debug, Clone)]
pub struct Swept {
    /// The parent app's key.
    pub signup_id: String,
    /// The step whose call was announced.
    pub step: Word<Step>,
    /// The number of that call.
    pub intent: u32,
}

/// At most this many rows are changed at a time, so that nothing else waits long for them.
const AT_A_TIME: u64 = 500;

/// And at most this many times in one sweep: the rest is the next one's.
const TIMES: usize = 20;

/// A sweep begins nothing more after this long, lest it be taken for one that is not answered.
const LONG: Duration = Duration::from_secs(10);

impl Ledger {
    /// Sets the times of open rows back, where the clock was: a row that was written in the future was written before
    /// that. It keeps its distances: it waits for as long as was planned, and its lease is as long as it was, from
    /// now on. So nothing waits for the clock to catch up, and nothing is tried before its time. Answers whether
    /// there were any.
    async fn set_times_back(&self) -> Result<bool, LedgerError> {
        let (now, mut there_were_any) = (self.now(), false);
        // Those with the latest times first: only some are looked at, and what waits as planned is not among them for
        // long.
        let latest = |time: Column| {
            let future = Expr::col(time).gt(now.clone());
            Entity::find().select_only().column(Column::Id).filter(future).order_by_desc(time).limit(AT_A_TIME)
        };
        let waiting = |queue: Queue| latest(Column::DueAt).filter(queue.condition());
        for ids in [waiting(Queue::New), waiting(Queue::Begun), latest(Column::LeaseUntil)] {
            let mut update = Entity::update_many().col_expr(Column::UpdatedAt, now.clone());
            for time in [
                Column::DueAt,
                Column::NotBefore,
                Column::LeaseUntil,
                Column::IntentAt,
                Column::DoubtEndedAt,
                Column::StepSince,
            ] {
                let ahead = Expr::col(Column::UpdatedAt).sub(now.clone());
                update = update.col_expr(time, Expr::col(time).sub(ahead));
            }
            let was_written_in_the_future = Expr::col(Column::UpdatedAt).gt(now.clone());
            let update = self.limited_to(update.filter(was_written_in_the_future), ids.into_query());
            there_were_any |= self.db.execute(&update).await?.rows_affected() > 0;
        }
        Ok(there_were_any)
    }

    /// Moves every announced call whose worker's lease has expired to `unknown`, due for its first lookup after
    /// `lookup_after`, and writes the evidence. The epoch is raised, so that the old owner's writes no longer count.
    /// Some hundreds at a time, and some thousands in all; the rest is the next sweep's.
    ///
    /// Before that it sets the times of what waits or is leased back, where the clock was. After it, it tidies the
    /// counts of [`Ledger::standings`].
    ///
    /// # Errors
    /// When the database does not answer; then nothing was moved.
    pub async fn sweep(&self, lookup_after: Duration) -> Result<Vec<Swept>, LedgerError> {
        let ledger = self.clone();
        self.detached("sweep", async move {
            let began = Instant::now();
            let may_go_on = |times: usize| times < TIMES && began.elapsed() < LONG;
            let mut times = 0;
            while ledger.set_times_back().await? && may_go_on(times) {
                times += 1;
            }
            let (mut swept, mut times) = (Vec::new(), 0);
            loop {
                let some = match ledger.sweep_some(lookup_after).await {
                    Ok(some) => some,
                    // What was moved before must be known to its caller.
                    Err(_) if !swept.is_empty() => return Ok(swept),
                    Err(error) => return Err(error),
                };
                let may_be_more = some.len() as u64 == AT_A_TIME;
                swept.extend(some);
                times += 1;
                if !may_be_more || !may_go_on(times) {
                    break;
                }
            }
            // The counts are right without it, and the next sweep does the same.
            let _ = ledger.fold_counts().await;
            Ok(swept)
        })
        .await
    }

    async fn sweep_some(&self, lookup_after: Duration) -> Result<Vec<Swept>, LedgerError> {
        self.transaction(async |txn, now| {
            let expired = Entity::find()
                .filter(Column::State.eq(State::InFlight.as_str()))
                .filter(Column::LeaseUntil.lt(now))
                .limit(AT_A_TIME)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .all(txn)
                .await?;
            if expired.is_empty() {
                return Ok(RollBack(Vec::new()));
            }
            let ids: Vec<&str> = expired.iter().map(|row| row.id.as_str()).collect();
            Entity::update_many()
                .col_expr(Column::State, Expr::val(State::Unknown.as_str()))
                .col_expr(Column::DueAt, Expr::val(now + millis(lookup_after)))
                .col_expr(Column::InDoubt, Expr::val(true))
                // A call ends before its lease does.
                .col_expr(Column::DoubtEndedAt, Expr::col(Column::LeaseUntil))
                .col_expr(Column::Refused, Expr::val(None::<String>))
                .col_expr(Column::Lookups, Expr::val(0))
                .col_expr(Column::LeaseOwner, Expr::val(None::<String>))
                .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
                .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
                .col_expr(Column::UpdatedAt, Expr::val(now))
                .filter(Column::Id.is_in(ids))
                .exec(txn)
                .await?;
            let swept = expired
                .iter()
                .map(|row| Swept {
                    signup_id: row.signup_id.clone(),
                    step: row.step.clone().into(),
                    intent: u32::try_from(row.intents).unwrap_or_default(),
                })
                .collect();
            evidence::insert(txn, expired.iter().map(|row| evidence::of_expired(row, now))).await?;
            Ok(Commit(swept))
        })
        .await
    }
}
