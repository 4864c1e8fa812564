//! Recording: one transaction that commits what a call came to, with its token, before anything else happens.

use std::time::Duration;

use foxden_vault::Sealed;
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, UpdateMany,
    sea_query::{CaseStatement, Expr, SimpleExpr},
};
use tokio::time::Instant;

use crate::{
    connect::{Ledger, millis},
    connections::Transaction,
    credentials::{self, Road},
    entity::provisioning::{Column, Entity},
    error::LedgerError,
    evidence,
    ids::{AttemptId, ProvisioningId},
    outbox::{OutcomeEvent, insert_event},
    parked,
    provisioning::{Claimed, Lease},
    siblings::{self, Contention},
    state::{AttemptKind, AttemptOutcome, ParkedReason, RefusedFor, Scope, State, Step},
    which_foxy::FoxyClient,
};

/// What is written when a call or a lookup has ended.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The right under which it is written.
    pub lease: Lease,
    /// The evidence.
    pub attempt: Attempt,
    /// A token that Foxy gave. It is kept even if the lease is lost.
    pub credential: Option<NewCredential>,
    /// What was learned and stays so.
    pub facts: Facts,
    /// The user's token as it was kept when it was read, for an entry that parks for its refusal. If another is in
    /// its place by now, the refusal says nothing of that one, and the signup is due instead.
    pub refused_token: Option<Sealed>,
    /// The provisioning that made the Foxy user, if this one's store is made under another's: before a domain is chosen or
    /// a store claimed, the others under that user are asked.
    pub shared_user: Option<ProvisioningId>,
    /// Where the provisioning goes from here.
    pub next: Next,
    /// The outcome event that tells the parent app.
    pub event: Option<OutcomeEvent>,
}

/// Evidence of one call or lookup. Never a secret, never personal data.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its key. The same record written twice is one.
    pub id: AttemptId,
    /// What it was.
    pub kind: AttemptKind,
    /// The step it was for.
    pub step: Step,
    /// The number of the create call it was, or was about.
    pub intent: u32,
    /// The store domain for the store step. The user step's key is an email, which does not belong here.
    pub natural_key: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Foxy's own reference of the error, to be quoted to its support.
    pub logref: Option<String>,
    /// What else helps, in our own words or in Foxy's with personal data struck out; cut to 300 characters.
    pub note: Option<String>,
}

/// A sealed token on its way into the ledger.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// What it opens.
    pub scope: Scope,
    /// The create call that Foxy answered with it.
    pub intent: u32,
    /// The user or store it opens, if its link could be trusted.
    pub resource_uri: Option<String>,
    /// To which client of which Foxy it was given; `None` if that was not written down.
    pub client: Option<FoxyClient>,
    /// The token.
    pub sealed: Sealed,
}

/// Columns that a record fills in; what is `None` stays as it was.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The Foxy user.
    pub user_uri: Option<String>,
    /// The provisioning whose user is used.
    pub user_from: Option<ProvisioningId>,
    /// The Foxy store.
    pub store_uri: Option<String>,
    /// A new natural key for the store step; with it `in_doubt` is cleared, unless the row was restored from
    /// an older copy, and the step's clock starts anew.
    pub store_domain: Option<String>,
    /// How many domains were found taken so far.
    pub domain_try: Option<u32>,
    /// A try that came to nothing, and the pause that it has planned. They add up to how long the step was tried.
    pub tried: Option<Duration>,
    /// A new generation of the user: a new natural key for the user step, like `store_domain`.
    pub generation: Option<u32>,
}

/// Where a provisioning goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The intent of this step's create call is committed with this record; the lease is prolonged by `lease`, and the
    /// caller sends the call.
    InFlight {
        /// The step.
        step: Step,
        /// For how long the lease is prolonged.
        lease: Duration,
    },
    /// Back to be taken after a delay.
    Due {
        /// The step.
        step: Step,
        /// After how long.
        delay: Duration,
        /// The part of it that Foxy asked for, or that the rate of calls demands. The rest is our own pause, which a
        /// person may cut short.
        at_least: Duration,
    },
    /// In doubt; looked up after a delay.
    Unknown {
        /// After how long.
        delay: Duration,
        /// What has left it in doubt.
        doubt: Doubt,
    },
    /// Stopped until someone acts.
    Parked {
        /// Why.
        reason: ParkedReason,
        /// What there is to say about it, free of personal data.
        detail: Option<String>,
    },
    /// Provisioned. The payload and the user's token are wiped unless kept.
    Provisioned {
        /// Keep the sealed event.
        keep_payload: bool,
        /// Keep the sealed user token.
        keep_user_token: bool,
    },
}

/// What has left a provisioning in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Its create call has ended, and whether it had an effect is not known.
    Call,
    /// Its create call was refused, perhaps for what an earlier call in doubt has made.
    Refusal(RefusedFor),
    /// It comes from an older copy of the ledger. Its user is there, and its store may be: the step is the store's now.
    Store,
    /// A lookup has not settled it.
    Look {
        /// Whether it found nothing of ours, which is believed only when it was seen often enough.
        counts: bool,
    },
}

/// What recording came to.
#[derive(Debug)]
pub enum Recorded {
    /// Written; the provisioning as it now stands.
    Written(Box<Claimed>),
    /// Another signup under the same user stands in the way. Nothing was written, not even the credential.
    Contended(Contention),
    /// The lease had passed to another worker. Nothing was written but the evidence and the credential, if there was one.
    LeaseLost,
}

impl Ledger {
    /// Writes an entry in one transaction.
    ///
    /// The credential is inserted on its own key, outside the fence of the lease: a token in hand is never dropped.
    /// Recording the same entry again is harmless: the evidence's key tells that it was written, and the answer is the
    /// provisioning as it stands.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have. An entry with a credential must be tried again.
    pub async fn record(&self, entry: Entry) -> Result<Recorded, LedgerError> {
        let ledger = self.clone();
        self.detached("record", async move {
            let asked_at = Instant::now();
            let txn = ledger.begin().await?;
            let now = ledger.now_in(&txn).await?;
            let shared = entry.shared_user.clone().filter(|_| entry.facts.name_anything());
            let refused = entry.refused_token.as_ref().filter(|_| entry.next.is_for_refused_user_token());
            // Before the own row, which every other transaction locks alone: so none waits in a circle. Whoever puts
            // another token in the place of a user's locks it, too.
            if let Some(owner) = shared.as_ref().or(entry.shared_user.as_ref().filter(|_| refused.is_some())) {
                siblings::lock(&txn, owner).await?;
            }
            let mut came = None;
            if let Some(credential) = &entry.credential {
                let row = credentials::lock_row(&txn, &entry.lease.id).await?;
                let is_held = row.lease_owner.as_deref() == Some(entry.lease.owner.as_str());
                let is_held = is_held && row.epoch == entry.lease.epoch;
                let road = Road::Answer { ends: is_held && matches!(entry.next, Next::Provisioned { .. }) };
                let kept = credentials::insert(&txn, &row, credential, road, now).await?;
                came = Some((row, kept));
            }
            let report = |is_late| {
                if let (Some((row, kept)), Some(credential)) = (&came, &entry.credential) {
                    credentials::report(row, credential, *kept, is_late);
                }
            };
            if evidence::insert(&txn, [evidence::of_call(&entry.lease, &entry.attempt, now)]).await? == 0 {
                let written = written_before(&txn, &entry, asked_at, now).await?;
                txn.rollback().await?;
                return Ok(written);
            }
            if let Some(owner) = &shared
                && let Some(contention) = siblings::contention(&txn, ledger.is_embedded(), &entry, owner).await?
            {
                txn.rollback().await?;
                return Ok(Recorded::Contended(contention));
            }
            let updated = apply(Entity::update_many(), &entry.facts, &entry.next, now)
                .filter(Column::Id.eq(entry.lease.id.as_str()))
                .filter(Column::LeaseOwner.eq(entry.lease.owner.as_str()))
                .filter(Column::Epoch.eq(entry.lease.epoch))
                .exec_with_returning(&txn)
                .await?;
            let Some(mut row) = updated.into_iter().next() else {
                if let Some(credential) = &entry.credential {
                    credentials::resume(&txn, &entry.lease.id, credential, now).await?;
                }
                ledger.commit(txn).await?;
                report(true);
                return Ok(Recorded::LeaseLost);
            };
            if let Next::Provisioned { keep_user_token: false, .. } = entry.next {
                credentials::wipe_user_tokens(&txn, &entry.lease.id, now).await?;
            }
            let mut event = entry.event;
            // A late token may have come since this worker looked for one. The row is ours to write, so none can now.
            if matches!(entry.next, Next::Parked { .. })
                && let Some(resumed) = credentials::unpark_for_token_held(&txn, &row, now).await?
            {
                (row, event) = (resumed, None);
            }
            let owner = entry.shared_user.as_ref().unwrap_or(&entry.lease.id);
            if let Some(used) = refused
                && !credentials::is_in_use(&txn, owner, used).await?
                && let Some(resumed) = parked::resume_row(&txn, &row, now).await?
            {
                (row, event) = (resumed, None);
            }
            if let Some(event) = event {
                insert_event(&txn, entry.lease.id.as_str(), event, now).await?;
            }
            let lease = match entry.next {
                Next::InFlight { lease, .. } => asked_at + lease,
                _ => entry.lease.until,
            };
            let mut claimed = Claimed::new(row, &entry.lease.owner, asked_at, Duration::ZERO)?;
            claimed.lease.until = lease;
            ledger.commit(txn).await?;
            report(false);
            Ok(Recorded::Written(Box::new(claimed)))
        })
        .await
    }
}

impl Next {
    const fn is_for_refused_user_token(&self) -> bool {
        matches!(self, Self::Parked { reason: ParkedReason::UserTokenRefused, .. })
    }
}

impl Facts {
    /// Whether they hold a name that signups under one user must not share.
    const fn name_anything(&self) -> bool {
        self.store_domain.is_some() || self.store_uri.is_some()
    }
}

/// The columns that the facts and the next state set.
fn apply(mut update: UpdateMany<Entity>, facts: &Facts, next: &Next, now: i64) -> UpdateMany<Entity> {
    for (column, value) in [
        (Column::UserUri, &facts.user_uri),
        (Column::StoreUri, &facts.store_uri),
        (Column::StoreDomain, &facts.store_domain),
    ] {
        if let Some(value) = value {
            update = update.col_expr(column, Expr::val(value.as_str()));
        }
    }
    if let Some(from) = &facts.user_from {
        update = update.col_expr(Column::UserFrom, Expr::val(from.as_str()));
    }
    if let Some(count) = facts.domain_try {
        update = update.col_expr(Column::DomainTry, Expr::val(i32::try_from(count).unwrap_or(i32::MAX)));
    }
    if let Some(count) = facts.generation {
        update = update.col_expr(Column::Generation, Expr::val(i32::try_from(count).unwrap_or(i32::MAX)));
    }
    if facts.store_domain.is_some() || facts.generation.is_some() {
        // A row of an older copy of the ledger may have tried the new key, too, after the copy was made.
        let if_restored = |then: SimpleExpr, otherwise: SimpleExpr| {
            CaseStatement::new().case(Expr::col(Column::RestoredTo).is_not_null(), then).finally(otherwise).into()
        };
        update = update
            .col_expr(Column::InDoubt, if_restored(Expr::val(true), Expr::val(false)))
            .col_expr(Column::DoubtEndedAt, if_restored(Expr::col(Column::DoubtEndedAt), Expr::val(None::<i64>)))
            .col_expr(Column::KeyIntent, Expr::col(Column::Intents).add(1))
            .col_expr(Column::Retries, Expr::val(0))
            .col_expr(Column::Tries, Expr::val(0))
            .col_expr(Column::TriedMs, Expr::val(0_i64))
            .col_expr(Column::StepSince, Expr::val(now));
    } else if let Some(pause) = facts.tried {
        update = update
            .col_expr(Column::Tries, Expr::col(Column::Tries).add(1))
            .col_expr(Column::TriedMs, Expr::col(Column::TriedMs).add(millis(pause)));
    }
    update = update.col_expr(Column::UpdatedAt, Expr::val(now));
    let new_key = facts.store_domain.is_some() || facts.generation.is_some();
    match next {
        Next::InFlight { step, lease } => update
            .col_expr(Column::Step, Expr::val(step.as_str()))
            .col_expr(Column::State, Expr::val(State::InFlight.as_str()))
            .col_expr(Column::Intents, Expr::col(Column::Intents).add(1))
            .col_expr(Column::IntentAt, Expr::val(now))
            .col_expr(Column::Lookups, Expr::val(0))
            .col_expr(Column::LeaseUntil, Expr::val(now + millis(*lease))),
        Next::Due { step, delay, at_least } => {
            let update =
                if new_key { update } else { update.col_expr(Column::Retries, Expr::col(Column::Retries).add(1)) };
            let not_before = (!at_least.is_zero()).then(|| now + millis(*at_least));
            release(update, State::Due, Some(now + millis(*delay)))
                .col_expr(Column::NotBefore, Expr::val(not_before))
                .col_expr(Column::Step, Expr::val(step.as_str()))
                .col_expr(Column::Lookups, Expr::val(0))
        }
        Next::Unknown { delay, doubt } => {
            let update =
                release(update, State::Unknown, Some(now + millis(*delay))).col_expr(Column::InDoubt, Expr::val(true));
            match doubt {
                Doubt::Look { counts } => update
                    .col_expr(Column::Lookups, Expr::col(Column::Lookups).add(i32::from(*counts)))
                    .col_expr(Column::Retries, Expr::col(Column::Retries).add(1)),
                Doubt::Call => first_look(update, None).col_expr(Column::DoubtEndedAt, Expr::val(now)),
                Doubt::Store => first_look(update, None).col_expr(Column::Step, Expr::val(Step::Store.as_str())),
                Doubt::Refusal(refused) => first_look(update, Some(*refused)),
            }
        }
        Next::Parked { reason, detail } => release(update, State::Parked, None)
            .col_expr(Column::ParkedReason, Expr::val(reason.as_str()))
            .col_expr(Column::ParkedDetail, Expr::val(detail.clone())),
        Next::Provisioned { keep_payload, .. } => {
            let update = release(update, State::Closed, None)
                .col_expr(Column::Step, Expr::val(Step::Done.as_str()))
                .col_expr(Column::ClosedAt, Expr::val(now));
            if *keep_payload { update } else { update.col_expr(Column::Payload, Expr::val(None::<Vec<u8>>)) }
        }
    }
}

/// A new doubt begins at no looks.
fn first_look(update: UpdateMany<Entity>, refused: Option<RefusedFor>) -> UpdateMany<Entity> {
    update
        .col_expr(Column::Lookups, Expr::val(0))
        .col_expr(Column::Retries, Expr::val(0))
        .col_expr(Column::Refused, Expr::val(refused.map(RefusedFor::as_str)))
}

/// Leaves the row in `state` for whoever comes next.
fn release(update: UpdateMany<Entity>, state: State, due_at: Option<i64>) -> UpdateMany<Entity> {
    update
        .col_expr(Column::State, Expr::val(state.as_str()))
        .col_expr(Column::DueAt, Expr::val(due_at))
        .col_expr(Column::LeaseOwner, Expr::val(None::<String>))
        .col_expr(Column::LeaseUntil, Expr::val(None::<i64>))
}

/// What became of an entry whose first commit happened after all. Where it has been gone on with since, that was
/// somebody else's right.
async fn written_before(
    txn: &Transaction,
    entry: &Entry,
    asked_at: Instant,
    now: i64,
) -> Result<Recorded, LedgerError> {
    let row = Entity::find()
        .filter(Column::Id.eq(entry.lease.id.as_str()))
        .filter(Column::Epoch.eq(entry.lease.epoch))
        .one(txn)
        .await?;
    let Some(row) = row else { return Ok(Recorded::LeaseLost) };
    Ok(Recorded::Written(Box::new(Claimed::as_it_stands(row, &entry.lease.owner, asked_at, now)?)))
}
