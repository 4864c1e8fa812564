//! Orphans: Foxy users that were given up, since their tokens were lost.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait as _, EntityTrait, ExprTrait, QueryFilter, QuerySelect,
    sea_query::{CaseStatement, Expr},
};

use crate::{
    address::{is_same_resource, path_in},
    connect::Ledger,
    entity::{
        attempt, credential,
        provisioning::{Column, Entity, Model},
    },
    error::{LedgerError, leave_out_damaged},
    ids::SignupId,
    listing::{self, Place},
    provisioning::Provisioning,
    state::{ParkedReason, Scope, State, Step},
};

/// How many rows are read at a time.
const AT_A_TIME: u64 = 500;

/// A Foxy user in a mailbox of the platform's that no signup uses: its token was lost, so nobody can act as it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The signup it was made for.
    pub signup_id: SignupId,
    /// Which of the signup's users it is, from 1.
    pub generation: u32,
    /// The template of the signup's latest user call; `None` if that one was made with the event's own email.
    pub mailbox: Option<String>,
    /// Whether its email was made of that very template. The row keeps only the latest one: if the settings changed
    /// between two generations, an earlier user has an email that the ledger does not know.
    pub mailbox_is_its_own: bool,
    /// Its address at Foxy, if a token came late and brought it.
    pub user_uri: Option<String>,
    /// The step at which the signup stands.
    pub step: Step,
    /// Where the signup stands.
    pub state: State,
    /// Why the signup is parked; of a cancelled one, why it was.
    pub parked_reason: Option<ParkedReason>,
}

impl Ledger {
    /// Counts the orphans.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_orphans(&self) -> Result<u64, LedgerError> {
        let ledger = self.clone();
        let left_behind = Expr::col(Column::Generation)
            .sub(1)
            .add(CaseStatement::new().case(Expr::from(current_is_left_behind()), 1).finally(0));
        let query = Entity::find()
            .select_only()
            .column_as(left_behind.sum(), "orphans")
            .filter(may_have_some())
            .into_tuple::<Option<i64>>();
        let sum = self.detached("count_orphans", async move { Ok(query.one(&ledger.db).await?) }).await?;
        Ok(sum.flatten().and_then(|sum| u64::try_from(sum).ok()).unwrap_or(0))
    }

    /// Lists the orphans, those of the newest signup first: the users of every generation but the current one, and the
    /// current one of a signup that was parked because its token was lost too.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orphans(&self) -> Result<Vec<Orphan>, LedgerError> {
        use credential::Column as C;
        let ledger = self.clone();
        let has_some = || Condition::any().add(Column::Generation.gt(1)).add(current_is_left_behind());
        let (rows, tokens) = self
            .detached("orphans", async move {
                let (mut rows, mut tokens) = (Vec::<Model>::new(), Vec::new());
                loop {
                    let having_some = Entity::find().filter(may_have_some()).filter(has_some());
                    let page = listing::page(having_some, rows.last().map(Place::of).as_ref(), AT_A_TIME);
                    let page = page.all(&ledger.db).await?;
                    let late = credential::Entity::find()
                        .filter(C::ProvisioningId.is_in(page.iter().map(|row| row.id.as_str())))
                        .filter(C::Scope.eq(Scope::User.as_str()))
                        .filter(C::BesideIntent.is_null())
                        .filter(C::ResourceUri.is_not_null());
                    tokens.extend(late.all(&ledger.db).await?);
                    let was_last = (page.len() as u64) < AT_A_TIME;
                    rows.extend(page);
                    if was_last {
                        return Ok((rows, tokens));
                    }
                }
            })
            .await?;
        let mut late: HashMap<String, Vec<credential::Model>> = HashMap::new();
        for token in tokens {
            late.entry(token.provisioning_id.clone()).or_default().push(token);
        }
        late.values_mut().for_each(|tokens| tokens.sort_by_key(|token| token.intent));
        let rows = leave_out_damaged(rows.into_iter().map(Provisioning::from_row));
        Ok(rows.iter().flat_map(|row| left_behind(row, late.get(row.id.as_str()).map_or(&[], Vec::as_slice))).collect())
    }
}

/// A store at Foxy that its signup does not use: it was made under a domain that was given up, and its token came late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftStore {
    /// The signup it was made for.
    pub signup_id: SignupId,
    /// The create call that made it.
    pub intent: u32,
    /// The domain of that call.
    pub domain: Option<String>,
    /// Its address at Foxy, if its link could be trusted.
    pub store_uri: Option<String>,
    /// Whether its token is here, sealed.
    pub has_token: bool,
    /// The step at which the signup stands.
    pub step: Step,
    /// Where the signup stands.
    pub state: State,
    /// Why the signup is parked; of a cancelled one, why it was.
    pub parked_reason: Option<ParkedReason>,
}

impl Ledger {
    /// Lists the stores that were left behind, those of the newest signup first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn left_stores(&self) -> Result<Vec<LeftStore>, LedgerError> {
        use attempt::Column as A;
        use credential::Column as C;
        let ledger = self.clone();
        let (tokens, rows, calls) = self
            .detached("left_stores", async move {
                let path_in = |column| path_in(column, ledger.is_embedded());
                let (token_path, store_path) = (path_in("c.resource_uri"), path_in("p.store_uri"));
                let superseded = format!(
                    "SELECT c.id FROM credentials c JOIN provisionings p ON p.id = c.provisioning_id \
                     WHERE c.apart AND c.id > $1 AND c.scope = $2 AND c.beside_intent IS NULL AND \
                     ((p.step = 'store' AND c.intent < p.key_intent) OR (p.step = 'done' \
                     AND p.store_uri IS NOT NULL AND COALESCE({token_path}, '') <> {store_path})) \
                     ORDER BY c.id LIMIT {AT_A_TIME}"
                );
                let (mut tokens, mut calls) = (Vec::<credential::Model>::new(), Vec::new());
                let mut rows = BTreeMap::new();
                let mut last = String::new();
                loop {
                    let values = [last.clone().into(), Scope::Store.as_str().into()];
                    let found = ledger.db.query_all_raw(ledger.statement(&superseded, values)).await?;
                    let ids = found.iter().map(|row| row.try_get::<String>("", "id")).collect::<Result<Vec<_>, _>>()?;
                    let Some(greatest) = ids.last().cloned() else { return Ok((tokens, rows, calls)) };
                    last = greatest;
                    let some = credential::Entity::find().filter(C::Id.is_in(ids)).all(&ledger.db).await?;
                    let of = || some.iter().map(|token| token.provisioning_id.as_str());
                    let owners = Entity::find().filter(Column::Id.is_in(of())).all(&ledger.db).await?;
                    rows.extend(owners.into_iter().map(|owner| (owner.id.clone(), owner)));
                    let named = attempt::Entity::find()
                        .filter(A::ProvisioningId.is_in(of()))
                        .filter(A::NaturalKey.is_not_null());
                    calls.extend(named.all(&ledger.db).await?);
                    tokens.extend(some);
                }
            })
            .await?;
        let mut rows = leave_out_damaged(rows.into_values().map(Provisioning::from_row));
        rows.sort_by(|a, b| (b.accepted_at_ms, b.id.as_str()).cmp(&(a.accepted_at_ms, a.id.as_str())));
        let stores = rows.iter().flat_map(|row| {
            let own = tokens.iter().filter(|token| token.provisioning_id == row.id.as_str());
            let calls = &calls;
            own.map(move |token| LeftStore {
                signup_id: row.signup_id.clone(),
                intent: u32::try_from(token.intent).unwrap_or(0),
                domain: calls
                    .iter()
                    .find(|call| (call.provisioning_id.as_str(), call.intent) == (row.id.as_str(), token.intent))
                    .and_then(|call| call.natural_key.clone()),
                store_uri: token.resource_uri.clone(),
                has_token: token.sealed.is_some(),
                step: row.step,
                state: row.state,
                parked_reason: row.parked_reason,
            })
        });
        Ok(stores.collect())
    }
}

/// Every row that has orphans is among these. Word for word as in the index, and without a parameter: else SQLite
/// does not use it.
fn may_have_some() -> Expr {
    Expr::cust("generation > 1 OR (parked_reason = 'user_token_lost' AND mailbox IS NOT NULL)")
}

/// Parked since the token of its current user was lost, in a mailbox of the platform's, or cancelled after that. In
/// the customer's own mailbox the user may be somebody else's; there it is the signup that needs a person.
fn current_is_left_behind() -> Condition {
    Condition::all()
        .add(Column::State.is_in([State::Parked.as_str(), State::Closed.as_str()]))
        .add(Column::ParkedReason.eq(ParkedReason::UserTokenLost.as_str()))
        .add(Column::Mailbox.is_not_null())
}

/// The orphans of one row, given the user tokens that came with an address.
fn left_behind(row: &Provisioning, tokens: &[credential::Model]) -> Vec<Orphan> {
    let earlier = row.generation.saturating_sub(1);
    let of_an_earlier_user = |token: &&credential::Model| {
        !is_same_resource(token.resource_uri.as_deref(), row.user_uri.as_deref())
            && (row.step != Step::User || u32::try_from(token.intent).is_ok_and(|intent| intent < row.key_intent))
    };
    let known: Vec<_> = tokens.iter().filter(of_an_earlier_user).collect();
    // Calls and generations go up together. Which generation a call was for is not written down, so it is sure only
    // where there is an address for each.
    let is_sure = u32::try_from(known.len()) == Ok(earlier);
    let mut addresses = known.into_iter().filter(|_| is_sure).map(|token| token.resource_uri.clone());
    let rests = matches!(row.state, State::Parked | State::Closed);
    let current_too = rests && row.parked_reason == Some(ParkedReason::UserTokenLost) && row.mailbox.is_some();
    (1..=earlier + u32::from(current_too))
        .map(|generation| Orphan {
            signup_id: row.signup_id.clone(),
            generation,
            mailbox: row.mailbox.clone(),
            mailbox_is_its_own: generation == row.generation,
            user_uri: if generation == row.generation { row.user_uri.clone() } else { addresses.next().flatten() },
            step: row.step,
            state: row.state,
            parked_reason: row.parked_reason,
        })
        .collect()
}
