//! The simulator, seen from the other end of the wire.

#![expect(clippy::unwrap_used, reason = "clippy takes only test functions for tests, not what they share")]

mod access;
mod allows;
mod attributes;
mod authorization;
mod books;
mod clients;
mod consent;
mod exchange_faults;
mod faults;
mod foxy;
mod integrations;
mod program;
mod stores;
mod tokens;
mod users;
