//! What a fault does to a request and to its answer.

use std::io::Write as _;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value};

use super::{Fault, RetryAfter, echo};
use crate::call::Call;
use crate::line::Cut;
use crate::moment::http_date;
use crate::reply::{Content, Reply};

/// How a request ends.
pub(crate) enum Ending {
    /// With an answer.
    Answer(Reply),
    /// With an answer whose body breaks off half-way.
    Broken(Reply),
    /// Without an answer.
    Cut(Cut),
}

/// The ending of a request whose work is not to be done, if the fault is of that kind.
///
/// Stalls and late work are the service's own, since they take time.
pub(crate) fn instead_of_work(fault: &Fault, call: &Call) -> Option<Ending> {
    let reply = match fault {
        Fault::Refuse => return Some(Ending::Cut(Cut::Close)),
        Fault::ResetBeforeWork => return Some(Ending::Cut(Cut::Reset)),
        Fault::RateLimited(retry_after) => rate_limited(*retry_after),
        Fault::Status(code) => errors(*code),
        Fault::GatewayHtml(code) => gateway(*code),
        Fault::InvalidToken => {
            Reply::bearer_error(StatusCode::UNAUTHORIZED, "invalid_token", "The access token provided is invalid")
        }
        Fault::Redirect { status, location } => {
            let elsewhere = || format!("http://evil.invalid{}", call.uri.path());
            Reply::empty(code(*status)).with_header(LOCATION, location.clone().unwrap_or_else(elsewhere))
        }
        Fault::OauthError(_) if call.is_authorization() => return None,
        Fault::OauthError(text) => {
            let (error, description) = oauth_error(text);
            Reply::oauth_error(StatusCode::BAD_REQUEST, error, description)
        }
        Fault::Captcha => captcha_demanded(),
        Fault::Forbidden => Reply::errors(StatusCode::FORBIDDEN, &["You are not allowed to do this."]),
        Fault::RequestTimeout => errors(StatusCode::REQUEST_TIMEOUT.as_u16()),
        Fault::Conflict => errors(StatusCode::CONFLICT.as_u16()),
        Fault::Echo(status) => echo::answer(code(*status), call),
        Fault::ResetAfterWork
        | Fault::StallBeforeWork(_)
        | Fault::StallAfterWork(_)
        | Fault::LateWork(_)
        | Fault::CloseIdle(_)
        | Fault::StatusAfterWork(_)
        | Fault::GatewayHtmlAfterWork(_)
        | Fault::CutBody
        | Fault::NoToken
        | Fault::Garbage
        | Fault::Success(_)
        | Fault::Bom
        | Fault::Gzip
        | Fault::ForeignLink(_)
        | Fault::NoSelfLink
        | Fault::OtherGrant(_)
        | Fault::Rotate(_)
        | Fault::Scope(_)
        | Fault::TokenType(_)
        | Fault::EchoLinks
        | Fault::ListingLag(_) => return None,
    };
    Some(Ending::Answer(reply))
}

/// What the fault makes of the finished work's answer.
pub(crate) fn upon_answer(fault: &Fault, mut reply: Reply, base: &str, call: &Call) -> Ending {
    match fault {
        Fault::ResetAfterWork => return Ending::Cut(Cut::Reset),
        Fault::LateWork(_) => return Ending::Cut(Cut::Close),
        Fault::StatusAfterWork(code) => return Ending::Answer(errors(*code)),
        Fault::GatewayHtmlAfterWork(code) => return Ending::Answer(gateway(*code)),
        Fault::CutBody => {
            reply.receipt = None;
            return Ending::Broken(reply);
        }
        Fault::Garbage => {
            reply.receipt = None;
            reply.content = Content::Text("\u{1}\u{2}{\"message\": \"unter".to_owned());
        }
        Fault::NoToken => {
            reply.receipt = None;
            if let Content::Json(Value::Object(document)) = &mut reply.content {
                ["token", "access_token", "refresh_token"].iter().for_each(|name| {
                    document.remove(*name);
                });
            }
        }
        Fault::Scope(scope) => say_of_token(&mut reply, "scope", scope),
        Fault::TokenType(token_type) => say_of_token(&mut reply, "token_type", token_type),
        Fault::Success(status) => reply.status = code(*status),
        Fault::Bom => reply.content = Content::Bytes([b"\xef\xbb\xbf".to_vec(), reply.bytes()].concat()),
        Fault::Gzip => {
            reply.content = Content::Bytes(gzip(&reply.bytes()));
            reply.headers.push((CONTENT_ENCODING, "gzip".to_owned()));
        }
        Fault::ForeignLink(origin) => {
            links(&mut reply, |links| {
                links.values_mut().filter_map(|link| link.get_mut("href")).for_each(|href| {
                    if let Some(path) = href.as_str().and_then(|href| href.strip_prefix(base)) {
                        *href = Value::from(format!("{origin}{path}"));
                    }
                });
            });
        }
        Fault::NoSelfLink => links(&mut reply, |links| {
            links.remove("self");
        }),
        Fault::EchoLinks => {
            let told = echo::query(call);
            links(&mut reply, |links| {
                links.values_mut().filter_map(|link| link.get_mut("href")).for_each(|href| {
                    *href = Value::from(format!("{}?{told}", href.as_str().unwrap_or(base)));
                });
            });
            reply.headers.push((LOCATION, format!("{base}/?{told}")));
        }
        Fault::Refuse
        | Fault::ResetBeforeWork
        | Fault::StallBeforeWork(_)
        | Fault::StallAfterWork(_)
        | Fault::CloseIdle(_)
        | Fault::RateLimited(_)
        | Fault::Status(_)
        | Fault::GatewayHtml(_)
        | Fault::InvalidToken
        | Fault::Redirect { .. }
        | Fault::OauthError(_)
        | Fault::OtherGrant(_)
        | Fault::Captcha
        | Fault::Forbidden
        | Fault::RequestTimeout
        | Fault::Conflict
        | Fault::Rotate(_)
        | Fault::Echo(_)
        | Fault::ListingLag(_) => {}
    }
    Ending::Answer(reply)
}

/// The answer to a creation that lacks its hCaptcha code, or has a wrong one; its status and text are guesses.
pub(crate) fn captcha_demanded() -> Reply {
    Reply::bad_request("A valid hCaptcha code is required in the h-captcha-code header.")
}

/// The error code and its description.
pub(crate) fn oauth_error(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, "The fault script refuses this request"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// Changes a property of the token in an answer, be it the whole answer or a part of it.
fn say_of_token(reply: &mut Reply, name: &str, text: &str) {
    let Content::Json(Value::Object(document)) = &mut reply.content else { return };
    let token = if document.contains_key("access_token") {
        Some(document)
    } else {
        document.get_mut("token").and_then(Value::as_object_mut)
    };
    if let Some(token) = token {
        token.insert(name.to_owned(), Value::from(text));
    }
}

fn links(reply: &mut Reply, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Content::Json(document) = &mut reply.content
        && let Some(links) = document.get_mut("_links").and_then(Value::as_object_mut)
    {
        change(links);
    }
}

fn rate_limited(retry_after: Option<RetryAfter>) -> Reply {
    let reply = errors(StatusCode::TOO_MANY_REQUESTS.as_u16());
    match retry_after {
        None => reply,
        Some(RetryAfter::Seconds(seconds)) => reply.with_header(RETRY_AFTER, seconds.to_string()),
        Some(RetryAfter::DateIn(ahead)) => reply.with_header(RETRY_AFTER, http_date(ahead)),
    }
}

fn errors(status: u16) -> Reply {
    let status = code(status);
    Reply::errors(status, &[status.canonical_reason().unwrap_or("Something went wrong.")])
}

fn gateway(status: u16) -> Reply {
    let status = code(status);
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let html = format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n</body>\n</html>\n"
    );
    Reply::page(status, html)
}

/// A rule built in code, not parsed, may hold a number that is no final status.
fn code(status: u16) -> StatusCode {
    let final_status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    final_status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
