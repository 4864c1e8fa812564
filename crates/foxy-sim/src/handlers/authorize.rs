//! The authorization endpoint (RFC 6749 section 4.1.1), with a page in place of Foxy's login.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::http::header::LOCATION;
use url::{Url, form_urlencoded};

use crate::call::Call;
use crate::core::Core;
use crate::grants::Grantee;
use crate::permissions::Asked;
use crate::records::{Records, text};
use crate::reply::Reply;
use crate::resource::{Resource, Scope};

/// `GET /authorize`: sends the browser back with a code or an error, or asks who is there.
pub(crate) fn ask(core: &Core, records: &mut Records, call: &Call) -> Result<Reply, Reply> {
    let value = |name: &str| call.query_value(name).filter(|value| !value.is_empty());
    let client_id = value("client_id").unwrap_or_default();
    // RFC 6749 section 4.1.2.1: without a known client and its own redirect URI, nobody is sent anywhere.
    let Some(client) = records.client_by_public_id(&client_id) else {
        return Err(refusal_page("This client_id is unknown."));
    };
    let registered = text(&client.properties, "redirect_uri").to_owned();
    let redirect_uri = value("redirect_uri");
    if redirect_uri.as_ref().is_some_and(|asked| *asked != registered) {
        return Err(refusal_page("This redirect_uri is not the client's own."));
    }
    let Ok(mut back) = Url::parse(&registered) else {
        return Err(refusal_page("The client has no redirect_uri."));
    };

    let outcome = if value("state").is_none() {
        Err(("invalid_request", "The state parameter is required"))
    } else if value("response_type").as_deref() != Some("code") {
        Err(("unsupported_response_type", "The response type must be code"))
    } else if value("sim_deny").is_some() {
        Err(("access_denied", "The user denied access to your application"))
    } else {
        let asked = value("scope").and_then(|scope| Asked::parse(&scope));
        asked.ok_or(("invalid_scope", "The scope is none that a person can grant"))
    };
    let outcome = match outcome {
        Err(error) => Err(error),
        Ok(asked) => match (value("sim_as"), candidates(records, &asked).as_slice()) {
            (Some(name), _) => {
                named(core, records, &asked, &name).ok_or(("access_denied", "Nobody of that name is here"))
            }
            (None, []) => Err(("access_denied", "Nobody is here to grant access")),
            (None, [(resource, _)]) => Ok(*resource),
            (None, several) => return Ok(choice_page(core, call, several)),
        }
        .map(|resource| Grantee { words: Some(asked.words), ..Grantee::of(client_id, resource) }),
    };

    {
        let mut pairs = back.query_pairs_mut();
        match outcome {
            Ok(grantee) => {
                let Records { grants, dice, .. } = records;
                let code = grants.open_code(dice, grantee, redirect_uri);
                pairs.append_pair("code", &code);
            }
            Err((error, description)) => {
                pairs.append_pair("error", error).append_pair("error_description", description);
            }
        }
        if let Some(state) = value("state") {
            pairs.append_pair("state", &state);
        }
    }
    Ok(Reply::empty(StatusCode::FOUND).with_header(LOCATION, back))
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

fn choice_page(core: &Core, call: &Call, candidates: &[(Resource, &str)]) -> Reply {
    let mut html = "<!DOCTYPE html>\n<title>Foxy, simulated</title>\n<h1>Grant access as</h1>\n<ul>\n".to_owned();
    let link = |name: &str, value: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query()).append_pair(name, value);
        escape(&format!("/authorize?{}", query.finish()))
    };
    for (resource, name) in candidates {
        let href = link("sim_as", &format!("{}{}", core.base, resource.path()));
        // Writing to a String can't fail.
        let _ = writeln!(html, "<li><a href=\"{href}\">{}</a></li>", escape(name));
    }
    let _ = writeln!(html, "</ul>\n<p><a href=\"{}\">Deny access</a></p>", link("sim_deny", "1"));
    Reply::page(StatusCode::OK, html)
}

fn refusal_page(reason: &str) -> Reply {
    let html = format!("<!DOCTYPE html>\n<title>Foxy, simulated</title>\n<p>{reason}</p>\n");
    Reply::page(StatusCode::BAD_REQUEST, html)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
