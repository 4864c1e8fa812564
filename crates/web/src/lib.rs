//! The grants' pages: what a person sees on the way to Foxy's authorization server and back.
//!
//! A link leads to a page that says who asks for what, and changes nothing. Its button begins a *trip*: the browser
//! gets a cookie, the trip a `state`, and the person goes to Foxy. What Foxy sends back is handed on once, and the
//! person ends at a page that says how it went, or at the platform's own page with a signed result.
//!
//! [`serve()`] needs a [`Listener`], [`Settings`], and [`Grants`]: a trait, since this crate knows neither the ledger
//! nor Foxy. It holds no state that outlives a request, so any number of processes may serve one platform.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use foxden_web::{
//!     FormTarget, Forwarding, Grants, Limits, Listener, Platform, PublicUrl, RedirectUri, Settings, serve,
//! };
//!
//! # async fn run(grants: Arc<dyn Grants>) -> Result<(), Box<dyn std::error::Error>> {
//! let public_url = PublicUrl::parse("https://shops.example/foxden")?;
//! let settings = Settings {
//!     redirect_uri: RedirectUri::parse("https://shops.example/foxden/callback", &public_url)?,
//!     public_url,
//!     authorization: vec![FormTarget::parse("https://my.foxycart.com")?],
//!     platform: Platform::try_new("Acme Shops", "#336699".parse()?, Some("mailto:help@shops.example"))?,
//!     return_to: None,
//!     forwarding: Forwarding::none(),
//!     limits: Limits::default(),
//! };
//! let listener = Listener::bind(&"127.0.0.1:8080".parse()?).await?;
//! let drained = serve(listener, settings, grants, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
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
mod serve;
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
pub use serve::{Drained, serve};
pub use settings::{Limits, Platform, PlatformError, ReturnTo, Settings};
pub use signed_result::{ResultKey, ResultKeyError};
pub use site::{AddressError, FormTarget, PublicUrl, RedirectUri, ReturnUrl};
