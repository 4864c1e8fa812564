#![doc = include_str!("../README.md")]

mod access;
mod allows;
mod books;
mod call;
mod codes;
mod config;
mod core;
mod dice;
mod domains;
mod error;
mod faults;
mod fields;
mod grants;
pub mod guesses;
mod handlers;
mod journal;
mod keys;
mod line;
mod logins;
mod moment;
mod permissions;
mod records;
mod reply;
mod resource;
mod routes;
mod service;
mod simulator;

pub use allows::{Allowed, Allows, ParseAllowsError};
pub use books::{BookedStore, BookedUser, Books};
pub use config::{CaptchaPolicy, Config, Latency, ParseConfigError};
pub use error::StartError;
pub use faults::{Fault, FaultParseError, FaultRule, FaultScript, OldToken, RetryAfter, When};
pub use grants::Grant;
pub use journal::books_id;
pub use routes::{ParseRouteError, RoutePattern};
pub use simulator::Simulator;
