//! The program from its users' side: real processes, a simulated Foxy that keeps its own books, SQLite, and below
//! `servers` a real RabbitMQ and a real PostgreSQL.
//!
//! These tests use only public doors: the command line, the log, the broker, and the ledger's own library.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

mod authorize;
mod belonging;
mod canary;
mod cancel;
mod captcha;
mod cli;
mod client;
mod clients;
mod corrections;
mod custody;
mod embedded;
mod examples;
mod file_sizes;
mod foxy_allows;
mod fxd1;
mod hanging_up;
mod hostile_files;
mod keys;
mod mark;
mod neighbours;
mod odd_client;
mod orphans;
mod other_languages;
mod outages;
mod pages;
mod retries;
mod sdk;
mod servers;
mod submit;
mod support;
mod tls;
mod two_workers;
mod upgrade;
mod upgrade_refused;
mod verify_foxy;
