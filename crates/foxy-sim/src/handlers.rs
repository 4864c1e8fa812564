//! The work behind each route.

mod attributes;
mod authorize;
mod clients;
mod collection;
mod home;
mod integrations;
mod options;
mod reporting;
mod stores;
mod token;
mod users;

use std::io;

use axum::http::header::ALLOW;
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::core::{Core, lock};
use crate::faults::OldToken;
use crate::grants::Grantee;
use crate::moment::foxy_date;
use crate::records::Records;
use crate::reply::Reply;
use crate::resource::Resource;
use crate::routes::{Found, Route};

/// Does a request's work and says what came of it.
pub(crate) fn answer(core: &Core, call: &Call) -> Reply {
    let (route, id) = match &call.found {
        Found::Route(route, id) => (*route, *id),
        Found::OtherMethods(methods) => {
            return if call.method == Method::OPTIONS {
                options::answer(core, &lock(&core.records), call, methods)
            } else {
                not_allowed().with_header(ALLOW, methods.join(", "))
            };
        }
        Found::Nothing => return Reply::not_found("Nothing was found at this URI."),
    };
    // Foxy docs: required on every request. The authorization endpoint is a web page on another host there.
    if !call.is_authorization() && call.header("foxy-api-version") != Some("1") {
        return Reply::no_version();
    }
    let records = &mut *lock(&core.records);
    let result = match route {
        Route::Home => home::show(core, records, call),
        Route::Token => token::grant(core, records, call),
        Route::Authorize => authorize::ask(core, records, call),
        Route::AnswerAuthorize => authorize::answer(core, records, call),
        Route::CreateClient => clients::create(core, records, call),
        Route::ShowClient => clients::show(core, records, call, id),
        Route::ChangeClient => clients::change(core, records, call, id),
        Route::CreateUser => users::create(core, records, call),
        Route::ShowUser => users::show(core, records, call, id),
        Route::ChangeUser => users::change(core, records, call, id),
        Route::ListStores => stores::list(core, records, call, id),
        Route::CreateStore => stores::create(core, records, call, id),
        Route::ShowStore => stores::show(core, records, call, id),
        Route::ChangeStore => stores::change(core, records, call, id),
        Route::ListStoreUsers => users::list_of_store(core, records, call, id),
        Route::ListClientAttributes => attributes::list(core, records, call, Resource::Client(id)),
        Route::CreateClientAttribute => attributes::create(core, records, call, Resource::Client(id)),
        Route::ListUserAttributes => attributes::list(core, records, call, Resource::User(id)),
        Route::CreateUserAttribute => attributes::create(core, records, call, Resource::User(id)),
        Route::ListStoreAttributes => attributes::list(core, records, call, Resource::Store(id)),
        Route::CreateStoreAttribute => attributes::create(core, records, call, Resource::Store(id)),
        Route::ShowAttribute => attributes::show(core, records, call, id),
        Route::ChangeAttribute => attributes::change(core, records, call, id),
        Route::DeleteAttribute => attributes::delete(core, records, call, id),
        Route::ListIntegrations => integrations::list(core, records, call, id),
        Route::AddIntegration => integrations::add(core, records, call, id),
        Route::ShowIntegration => integrations::show(core, records, call, id),
        Route::DeleteIntegration => integrations::delete(core, records, call, id),
        Route::DeleteUser => users::delete(core, records, call, id),
        Route::DeleteStore => stores::delete(core, records, call, id),
        Route::Reporting => Ok(reporting::show(core)),
        Route::EmailExists => reporting::email_exists(core, records, call),
        Route::StoreDomainExists => reporting::store_domain_exists(core, records, call),
        Route::NotSimulated => {
            Err(Reply::errors(StatusCode::NOT_IMPLEMENTED, &["foxy-sim does not simulate this part of Foxy."]))
        }
    };
    result.unwrap_or_else(|refusal| refusal)
}

/// Puts another refresh token into the token endpoint's answer to one.
pub(crate) fn rotate(core: &Core, call: &Call, old: OldToken, reply: &mut Reply) {
    if call.route() == Some(Route::Token) && reply.status == StatusCode::OK {
        token::rotate(&mut lock(&core.records), call, old, reply);
    }
}

/// The token object of token answers and of creations.
fn token_object(core: &Core, records: &mut Records, grantee: Grantee, refresh_token: Option<&str>) -> Value {
    let scope = grantee.scope().to_owned();
    let Records { grants, dice, .. } = records;
    let access_token = grants.open_access(dice, grantee, refresh_token, core.access_token_lifetime);
    let mut token = json!({
        "access_token": access_token,
        "expires_in": core.access_token_lifetime.as_secs(),
        "token_type": "Bearer",
        "scope": scope,
    });
    if let Some(refresh_token) = refresh_token {
        token["refresh_token"] = Value::from(refresh_token);
    }
    token
}

/// A resource as an OAuth client reads it: its properties, dates, links, and those attributes that the client sees.
fn document(core: &Core, records: &Records, resource: Resource, reader: &str, parts: Parts<'_>) -> Value {
    let mut document = parts.properties.clone();
    document.insert("date_created".to_owned(), Value::from(foxy_date(parts.created_at_ms)));
    document.insert("date_modified".to_owned(), Value::from(foxy_date(parts.modified_at_ms)));
    // Foxy docs: custom attributes are embedded without zooming.
    let attributes: Vec<_> =
        records.attributes_of(resource, reader).map(|attribute| attributes::document(core, attribute)).collect();
    if !attributes.is_empty() {
        document.insert("_embedded".to_owned(), json!({ "fx:attributes": attributes }));
    }
    document.insert("_links".to_owned(), parts.links);
    Value::Object(document)
}

/// Puts into a document what it links to under this relation, if the query zooms on it.
fn zoomed(call: &Call, mut document: Value, rel: &str, linked: impl FnOnce() -> Vec<Value>) -> Value {
    if call.zooms(rel) {
        document["_embedded"][rel] = linked().into();
    }
    document
}

/// What a resource's document is made of.
struct Parts<'a> {
    properties: &'a Map<String, Value>,
    created_at_ms: u64,
    modified_at_ms: u64,
    links: Value,
}

/// 400 with every mistake, if there are any.
fn refuse_mistakes(mistakes: &[String]) -> Result<(), Reply> {
    if mistakes.is_empty() { Ok(()) } else { Err(Reply::errors(StatusCode::BAD_REQUEST, mistakes)) }
}

/// 405.
fn not_allowed() -> Reply {
    Reply::errors(StatusCode::METHOD_NOT_ALLOWED, &["This method is not allowed here."])
}

/// What can't be written to the books has not happened.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err, which passes the error by value")]
fn not_saved(error: io::Error) -> Reply {
    Reply::errors(StatusCode::INTERNAL_SERVER_ERROR, &[format!("The books file could not be written: {error}")])
}
