//! The client against a scripted server: what goes over the wire, and what it makes of what comes back.

#![expect(clippy::unwrap_used, reason = "what a test's own server can't do fails the test")]

mod captcha;
mod creates;
mod exchange;
mod held;
mod hostile;
mod limits;
mod logs;
mod lookups;
mod opened;
mod paced;
mod reach;
mod resources;
mod secrets;
mod server;
mod simulator;
mod table;
mod tokens;
