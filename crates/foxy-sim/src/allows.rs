//! Foxy's answers to what its documentation leaves open. Each can be played both ways.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that Foxy may or may not do. Those whose id begins with `X4-` each change one answer to `X4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Allowed {
    /// `X1`: a user's token may POST to its stores' `fx:integrations`. A store's own token always may.
    UserAddsStoreTokens,
    /// `X2`: a store's token may POST to the `fx:stores` that its home document links.
    StoreCreatesStores,
    /// `X3`: stores and users take DELETE with their own tokens, and their domains and emails are free afterwards.
    Deletes,
    /// `X3-kept`: the same, but domains and emails stay taken.
    DeletesButKeepsNames,
    /// `X4`: `fx:integrations` lists the tokens that creations gave too, and takes DELETE for each.
    RevokesStoreTokens,
    /// `X4-created-hidden`: the tokens of creations are still not listed.
    HidesCreatedTokens,
    /// `X4-granted-hidden`: the tokens that people granted are not listed.
    HidesGrantedTokens,
    /// `X4-one-entry`: all tokens of one client, user and scope are one entry, and end together.
    ListsAlikeAsOne,
    /// `X4-ends-same`: deleting one entry ends the other tokens of the same client, user and scope.
    EndsAlike,
    /// `X4-late`: access tokens outlive the deletion of their entry, until their time is over.
    KeepsAccessTokens,
    /// `X4-same-token`: a grant answers the refresh token that the same client, user and scope have.
    GrantsSameToken,
    /// `X5`: a client reads its own secret and changes it.
    ShowsClientSecret,
    /// `X6`: a restricted attribute is hidden from other clients.
    HidesRestrictedAttributes,
    /// `code-replay`: an authorization code that is used again ends the tokens that it was exchanged for.
    ReplayEndsTokens,
    /// `any-store`: `store_id_N` in a scope is ignored. A person may choose another store.
    IgnoresStoreId,
}

/// What the simulated Foxy allows. As text: ids separated by commas, or `none`.
///
/// ```
/// let allows: foxy_sim::Allows = "X1,X4".parse()?;
/// # Ok::<(), foxy_sim::ParseAllowsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allows(BTreeSet<Allowed>);

/// An id that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{id:?} is not one of {}, and not none", Allowed::every().map(Allowed::id).collect::<Vec<_>>().join(", "))]
pub struct ParseAllowsError {
    id: String,
}

impl Allowed {
    /// What a client can wish for.
    const ALL: &[Self] = &[
        Self::UserAddsStoreTokens,
        Self::StoreCreatesStores,
        Self::Deletes,
        Self::RevokesStoreTokens,
        Self::ShowsClientSecret,
        Self::HidesRestrictedAttributes,
    ];

    /// Other ways to do the same, and what concerns grants alone.
    const VARIANTS: &[Self] = &[
        Self::DeletesButKeepsNames,
        Self::HidesCreatedTokens,
        Self::HidesGrantedTokens,
        Self::ListsAlikeAsOne,
        Self::EndsAlike,
        Self::KeepsAccessTokens,
        Self::GrantsSameToken,
        Self::ReplayEndsTokens,
        Self::IgnoresStoreId,
    ];

    fn every() -> impl Iterator<Item = Self> {
        Self::ALL.iter().chain(Self::VARIANTS).copied()
    }

    /// Its name on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Self::UserAddsStoreTokens => "X1",
            Self::StoreCreatesStores => "X2",
            Self::Deletes => "X3",
            Self::DeletesButKeepsNames => "X3-kept",
            Self::RevokesStoreTokens => "X4",
            Self::HidesCreatedTokens => "X4-created-hidden",
            Self::HidesGrantedTokens => "X4-granted-hidden",
            Self::ListsAlikeAsOne => "X4-one-entry",
            Self::EndsAlike => "X4-ends-same",
            Self::KeepsAccessTokens => "X4-late",
            Self::GrantsSameToken => "X4-same-token",
            Self::ShowsClientSecret => "X5",
            Self::HidesRestrictedAttributes => "X6",
            Self::ReplayEndsTokens => "code-replay",
            Self::IgnoresStoreId => "any-store",
        }
    }
}

impl Allows {
    /// Nothing.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// All that a client can wish for: `X1` to `X6`, and none of their variants.
    pub fn all() -> Self {
        Allowed::ALL.iter().copied().collect()
    }

    /// Whether it is among them.
    pub(crate) fn has(&self, allowed: Allowed) -> bool {
        self.0.contains(&allowed)
    }

    /// Whether users and stores can be deleted.
    pub(crate) fn deletes(&self) -> bool {
        self.has(Allowed::Deletes) || self.has(Allowed::DeletesButKeepsNames)
    }

    /// Whether what is unique stays taken once its owner is deleted.
    pub(crate) fn keeps_names(&self) -> bool {
        self.has(Allowed::DeletesButKeepsNames)
    }
}

impl Default for Allows {
    /// What Foxy documents: `X5` and `X6`.
    fn default() -> Self {
        Self::from_iter([Allowed::ShowsClientSecret, Allowed::HidesRestrictedAttributes])
    }
}

impl FromIterator<Allowed> for Allows {
    fn from_iter<I: IntoIterator<Item = Allowed>>(allowed: I) -> Self {
        Self(allowed.into_iter().collect())
    }
}

impl fmt::Display for Allows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|allowed| allowed.id()).collect();
        f.write_str(if ids.is_empty() { "none" } else { "" })?;
        f.write_str(&ids.join(","))
    }
}

impl FromStr for Allows {
    type Err = ParseAllowsError;

    fn from_str(text: &str) -> Result<Self, ParseAllowsError> {
        if text.trim() == "none" {
            return Ok(Self::none());
        }
        let one = |id: &str| {
            let found = Allowed::every().find(|allowed| allowed.id() == id.trim());
            found.ok_or_else(|| ParseAllowsError { id: id.trim().to_owned() })
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written() {
        for text in ["none", "X1", "X1,X3,X4", "X3-kept,X6", "X4,X4-one-entry,X5", "X5,X6,code-replay"] {
            assert_eq!(text.parse::<Allows>().map(|allows| allows.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Allows::default().to_string(), "X5,X6");
        assert_eq!(Allows::all().to_string(), "X1,X2,X3,X4,X5,X6");
        for text in ["", "X7", "X1,,X2", "none,X1", "x1"] {
            assert!(text.parse::<Allows>().is_err(), "{text}");
        }
    }
}
