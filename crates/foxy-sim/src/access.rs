//! Who is calling, and may they.

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::config::CaptchaPolicy;
use crate::core::Core;
use crate::faults::captcha_demanded;
use crate::grants::{Grantee, Refused};
use crate::records::{Client, Records, text};
use crate::reply::Reply;
use crate::resource::{Resource, Scope};

/// The access token's grantee, `None` without a token.
///
/// # Errors
/// 401 for a token that opens nothing (RFC 6750 section 3.1; Foxy docs: authentication, refreshing tokens).
pub(crate) fn caller<'a>(records: &'a Records, call: &Call) -> Result<Option<&'a Grantee>, Reply> {
    let Some(header) = call.header(AUTHORIZATION.as_str()) else { return Ok(None) };
    let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let description = match token.map(|(_, token)| records.grants.access(token.trim())) {
        Some(Ok(grantee)) => return Ok(Some(grantee)),
        Some(Err(Refused::Expired)) => "The access token provided has expired",
        Some(Err(Refused::Unknown)) => "The access token provided is invalid",
        None => {
            let description = "Malformed auth header";
            return Err(Reply::bearer_error(StatusCode::BAD_REQUEST, "invalid_request", description));
        }
    };
    Err(Reply::bearer_error(StatusCode::UNAUTHORIZED, "invalid_token", description))
}

/// The grantee of any valid token.
///
/// # Errors
/// 401 without one.
pub(crate) fn anyone<'a>(records: &'a Records, call: &Call) -> Result<&'a Grantee, Reply> {
    caller(records, call)?.ok_or_else(|| {
        Reply::errors(StatusCode::UNAUTHORIZED, &["An access token is required."])
            .with_header(WWW_AUTHENTICATE, "Bearer realm=\"Foxy\"")
    })
}

/// The grantee of a token with full access of this scope.
///
/// # Errors
/// 401 without a valid token, 403 for one of another scope.
pub(crate) fn with_scope<'a>(records: &'a Records, call: &Call, scope: Scope) -> Result<&'a Grantee, Reply> {
    let grantee = anyone(records, call)?;
    if grantee.resource.scope() == scope && grantee.is_full() { Ok(grantee) } else { Err(insufficient_scope()) }
}

/// The grantee of a token that opens exactly this resource, and all of it.
///
/// # Errors
/// 401 without a valid token, 403 for one that opens something else, or less.
pub(crate) fn to<'a>(records: &'a Records, call: &Call, resource: Resource) -> Result<&'a Grantee, Reply> {
    let grantee = anyone(records, call)?;
    if grantee.resource == resource && grantee.is_full() { Ok(grantee) } else { Err(insufficient_scope()) }
}

/// 403: the token is valid, and does not open this.
pub(crate) fn insufficient_scope() -> Reply {
    let description = "The request requires higher privileges than provided by the access token";
    Reply::bearer_error(StatusCode::FORBIDDEN, "insufficient_scope", description)
}

/// Lets a creation pass that has an hCaptcha code, or needs none (Foxy docs: rels/create_user). Any code will do, and more
/// than once, unless the simulator was told which one to take.
///
/// # Errors
/// The demand for a code, or for a better one.
pub(crate) fn captcha(core: &Core, call: &Call, scope: Scope) -> Result<(), Reply> {
    let demanded = match core.captcha {
        CaptchaPolicy::Off => false,
        CaptchaPolicy::Users => scope == Scope::User,
        CaptchaPolicy::UsersAndStores => matches!(scope, Scope::User | Scope::Store),
    };
    let is_good = match (call.header("h-captcha-code"), &core.captcha_code) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(given), Some(taken)) => given == taken,
    };
    if demanded && !is_good { Err(captcha_demanded()) } else { Ok(()) }
}

/// The OAuth client of a token request, by HTTP Basic or by the form (RFC 6749 section 2.3.1).
///
/// # Errors
/// `invalid_client`: 401 when Basic was tried, 400 when the form was (RFC 6749 section 5.2).
pub(crate) fn oauth_client<'a>(
    records: &'a Records,
    call: &Call,
    form: &Map<String, Value>,
) -> Result<&'a Client, Reply> {
    let (id, secret, basic) = match call.header(AUTHORIZATION.as_str()) {
        Some(header) => {
            let (id, secret) = basic_credentials(header).unwrap_or_default();
            (id, secret, true)
        }
        None => (text(form, "client_id").to_owned(), text(form, "client_secret").to_owned(), false),
    };
    let client = records.client_by_public_id(&id).filter(|client| client.client_secret == secret);
    client.ok_or_else(|| {
        let description = "The client credentials are invalid";
        if basic {
            Reply::oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", description)
                .with_header(WWW_AUTHENTICATE, "Basic realm=\"Foxy\"")
        } else {
            Reply::oauth_error(StatusCode::BAD_REQUEST, "invalid_client", description)
        }
    })
}

fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
