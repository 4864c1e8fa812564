//! The cookie that keeps a browser logged in.

use axum::http::header::{COOKIE, SET_COOKIE};

use crate::call::Call;
use crate::core::Core;
use crate::records::{Records, User};
use crate::reply::Reply;

const NAME: &str = "foxy_sim_login";

/// The value that the browser sent. HTTP/2 may split cookies over several headers.
pub(super) fn sent(call: &Call) -> Option<&str> {
    let headers = call.headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// The user whom the browser is logged in as.
pub(super) fn user<'a>(records: &'a Records, call: &Call) -> Option<&'a User> {
    records.users.get(&records.logins.user(sent(call)?)?)
}

/// Sets the cookie; without a value, removes it.
///
/// `Lax` keeps other sites from submitting the pages' forms on the person's behalf.
pub(super) fn set(core: &Core, reply: Reply, value: Option<&str>) -> Reply {
    let age = if value.is_none() { "; Max-Age=0" } else { "" };
    let secure = if core.base.starts_with("https:") { "; Secure" } else { "" };
    let value = value.unwrap_or_default();
    reply.with_header(SET_COOKIE, format!("{NAME}={value}; Path=/authorize; HttpOnly; SameSite=Lax{age}{secure}"))
}
