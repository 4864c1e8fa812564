//! The pages over HTTP: a real listener, requests byte by byte, and grants kept in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod callback;
mod choosing;
mod draining;
mod fake;
mod headers;
mod hostile_texts;
mod limits;
mod link;
mod logging;
mod results;
mod site;
