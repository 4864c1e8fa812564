//! The simulator's books, as its owner sees them: what was really made, whatever the client was told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// A snapshot of the books, in the order things were made. It holds no token.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Books {
    /// Every user.
    pub users: Vec<BookedUser>,
    /// Every store.
    pub stores: Vec<BookedStore>,
    /// Requests received since the start, by route pattern (`POST /users`); unknown routes under `(no route)`.
    pub requests: BTreeMap<String, u64>,
}

/// A user that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BookedUser {
    /// Its `self` link.
    pub uri: String,
    /// The login, as it was given.
    pub email: String,
    /// The given name.
    pub first_name: String,
    /// The surname.
    pub last_name: String,
    /// The OAuth client that made it.
    pub client_id: String,
    /// When, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// Whether the 201 with its token was written to the connection: best effort, for a peer may still never read
    /// it. Booked just before the write, so that whoever has read the answer finds it booked.
    pub answered: bool,
}

/// A store that was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BookedStore {
    /// Its `self` link.
    pub uri: String,
    /// `store_domain`, as it was given.
    pub domain: String,
    /// `store_name`.
    pub name: String,
    /// The `self` link of the user that made it.
    pub owner: String,
    /// When, in milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// As [`BookedUser::answered`].
    pub answered: bool,
    /// Everything else that was given, and Foxy's defaults.
    pub properties: Map<String, Value>,
}
