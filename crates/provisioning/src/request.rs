//! What is sent to Foxy, made from what the signup asks for.

use foxden_custody::Payload;
use foxden_ledger::Provisioning;
use foxy_api::{CaptchaCode, NewStore, NewUser};

use crate::{email::EmailTemplate, plan::Unopenable};

/// The email of the provisioning's user: the natural key of the user step. It is made of what the intent says, not of
/// today's settings, so that a lookup asks for the email that was sent.
pub(crate) fn user_email(row: &Provisioning, payload: &Payload) -> Result<String, Unopenable> {
    match &row.mailbox {
        // Only a later release can have written one that this release can't read.
        Some(template) => EmailTemplate::parse(template)
            .map(|template| template.fill(&row.signup_id, row.generation))
            .map_err(|_| Unopenable::Unreadable),
        None => Ok(payload.user.email.clone()),
    }
}

/// The user to create.
pub(crate) fn new_user(payload: &Payload, email: String) -> Result<NewUser, Unopenable> {
    let user = &payload.user;
    Ok(NewUser {
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        email,
        phone: user.phone.clone(),
        extra: user.extra.clone().into_iter().collect(),
        captcha: captcha(payload.captcha.user.as_deref())?,
    })
}

/// The store to create.
pub(crate) fn new_store(payload: &Payload, domain: &str) -> Result<NewStore, Unopenable> {
    let store = &payload.store;
    Ok(NewStore {
        name: store.name.clone(),
        domain: domain.to_owned(),
        url: store.url.clone(),
        email: store.email.clone(),
        country: store.country.clone(),
        region: store.region.clone(),
        postal_code: store.postal_code.clone(),
        extra: store.extra.clone().into_iter().collect(),
        captcha: captcha(payload.captcha.store.as_deref())?,
    })
}

/// The code of the event. The intake takes none that a header can't carry, so only a later release can have written one.
fn captcha(code: Option<&str>) -> Result<Option<CaptchaCode>, Unopenable> {
    code.map(CaptchaCode::parse).transpose().map_err(|_| Unopenable::Unreadable)
}
