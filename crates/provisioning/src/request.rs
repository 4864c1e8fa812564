//! What is sent to Foxy, made from what the signup asks for.

use foxden_ledger::{Payload, Provisioning};
use foxy_api::{NewStore, NewUser};

use crate::email::EmailTemplate;

/// The email of the provisioning's user: the natural key of the user step.
pub(crate) fn user_email(row: &Provisioning, payload: &Payload, template: Option<&EmailTemplate>) -> String {
    match template {
        Some(template) => template.fill(&row.signup_id, row.generation),
        None => payload.user.email.clone(),
    }
}

/// The user to create.
pub(crate) fn new_user(payload: &Payload, email: String) -> NewUser {
    let user = &payload.user;
    NewUser {
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        email,
        phone: user.phone.clone(),
        extra: user.extra.clone().into_iter().collect(),
    }
}

/// The store to create.
pub(crate) fn new_store(payload: &Payload, domain: &str) -> NewStore {
    let store = &payload.store;
    NewStore {
        name: store.name.clone(),
        domain: domain.to_owned(),
        url: store.url.clone(),
        email: store.email.clone(),
        country: store.country.clone(),
        region: store.region.clone(),
        postal_code: store.postal_code.clone(),
        extra: store.extra.clone().into_iter().collect(),
    }
}
