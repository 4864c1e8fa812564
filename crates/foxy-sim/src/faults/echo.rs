//! A server that repeats what it was sent: in its errors, its headers, and its links.

use axum::http::StatusCode;
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::call::Call;
use crate::reply::Reply;

/// One error for each header, and for the body, in each form in which servers write such things.
pub(super) fn answer(status: StatusCode, call: &Call) -> Reply {
    let errors: Vec<_> = parts(call)
        .iter()
        .flat_map(|(name, value)| forms(value).map(|form| format!("{name}: {form}")))
        .map(|message| json!({"logref": bare(&message), "code": bare(&message), "message": message}))
        .collect();
    let document = json!({"total": errors.len(), "_embedded": {"fx:errors": errors}});
    let credentials = call.header("authorization").unwrap_or_default().to_owned();
    Reply::json(status, document)
        .with_header(WWW_AUTHENTICATE, format!("Bearer error=\"{credentials}\""))
        .with_header(LOCATION, format!("{}?{}", call.uri.path(), query(call)))
}

/// The same as a query.
pub(super) fn query(call: &Call) -> String {
    let pairs = parts(call).into_iter().map(|(name, value)| format!("{name}={}", encoded(&value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What holds secrets first: clients read a few errors only.
fn parts(call: &Call) -> Vec<(String, String)> {
    let mut parts = vec![("body".to_owned(), String::from_utf8_lossy(&call.body).into_owned())];
    for (name, value) in &call.headers {
        let part = (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned());
        if name == "authorization" || name == "h-captcha-code" { parts.insert(0, part) } else { parts.push(part) }
    }
    parts
}

fn forms(value: &str) -> [String; 6] {
    let bytes = value.as_bytes();
    let middle = value.char_indices().nth(value.chars().count() / 2).map_or(0, |(at, _)| at);
    let escaped = |write: &dyn Fn(&u8) -> String| bytes.iter().map(write).collect::<String>();
    [
        value.to_owned(),
        encoded(value),
        STANDARD.encode(bytes),
        format!("{}\r\n {}", &value[..middle], &value[middle..]),
        escaped(&|byte| format!("\\u{byte:04x}")),
        escaped(&|byte| format!("{byte:02x}")),
    ]
}

fn encoded(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect()
}

/// What passes for an identifier: the last word.
fn bare(text: &str) -> &str {
    text.rsplit([' ', '=']).next().unwrap_or_default()
}
