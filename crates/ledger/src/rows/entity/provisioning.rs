//! Table `provisionings`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "provisionings")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: String,
    pub(crate) signup_id: String,
    pub(crate) account_id: Option<String>,
    pub(crate) source: String,
    pub(crate) step: String,
    pub(crate) state: String,
    pub(crate) parked_reason: Option<String>,
    pub(crate) parked_detail: Option<String>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) mailbox: Option<String>,
    pub(crate) generation: i32,
    pub(crate) user_from: Option<String>,
    pub(crate) user_uri: Option<String>,
    pub(crate) store_uri: Option<String>,
    pub(crate) store_domain: Option<String>,
    pub(crate) domain_try: i32,
    pub(crate) in_doubt: bool,
    pub(crate) doubt_ended_at: Option<i64>,
    pub(crate) refused: Option<String>,
    pub(crate) intents: i32,
    pub(crate) key_intent: i32,
    pub(crate) retries: i32,
    pub(crate) tries: i32,
    pub(crate) tried_ms: i64,
    pub(crate) lookups: i32,
    pub(crate) step_since: i64,
    pub(crate) due_at: Option<i64>,
    pub(crate) not_before: Option<i64>,
    pub(crate) lease_owner: Option<String>,
    pub(crate) lease_until: Option<i64>,
    pub(crate) epoch: i64,
    pub(crate) intent_at: Option<i64>,
    pub(crate) accepted_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) closed_at: Option<i64>,
    pub(crate) forgotten_at: Option<i64>,
    pub(crate) restored_to: Option<i64>,
    pub(crate) tokens_forgotten_at: Option<i64>,
    pub(crate) links_forgotten_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
