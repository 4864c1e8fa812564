//! Table `grants`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "grants")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) provisioning_id: String,
    pub(crate) reason: String,
    pub(crate) wanted: String,
    pub(crate) client_id: String,
    pub(crate) expected_uri: Option<String>,
    pub(crate) state: String,
    pub(crate) asked_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) ended_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
