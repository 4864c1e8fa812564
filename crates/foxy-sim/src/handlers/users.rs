//! Users (Foxy docs: rels/create_user, rels/user).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Parts, collection, document, home, not_allowed, not_saved, refuse_mistakes, stores, token_object, zoomed};
use crate::access;
use crate::call::Call;
use crate::core::Core;
use crate::fields::{Checked, Field, Kind, Purpose, check};
use crate::grants::Grantee;
use crate::journal::Entry;
use crate::moment::now_ms;
use crate::records::{Records, User, text};
use crate::reply::{Links, Reply};
use crate::resource::{Resource, Scope};

/// Foxy docs: rels/create_user.
const FIELDS: &[Field] = &[
    Field::required("first_name", Kind::Text, 50),
    Field::required("last_name", Kind::Text, 50),
    Field::required("email", Kind::Email, 100),
    Field::optional("phone", Kind::Text, 50),
    Field::optional("affiliate_id", Kind::Integer, 0).only_on_creation(),
    Field::optional("is_programmer", Kind::Boolean, 0),
    Field::optional("is_front_end_developer", Kind::Boolean, 0),
    Field::optional("is_designer", Kind::Boolean, 0),
    Field::optional("is_merchant", Kind::Boolean, 0),
];

/// `POST /users`: with a client's token.
pub(crate) fn create(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let client_id = access::with_scope(records, call, Scope::Client)?.client_id.clone();
    access::captcha(core, call, Scope::User)?;
    let checked = checked(records, &call.properties()?, Purpose::Create, None);
    refuse_mistakes(&checked.mistakes)?;
    let mut properties = defaults();
    properties.extend(checked.properties);
    let now = now_ms();
    let (id, refresh_token) = (records.next_user(), records.draw_token());
    let user = User {
        id,
        client_id: client_id.clone(),
        refresh_token: refresh_token.clone(),
        properties,
        created_at_ms: now,
        modified_at_ms: now,
        answered: false,
    };
    records.commit(Entry::User(user)).map_err(not_saved)?;
    let resource = Resource::User(id);
    let token = token_object(core, records, Grantee::of(client_id, resource), Some(&refresh_token));
    let document =
        json!({ "_links": links(core, records, id), "message": "The user was created successfully.", "token": token });
    Ok(Reply { receipt: Some(resource), ..Reply::hal(StatusCode::CREATED, document) })
}

/// `GET /users/{id}`.
pub(crate) fn show(core: &Core, records: &Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let reader = &access::to(records, call, Resource::User(id))?.client_id;
    let user = records.users.get(&id).ok_or_else(not_found)?;
    let stores = || stores::of_user(core, records, call, id, reader);
    let document = zoomed(call, read(core, records, user, reader), "fx:stores", stores);
    Ok(Reply::hal(StatusCode::OK, document))
}

/// `PATCH /users/{id}`.
pub(crate) fn change(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let reader = access::to(records, call, Resource::User(id))?.client_id.clone();
    let mut user = records.users.get(&id).cloned().ok_or_else(not_found)?;
    let checked = checked(records, &call.properties()?, Purpose::Change, Some(id));
    refuse_mistakes(&checked.mistakes)?;
    user.properties.extend(checked.properties);
    user.modified_at_ms = now_ms();
    records.commit(Entry::User(user.clone())).map_err(not_saved)?;
    Ok(Reply::hal(StatusCode::OK, read(core, records, &user, &reader)))
}

/// `DELETE /users/{id}`: not while the user has stores.
pub(crate) fn delete(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    access::to(records, call, Resource::User(id))?;
    if !core.allows.deletes() {
        return Err(not_allowed());
    }
    if !records.users.contains_key(&id) {
        return Err(not_found());
    }
    if records.stores_of(id).next().is_some() {
        return Err(Reply::bad_request("This user still has stores."));
    }
    let links = Links::from_base(&core.base).with("self", &Resource::User(id).path(), "This user.");
    let entry = Entry::UserDeleted { id, keeps_email: core.allows.keeps_names() };
    records.commit(entry).map_err(not_saved)?;
    Ok(home::message(StatusCode::OK, "The user was deleted successfully.", links))
}

/// `GET /stores/{id}/users`: who has access to a store. Here that is the user who made it.
pub(crate) fn list_of_store(core: &Core, records: &Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let reader = &access::to(records, call, Resource::Store(id))?.client_id;
    Ok(collection::page(core, call, "fx:users", of_store(core, records, id, reader)))
}

/// A store's users as they are read.
pub(super) fn of_store(core: &Core, records: &Records, id: u64, reader: &str) -> Vec<Value> {
    let owner = records.stores.get(&id).and_then(|store| records.users.get(&store.owner));
    owner.into_iter().map(|user| read(core, records, user, reader)).collect()
}

fn checked(records: &Records, given: &Map<String, Value>, purpose: Purpose, own: Option<u64>) -> Checked {
    let mut checked = check(FIELDS, given, purpose);
    let holder = records.user_by_email(text(&checked.properties, "email"));
    let is_kept = records.keeps_name(text(&checked.properties, "email"));
    if is_kept || holder.is_some_and(|holder| Some(holder.id) != own) {
        checked.mistakes.push("email is already in use".to_owned());
    }
    checked
}

fn defaults() -> Map<String, Value> {
    let flags = ["is_programmer", "is_front_end_developer", "is_designer", "is_merchant"];
    let flags = flags.map(|flag| (flag.to_owned(), Value::from(false)));
    flags.into_iter().chain([("phone".to_owned(), Value::from(""))]).collect()
}

fn read(core: &Core, records: &Records, user: &User, reader: &str) -> Value {
    let parts = Parts {
        properties: &user.properties,
        created_at_ms: user.created_at_ms,
        modified_at_ms: user.modified_at_ms,
        links: links(core, records, user.id),
    };
    document(core, records, Resource::User(user.id), reader, parts)
}

fn links(core: &Core, records: &Records, id: u64) -> Value {
    let path = Resource::User(id).path();
    let links = Links::from_base(&core.base)
        .with("self", &path, "This user.")
        .with("fx:attributes", &format!("{path}/attributes"), "Attributes of this user.")
        .with("fx:stores", &format!("{path}/stores"), "Stores of this user.");
    let first_store = records.stores_of(id).next().map(|store| Resource::Store(store.id).path());
    match first_store {
        Some(store) => links.with("fx:default_store", &store, "The default store of this user.").done(),
        None => links.done(),
    }
}

fn not_found() -> Reply {
    Reply::not_found("This user was not found")
}
