//! The Foxy that a ledger belongs to. One row; it is there from when the ledger was first used with a Foxy.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, sea_query::OnConflict,
};

use crate::{
    connect::Ledger,
    entity::{
        provisioning,
        which_foxy::{ActiveModel, Column, Entity},
    },
    error::LedgerError,
    transactions::Ending,
    which_foxy::WhichFoxy,
};

/// The key of the one row.
const THE_ONE: i32 = 1;

impl Ledger {
    /// The Foxy that this ledger belongs to; `None` if it was used with none yet.
    ///
    /// # Errors
    /// When the database does not answer, or the row can't be read.
    pub async fn foxy(&self) -> Result<Option<WhichFoxy>, LedgerError> {
        let ledger = self.clone();
        self.detached("foxy", async move { read_in(&ledger.db).await }).await
    }

    /// Makes this ledger belong to this Foxy, if it belongs to none. Answers the one that it belongs to then:
    /// another, if another process was first.
    ///
    /// # Errors
    /// When the database does not answer: then it may have happened. Asking again answers what holds.
    pub async fn belong_to(&self, foxy: &WhichFoxy) -> Result<WhichFoxy, LedgerError> {
        let foxy = foxy.clone();
        let work = self.transaction(async move |txn, now| {
            let row = ActiveModel { id: Set(THE_ONE), foxy: Set(foxy.to_string()), since: Set(now) };
            let first = OnConflict::column(Column::Id).do_nothing().to_owned();
            Entity::insert_many([row]).on_conflict(first).try_insert().exec_without_returning(txn).await?;
            let foxy = read_in(txn).await?;
            Ok(Ending::Commit(foxy.ok_or_else(|| LedgerError::unavailable("no row for the ledger's Foxy"))?))
        });
        self.detached("belong_to", work).await
    }

    /// The address of the newest user that this ledger has one of: by it a ledger that was written by an earlier
    /// release shows which Foxy it was used with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_user_uri(&self) -> Result<Option<String>, LedgerError> {
        use provisioning::Column as C;
        let ledger = self.clone();
        let newest = provisioning::Entity::find()
            .select_only()
            .column(C::UserUri)
            .filter(C::UserUri.is_not_null())
            .order_by_desc(C::Id)
            .limit(1)
            .into_tuple::<Option<String>>();
        self.detached("newest_user_uri", async move { Ok(newest.one(&ledger.db).await?.flatten()) }).await
    }
}

/// The Foxy that the ledger belongs to, as the row says.
pub(crate) async fn read_in(connection: &impl ConnectionTrait) -> Result<Option<WhichFoxy>, LedgerError> {
    let Some(row) = Entity::find_by_id(THE_ONE).one(connection).await? else { return Ok(None) };
    let damaged = |_| LedgerError::Damaged { id: row.id.to_string(), column: "foxy" };
    row.foxy.parse().map(Some).map_err(damaged)
}
