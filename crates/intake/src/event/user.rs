//! `user`: the customer, who will be a Foxy user (Foxy docs: rels/create_user).

use std::collections::BTreeMap;

use foxden_ledger::UserDetails;
use serde_json::Value;

use super::{
    checks::{anything, email, visible_id},
    fields::{Fields, whole},
    limits::{PERSON_NAME_MAX, PHONE_MAX, USER_EMAIL_MAX, USER_ID_MAX},
    mistakes::Mistakes,
    node::Node,
};

/// The parent app's id of the customer, and what Foxy is told of them. Nothing, where there are mistakes.
pub(super) fn user(node: Option<Node>, mistakes: &mut Mistakes) -> Option<(Option<String>, UserDetails)> {
    let mut fields = Fields::open("user", node, mistakes)?;
    let first_name = fields.required("first_name", PERSON_NAME_MAX, anything, mistakes);
    let last_name = fields.required("last_name", PERSON_NAME_MAX, anything, mistakes);
    let email = fields.required("email", USER_EMAIL_MAX, email, mistakes);
    let phone = fields.optional("phone", PHONE_MAX, anything, mistakes);
    let account_id = fields.optional("id", USER_ID_MAX, visible_id, mistakes);
    let mut extra: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(id) = fields.count("affiliate_id", mistakes) {
        extra.insert("affiliate_id".to_owned(), whole(id));
    }
    for name in ["is_programmer", "is_front_end_developer", "is_designer", "is_merchant"] {
        if let Some(value) = fields.flag(name, mistakes) {
            extra.insert(name.to_owned(), Value::Bool(value));
        }
    }
    fields.finish(mistakes);
    let details = UserDetails { first_name: first_name?, last_name: last_name?, email: email?, phone, extra };
    Some((account_id, details))
}
