//! Listing provisionings, page by page: however many there are, no more than a page is in memory.

use std::fmt;

use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    connect::Ledger,
    entity::provisioning::{Column, Entity, Model},
    error::{LedgerError, leave_out_damaged},
    provisioning::Provisioning,
    state::{State, Step},
};

/// How many rows are read at a time.
const PAGE: u64 = 500;

/// Which provisionings to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that are closed, and of them the cancelled ones, or the provisioned ones.
    pub cancelled: Option<bool>,
    /// At most this many; the newest first.
    pub limit: u64,
}

/// A list that is being read. Each provisioning is in it at most once, also if it moves meanwhile, since its place in
/// the order never changes; what is accepted meanwhile is not in it.
pub struct Listing {
    ledger: Ledger,
    filter: Filter,
    after: Option<Place>,
    left: u64,
}

/// Where a row stands in the order of the lists.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    accepted_at: i64,
    id: String,
}

impl Place {
    pub(crate) fn of(row: &Model) -> Self {
        Self { accepted_at: row.accepted_at, id: row.id.clone() }
    }
}

/// A page of rows, the newest first; those behind `after`. In words that an index on both columns serves.
pub(crate) fn page(query: Select<Entity>, after: Option<&Place>, size: u64) -> Select<Entity> {
    let query = query.order_by_desc(Column::AcceptedAt).order_by_desc(Column::Id).limit(size);
    let Some(after) = after else { return query };
    let place = Expr::tuple([Expr::col(Column::AcceptedAt), Expr::col(Column::Id)].map(SimpleExpr::from));
    query.filter(place.lt(Expr::tuple([Expr::val(after.accepted_at), Expr::val(after.id.as_str())])))
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("filter", &self.filter).field("after", &self.after).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Lists provisionings, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<Provisioning>, LedgerError> {
        let (mut listing, mut rows) = (self.listing(filter.clone()), Vec::new());
        while let Some(page) = listing.next_page().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    /// The same, to be read page by page.
    pub fn listing(&self, filter: Filter) -> Listing {
        Listing { ledger: self.clone(), left: filter.limit, filter, after: None }
    }
}

impl Listing {
    /// The next rows; `None` after the last ones. Rows that can't be read are left out, and reported.
    ///
    /// # Errors
    /// When the database does not answer; then the same page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Provisioning>>, LedgerError> {
        let size = Ord::min(self.left, PAGE);
        if size == 0 {
            return Ok(None);
        }
        let (ledger, query) = (self.ledger.clone(), page(self.filter.query(), self.after.as_ref(), size));
        let rows = self.ledger.detached("list", async move { Ok(query.all(&ledger.db).await?) }).await?;
        let Some(last) = rows.last() else {
            self.left = 0;
            return Ok(None);
        };
        self.after = Some(Place::of(last));
        self.left = if rows.len() as u64 == size { self.left - size } else { 0 };
        Ok(Some(leave_out_damaged(rows.into_iter().map(Provisioning::from_row))))
    }
}

impl Filter {
    fn query(&self) -> Select<Entity> {
        let all = Entity::find();
        match (self.cancelled, self.state) {
            // Conditions word for word as in the indexes, and without a parameter: else SQLite does not use them.
            (Some(true), _) => all.filter(Expr::cust("state = 'closed' AND step <> 'done'")),
            (Some(false), _) => {
                all.filter(Column::State.eq(State::Closed.as_str())).filter(Column::Step.eq(Step::Done.as_str()))
            }
            (None, Some(state)) => all.filter(Column::State.eq(state.as_str())),
            (None, None) => all.filter(Expr::cust("signup_id <> ''")),
        }
    }
}
