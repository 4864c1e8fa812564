//! The authorization endpoint (RFC 6749 section 4.1.1), with a page in place of Foxy's login.

mod pages;
mod request;

use request::Request;

use crate::call::Call;
use crate::core::Core;
use crate::permissions::Asked;
use crate::records::{Records, text};
use crate::reply::Reply;
use crate::resource::{Resource, Scope};

/// `GET /authorize`: sends the browser back with a code or an error, or asks who is there.
pub(crate) fn ask(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let request = Request::read(records, call)?;
    let value = |name: &str| call.query_value(name).filter(|value| !value.is_empty());
    let asked = match request.asked.clone() {
        Ok(asked) => asked,
        Err(mistake) => return Ok(request.refused(mistake)),
    };
    if value("sim_deny").is_some() {
        return Ok(request.refused(("access_denied", "The user denied access to your application")));
    }
    let chosen = match (value("sim_as"), candidates(records, &asked).as_slice()) {
        (Some(name), _) => named(core, records, &asked, &name).ok_or("Nobody of that name is here"),
        (None, []) => Err("Nobody is here to grant access"),
        (None, [(resource, _)]) => Ok(*resource),
        (None, several) => return Ok(pages::choice(core, call, several)),
    };
    Ok(match chosen {
        Ok(resource) => request.granted(records, asked, resource),
        Err(reason) => request.refused(("access_denied", reason)),
    })
}

/// Everyone who could grant what is asked for, and what to call them.
fn candidates<'a>(records: &'a Records, asked: &Asked) -> Vec<(Resource, &'a str)> {
    match asked.scope {
        Scope::Client => Vec::new(),
        Scope::User => {
            let users = records.users.values();
            users.map(|user| (Resource::User(user.id), text(&user.properties, "email"))).collect()
        }
        Scope::Store => {
            let stores = records.stores.values().filter(|store| asked.store.is_none_or(|id| store.id == id));
            stores.map(|store| (Resource::Store(store.id), text(&store.properties, "store_domain"))).collect()
        }
    }
}

/// The one that `sim_as` names: by email, domain or `self` link.
fn named(core: &Core, records: &Records, asked: &Asked, name: &str) -> Option<Resource> {
    let by_name = match asked.scope {
        Scope::Client => None,
        Scope::User => records.user_by_email(name).map(|user| Resource::User(user.id)),
        Scope::Store => records.store_by_domain(name).map(|store| Resource::Store(store.id)),
    };
    let is_meant = |resource: &Resource| {
        by_name == Some(*resource) || name.strip_prefix(&core.base) == Some(resource.path().as_str())
    };
    candidates(records, asked).into_iter().map(|(resource, _)| resource).find(is_meant)
}
