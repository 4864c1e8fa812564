//! `user`: the customer, who will be a Foxy user (Foxy docs: rels/create_user).

use std::collections::BTreeMap;

use foxden_custody::UserDetails;
use serde_json::Value;

use super::{
    fields::{Fields, whole},
    limits::{PERSON_NAME_MAX, PHONE_MAX, USER_EMAIL_MAX, USER_ID_MAX},
    mistakes::Mistakes,
    node::Node,
    rule::{
        Form::{self, Anything, VisibleId},
        Text,
    },
};

pub(super) const FIRST_NAME: Text = Text::required("first_name", PERSON_NAME_MAX, Anything);
pub(super) const LAST_NAME: Text = Text::required("last_name", PERSON_NAME_MAX, Anything);
pub(super) const EMAIL: Text = Text::required("email", USER_EMAIL_MAX, Form::Email);
pub(super) const PHONE: Text = Text::optional("phone", PHONE_MAX, Anything);
pub(super) const ID: Text = Text::optional("id", USER_ID_MAX, VisibleId);
pub(super) const AFFILIATE_ID: &str = "affiliate_id";
pub(super) const FLAGS: [&str; 4] = ["is_programmer", "is_front_end_developer", "is_designer", "is_merchant"];

/// The parent app's id of the customer, and what Foxy is told of them. Nothing, where there are mistakes.
pub(super) fn user(node: Option<Node>, mistakes: &mut Mistakes) -> Option<(Option<String>, UserDetails)> {
    let mut fields = Fields::open("user", node, mistakes)?;
    let first_name = fields.text(&FIRST_NAME, mistakes);
    let last_name = fields.text(&LAST_NAME, mistakes);
    let email = fields.text(&EMAIL, mistakes);
    let phone = fields.text(&PHONE, mistakes);
    let account_id = fields.text(&ID, mistakes);
    let mut extra: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(id) = fields.count(AFFILIATE_ID, mistakes) {
        extra.insert(AFFILIATE_ID.to_owned(), whole(id));
    }
    for name in FLAGS {
        if let Some(value) = fields.flag(name, mistakes) {
            extra.insert(name.to_owned(), Value::Bool(value));
        }
    }
    fields.finish(mistakes);
    let details = UserDetails { first_name: first_name?, last_name: last_name?, email: email?, phone, extra };
    Some((account_id, details))
}
