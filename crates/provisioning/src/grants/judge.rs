//! Whether what was granted is what it had to be.

use foxden_ledger::{Grant, GrantReason, Provisioning, Wanted, is_same_resource};
use foxy_api::{Opened, ResourceUri};

use crate::email::is_same_email;

/// What a grant must open. Holds personal data, so it has no `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// The store at this address.
    StoreAt(&'a str),
    /// The store with this domain: the address was in the answer that was lost.
    StoreNamed(&'a str),
    /// The user at this address.
    UserAt(&'a str),
    /// The user with this email: nothing else is known of it, or it is the customer's own and only that proves whose.
    UserWith(&'a str),
}

/// What is to be done with what was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgment {
    /// It is right: its token is to be kept, as one that opens this.
    Keep(ResourceUri),
    /// It is not: its token is not to be kept.
    Wrong(Wrong),
}

/// Why a grant is wrong, in words for the person who granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A store was granted, and not the one that is needed.
    #[error("access was granted to another shop than the one that it is needed for")]
    AnotherShop,
    /// A user was granted, and not the one that is needed.
    #[error("access was granted to another Foxy account than the one that it is needed for")]
    AnotherAccount,
    /// Foxy's answers don't say what was granted, or don't say what it would be known by.
    #[error("nothing in Foxy's answer proves to which shop or account access was granted")]
    Unproven,
}

impl<'a> Expected<'a> {
    /// What a grant of this signup must open. `email` is that of the signup's user, where its event can still be read.
    /// `None`: nothing is known that could prove it.
    ///
    /// The row may have moved on since the grant was asked for; a token of the user or the store that it has by now is
    /// still right.
    pub fn of(grant: &'a Grant, row: &'a Provisioning, email: Option<&'a str>) -> Option<Self> {
        let asked = grant.expected_uri.as_deref();
        match (grant.wanted, grant.reason) {
            (Wanted::Store, _) => {
                let uri = asked.or(row.store_uri.as_deref()).map(Self::StoreAt);
                uri.or_else(|| row.store_domain.as_deref().map(Self::StoreNamed))
            }
            // It is the customer's own account: no address that was seen before says so.
            (Wanted::User, GrantReason::TakeOver) => email.map(Self::UserWith),
            (Wanted::User, GrantReason::Recover | GrantReason::Connect | GrantReason::Reconnect) => {
                let uri = asked.or(row.user_uri.as_deref()).map(Self::UserAt);
                uri.or_else(|| email.map(Self::UserWith))
            }
        }
    }
}

/// Whether what was granted is what it had to be. A store is judged by what its token opens as a store, a user by what
/// it opens as a user; nothing else proves anything.
pub fn judge(expected: Expected<'_>, opened: &Opened) -> Judgment {
    let judged = match (expected, opened) {
        (Expected::StoreAt(uri), Opened::Store(store)) => {
            right_if(is_same_resource(Some(uri), Some(store.uri.as_str())), &store.uri, Wrong::AnotherShop)
        }
        (Expected::StoreNamed(domain), Opened::Store(store)) => match &store.domain {
            // Domains are compared without regard to case, as everywhere.
            Some(opened) => right_if(opened.eq_ignore_ascii_case(domain), &store.uri, Wrong::AnotherShop),
            None => Err(Wrong::Unproven),
        },
        (Expected::UserAt(uri), Opened::User(user)) => {
            right_if(is_same_resource(Some(uri), Some(user.uri.as_str())), &user.uri, Wrong::AnotherAccount)
        }
        (Expected::UserWith(email), Opened::User(user)) => match &user.email {
            Some(opened) => right_if(is_same_email(opened, email), &user.uri, Wrong::AnotherAccount),
            None => Err(Wrong::Unproven),
        },
        (
            Expected::StoreAt(_) | Expected::StoreNamed(_) | Expected::UserAt(_) | Expected::UserWith(_),
            Opened::User(_) | Opened::Store(_) | Opened::Unproven(_),
        ) => Err(Wrong::Unproven),
    };
    judged.map_or_else(Judgment::Wrong, Judgment::Keep)
}

fn right_if(is_right: bool, uri: &ResourceUri, wrong: Wrong) -> Result<ResourceUri, Wrong> {
    if is_right { Ok(uri.clone()) } else { Err(wrong) }
}
