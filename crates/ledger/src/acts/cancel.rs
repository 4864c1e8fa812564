//! Closing a provisioning for good before it is provisioned.

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter,
    sea_query::{CaseStatement, Expr},
};

use crate::{
    audit::{self, By, Deed},
    connect::Ledger,
    credentials::wipe_user_tokens,
    entity::provisioning::{Column, Entity},
    error::LedgerError,
    evidence,
    grants::{ending, taken_over::has_taken_over},
    outbox::{OutcomeEvent, insert_event, was_told},
    provisioning::Provisioning,
    state::{Act, AttemptKind, AttemptOutcome, State},
    transactions::Ending::{Commit, RollBack},
};

/// Who closes it, why, and what is kept of it.
#[derive(Debug, Clone)]
pub struct Cancellation {
    /// Who, and why.
    pub by: By,
    /// Keep the sealed user token, unless it is that of a user that was taken over. The event's contents are wiped
    /// whatever this says.
    pub keep_user_token: bool,
    /// The outcome event that tells the parent app.
    pub event: OutcomeEvent,
    /// Tell it in any case; else only if the parent app was told of this signup before.
    pub tell_anyway: bool,
}

impl Ledger {
    /// Closes a provisioning, at the step where it stands. Whether it may be closed is the caller's to judge. `None`:
    /// it has changed since it was read as `judged`, or a worker holds it.
    ///
    /// The epoch is raised, so that a late owner's write changes nothing; only a token that it brings is kept.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have.
    pub async fn cancel(
        &self,
        judged: &Provisioning,
        cancellation: Cancellation,
    ) -> Result<Option<Provisioning>, LedgerError> {
        let judged = judged.clone();
        let work = self.transaction(async move |txn, now| {
            // A call may have been sent, and nobody looks any more what became of it.
            let was_announced = Expr::col(Column::State).eq(State::InFlight.as_str());
            let rows = Entity::update_many()
                .col_expr(
                    Column::InDoubt,
                    CaseStatement::new().case(was_announced, true).finally(Expr::col(Column::InDoubt)).into(),
                )
                .col_expr(Column::State, Expr::val(State::Closed.as_str()))
                .col_expr(Column::Payload, Expr::val(None::<Vec<u8>>))
                .col_expr(Column::DueAt, Expr::val(None::<i64>))
                .col_expr(Column::LeaseOwner, Expr::val(None::<String>))
                .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
                .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
                .col_expr(Column::UpdatedAt, Expr::val(now))
                .col_expr(Column::ClosedAt, Expr::val(now))
                .filter(Column::Id.eq(judged.id.as_str()))
                .filter(Column::State.eq(judged.state.as_str()))
                .filter(Column::Epoch.eq(judged.epoch))
                .filter(Column::UpdatedAt.eq(judged.updated_at_ms))
                .filter(Expr::col(Column::LeaseUntil).is_null().or(Expr::col(Column::LeaseUntil).lt(now)))
                .exec_with_returning(txn)
                .await?;
            let Some(row) = rows.into_iter().next() else {
                return Ok(RollBack(None));
            };
            if !cancellation.keep_user_token || has_taken_over(txn, &judged.id).await? {
                wipe_user_tokens(txn, &judged.id, now).await?;
            }
            ending::withdraw_of(txn, &judged.id, now).await?;
            let note: Vec<_> = [Some(stood(&judged)), cancellation.by.reason.clone()].into_iter().flatten().collect();
            let ending = (AttemptKind::Cancel, AttemptOutcome::Cancelled);
            let act = evidence::of_act(&judged, ending, "foxden cancel", &note.join("; "), now);
            evidence::insert(txn, [act]).await?;
            let deed = Deed { detail: Some(stood(&judged)), ..Deed::to(Act::Cancel, &judged.signup_id) };
            audit::write(txn, &cancellation.by, &deed, now).await?;
            if cancellation.tell_anyway || was_told(txn, judged.signup_id.as_str()).await? {
                insert_event(txn, judged.id.as_str(), cancellation.event, now).await?;
            }
            Ok(Commit(Some(Provisioning::from_row(row)?)))
        });
        self.detached("cancel", work).await
    }
}

/// Where it stood when it was closed.
fn stood(judged: &Provisioning) -> String {
    match judged.parked_reason {
        Some(reason) => format!("was parked: {reason}"),
        None => format!("was {}", judged.state),
    }
}
