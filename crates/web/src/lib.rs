//! The grants' pages: what a person sees on the way to Foxy's authorization server and back.
//!
//! A link leads to a page that says who asks for what, and changes nothing. Its button begins a *trip*: the browser
//! gets a cookie, the trip a `state`, and the person goes to Foxy. What Foxy sends back is handed on once, and the
//! person ends at a page that says how it went, or at the platform's own page with a signed result.
//!
//! What this crate will not do: end TLS, decide anything about a grant, keep anything, or show a person what came from
//! outside unescaped. axum, hyper and the templates stay within.

mod admission;
mod answer;
mod browser;
mod callback;
mod color;
mod connection;
mod door;
mod forwarded;
mod grant;
mod grants;
mod listener;
mod names;
mod pages;
mod rates;
mod reply;
mod secret;
mod seldom;
mod settings;
mod shown;
mod signed_result;
mod site;
mod trip;

pub use color::{Color, MalformedColor};
pub use forwarded::{ForwardedBy, Forwarding, MalformedHeaderName, MalformedNetwork};
pub use grants::{
    Answer, Arrival, Asked, Choice, Departure, Ended, Ending, Grants, Link, OAuthError, Reason, Trip, Unavailable,
    Wanted, Whose,
};
pub use listener::{ListenAddress, Listener, MalformedListenAddress};
pub use names::{ChoiceId, MalformedName, Ticket, TripId};
pub use rates::Rate;
pub use secret::{CookieHash, StateHash};
pub use settings::{Limits, Platform, PlatformError, ReturnTo, Settings};
pub use signed_result::{ResultKey, ResultKeyError};
pub use site::{AddressError, FormTarget, PublicUrl, RedirectUri, ReturnUrl};
