//! Signups whose stores are made under one Foxy user: which of them holds a domain, and which a store.
//!
//! Foxy lists a user's stores without saying which call made them. So no two of these signups may be out for the same
//! domain, and a store that is found is only then one signup's if none of the others may have made it.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, Query, SimpleExpr},
};

use crate::{
    address::ResourcePath,
    connect::Ledger,
    connections::Transaction,
    credentials,
    entity::{
        attempt, credential,
        provisioning::{Column, Entity, Model},
    },
    error::LedgerError,
    ids::{ProvisioningId, SignupId},
    provisioning::Provisioning,
    record::Entry,
    state::{AttemptKind, AttemptOutcome, ParkedReason, Scope, State, Step},
};

/// More than this many are not asked for: one is enough, and customers have few signups.
const HOLDERS: u64 = 20;

/// Whose a store is that was found among a user's stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreClaim {
    /// No other signup under this user can have made it.
    Free,
    /// Another signup has proof that it is its own: it is provisioned with it, or holds its token.
    Proven,
    /// Another signup may have made it as well.
    Contended(SignupId),
}

/// How another signup under the same user stands in the way of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It is at work on it, and will come to an end.
    Open,
    /// It is parked, and may have made a store with it.
    Doubtful,
    /// It is parked, and a store with it was seen to exist.
    Taken,
}

/// Another signup stands in the way of what an entry was to write. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contention {
    /// It holds the domain.
    Domain {
        /// The other signup.
        by: SignupId,
        /// How it holds it.
        hold: Hold,
    },
    /// It has, or may have, made the store.
    Store {
        /// The other signup.
        by: SignupId,
    },
    /// Its user was to be used, and it was forgotten since that was decided: the user's token is wiped.
    UserForgotten,
}

impl Ledger {
    /// Whose the store with this address and domain is, which was found among the stores of this row's user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn store_claim(
        &self,
        row: &Provisioning,
        domain: &str,
        store_uri: &str,
    ) -> Result<StoreClaim, LedgerError> {
        let (ledger, domain) = (self.clone(), domain.to_owned());
        let (id, owner) = (row.id.clone(), row.user_from.clone().unwrap_or_else(|| row.id.clone()));
        let store = ResourcePath::of(store_uri);
        let is_embedded = self.is_embedded();
        self.detached("store_claim", async move { claim(&ledger.db, is_embedded, &id, &owner, &domain, &store).await })
            .await
    }
}

/// What stands in the way of an entry of a signup that uses the user of `owner`, whose row is locked: until the
/// transaction ends, no other signup under that user can choose a domain or claim a store.
pub(crate) async fn contention(
    txn: &Transaction,
    is_embedded: bool,
    entry: &Entry,
    owner: &ProvisioningId,
) -> Result<Option<Contention>, LedgerError> {
    let id = &entry.lease.id;
    // Its forgetting is refused once this is committed, and not before.
    if entry.facts.user_from.as_ref() == Some(owner) && is_forgotten(txn, owner).await? {
        return Ok(Some(Contention::UserForgotten));
    }
    if let Some(domain) = &entry.facts.store_domain
        && let Some((by, hold)) = holder(txn, id, owner, domain).await?
    {
        return Ok(Some(Contention::Domain { by, hold }));
    }
    let Some(store_uri) = &entry.facts.store_uri else { return Ok(None) };
    let is_it = ResourcePath::of(store_uri).is_in("store_uri", is_embedded);
    // The answer to its own call says where its store is, with a token or without.
    let is_answer = entry.credential.is_some() || entry.attempt.kind == AttemptKind::Create;
    if is_answer || credentials::proves(txn, id, store_uri).await? {
        release_unproven(txn, id, is_it).await?;
        return Ok(None);
    }
    let other = Entity::find().filter(is_it).filter(Column::Id.ne(id.as_str()));
    Ok(other.one(txn).await?.map(|other| Contention::Store { by: SignupId::from_row(other.signup_id) }))
}

/// Its user's token is wiped then.
async fn is_forgotten(txn: &Transaction, owner: &ProvisioningId) -> Result<bool, LedgerError> {
    let forgotten = Entity::find().filter(Column::Id.eq(owner.as_str())).filter(Column::ForgottenAt.is_not_null());
    Ok(forgotten.one(txn).await?.is_some())
}

/// The other signups under the user of `owner`.
fn siblings(id: &ProvisioningId, owner: &ProvisioningId) -> Condition {
    Condition::all()
        .add(Column::Id.ne(id.as_str()))
        .add(Condition::any().add(Column::Id.eq(owner.as_str())).add(Column::UserFrom.eq(owner.as_str())))
}

/// Out for this domain, or parked with it after a call that may have made a store, or has.
fn holds(domain: &str) -> Condition {
    let known = KNOWN_TO_EXIST.map(ParkedReason::as_str);
    Condition::all().add(Column::Step.eq(Step::Store.as_str())).add(Column::StoreDomain.eq(domain)).add(
        Condition::any()
            .add(Column::State.is_in([State::Due, State::InFlight, State::Unknown].map(State::as_str)))
            .add(Column::InDoubt.eq(true))
            .add(Column::ParkedReason.is_in(known)),
    )
}

/// With these a store exists that is the parked signup's own.
const KNOWN_TO_EXIST: [ParkedReason; 2] = [ParkedReason::StoreTokenLost, ParkedReason::SuspiciousLink];

async fn holder(
    txn: &Transaction,
    id: &ProvisioningId,
    owner: &ProvisioningId,
    domain: &str,
) -> Result<Option<(SignupId, Hold)>, LedgerError> {
    let holders = Entity::find()
        .filter(siblings(id, owner))
        .filter(holds(domain))
        .filter(Column::State.ne(State::Closed.as_str()))
        .limit(HOLDERS)
        .all(txn)
        .await?;
    // Whoever is at work settles more than a person is asked for.
    let nearest = holders.into_iter().map(|row| (hold(&row), row)).min_by_key(|(hold, _)| *hold as u8);
    Ok(nearest.map(|(hold, row)| (SignupId::from_row(row.signup_id), hold)))
}

fn hold(row: &Model) -> Hold {
    if row.state != State::Parked.as_str() {
        return Hold::Open;
    }
    match row.parked_reason.as_deref().and_then(ParkedReason::parse) {
        Some(
            ParkedReason::StoreTokenLost
            | ParkedReason::SuspiciousLink
            | ParkedReason::DomainTaken
            | ParkedReason::DomainReserved,
        ) => Hold::Taken,
        _ => Hold::Doubtful,
    }
}

async fn claim(
    db: &impl ConnectionTrait,
    is_embedded: bool,
    id: &ProvisioningId,
    owner: &ProvisioningId,
    domain: &str,
    store: &ResourcePath,
) -> Result<StoreClaim, LedgerError> {
    use attempt::Column as A;
    use credential::Column as C;
    let token = Query::select()
        .expr(Expr::val(1))
        .from(credential::Entity)
        .and_where(Expr::col((credential::Entity, C::ProvisioningId)).equals((Entity, Column::Id)))
        .and_where(C::Scope.eq(Scope::Store.as_str()))
        .and_where(store.is_in("resource_uri", is_embedded))
        .to_owned();
    let is_done = || Column::Step.eq(Step::Done.as_str());
    let proven = Condition::any().add(is_done().and(store.is_in("store_uri", is_embedded))).add(Expr::exists(token));
    if Entity::find().filter(siblings(id, owner)).filter(proven).one(db).await?.is_some() {
        return Ok(StoreClaim::Proven);
    }
    // A user that was granted may have been another signup's all along, and then so are its stores.
    let of_another = store.is_in("store_uri", is_embedded).and(Column::Id.ne(id.as_str())).and(is_done());
    if Entity::find().filter(of_another).one(db).await?.is_some() {
        return Ok(StoreClaim::Proven);
    }
    let doubts = [AttemptOutcome::Unknown, AttemptOutcome::UnknownOnKeptConnection];
    // Also whoever has moved on or was cancelled since: a call may take effect late.
    let doubted = Query::select()
        .expr(Expr::val(1))
        .from(attempt::Entity)
        .and_where(Expr::col((attempt::Entity, A::ProvisioningId)).equals((Entity, Column::Id)))
        .and_where(A::NaturalKey.eq(domain))
        .and_where(A::Step.eq(Step::Store.as_str()))
        .and_where(A::Outcome.is_in(doubts.map(AttemptOutcome::as_str)))
        .to_owned();
    // Whoever is provisioned with this domain has another store by it, which is gone.
    let has_its_own = is_done().and(Column::StoreDomain.eq(domain));
    let may_have_made_it =
        Condition::any().add(holds(domain)).add(Condition::all().add(has_its_own.not()).add(Expr::exists(doubted)));
    let other = Entity::find().filter(siblings(id, owner)).filter(may_have_made_it).one(db).await?;
    Ok(other.map_or(StoreClaim::Free, |other| StoreClaim::Contended(SignupId::from_row(other.signup_id))))
}

/// Whoever else has this address without proof has it by a mistake of an earlier release.
async fn release_unproven(txn: &Transaction, id: &ProvisioningId, is_it: SimpleExpr) -> Result<(), LedgerError> {
    Entity::update_many()
        .col_expr(Column::StoreUri, Expr::val(None::<String>))
        .filter(is_it)
        .filter(Column::Id.ne(id.as_str()))
        .filter(Column::Step.ne(Step::Done.as_str()))
        .exec(txn)
        .await?;
    Ok(())
}
