//! Table `credentials`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) provisioning_id: String,
    pub(crate) scope: String,
    pub(crate) intent: i32,
    pub(crate) beside_intent: Option<i32>,
    pub(crate) apart: bool,
    pub(crate) resource_uri: Option<String>,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) client_id: Option<String>,
    pub(crate) which_foxy: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) wiped_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
