//! What people and the program ask the ledger.

pub(crate) mod listing;
pub(crate) mod newest;
pub(crate) mod orphan;
pub(crate) mod query;
pub(crate) mod standings;
