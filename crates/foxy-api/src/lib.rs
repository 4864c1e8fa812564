#![doc = include_str!("../README.md")]

mod access;
mod answer;
mod attribute;
mod body;
mod captcha;
mod client;
mod document;
mod errors;
mod fault;
mod foxy;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod http;
mod link;
mod listing;
mod oauth;
mod origin;
mod outcome;
mod pace;
mod read;
mod reasons;
mod report;
mod retry_after;
mod scope;
mod secret;
mod session;
mod settings;
mod single_flight;
mod store;
mod store_session;
mod user;
mod wire;

pub use attribute::{Attribute, Visibility};
pub use captcha::{CaptchaCode, CaptchaCodeError};
pub use client::{CreatedClient, NewClient, Registrar};
pub use document::Document;
pub use errors::{FoxyError, RejectionKind};
pub use fault::{Cause, SetupFault};
pub use foxy::Foxy;
pub use held::{HeldToken, Keeping, TokenKeeper};
pub use link::{LinkProblem, ResourceUri};
pub use listing::{ListedStore, StoreSearch};
pub use oauth::Granted;
pub use origin::{ApiOrigins, OriginError};
pub use pace::{Line, Rate};
pub use read::{ReadError, TokenError};
pub use report::{Doubt, Evidence, NoEffect, NotSent, Outcome, Rejection, Report, TokenLoss};
pub use scope::TokenScope;
pub use secret::SecretSource;
pub use session::UserSession;
pub use settings::{ClientError, Settings};
pub use store::{CreatedStore, NewStore};
pub use store_session::StoreSession;
pub use user::{CreatedUser, NewUser};
