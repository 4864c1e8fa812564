//! The page that a link leads to, and the way from it to Foxy.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header::SET_COOKIE},
};

use crate::{
    browser,
    door::Door,
    grants::{Departure, Link},
    names::Ticket,
    pages::{Trouble, link_ended, offer},
    reply::{InPath, Reply, see_other, text_of},
    secret::{Cookie, State as TripState},
};

/// Shows who asks for what. Changes nothing, here or in the browser.
pub(crate) async fn show(State(door): State<Arc<Door>>, ticket: InPath) -> Reply {
    let Ok(ticket) = Ticket::parse(text_of(&ticket)) else { return door.trouble(Trouble::UnknownLink) };
    match door.grants.look(&ticket).await {
        Ok(Link::Open(asked)) => door.page(&offer(&door.layout, &asked, &path_of(&door, &ticket))),
        Ok(Link::Ended(asked, ended)) => door.page(&link_ended(&door.layout, &asked, ended)),
        Ok(Link::Unknown) => door.trouble(Trouble::UnknownLink),
        Err(error) => door.unavailable(&error),
    }
}

/// Begins a trip, and sends the browser to Foxy.
pub(crate) async fn depart(State(door): State<Arc<Door>>, ticket: InPath, headers: HeaderMap) -> Reply {
    if !browser::is_from_our_page(&headers, &door.settings.public_url.origin()) {
        return door.trouble(Trouble::CrossSite);
    }
    let Ok(ticket) = Ticket::parse(text_of(&ticket)) else { return door.trouble(Trouble::UnknownLink) };
    // Trips of two tabs share the cookie. A fresh one would cut off the trip of the other tab.
    let cookie = browser::cookie(&headers).map_or_else(Cookie::generate, Ok);
    let (Ok(cookie), Ok(state)) = (cookie, TripState::generate()) else {
        return door.fault("the operating system gives no random bytes");
    };
    let (state_hash, cookie_hash) = (state.hash(), cookie.hash());
    let (grants, asked) = (Arc::clone(&door.grants), ticket.clone());
    let begun = door.under_way.spawn(async move { grants.begin(&asked, state_hash, cookie_hash).await }).await;
    let mut to_foxy = match begun {
        Ok(Ok(Departure::To(url))) => url,
        // Its page says what it is.
        Ok(Ok(Departure::Closed)) => return see_other(&path_of(&door, &ticket)),
        Ok(Err(error)) => return door.unavailable(&error),
        Err(_) => return door.fault("beginning a trip has panicked"),
    };
    if !door.settings.authorization.iter().any(|target| target.has(&to_foxy)) {
        return door.fault("the authorization URL lies at none of the origins that are set");
    }
    to_foxy.query_pairs_mut().append_pair("state", state.expose());
    let mut reply = see_other(to_foxy.as_str());
    reply.headers_mut().insert(SET_COOKIE, browser::set_cookie(&cookie));
    reply
}

/// The page's path as browsers see it.
pub(crate) fn path_of(door: &Door, ticket: &Ticket) -> String {
    door.settings.public_url.path(&format!("grant/{}", ticket.as_str()))
}
