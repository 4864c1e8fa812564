//! The redirect URI: a browser comes back from Foxy.
//!
//! Whatever comes, the answer is a way to another page, so the code leaves the address bar and the history, and a
//! reload shows the result again instead of sending the code again. Only while grants can't be asked it is not: the
//! person may then send the same answer again.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
};

use crate::{
    answer::read_answer,
    browser,
    door::Door,
    grants::Arrival,
    pages::Trouble,
    reply::{Reply, allowing, see_other},
    trip,
};

/// Hands the answer over, once.
pub(crate) async fn arrive(State(door): State<Arc<Door>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Reply {
    // Nothing is spent on a guess. Browsers drop a prefetch that fails, and ask again when the person goes there.
    if browser::is_prefetch(&headers) {
        return door.trouble(Trouble::Prefetch);
    }
    let Some((state, answer)) = query.as_deref().and_then(read_answer) else {
        return door.see_trouble(Trouble::UnknownLink);
    };
    let Some(cookie) = browser::cookie(&headers) else { return door.see_trouble(Trouble::OtherBrowser) };
    let (state, cookie) = (state.hash(), cookie.hash());
    let grants = Arc::clone(&door.grants);
    // A browser that hangs up, or our own limit of time, must not cut this off between the exchange and its commit.
    let arrived = door.under_way.spawn(async move { grants.arrive(state, cookie, answer).await }).await;
    match arrived {
        Ok(Ok(Arrival::Trip(trip))) => see_other(&trip::path_of(&door, &trip)),
        Ok(Ok(Arrival::OtherBrowser)) => door.see_trouble(Trouble::OtherBrowser),
        Ok(Ok(Arrival::Unknown)) => door.see_trouble(Trouble::UnknownLink),
        // No way to another page here: the person may reload this one.
        Ok(Err(error)) => door.unavailable(&error),
        Err(_) => door.fault("the end of a trip has panicked"),
    }
}

/// By itself axum answers HEAD as it does GET, and the trip would be spent by whoever looks first.
pub(crate) async fn refuse_head(State(door): State<Arc<Door>>) -> Reply {
    allowing(door.trouble(Trouble::Method), "GET")
}
