//! Reading: what people and the program ask the ledger.

use std::cmp::Reverse;

use foxden_vault::Sealed;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, Query},
};

use crate::{
    clients,
    connect::Ledger,
    entity::{
        attempt, credential,
        provisioning::{Column, Entity},
    },
    error::LedgerError,
    ids::{ProvisioningId, SignupId},
    provisioning::Provisioning,
    state::{AttemptKind, AttemptOutcome, Scope, State, Step},
    which_foxy::FoxyClient,
    word::Word,
};

/// One stored token, without its content.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What it opens.
    pub scope: Scope,
    /// The create call that Foxy answered with it, or the number of a granted one.
    pub intent: u32,
    /// 0 for the token of that call or number; else it is another one, which stands beside it.
    pub serial: u32,
    /// The user or store it opens.
    pub resource_uri: Option<String>,
    /// To which client of which Foxy it was given; `None` if an earlier release has kept it, and no client has used
    /// it since.
    pub client: Option<FoxyClient>,
    /// The token; `None` once wiped.
    pub sealed: Option<Sealed>,
    /// When Foxy gave it; epoch milliseconds.
    pub created_at_ms: i64,
}

/// One piece of evidence.
#[derive(Debug, Clone)]
pub struct PastAttempt {
    /// The number of the create call it was, or was about.
    pub intent: u32,
    /// Create call, lookup …
    pub kind: Word<AttemptKind>,
    /// The step it was for.
    pub step: Word<Step>,
    /// The store domain, for the store step.
    pub natural_key: Option<String>,
    /// Epoch milliseconds.
    pub started_at_ms: i64,
    /// Epoch milliseconds.
    pub ended_at_ms: i64,
    /// How it ended.
    pub outcome: Word<AttemptOutcome>,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Foxy's own reference of the error.
    pub logref: Option<String>,
    /// What else helps.
    pub note: Option<String>,
}

impl Ledger {
    /// Finds a provisioning by its own key.
    ///
    /// # Errors
    /// When the database does not answer or the row is damaged.
    pub async fn find_by_id(&self, id: &ProvisioningId) -> Result<Option<Provisioning>, LedgerError> {
        let (ledger, query) = (self.clone(), Entity::find().filter(Column::Id.eq(id.as_str())));
        let find = async move { query.one(&ledger.db).await?.map(Provisioning::from_row).transpose() };
        self.detached("find_by_id", find).await
    }

    /// Finds a provisioning by the parent app's key.
    ///
    /// # Errors
    /// When the database does not answer or the row is damaged.
    pub async fn find(&self, signup_id: &SignupId) -> Result<Option<Provisioning>, LedgerError> {
        let (ledger, query) = (self.clone(), Entity::find().filter(Column::SignupId.eq(signup_id.as_str())));
        self.detached("find", async move { query.one(&ledger.db).await?.map(Provisioning::from_row).transpose() }).await
    }

    /// The tokens kept for a provisioning, in the order of the calls that Foxy answered with them; of several of one
    /// call the one in use is the last.
    ///
    /// # Errors
    /// When the database does not answer or a row is damaged.
    pub async fn credentials(&self, id: &ProvisioningId) -> Result<Vec<Credential>, LedgerError> {
        use credential::Column as C;
        let ledger = self.clone();
        let query = credential::Entity::find()
            .filter(C::ProvisioningId.eq(id.as_str()))
            .order_by_asc(C::Intent)
            .order_by_asc(C::Id);
        let rows = self.detached("credentials", async move { Ok(query.all(&ledger.db).await?) }).await?;
        let mut held: Vec<Credential> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        held.sort_by_key(|held| (held.intent, Reverse(held.serial)));
        Ok(held)
    }

    /// Whether another provisioning of this customer may have made the user that stands in the way of this one, or
    /// may have it soon: one whose user is there, or is in doubt, or whose call is under way. A call that was
    /// announced after this step had first met the refusal can't have made that user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn another_may_have_the_user_of(
        &self,
        row: &Provisioning,
        account_id: &str,
    ) -> Result<bool, LedgerError> {
        self.another_may_have(row, account_id, true).await
    }

    /// The same, without those whose call has ended in doubt: they bring no token by themselves. Two of them would wait
    /// for each other.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn another_may_bring_the_user_of(
        &self,
        row: &Provisioning,
        account_id: &str,
    ) -> Result<bool, LedgerError> {
        self.another_may_have(row, account_id, false).await
    }

    async fn another_may_have(
        &self,
        row: &Provisioning,
        account_id: &str,
        or_in_doubt: bool,
    ) -> Result<bool, LedgerError> {
        use attempt::Column as A;
        let ledger = self.clone();
        let refused_since = attempt::Entity::find()
            .select_only()
            .column_as(A::EndedAt.min(), "since")
            .filter(A::ProvisioningId.eq(row.id.as_str()))
            .filter(A::Step.eq(Step::User.as_str()))
            .filter(A::Outcome.eq(AttemptOutcome::Rejected.as_str()))
            // Any other refusal would have parked it, and a new try begins the step anew.
            .filter(A::EndedAt.gte(row.step_since_ms))
            .into_tuple::<Option<i64>>();
        // One that has met a taken email since its step began did not make the user, nor will it: it and the row
        // would look at each other at the same moments, each taking the other for the maker.
        let was_refused = || {
            Expr::exists(
                Query::select()
                    .expr(Expr::val(1))
                    .from(attempt::Entity)
                    .and_where(Expr::col((attempt::Entity, A::ProvisioningId)).equals((Entity, Column::Id)))
                    .and_where(A::Step.eq(Step::User.as_str()))
                    .and_where(A::Outcome.eq(AttemptOutcome::Rejected.as_str()))
                    .and_where(Expr::col((attempt::Entity, A::EndedAt)).gte(Expr::col((Entity, Column::StepSince))))
                    .to_owned(),
            )
        };
        let others = Entity::find()
            .filter(Column::AccountId.eq(account_id))
            .filter(Column::Id.ne(row.id.as_str()))
            .filter(Column::State.is_not_in([State::Closed.as_str(), State::Parked.as_str()]));
        self.detached("another_may_have_the_user_of", async move {
            let since = refused_since.one(&ledger.db).await?.flatten();
            let mut call_is_under_way = Expr::col(Column::State).eq(State::InFlight.as_str());
            if let Some(since) = since {
                call_is_under_way = call_is_under_way.and(Expr::col(Column::IntentAt).lte(since));
            }
            if !or_in_doubt {
                call_is_under_way = call_is_under_way.and(was_refused().not());
            }
            let may = Condition::any()
                .add(Column::Step.ne(Step::User.as_str()))
                .add_option(or_in_doubt.then(|| Column::InDoubt.eq(true)))
                .add(call_is_under_way);
            Ok(others.filter(may).one(&ledger.db).await?.is_some())
        })
        .await
    }

    /// The provisioning whose kept user token serves this customer: of those that have one, the oldest. Only closed
    /// ones, since a user of one that is still in work may yet turn out to be lost.
    ///
    /// # Errors
    /// When the database does not answer or a row is damaged.
    pub async fn provisioned_for(&self, account_id: &str) -> Result<Option<Provisioning>, LedgerError> {
        use credential::Column as C;
        let ledger = self.clone();
        let live_token = Query::select()
            .expr(Expr::val(1))
            .from(credential::Entity)
            .and_where(Expr::col((credential::Entity, C::ProvisioningId)).equals((Entity, Column::Id)))
            .and_where(C::Scope.eq(Scope::User.as_str()))
            .and_where(C::Sealed.is_not_null())
            .to_owned();
        let query = with_a_user_for(account_id).filter(Expr::exists(live_token)).order_by_asc(Column::AcceptedAt);
        self.detached(
            "provisioned_for",
            async move { query.one(&ledger.db).await?.map(Provisioning::from_row).transpose() },
        )
        .await
    }

    /// Whether a user was made for this customer, be its token kept or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_provisioned(&self, account_id: &str) -> Result<bool, LedgerError> {
        let (ledger, query) = (self.clone(), with_a_user_for(account_id));
        self.detached("has_provisioned", async move { Ok(query.one(&ledger.db).await?.is_some()) }).await
    }

    /// The evidence of a provisioning, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn attempts(&self, id: &ProvisioningId) -> Result<Vec<PastAttempt>, LedgerError> {
        use attempt::Column as C;
        let ledger = self.clone();
        let query = attempt::Entity::find()
            .filter(C::ProvisioningId.eq(id.as_str()))
            .order_by_asc(C::EndedAt)
            .order_by_asc(C::Id);
        let rows = self.detached("attempts", async move { Ok(query.all(&ledger.db).await?) }).await?;
        Ok(rows
            .into_iter()
            .map(|row| PastAttempt {
                intent: u32::try_from(row.intent).unwrap_or_default(),
                kind: row.kind.into(),
                step: row.step.into(),
                natural_key: row.natural_key,
                started_at_ms: row.started_at,
                ended_at_ms: row.ended_at,
                outcome: row.outcome.into(),
                http_status: row.http_status.and_then(|status| u16::try_from(status).ok()),
                logref: row.logref,
                note: row.note,
            })
            .collect())
    }
}

/// Provisioned signups of a customer that have made the customer's user.
fn with_a_user_for(account_id: &str) -> Select<Entity> {
    Entity::find()
        .filter(Column::AccountId.eq(account_id))
        .filter(Column::State.eq(State::Closed.as_str()))
        .filter(Column::Step.eq(Step::Done.as_str()))
        .filter(Column::UserFrom.is_null())
}

pub(crate) fn read(row: credential::Model) -> Result<Credential, LedgerError> {
    let damaged = |column| LedgerError::Damaged { id: row.provisioning_id.clone(), column };
    Ok(Credential {
        scope: Scope::parse(&row.scope).ok_or_else(|| damaged("scope"))?,
        intent: u32::try_from(row.beside_intent.unwrap_or(row.intent)).map_err(|_| damaged("intent"))?,
        client: clients::read(&row)?,
        serial: row.beside_intent.map_or(0, |_| row.intent.unsigned_abs()),
        sealed: row.sealed.map(Sealed::from_bytes).transpose().map_err(|_| damaged("sealed"))?,
        resource_uri: row.resource_uri,
        created_at_ms: row.created_at,
    })
}
