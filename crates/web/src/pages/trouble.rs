//! The pages for what went wrong before anyone could be asked about a grant.

use axum::http::StatusCode;
use maud::html;

use super::{Layout, Page};

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The link, or what came back from Foxy, belongs to nothing.
    UnknownLink,
    /// The trip began in another browser.
    OtherBrowser,
    /// A form that was not sent from a page of ours.
    CrossSite,
    /// There is no such page.
    NoPage,
    /// Not with this method.
    Method,
    /// Too often.
    TooOften,
    /// The body is too large.
    TooLarge,
    /// The body is not what our form sends.
    Malformed,
    /// The body took too long to arrive.
    TooSlow,
    /// Grants can't be asked.
    Unavailable,
    /// The answer took too long.
    Late,
    /// A browser guesses that a person may want this.
    Prefetch,
    /// A fault of ours.
    Fault,
}

impl Trouble {
    /// All that a person can be sent to by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::UnknownLink, Self::OtherBrowser].into_iter().find(|trouble| trouble.name() == name)
    }

    /// A word for URLs and for the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnknownLink => "unknown",
            Self::OtherBrowser => "other-browser",
            Self::CrossSite => "cross-site",
            Self::NoPage => "no-page",
            Self::Method => "method",
            Self::TooOften => "too-often",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::TooSlow => "too-slow",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Prefetch => "prefetch",
            Self::Fault => "fault",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::UnknownLink | Self::NoPage => StatusCode::NOT_FOUND,
            Self::OtherBrowser | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable | Self::Late | Self::Prefetch => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The page that says so.
    pub(crate) fn page(self, layout: &Layout) -> Page {
        let platform = layout.platform().name();
        let (heading, body) = match self {
            Self::UnknownLink => (
                "We don’t know this link",
                html! {
                    p {
                        "Part of it may be missing. Open the link from the message again, or copy all of it. If that "
                        "doesn’t help, ask " (platform) " for a new one."
                    }
                },
            ),
            Self::OtherBrowser => (
                "Please use one browser from start to end",
                html! {
                    p {
                        "You began in another browser, or in an app that shows pages itself. For your safety we can’t "
                        "finish it in this one."
                    }
                    p { "Open the link from the message in this browser, and begin again. The link is still good." }
                },
            ),
            Self::CrossSite => (
                "Please open the link again",
                html! { p { "Open the link from the message, and use the button on the page that it leads to." } },
            ),
            Self::NoPage | Self::Method => {
                ("There is no such page", html! { p { "Open the link from the message again." } })
            }
            Self::TooOften => (
                "Too many requests",
                html! { p { "Too much comes from your network at the moment. Wait a minute, then reload this page." } },
            ),
            Self::TooLarge | Self::Malformed | Self::TooSlow => {
                ("We could not read that", html! { p { "Something was lost on the way. Go back and try again." } })
            }
            Self::Unavailable | Self::Late | Self::Prefetch | Self::Fault => (
                "Please try again in a few minutes",
                html! { p { "Something on our side is not working. Nothing is lost. Reload this page later." } },
            ),
        };
        Page::new(self.status(), heading, body)
    }
}
