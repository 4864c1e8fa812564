//! Integrations: the refresh tokens of a store as resources (Foxy docs: rels/integrations, rels/integration).

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{collection, home, not_allowed, not_saved, refuse_mistakes, token_object};
use crate::access;
use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::fields::{Field, Kind, Purpose, check};
use crate::grants::{Grantee, Kept, Refresh, Source};
use crate::journal::Entry;
use crate::moment::{foxy_date, now_ms};
use crate::records::{Records, text};
use crate::reply::{Links, Reply};
use crate::resource::Resource;

/// How long a refresh token lives (Foxy docs: refreshing tokens).
const LIFETIME: Duration = Duration::from_secs(315_360_000);

/// Foxy docs: rels/integrations; the lengths are guesses.
const FIELDS: &[Field] = &[
    Field::required("project_name", Kind::Text, 200),
    Field::optional("project_description", Kind::Text, 0),
    Field::optional("company_name", Kind::Text, 200),
    Field::optional("contact_name", Kind::Text, 200),
    Field::optional("contact_email", Kind::Email, 100),
    Field::optional("contact_phone", Kind::Text, 50),
];

/// `GET /stores/{id}/integrations`.
pub(crate) fn list(core: &Core, records: &Records, call: &Call, store: u64) -> Result<Reply, Reply> {
    access::to(records, call, Resource::Store(store))?;
    let shown = of_store(core, records, store).map(|kept| document(core, records, store, &kept)).collect();
    Ok(collection::page(core, call, "fx:integrations", shown))
}

/// `POST /stores/{id}/integrations`: makes a client of its own and a token of the store for it.
pub(crate) fn add(core: &Core, records: &mut Records, call: &Call, store: u64) -> Result<Reply, Reply> {
    let caller = access::anyone(records, call)?;
    let owner = records.stores.get(&store).map(|store| Resource::User(store.owner));
    let is_owner = Some(caller.resource) == owner && core.allows.has(Allowed::UserAddsStoreTokens);
    if !caller.is_full() || !(is_owner || caller.resource == Resource::Store(store)) {
        return Err(access::insufficient_scope());
    }
    let checked = check(FIELDS, &call.properties()?, Purpose::Create);
    refuse_mistakes(&checked.mistakes)?;
    let now = now_ms();
    let client = records.draw_client(None, checked.properties, now);
    records.commit(Entry::Client(client.clone())).map_err(not_saved)?;
    let refresh_token = records.draw_token();
    let grantee = Grantee::of(&client.client_id, Resource::Store(store));
    let refresh = Refresh::begin(grantee.clone(), Source::Added);
    let entry = Entry::Granted { refresh_token: refresh_token.clone(), refresh };
    records.commit(entry).map_err(not_saved)?;
    let number = records.grants.number_of(&refresh_token).unwrap_or_default();
    let links = Links::from_base(&core.base).with("self", &path(number), "This integration.");
    let mut document = token_object(core, records, grantee, Some(&refresh_token));
    document["_links"] = links.done();
    document["message"] = Value::from("The integration was created successfully.");
    document["client_id"] = Value::from(client.client_id);
    document["client_secret"] = Value::from(client.client_secret);
    Ok(Reply::hal(StatusCode::CREATED, document))
}

/// `GET /integrations/{id}`.
pub(crate) fn show(core: &Core, records: &Records, call: &Call, number: u64) -> Result<Reply, Reply> {
    let (store, kept) = own(core, records, call, number)?;
    Ok(Reply::hal(StatusCode::OK, document(core, records, store, &kept)))
}

/// `DELETE /integrations/{id}`: ends the refresh token and the access tokens of the same client, user and scope.
pub(crate) fn delete(core: &Core, records: &mut Records, call: &Call, number: u64) -> Result<Reply, Reply> {
    let (store, kept) = own(core, records, call, number)?;
    if !core.allows.has(Allowed::RevokesStoreTokens) {
        return Err(not_allowed());
    }
    let (token, grantee) = (kept.token, kept.refresh.grantee.clone());
    let with_alike = core.allows.has(Allowed::ListsAlikeAsOne) || core.allows.has(Allowed::EndsAlike);
    let alike = records.grants.kept_for(Resource::Store(store));
    let alike = alike.filter(|kept| kept.token == token || with_alike && kept.refresh.grantee.is_like(&grantee));
    let ending: Vec<_> = alike.map(|kept| kept.token.to_owned()).collect();
    for refresh_token in ending {
        records.commit(Entry::Ended { refresh_token }).map_err(not_saved)?;
    }
    if !core.allows.has(Allowed::KeepsAccessTokens) {
        records.grants.end_access_like(&grantee);
    }
    let links = Links::from_base(&core.base).with("self", &path(number), "This integration.");
    Ok(home::message(StatusCode::OK, "The integration was deleted successfully.", links))
}

/// The integrations of a store that can be seen: without `X4`, not those that its creation made.
fn of_store<'a>(core: &'a Core, records: &'a Records, store: u64) -> impl Iterator<Item = Kept<'a>> {
    let is_listed = |kept: &Kept<'_>| match kept.refresh.source {
        Source::Created => {
            core.allows.has(Allowed::RevokesStoreTokens) && !core.allows.has(Allowed::HidesCreatedTokens)
        }
        Source::Granted => !core.allows.has(Allowed::HidesGrantedTokens),
        Source::Added => true,
    };
    let mut seen = Vec::<&Grantee>::new();
    let mut is_first = move |kept: &Kept<'a>| {
        let is_like_one = seen.iter().any(|one| one.is_like(&kept.refresh.grantee));
        seen.push(&kept.refresh.grantee);
        !is_like_one || !core.allows.has(Allowed::ListsAlikeAsOne)
    };
    let kept = records.grants.kept_for(Resource::Store(store));
    kept.filter(is_listed).filter(move |kept| is_first(kept))
}

/// The integration of that number, and its store, which the token must open.
fn own<'a>(core: &'a Core, records: &'a Records, call: &Call, number: u64) -> Result<(u64, Kept<'a>), Reply> {
    let not_found = || Reply::not_found("This integration was not found.");
    let caller = access::anyone(records, call)?;
    let Resource::Store(store) = caller.resource else { return Err(not_found()) };
    access::to(records, call, caller.resource)?;
    let kept = of_store(core, records, store).find(|kept| kept.number == number);
    kept.map(|kept| (store, kept)).ok_or_else(not_found)
}

fn document(core: &Core, records: &Records, store: u64, kept: &Kept<'_>) -> Value {
    let Refresh { grantee, since_ms, .. } = kept.refresh;
    let client = records.client_by_public_id(&grantee.client_id);
    let since = if *since_ms > 0 { *since_ms } else { client.map_or(0, |client| client.created_at_ms) };
    let expires = since.saturating_add(u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX));
    let owner = records.stores.get(&store).and_then(|store| records.users.get(&store.owner));
    let links = Links::from_base(&core.base).with("self", &path(kept.number), "This integration.").with(
        "fx:store",
        &Resource::Store(store).path(),
        "The store.",
    );
    json!({
        "project_name": client.map_or("", |client| text(&client.properties, "project_name")),
        "client_id": grantee.client_id,
        "scope": grantee.scope(),
        "expires": foxy_date(expires),
        "added_by_email": owner.map_or("", |owner| text(&owner.properties, "email")),
        "_links": links.done(),
    })
}

fn path(number: u64) -> String {
    format!("/integrations/{number}")
}
