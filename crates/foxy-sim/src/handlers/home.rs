//! The home document, where every client starts.

use axum::http::StatusCode;
use serde_json::json;

use crate::access;
use crate::call::Call;
use crate::core::Core;
use crate::records::Records;
use crate::reply::{Links, Reply};
use crate::resource::Resource;

/// `GET /`: what the token, if any, can reach.
pub(crate) fn show(core: &Core, records: &Records, call: &Call) -> Result<Reply, Reply> {
    let links = Links::from_base(&core.base)
        .with("self", "/", "Your API starting point.")
        .with("fx:property_helpers", "/property_helpers", "Valid property values.")
        .with("fx:reporting", "/reporting", "The reporting API home.")
        .with("fx:encode", "/encode", "Encode HTML for signed carts.")
        .with("fx:token", "/token", "The OAuth token endpoint.");
    let links = match access::caller(records, call)?.map(|grantee| grantee.resource) {
        None => links.with("fx:create_client", "/clients", "Create a client."),
        Some(resource @ Resource::Client(_)) => {
            links.with("fx:client", &resource.path(), "Your client.").with("fx:create_user", "/users", "Create a user.")
        }
        Some(resource @ Resource::User(_)) => links.with("fx:user", &resource.path(), "Your user.").with(
            "fx:stores",
            &format!("{}/stores", resource.path()),
            "Your stores.",
        ),
        // As a fixture of the official SDK shows it: the store's children are linked from the store alone.
        Some(resource @ Resource::Store(id)) => {
            let links = links.with("fx:store", &resource.path(), "The current store.");
            match records.stores.get(&id).map(|store| Resource::User(store.owner).path()) {
                Some(owner) => {
                    links.with("fx:user", &owner, "The user.").with("fx:stores", &format!("{owner}/stores"), "Stores.")
                }
                None => links,
            }
        }
    };
    Ok(message(StatusCode::OK, "Welcome to a simulation of the Foxy Hypermedia API.", links))
}

/// A message with links, as short documents are.
pub(crate) fn message(status: StatusCode, message: &str, links: Links<'_>) -> Reply {
    Reply::hal(status, json!({ "_links": links.done(), "message": message }))
}
