//! Whether a signup's user is one that its customer had already. Its token is theirs: no setting keeps it longer than
//! the signup needs it.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    sea_query::{Condition, Expr, Query},
};

use crate::{
    connect::Ledger,
    entity::{grant, trip},
    error::LedgerError,
    grants::words::{GrantReason, GrantState, TripEnding},
    ids::ProvisioningId,
};

impl Ledger {
    /// Whether the user of this provisioning was taken over, or may have been: the token may be on its way here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_taken_over(&self, id: &ProvisioningId) -> Result<bool, LedgerError> {
        let (ledger, id) = (self.clone(), id.clone());
        self.detached("has_taken_over", async move { has_taken_over(&ledger.db, &id).await }).await
    }
}

pub(crate) async fn has_taken_over(db: &impl ConnectionTrait, id: &ProvisioningId) -> Result<bool, LedgerError> {
    use grant::Column as G;
    use trip::Column as T;
    // What such a trip has brought may lie in an escrow, while its grant ends in another way.
    let may_have_brought_it = Query::select()
        .expr(Expr::val(1))
        .from(trip::Entity)
        .and_where(Expr::col((trip::Entity, T::GrantId)).equals((grant::Entity, G::Id)))
        .and_where(T::SpentAt.is_not_null())
        .and_where(T::Ending.is_null().or(T::Ending.eq(TripEnding::Granted.as_str())))
        .to_owned();
    let brought = Condition::any().add(G::State.eq(GrantState::Kept.as_str())).add(Expr::exists(may_have_brought_it));
    let grant = grant::Entity::find()
        .filter(G::ProvisioningId.eq(id.as_str()))
        .filter(G::Reason.eq(GrantReason::TakeOver.as_str()))
        .filter(brought)
        .one(db)
        .await?;
    Ok(grant.is_some())
}
