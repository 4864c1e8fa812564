//! Table `attempts`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) provisioning_id: String,
    pub(crate) intent: i32,
    pub(crate) epoch: i64,
    pub(crate) owner: String,
    pub(crate) kind: String,
    pub(crate) step: String,
    pub(crate) natural_key: Option<String>,
    pub(crate) started_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) outcome: String,
    pub(crate) http_status: Option<i32>,
    pub(crate) logref: Option<String>,
    pub(crate) note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
