//! The pages that ask a person something.

use axum::http::StatusCode;
use maud::html;

use super::{Layout, Page, store_named};
use crate::{
    grants::{Asked, Choice, Reason, Wanted},
    shown::shown,
};

/// Who asks for what. Its button begins a trip.
pub(crate) fn offer(layout: &Layout, asked: &Asked, action: &str) -> Page {
    let platform = layout.platform().name();
    let heading = match (asked.reason, asked.wanted) {
        (Reason::Connect, Wanted::Store) => format!("Connect your store with {platform}"),
        (Reason::Connect, Wanted::User) => format!("Connect your Foxy account with {platform}"),
        (Reason::Recover, _) => format!("Give {platform} access to your store again"),
        (Reason::TakeOver, _) => format!("Let {platform} set up your store in your Foxy account"),
        (Reason::Reconnect, _) => format!("Renew the access that {platform} has to your store"),
    };
    let why = match asked.reason {
        Reason::Connect => "asks for access to what you have at Foxy, so that it can work with your store.",
        Reason::Recover => "can no longer open your store at Foxy, and asks you for access again.",
        Reason::TakeOver => "is to set up a store for you. You have an account at Foxy already, so it asks for yours.",
        Reason::Reconnect => "has changed how it connects to Foxy, and asks you to confirm its access.",
    };
    let access = match asked.wanted {
        Wanted::Store => "Full access to this store at Foxy",
        Wanted::User => "Full access to your account at Foxy, with its stores",
    };
    let body = html! {
        p { (platform) " " (why) }
        dl {
            dt { "Who asks" } dd { (platform) }
            @if let Some(store) = store_named(asked) { dt { "Store" } dd { (store) } }
            dt { "What for" } dd { (access) }
        }
        p {
            "The button takes you to Foxy. There you log in, and say yes or no. Then you come back here. Until you say "
            "yes, nothing changes."
        }
        form method="post" action=(action) { button type="submit" { "Continue to Foxy" } }
        p.quiet { "You did not expect this? Then close this page. Nothing happens." }
    };
    Page { has_form: true, ..Page::new(StatusCode::OK, heading, body) }
}

/// Which of several stores.
pub(crate) fn choose(layout: &Layout, choices: &[Choice], action: &str) -> Page {
    let body = html! {
        p { "You have more than one store. Choose the one that " (layout.platform().name()) " is to work with." }
        form method="post" action=(action) {
            fieldset {
                legend { "Your stores" }
                @for choice in choices {
                    label {
                        input type="radio" name="choice" value=(choice.id.as_str()) required;
                        span {
                            bdi { (shown(&choice.name)) }
                            @if let Some(domain) = &choice.domain { br; span.quiet { bdi { (shown(domain)) } } }
                        }
                    }
                }
            }
            button type="submit" { "Use this store" }
        }
    };
    Page { has_form: true, ..Page::new(StatusCode::OK, "Choose your store", body) }
}
