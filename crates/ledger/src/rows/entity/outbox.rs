//! Table `outbox`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub(crate) seq: i64,
    #[sea_orm(unique)]
    pub(crate) event_id: String,
    pub(crate) provisioning_id: String,
    pub(crate) signup_id: String,
    pub(crate) kind: String,
    pub(crate) body: String,
    pub(crate) created_at: i64,
    pub(crate) published_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
