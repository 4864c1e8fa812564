//! Sealed tokens: kept as they come, exchanged, resealed, counted by key.

pub(crate) mod clients;
pub(crate) mod credentials;
pub(crate) mod ended;
pub(crate) mod envelopes;
pub(crate) mod exchange;
pub(crate) mod keys;
