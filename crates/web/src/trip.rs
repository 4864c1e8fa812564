//! The page of one trip: how it ended, or which store it is to be.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::HeaderMap,
};
use tokio::time::timeout;
use url::form_urlencoded;

use crate::{
    admission::LARGEST_BODY,
    browser,
    door::Door,
    grant,
    grants::{Ending, Trip, Whose},
    names::{ChoiceId, TripId},
    pages::{Trouble, trip_result},
    reply::{InPath, Reply, see_other, text_of},
    signed_result::{PARAMETER, SignedResult, now},
};

/// Shows how a trip ended, or sends the person on with the result. Changes nothing, so a reload does no harm.
pub(crate) async fn show(State(door): State<Arc<Door>>, trip: InPath, headers: HeaderMap) -> Reply {
    let Ok(id) = TripId::parse(text_of(&trip)) else { return door.trouble(Trouble::UnknownLink) };
    let Some(cookie) = browser::cookie(&headers) else { return door.trouble(Trouble::OtherBrowser) };
    match door.grants.trip(&id, cookie.hash()).await {
        Ok(Whose::Own(trip)) => ended(&door, &id, &trip),
        Ok(Whose::OtherBrowser) => door.trouble(Trouble::OtherBrowser),
        Ok(Whose::Unknown) => door.trouble(Trouble::UnknownLink),
        Err(error) => door.unavailable(&error),
    }
}

/// Takes the choice of a store.
pub(crate) async fn choose(State(door): State<Arc<Door>>, trip: InPath, headers: HeaderMap, body: Body) -> Reply {
    if !browser::is_from_our_page(&headers, &door.settings.public_url.origin()) {
        return door.trouble(Trouble::CrossSite);
    }
    let Ok(id) = TripId::parse(text_of(&trip)) else { return door.trouble(Trouble::UnknownLink) };
    let Some(cookie) = browser::cookie(&headers) else { return door.trouble(Trouble::OtherBrowser) };
    let choice = match timeout(door.settings.limits.head_time, to_bytes(body, LARGEST_BODY)).await {
        Ok(Ok(body)) => chosen(&body),
        Ok(Err(_)) => return door.trouble(Trouble::TooLarge),
        Err(_) => return door.trouble(Trouble::TooSlow),
    };
    let Some(choice) = choice else { return door.trouble(Trouble::Malformed) };
    let (grants, trip, hash) = (Arc::clone(&door.grants), id.clone(), cookie.hash());
    let taken = door.under_way.spawn(async move { grants.choose(&trip, hash, &choice).await }).await;
    match taken {
        // Also if it was not one of those that were offered: the page then asks again.
        Ok(Ok(Whose::Own(()))) => see_other(&path_of(&door, &id)),
        Ok(Ok(Whose::OtherBrowser)) => door.trouble(Trouble::OtherBrowser),
        Ok(Ok(Whose::Unknown)) => door.trouble(Trouble::UnknownLink),
        Ok(Err(error)) => door.unavailable(&error),
        Err(_) => door.fault("taking a choice has panicked"),
    }
}

/// Where a callback sends a browser that is not the trip's.
pub(crate) async fn trouble(State(door): State<Arc<Door>>, name: InPath) -> Reply {
    let trouble = Trouble::named(text_of(&name)).unwrap_or(Trouble::NoPage);
    door.page(&trouble.page(&door.layout))
}

/// The page's path as browsers see it.
pub(crate) fn path_of(door: &Door, trip: &TripId) -> String {
    door.settings.public_url.path(&format!("trip/{}", trip.as_str()))
}

fn ended(door: &Door, id: &TripId, trip: &Trip) -> Reply {
    if let (Some(to), Some(result)) = (&door.settings.return_to, word(&trip.ending)) {
        let signed = SignedResult { grant: &trip.grant_id, signup: &trip.signup_id, result, time: now() };
        return see_other(to.url.with(PARAMETER, &to.key.sign(&signed)).as_str());
    }
    let again = trip.again.as_ref().map(|ticket| grant::path_of(door, ticket));
    door.page(&trip_result(&door.layout, trip, &path_of(door, id), again.as_deref()))
}

/// The result's word, if there is a result. `docs/grants.md` lists them.
fn word(ending: &Ending) -> Option<&'static str> {
    match ending {
        Ending::Pending | Ending::Choose(_) => None,
        Ending::Granted => Some("granted"),
        Ending::AlreadyDone => Some("already_done"),
        Ending::Denied => Some("denied"),
        Ending::Failed => Some("failed"),
        Ending::Wrong => Some("wrong"),
        Ending::Expired => Some("expired"),
    }
}

/// The one choice that a form names.
fn chosen(body: &[u8]) -> Option<ChoiceId> {
    let mut choices = form_urlencoded::parse(body).filter(|(name, _)| name == "choice").map(|(_, value)| value);
    let choice = choices.next()?;
    if choices.next().is_some() {
        return None;
    }
    ChoiceId::parse(&choice).ok()
}
