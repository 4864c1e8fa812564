//! Table `trips`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trips")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) grant_id: String,
    pub(crate) state_hash: Vec<u8>,
    pub(crate) cookie_hash: Option<Vec<u8>>,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) redirect_uri: String,
    pub(crate) started_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) spent_at: Option<i64>,
    pub(crate) ending: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
