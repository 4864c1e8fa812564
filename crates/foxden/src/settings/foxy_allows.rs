//! Which of the things that Foxy's documentation leaves open Foxy is known to allow.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::listed::listed;

listed! {
    /// One thing that Foxy may or may not allow.
    Permission {
        UserAddsStoreTokens = "X1": "a user's token makes another token for a store of that user",
        StoreCreatesStores = "X2": "a store's token creates another store of the same user",
        DeletesStoresAndUsers = "X3": "stores and users are deleted with their own tokens, which frees the email",
        RevokesStoreTokens = "X4": "a store lists its tokens with scope and expiry; deleting one ends it at once",
        ReadsAndChangesSecret = "X5": "a client reads its own secret and replaces it",
        HidesRestrictedAttributes = "X6": "a restricted attribute is hidden from other clients",
    }
}

/// The setting `FOXDEN_FOXY_ALLOWS`. Written as it is read: `X1,X3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoxyAllows(BTreeSet<Permission>);

impl FoxyAllows {
    /// Reads ids separated by commas, in any order; an empty list allows nothing.
    ///
    /// # Errors
    /// On an unknown id, and on one that is missing between two commas.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',').map(|id| id.trim().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// None of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Permission> for FoxyAllows {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().collect())
    }
}

impl fmt::Display for FoxyAllows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|permission| permission.id()).collect();
        f.write_str(&ids.join(","))
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|permission| permission.id() == id);
        found.copied().ok_or_else(|| "expected ids from X1 to X6, separated by commas, such as X1,X3".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_written_in_the_order_of_its_ids_and_read_back() {
        let allows = FoxyAllows::parse(" X3, X1,X3 ").unwrap();
        assert_eq!(allows.to_string(), "X1,X3");
        assert_eq!(FoxyAllows::parse(&allows.to_string()), Ok(allows));
        let all: FoxyAllows = Permission::ALL.iter().copied().collect();
        assert_eq!(all.to_string(), "X1,X2,X3,X4,X5,X6");
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        assert_eq!(FoxyAllows::parse(" "), Ok(FoxyAllows::default()));
        assert!(FoxyAllows::default().is_empty());
    }

    #[test]
    fn every_permission_is_documented_in_its_own_words() {
        let doc = include_str!("../../../../docs/foxy-assumptions.md");
        for permission in Permission::ALL {
            let row = format!("\n| `{}` | {} | ", permission.id(), permission.text());
            assert!(doc.contains(&row), "foxy-assumptions.md lacks:{row}");
        }
    }

    #[test]
    fn an_unknown_id_is_a_mistake() {
        for text in ["X7", "x1", "X1;X3", "X1,,X3", "X1,", "all"] {
            let mistake = FoxyAllows::parse(text).unwrap_err();
            assert_eq!(mistake, "expected ids from X1 to X6, separated by commas, such as X1,X3", "{text}");
        }
    }
}
