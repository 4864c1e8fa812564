//! Stores (Foxy docs: rels/stores, rels/store).

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Parts, collection, document, home, not_allowed, not_saved, refuse_mistakes, token_object, users, zoomed};
use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::domains;
use crate::fields::{Checked, Field, Kind, Purpose, check};
use crate::grants::Grantee;
use crate::journal::Entry;
use crate::keys;
use crate::moment::now_ms;
use crate::records::{Records, Store};
use crate::reply::{Links, Reply};
use crate::resource::{Resource, Scope};

/// Foxy docs: rels/store; official foxy-sdk, types of the backend. A length of 0 isn't known. JSON settings are kept
/// as the texts they are; what `webhook_key` may be is in [`keys`].
const FIELDS: &[Field] = &[
    Field::required("store_name", Kind::Text, 50),
    Field::required("store_domain", Kind::Text, 100),
    Field::optional("use_remote_domain", Kind::Boolean, 0),
    Field::required("store_url", Kind::WebUrl, 300),
    Field::required("store_email", Kind::Emails, 300),
    Field::required("postal_code", Kind::Text, 50),
    Field::required("country", Kind::Country, 2),
    Field::required("region", Kind::Text, 100),
    Field::optional("from_email", Kind::Email, 100),
    Field::optional("receipt_continue_url", Kind::WebUrl, 300),
    Field::optional("logo_url", Kind::WebUrl, 200),
    Field::optional("store_version_uri", Kind::WebUrl, 0),
    Field::optional("locale_code", Kind::Text, 0),
    Field::optional("language", Kind::Text, 0),
    Field::optional("timezone", Kind::Text, 0),
    Field::optional("checkout_type", Kind::Text, 0),
    Field::optional("shipping_address_type", Kind::Text, 0),
    Field::optional("customer_password_hash_type", Kind::Text, 0),
    Field::optional("customer_password_hash_config", Kind::Text, 100),
    Field::optional("custom_display_id_config", Kind::Text, 0),
    Field::optional("smtp_config", Kind::Text, 1000),
    Field::optional("webhook_url", Kind::WebUrl, 300),
    Field::optional("webhook_key", Kind::Text, 0),
    Field::optional("single_sign_on_url", Kind::WebUrl, 300),
    Field::optional("unified_order_entry_password", Kind::Text, 100),
    Field::optional("app_session_time", Kind::UpTo(259_200), 0),
    Field::optional("affiliate_id", Kind::Integer, 0).only_on_creation(),
    Field::optional("bcc_on_receipt_email", Kind::Boolean, 0),
    Field::optional("features_multiship", Kind::Boolean, 0),
    Field::optional("hide_currency_symbol", Kind::Boolean, 0),
    Field::optional("hide_decimal_characters", Kind::Boolean, 0),
    Field::optional("is_maintenance_mode", Kind::Boolean, 0),
    Field::optional("products_require_expires_property", Kind::Boolean, 0),
    Field::optional("require_signed_shipping_rates", Kind::Boolean, 0),
    Field::optional("send_html_email", Kind::Boolean, 0),
    Field::optional("use_cart_validation", Kind::Boolean, 0),
    Field::optional("use_email_dns", Kind::Boolean, 0),
    Field::optional("use_international_currency_symbol", Kind::Boolean, 0),
    Field::optional("use_single_sign_on", Kind::Boolean, 0),
    Field::optional("use_webhook", Kind::Boolean, 0),
];

/// What a store links to, beside its attributes and users; these lead to 501.
const CHILDREN: &[&str] = &[
    "carts",
    "coupons",
    "customers",
    "item_categories",
    "payment_gateways",
    "payment_method_sets",
    "store_shipping_methods",
    "subscriptions",
    "taxes",
    "template_config",
    "template_sets",
    "transactions",
    "user_accesses",
    "user_invitations",
    "webhooks",
];

/// `POST /users/{id}/stores`, or `POST /stores` for the token's own user.
pub(crate) fn create(core: &Core, records: &mut Records, call: &Call, user: u64) -> Result<Reply, Reply> {
    let (owner, client_id) = match by_store(core, records, call, user)? {
        Some(owner) => owner,
        None => own_user(records, call, user)?,
    };
    access::captcha(core, call, Scope::Store)?;
    let mut properties = defaults();
    properties.insert("webhook_key".to_owned(), Value::from(records.draw_secret()));
    let checked = checked(records, &call.properties()?, Purpose::Create, None);
    refuse_mistakes(&checked.mistakes)?;
    properties.extend(checked.properties);
    let now = now_ms();
    let (id, refresh_token) = (records.next_store(), records.draw_token());
    let store = Store {
        id,
        owner,
        client_id: client_id.clone(),
        refresh_token: refresh_token.clone(),
        properties,
        created_at_ms: now,
        modified_at_ms: now,
        answered: false,
    };
    records.commit(Entry::Store(store)).map_err(not_saved)?;
    let resource = Resource::Store(id);
    let token = token_object(core, records, Grantee::of(client_id, resource), Some(&refresh_token));
    let document =
        json!({ "_links": links(core, resource), "message": "The store was created successfully.", "token": token });
    Ok(Reply { receipt: Some(resource), ..Reply::hal(StatusCode::CREATED, document) })
}

/// `GET /users/{id}/stores`, or `GET /stores` for the token's own user.
pub(crate) fn list(core: &Core, records: &Records, call: &Call, user: u64) -> Result<Reply, Reply> {
    let (owner, reader) = own_user(records, call, user)?;
    Ok(collection::page(core, call, "fx:stores", of_user(core, records, call, owner, &reader)))
}

/// A user's stores as they are read, those that listings show already.
pub(super) fn of_user(core: &Core, records: &Records, call: &Call, user: u64, reader: &str) -> Vec<Value> {
    let stores = records.stores_of(user).filter(|store| call.sees(store.created_at_ms));
    stores.map(|store| read(core, records, store, reader)).collect()
}

/// `GET /stores/{id}`.
pub(crate) fn show(core: &Core, records: &Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let reader = &access::to(records, call, Resource::Store(id))?.client_id;
    let store = records.stores.get(&id).ok_or_else(not_found)?;
    let users = || users::of_store(core, records, id, reader);
    let document = zoomed(call, read(core, records, store, reader), "fx:users", users);
    Ok(Reply::hal(StatusCode::OK, document))
}

/// `PATCH /stores/{id}`.
pub(crate) fn change(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    let reader = access::to(records, call, Resource::Store(id))?.client_id.clone();
    let mut store = records.stores.get(&id).cloned().ok_or_else(not_found)?;
    let checked = checked(records, &call.properties()?, Purpose::Change, Some(&store));
    refuse_mistakes(&checked.mistakes)?;
    store.properties.extend(checked.properties);
    store.modified_at_ms = now_ms();
    records.commit(Entry::Store(store.clone())).map_err(not_saved)?;
    Ok(Reply::hal(StatusCode::OK, read(core, records, &store, &reader)))
}

/// `DELETE /stores/{id}`.
pub(crate) fn delete(core: &Core, records: &mut Records, call: &Call, id: u64) -> Result<Reply, Reply> {
    access::to(records, call, Resource::Store(id))?;
    if !core.allows.deletes() {
        return Err(not_allowed());
    }
    if !records.stores.contains_key(&id) {
        return Err(not_found());
    }
    let links = Links::from_base(&core.base).with("self", &Resource::Store(id).path(), "This store.");
    let entry = Entry::StoreDeleted { id, keeps_domain: core.allows.keeps_names() };
    records.commit(entry).map_err(not_saved)?;
    Ok(home::message(StatusCode::OK, "The store was deleted successfully.", links))
}

fn links(core: &Core, store: Resource) -> Value {
    let path = store.path();
    let links = Links::from_base(&core.base).with("self", &path, "This store.");
    let links = links.with("fx:integrations", &format!("{path}/integrations"), "Integrations of this store.");
    let links = links.with("fx:attributes", &format!("{path}/attributes"), "Attributes of this store.").with(
        "fx:users",
        &format!("{path}/users"),
        "Users with access to this store.",
    );
    CHILDREN
        .iter()
        .fold(links, |links, child| links.with(&format!("fx:{child}"), &format!("{path}/{child}"), "Not simulated."))
        .done()
}

/// With a store's token: its user, if such a token may create further stores.
fn by_store(core: &Core, records: &Records, call: &Call, user: u64) -> Result<Option<(u64, String)>, Reply> {
    let caller = access::anyone(records, call)?;
    let Resource::Store(store) = caller.resource else { return Ok(None) };
    let owner = records.stores.get(&store).map(|store| store.owner).filter(|owner| [0, *owner].contains(&user));
    let may = core.allows.has(Allowed::StoreCreatesStores) && caller.is_full();
    let owner = owner.filter(|_| may).ok_or_else(access::insufficient_scope)?;
    Ok(Some((owner, caller.client_id.clone())))
}

/// The user whose stores are meant, and the client that acts: the path's user must be the token's.
fn own_user(records: &Records, call: &Call, user: u64) -> Result<(u64, String), Reply> {
    let grantee = match user {
        0 => access::with_scope(records, call, Scope::User)?,
        _ => access::to(records, call, Resource::User(user))?,
    };
    match grantee.resource {
        Resource::User(id) => Ok((id, grantee.client_id.clone())),
        Resource::Client(_) | Resource::Store(_) => Err(not_found()),
    }
}

/// Checks the fields one by one, then what depends on another: the domain's form, its uniqueness, the region.
fn checked(records: &Records, given: &Map<String, Value>, purpose: Purpose, own: Option<&Store>) -> Checked {
    let mut checked = check(FIELDS, given, purpose);
    let effective = |name: &str| checked.properties.get(name).or_else(|| own?.properties.get(name));
    let domain = checked.properties.get("store_domain").and_then(Value::as_str);
    let remote = effective("use_remote_domain").and_then(Value::as_bool).unwrap_or_default();
    let mut mistakes = Vec::new();
    if let Some(domain) = domain {
        let taken = || {
            let holder = records.store_by_domain(domain)?;
            let others = own.is_none_or(|own| own.id != holder.id);
            others.then(|| "store_domain is already in use".to_owned())
        };
        let kept = || records.keeps_name(domain).then(|| "store_domain is already in use".to_owned());
        mistakes.extend(domains::mistake(domain, remote).or_else(taken).or_else(kept));
    }
    let in_us = effective("country").and_then(Value::as_str).is_some_and(|code| code.eq_ignore_ascii_case("US"));
    let region = effective("region").and_then(Value::as_str).unwrap_or_default();
    if in_us && !region.is_empty() && !(region.len() == 2 && region.bytes().all(|byte| byte.is_ascii_alphabetic())) {
        mistakes.push("region must be a two character code for stores in the US".to_owned());
    }
    mistakes.extend(keys::mistakes(effective, own.is_none()));
    checked.mistakes.extend(mistakes);
    checked
}

/// What a new store has that its creator didn't say; the values are guesses.
fn defaults() -> Map<String, Value> {
    let texts = [
        ("locale_code", "en_US"),
        ("language", "english"),
        ("timezone", "America/Los_Angeles"),
        ("checkout_type", "default_account"),
    ];
    let flags = ["use_remote_domain", "is_active", "is_maintenance_mode", "use_webhook", "use_single_sign_on"];
    let texts = texts.map(|(name, value)| (name.to_owned(), Value::from(value)));
    let flags = flags.map(|name| (name.to_owned(), Value::from(false)));
    texts.into_iter().chain(flags).collect()
}

fn read(core: &Core, records: &Records, store: &Store, reader: &str) -> Value {
    let resource = Resource::Store(store.id);
    let parts = Parts {
        properties: &store.properties,
        created_at_ms: store.created_at_ms,
        modified_at_ms: store.modified_at_ms,
        links: links(core, resource),
    };
    document(core, records, resource, reader, parts)
}

fn not_found() -> Reply {
    Reply::not_found("This store was not found.")
}
