//! The authorization endpoint (RFC 6749 section 4.1.1), as a person meets it: log in, choose, allow or deny.
//!
//! Each page submits to the address that it came from. So the request stays in the query, and nothing is remembered
//! between pages but who is logged in.

mod cookie;
mod pages;
mod request;

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use request::Request;

use crate::allows::Allowed;
use crate::call::Call;
use crate::core::Core;
use crate::faults::oauth_error;
use crate::permissions::Asked;
use crate::records::{Records, Store, User, text};
use crate::reply::Reply;
use crate::resource::{Resource, Scope};

const DENIED: (&str, &str) = ("access_denied", "The user denied access to your application");

/// What a person could grant.
struct Candidate {
    resource: Resource,
    /// What to call it.
    name: String,
}

/// `GET /authorize`: shows a page. With `sim_as` or `sim_deny` no one is asked, and the browser is sent back at once.
pub(crate) fn ask(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let (request, asked) = read(core, records, call)?;
    let value = |name: &str| call.query_value(name).filter(|value| !value.is_empty());
    if value("sim_deny").is_some() {
        return Ok(request.refused(DENIED));
    }
    if let Some(name) = value("sim_as") {
        return Ok(match named(core, records, &asked, &name) {
            Some(resource) => request.granted(core, records, asked, resource),
            None => request.refused(("access_denied", "No one of that name is here")),
        });
    }
    let Some(user) = cookie::user(records, call) else { return Ok(pages::log_in(&request, "", None)) };
    Ok(consent(records, &request, &asked, user))
}

/// `POST /authorize`: takes what a person answered on one of the pages.
pub(crate) fn answer(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let (request, asked) = read(core, records, call)?;
    let form = call.form_only().unwrap_or_default();
    let here = Reply::empty(StatusCode::SEE_OTHER).with_header(LOCATION, request.here.as_str());
    match text(&form, "do") {
        "login" => {
            let email = text(&form, "email");
            let Some(user) = records.user_by_email(email).map(|user| user.id) else {
                return Ok(pages::log_in(&request, email, Some("No user has this email.")));
            };
            let Records { logins, dice, .. } = records;
            Ok(cookie::set(core, here, Some(&logins.enter(dice, user))))
        }
        "logout" => {
            records.logins.leave(cookie::sent(call).unwrap_or_default());
            Ok(cookie::set(core, here, None))
        }
        "deny" => Ok(request.refused(DENIED)),
        "allow" => {
            // Logged out meanwhile, in another tab for instance.
            let Some(user) = cookie::user(records, call) else { return Ok(here) };
            let path = text(&form, "resource");
            let chosen = candidates(records, &asked, user).into_iter().find(|one| one.resource.path() == path);
            Ok(match chosen {
                Some(chosen) => request.granted(core, records, asked, chosen.resource),
                None => consent(records, &request, &asked, user),
            })
        }
        _ => Err(pages::refusal("This form is none of ours.")),
    }
}

/// The request and what it asks for.
///
/// # Errors
/// The answer to a request that is none.
fn read(core: &Core, records: &Records, call: &Call) -> Result<(Request, Asked), Reply> {
    let request = Request::read(records, call)?;
    if let Some(error) = &call.oauth_error {
        return Err(request.refused(oauth_error(error)));
    }
    match request.asked.clone() {
        Ok(asked) if core.allows.has(Allowed::IgnoresStoreId) => Ok((request, asked.of_any_store())),
        Ok(asked) => Ok((request, asked)),
        Err(mistake) => Err(request.refused(mistake)),
    }
}

/// The page for someone who is logged in.
fn consent(records: &Records, request: &Request, asked: &Asked, user: &User) -> Reply {
    let email = text(&user.properties, "email");
    match candidates(records, asked, user).as_slice() {
        [] => pages::nothing_to_grant(request, asked, email),
        candidates => pages::consent(request, asked, email, candidates),
    }
}

/// What this user can grant of what is asked for.
fn candidates(records: &Records, asked: &Asked, user: &User) -> Vec<Candidate> {
    match asked.scope {
        Scope::Client => Vec::new(),
        Scope::User => {
            vec![Candidate { resource: Resource::User(user.id), name: text(&user.properties, "email").to_owned() }]
        }
        Scope::Store => {
            let name = |store: &Store| {
                let property = |name| text(&store.properties, name);
                format!("{} ({})", property("store_name"), property("store_domain"))
            };
            let stores = records.stores_of(user.id).filter(|store| asked.store.is_none_or(|id| store.id == id));
            stores.map(|store| Candidate { resource: Resource::Store(store.id), name: name(store) }).collect()
        }
    }
}

/// What `sim_as` names: a user or store by its `self` link, a store by its domain, or what the user of that email can
/// grant, if it is one thing only.
fn named(core: &Core, records: &Records, asked: &Asked, name: &str) -> Option<Resource> {
    let user = records.user_by_email(name);
    let store = records.store_by_domain(name).map(|store| Resource::Store(store.id));
    let is_meant = |one: &Candidate| {
        store == Some(one.resource) || name.strip_prefix(&core.base) == Some(one.resource.path().as_str())
    };
    let of = |user| candidates(records, asked, user);
    match user.map(of).as_deref() {
        Some([only]) => Some(only.resource),
        Some(_) => None,
        None => records.users.values().flat_map(of).find(is_meant).map(|one| one.resource),
    }
}
