//! What a token may open: a client, a user or a store.

use serde::{Deserialize, Serialize};

/// OAuth scopes of full access (Foxy docs: authentication, scopes). Each opens exactly one [`Resource`]; what a
/// person can grant beside them is in [`permissions`](crate::permissions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `client_full_access`.
    Client,
    /// `user_full_access`.
    User,
    /// `store_full_access`.
    Store,
}

impl Scope {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client_full_access",
            Self::User => "user_full_access",
            Self::Store => "store_full_access",
        }
    }

    /// The scope of that name, if there is one.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Client, Self::User, Self::Store].into_iter().find(|scope| scope.as_str() == name)
    }
}

/// One client, user or store, by its number. URIs are made from it when an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resource {
    /// `/clients/{id}`.
    Client(u64),
    /// `/users/{id}`.
    User(u64),
    /// `/stores/{id}`.
    Store(u64),
}

impl Resource {
    /// The scope that opens it.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Client(_) => Scope::Client,
            Self::User(_) => Scope::User,
            Self::Store(_) => Scope::Store,
        }
    }

    /// Its path below the API home, `/users/7`.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Client(id) => format!("/clients/{id}"),
            Self::User(id) => format!("/users/{id}"),
            Self::Store(id) => format!("/stores/{id}"),
        }
    }

    /// The collection its single attributes live in, `/user_attributes`.
    pub(crate) fn attributes_home(self) -> &'static str {
        match self {
            Self::Client(_) => "/client_attributes",
            Self::User(_) => "/user_attributes",
            Self::Store(_) => "/store_attributes",
        }
    }
}
