//! How it ended, in words for the person who did it.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{Layout, Page, choose, store_named};
use crate::grants::{Asked, Ended, Ending, Trip, Wanted};

/// Seconds until a page that waits is fetched again.
const LOOK_AGAIN: u32 = 3;

/// Where a trip stands. `here` is the page's own address, `again` the link's.
pub(crate) fn trip_result(layout: &Layout, trip: &Trip, here: &str, again: Option<&str>) -> Page {
    let platform = layout.platform().name();
    let retry = try_again(layout, again);
    match &trip.ending {
        Ending::Choose(choices) => choose(layout, choices, here),
        Ending::Pending => {
            let body = html! {
                p { "This takes a few seconds. The page looks again by itself." }
                p { a.button href=(here) { "Look again" } }
            };
            Page { again_in: Some(LOOK_AGAIN), ..Page::new(StatusCode::OK, "Almost done", body) }
        }
        Ending::Granted => done(layout, &trip.asked, StatusCode::OK, "Thank you, that worked"),
        Ending::AlreadyDone => done(layout, &trip.asked, StatusCode::OK, "This was already done"),
        Ending::Denied => {
            let body = html! {
                p { "You said no at Foxy, so " (platform) " got no access. Nothing has changed." }
                (retry)
            };
            Page::new(StatusCode::OK, "Access was not given", body)
        }
        Ending::Failed => {
            let body = html! { p { "Foxy could not complete this. " (platform) " got no access." } (retry) };
            Page::new(StatusCode::OK, "That did not work", body)
        }
        Ending::Wrong => wrong(layout, &trip.asked, &retry),
        Ending::Expired => {
            let body = html! { p { "For safety this has to be finished within a few minutes." } (retry) };
            Page::new(StatusCode::GONE, "That took too long", body)
        }
    }
}

/// A link whose grant no longer waits.
pub(crate) fn link_ended(layout: &Layout, asked: &Asked, ended: Ended) -> Page {
    let platform = layout.platform().name();
    match ended {
        Ended::Done => done(layout, asked, StatusCode::GONE, "This is already done"),
        Ended::Expired => {
            let body = html! { p { "Links like this one work for some days only. Ask " (platform) " for a new one." } };
            Page::new(StatusCode::GONE, "This link has expired", body)
        }
        Ended::Withdrawn => {
            let body = html! { p { (platform) " no longer needs this from you. You have nothing to do." } };
            Page::new(StatusCode::GONE, "This is no longer needed", body)
        }
    }
}

fn done(layout: &Layout, asked: &Asked, status: StatusCode, heading: &str) -> Page {
    let platform = layout.platform().name();
    let body = html! {
        p {
            (platform) " has access to "
            @match (store_named(asked), asked.wanted) {
                (Some(store), Wanted::Store) => { "your store " strong { (store) } "." }
                (None, Wanted::Store) => { "your store." }
                (_, Wanted::User) => { "your account at Foxy." }
            }
        }
        p { "You have nothing more to do, and can close this page." }
    };
    Page::new(status, heading, body)
}

fn wrong(layout: &Layout, asked: &Asked, retry: &Markup) -> Page {
    let platform = layout.platform().name();
    let body = html! {
        @match (store_named(asked), asked.wanted) {
            (Some(store), Wanted::Store) => {
                p { "You gave access to another store at Foxy. This link is for " strong { (store) } "." }
            }
            (None, Wanted::Store) => {
                p { "You gave access to another store at Foxy than the one that this link is for." }
            }
            (_, Wanted::User) => {
                p { "You were logged in to another Foxy account than the one that this link is for." }
            }
        }
        p { (platform) " does not use that access." }
        p {
            "If you have several accounts at Foxy, log out there first. Then try again, and log in with the other one."
        }
        (retry)
    };
    let heading = match asked.wanted {
        Wanted::Store => "That was another store",
        Wanted::User => "That was another account",
    };
    Page::new(StatusCode::OK, heading, body)
}

/// The way back to the link, while it is good.
fn try_again(layout: &Layout, again: Option<&str>) -> Markup {
    html! {
        @match again {
            Some(again) => {
                p { "You can try again with the same link." }
                p { a.button href=(again) { "Try again" } }
            }
            None => p { "Ask " (layout.platform().name()) " for a new link to try again." },
        }
    }
}
