//! What is done to a signup that rests: another try, or other content.

use foxden_vault::{Fingerprint, Sealed};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, UpdateMany,
    sea_query::{Expr, OnConflict},
};

use crate::{
    audit::{self, By, Deed},
    connect::Ledger,
    connections::Transaction,
    entity::{
        provisioning::{Column, Entity, Model},
        superseded,
    },
    error::LedgerError,
    evidence,
    ids::{ProvisioningId, SignupId},
    outbox::tell_resumed,
    provisioning::Provisioning,
    state::{Act, AttemptKind, AttemptOutcome, ParkedReason, Source, State, Step},
    transactions::Ending::{Commit, RollBack},
};

/// What asking for a retry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// It is due now.
    Due,
    /// It is neither parked nor waiting, so there is nothing to retry.
    NotParked(State),
    /// It waits for a time that must not be cut short.
    Waits {
        /// Until when; epoch milliseconds.
        until_ms: i64,
        /// For what.
        why: MustWait,
    },
    /// A person closed it for good.
    Cancelled,
    /// It is parked for a reason that a retry can't mend.
    Refused(ParkedReason),
    /// No such signup.
    NotFound,
}

/// Why a signup must keep waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MustWait {
    /// Foxy asked for a pause, or the rate of calls leaves no room sooner.
    NoCallBefore,
    /// It is in doubt, and will be looked up: what its call has made may not be listed sooner.
    Lookup,
}

/// The content that takes the place of the one that a signup was accepted with. Whether it may is the caller's to
/// judge.
#[derive(Debug, Clone)]
pub struct Correction {
    /// The parent app's id of the customer.
    pub account_id: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// The sealed event, bound to the provisioning that is corrected.
    pub payload: Sealed,
    /// The keyed digest of its content.
    pub fingerprint: Fingerprint,
    /// What its next create call goes by.
    pub key: CorrectedKey,
}

/// Whether a correction changes the natural key of the step at which the signup stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorrectedKey {
    /// It is what it was. What was in doubt stays so, and is looked up first.
    Kept,
    /// Another email.
    User,
    /// Another store domain; `None` where one is to be derived.
    Store(Option<String>),
}

impl Ledger {
    /// Makes a parked provisioning due again, if that can do any good. Its step starts over: retries, lookups and age.
    /// What was in doubt stays in doubt, so nothing is sent before it is looked up.
    ///
    /// One that waits after a try without effect is due at once where the wait is our own pause; nothing else changes
    /// in it. Either is in the audit, under `who`.
    ///
    /// # Errors
    /// When the database does not answer; then nothing changed.
    pub async fn retry(&self, signup_id: &SignupId, who: &str) -> Result<Retried, LedgerError> {
        let (signup_id, who) = (signup_id.clone(), who.to_owned());
        let work = self.transaction(async move |txn, now| {
            let Some(row) = Entity::find().filter(Column::SignupId.eq(signup_id.as_str())).one(txn).await? else {
                return Ok(RollBack(Retried::NotFound));
            };
            let resting = Provisioning::from_row(row)?;
            if let Some(refused) = refused(&resting, now) {
                return Ok(RollBack(refused));
            }
            let resumed = match resting.state {
                State::Due => cut_short(txn, &resting, now).await?,
                _ => resume(Entity::update_many(), txn, &resting, resting.in_doubt || is_restored(&resting), now)
                    .await?
                    .is_some(),
            };
            if !resumed {
                return Ok(RollBack(Retried::NotParked(State::InFlight)));
            }
            leave_evidence(txn, &resting, (AttemptKind::Person, AttemptOutcome::Retry), &who, now).await?;
            let detail = Some(former(&resting));
            audit::write(txn, &By::new(who), &Deed { detail, ..Deed::to(Act::Retry, &signup_id) }, now).await?;
            Ok(Commit(Retried::Due))
        });
        self.detached("retry", work).await
    }

    /// Puts a correction in the place of what a parked provisioning was accepted with, and makes it due. `None`: it has
    /// changed since it was read as `parked`, so that whether it may be corrected must be judged anew.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have; a repeat is recognized by its fingerprint.
    pub async fn correct(
        &self,
        parked: &Provisioning,
        replaced: &Fingerprint,
        correction: Correction,
    ) -> Result<Option<Provisioning>, LedgerError> {
        let (parked, replaced) = (parked.clone(), replaced.clone());
        let work = self.transaction(async move |txn, now| {
            let mut update = Entity::update_many()
                .col_expr(Column::AccountId, Expr::val(correction.account_id))
                .col_expr(Column::Payload, Expr::val(correction.payload.into_bytes()))
                .col_expr(Column::Fingerprint, Expr::val(correction.fingerprint.as_bytes().to_vec()));
            let in_doubt = is_restored(&parked) || (parked.in_doubt && correction.key == CorrectedKey::Kept);
            if correction.key != CorrectedKey::Kept {
                update = update.col_expr(Column::KeyIntent, Expr::col(Column::Intents).add(1));
            }
            if !in_doubt {
                update = update.col_expr(Column::DoubtEndedAt, Expr::val(None::<i64>));
            }
            if let CorrectedKey::Store(domain) = correction.key {
                update = update.col_expr(Column::DomainTry, Expr::val(0));
                // Under another signup's user it is chosen when it can be asked who else wants it: see `resume`.
                if parked.user_from.is_none() {
                    update = update.col_expr(Column::StoreDomain, Expr::val(domain));
                }
            }
            let Some(corrected) = resume(update, txn, &parked, in_doubt, now).await? else {
                return Ok(RollBack(None));
            };
            let former = superseded::ActiveModel {
                provisioning_id: Set(parked.id.to_string()),
                fingerprint: Set(replaced.as_bytes().to_vec()),
                superseded_at: Set(now),
            };
            let key = [superseded::Column::ProvisioningId, superseded::Column::Fingerprint];
            superseded::Entity::insert_many([former])
                .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
                .exec_without_returning(txn)
                .await?;
            let who = correction.source.as_str();
            leave_evidence(txn, &parked, (AttemptKind::Correction, AttemptOutcome::Corrected), who, now).await?;
            Ok(Commit(Some(corrected)))
        });
        self.detached("correct", work).await
    }

    /// The digests of the contents that corrections have replaced.
    ///
    /// # Errors
    /// When the database does not answer or a row is damaged.
    pub async fn superseded_contents(&self, corrected: &Provisioning) -> Result<Vec<Fingerprint>, LedgerError> {
        let (ledger, id) = (self.clone(), corrected.id.clone());
        self.detached("superseded_contents", async move {
            let query = superseded::Entity::find().filter(superseded::Column::ProvisioningId.eq(id.as_str()));
            let damaged = |_| LedgerError::Damaged { id: id.to_string(), column: "superseded_contents.fingerprint" };
            let rows = query.all(&ledger.db).await?;
            rows.iter().map(|row| Fingerprint::from_bytes(&row.fingerprint).map_err(damaged)).collect()
        })
        .await
    }
}

/// Why it is not retried; `None` if it may be.
fn refused(row: &Provisioning, now: i64) -> Option<Retried> {
    let waits =
        |until: Option<i64>, why| until.filter(|until| *until > now).map(|until_ms| Retried::Waits { until_ms, why });
    match (row.state, row.parked_reason) {
        (State::Parked, Some(reason)) if reason.can_be_retried() => None,
        (State::Parked, Some(reason)) => Some(Retried::Refused(reason)),
        (State::Due, _) if row.due_at_ms.is_some_and(|due| due > now) => {
            waits(row.not_before_ms, MustWait::NoCallBefore)
        }
        (State::Unknown, _) => waits(row.due_at_ms, MustWait::Lookup).or(Some(Retried::NotParked(State::Unknown))),
        _ if row.is_cancelled() => Some(Retried::Cancelled),
        (state, _) => Some(Retried::NotParked(state)),
    }
}

/// Ends the wait of one that is to be tried again, and changes nothing else. Answers whether it still waited.
async fn cut_short(txn: &Transaction, waiting: &Provisioning, now: i64) -> Result<bool, LedgerError> {
    let update = Entity::update_many()
        .col_expr(Column::DueAt, Expr::val(now))
        .col_expr(Column::NotBefore, Expr::val(None::<i64>))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
        .filter(Column::Id.eq(waiting.id.as_str()))
        .filter(Column::State.eq(State::Due.as_str()))
        .filter(Column::Epoch.eq(waiting.epoch));
    Ok(update.exec(txn).await?.rows_affected > 0)
}

/// Whether the row comes from an older copy of the ledger. It may have gone on after that, perhaps with this very
/// content.
const fn is_restored(parked: &Provisioning) -> bool {
    parked.restored_to_ms.is_some()
}

/// Due at once, for a lookup where it is in doubt. Its step starts over: retries, lookups and age. `None`: it is no
/// longer parked as it was read.
async fn resume(
    mut update: UpdateMany<Entity>,
    txn: &Transaction,
    parked: &Provisioning,
    in_doubt: bool,
    now: i64,
) -> Result<Option<Provisioning>, LedgerError> {
    let state = if in_doubt { State::Unknown } else { State::Due };
    // While it was parked without a doubt, another signup under the same user may have chosen its domain.
    if parked.user_from.is_some() && parked.step == Step::Store && !in_doubt {
        update = update.col_expr(Column::StoreDomain, Expr::val(None::<String>));
    }
    let rows = update
        .col_expr(Column::State, Expr::val(state.as_str()))
        .col_expr(Column::InDoubt, Expr::val(in_doubt))
        .col_expr(Column::ParkedReason, Expr::val(None::<String>))
        .col_expr(Column::ParkedDetail, Expr::val(None::<String>))
        .col_expr(Column::Retries, Expr::val(0))
        .col_expr(Column::Tries, Expr::val(0))
        .col_expr(Column::TriedMs, Expr::val(0_i64))
        .col_expr(Column::Lookups, Expr::val(0))
        // Asked for again, so an earlier refusal no longer holds.
        .col_expr(Column::Refused, Expr::val(None::<String>))
        .col_expr(Column::StepSince, Expr::val(now))
        .col_expr(Column::DueAt, Expr::val(now))
        .col_expr(Column::NotBefore, Expr::val(None::<i64>))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .col_expr(Column::Epoch, Expr::col(Column::Epoch).add(1))
        .filter(Column::Id.eq(parked.id.as_str()))
        .filter(Column::State.eq(State::Parked.as_str()))
        .filter(Column::Epoch.eq(parked.epoch))
        .exec_with_returning(txn)
        .await?;
    rows.into_iter().next().map(Provisioning::from_row).transpose()
}

/// Lets signups continue that were parked because Foxy refused this user's token: its successor has come. It may have
/// been in the escrow of another machine, where they could not find it.
pub(crate) async fn resume_for_user_token(
    txn: &Transaction,
    owner: &ProvisioningId,
    now: i64,
) -> Result<(), LedgerError> {
    let refused = Entity::find()
        .filter(Column::State.eq(State::Parked.as_str()))
        .filter(Column::ParkedReason.eq(ParkedReason::UserTokenRefused.as_str()))
        .filter(Condition::any().add(Column::Id.eq(owner.as_str())).add(Column::UserFrom.eq(owner.as_str())))
        .all(txn)
        .await?;
    for row in refused {
        // One that can't be read must not keep the token from being kept.
        let Ok(parked) = Provisioning::from_row(row) else { continue };
        if resume(Entity::update_many(), txn, &parked, parked.in_doubt || is_restored(&parked), now).await?.is_some() {
            tell_resumed(txn, parked.id.as_str(), now).await?;
        }
    }
    Ok(())
}

/// Where it stood, for the evidence and the audit.
fn former(resting: &Provisioning) -> String {
    match resting.parked_reason {
        Some(reason) => format!("was parked: {reason}"),
        None => "was waiting to be tried again".to_owned(),
    }
}

/// Undoes the parking of a row, just written in this transaction. Answers the row as it then stands.
pub(crate) async fn resume_row(txn: &Transaction, row: &Model, now: i64) -> Result<Option<Model>, LedgerError> {
    let parked = Provisioning::from_row(row.clone())?;
    let in_doubt = parked.in_doubt || is_restored(&parked);
    resume(Entity::update_many(), txn, &parked, in_doubt, now).await?;
    Ok(Entity::find().filter(Column::Id.eq(&row.id)).one(txn).await?)
}

/// Writes down who has made it continue; if it was parked, the parent app learns of it.
async fn leave_evidence(
    txn: &Transaction,
    resting: &Provisioning,
    act: (AttemptKind, AttemptOutcome),
    who: &str,
    now: i64,
) -> Result<(), LedgerError> {
    evidence::insert(txn, [evidence::of_act(resting, act, who, &former(resting), now)]).await?;
    match resting.state {
        State::Parked => tell_resumed(txn, resting.id.as_str(), now).await,
        _ => Ok(()),
    }
}
