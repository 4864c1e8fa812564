//! Reaching the database: connections that are trusted, transactions in one form, and what tests see of both.

pub(crate) mod connect;
pub(crate) mod connections;
pub(crate) mod database_url;
pub(crate) mod diagnosis;
pub(crate) mod durability;
pub(crate) mod explain;
pub(crate) mod pool;
pub(crate) mod schema;
pub(crate) mod step_in;
pub(crate) mod transactions;
pub(crate) mod watch;
