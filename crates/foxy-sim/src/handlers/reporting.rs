//! Whether an email or a domain is taken (Foxy docs: rels/reporting_email_exists and its twin).

use axum::http::StatusCode;

use super::home::message;
use crate::access;
use crate::call::Call;
use crate::core::Core;
use crate::records::Records;
use crate::reply::{Links, Reply};
use crate::resource::Resource;

/// `GET /reporting`.
pub(crate) fn show(core: &Core) -> Reply {
    let links = Links::from_base(&core.base)
        .with("self", "/reporting", "The reporting API home.")
        .with("fx:reporting_email_exists", "/reporting/email_exists", "Whether a user with this email exists.")
        .with("fx:reporting_store_domain_exists", "/reporting/store_domain_exists", "Whether a store domain exists.");
    message(StatusCode::OK, "Welcome to the reporting API.", links)
}

/// `GET /reporting/email_exists?email=`.
pub(crate) fn email_exists(core: &Core, records: &Records, call: &Call) -> Result<Reply, Reply> {
    access::anyone(records, call)?;
    let email = required(call, "email")?;
    let user = records.user_by_email(&email).filter(|user| call.sees(user.created_at_ms));
    let user = user.ok_or_else(|| Reply::not_found("This user was not found"))?;
    Ok(found(core, call, "fx:user", Resource::User(user.id), "This user exists."))
}

/// `GET /reporting/store_domain_exists?store_domain=`.
pub(crate) fn store_domain_exists(core: &Core, records: &Records, call: &Call) -> Result<Reply, Reply> {
    access::anyone(records, call)?;
    let domain = required(call, "store_domain")?;
    let store = records.store_by_domain(&domain).filter(|store| call.sees(store.created_at_ms));
    let store = store.ok_or_else(|| Reply::not_found("This store was not found."))?;
    Ok(found(core, call, "fx:store", Resource::Store(store.id), "This store exists."))
}

fn required(call: &Call, name: &str) -> Result<String, Reply> {
    let value = call.query_value(name).filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| Reply::bad_request(&format!("{name} is required")))
}

fn found(core: &Core, call: &Call, rel: &str, resource: Resource, text: &str) -> Reply {
    let own = call.uri.path_and_query().map_or(call.uri.path(), |path| path.as_str());
    let links = Links::from_base(&core.base)
        .with("self", own, "This report.")
        .with(rel, &resource.path(), "What was found.")
        .with("fx:reporting", "/reporting", "The reporting API home.");
    message(StatusCode::OK, text, links)
}
