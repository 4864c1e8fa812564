//! What a token opens.

use std::fmt;

/// The scopes that a token is asked for (Foxy docs: authentication).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    /// One OAuth client; may create users.
    Client,
    /// One user; may create stores linked to it.
    User,
    /// One store.
    Store,
}

impl TokenScope {
    /// Foxy's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client_full_access",
            Self::User => "user_full_access",
            Self::Store => "store_full_access",
        }
    }

    /// Whether an answer that says this of its token grants the scope. One that says nothing grants what was asked for
    /// (RFC 6749 section 5.1); there may be several, and further words beside it.
    pub(crate) fn is_in(self, said: &str) -> bool {
        let mut words = said.split_ascii_whitespace().peekable();
        words.peek().is_none() || words.any(|word| word == self.as_str())
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_granted_if_it_is_among_the_words_or_if_there_are_none() {
        for (said, granted) in [
            ("", true),
            ("store_full_access", true),
            ("store_full_access store_id_8", true),
            ("resource_read store_full_access", true),
            ("store_full_access_not", false),
            ("user_full_access", false),
            ("STORE_FULL_ACCESS", false),
        ] {
            assert_eq!(TokenScope::Store.is_in(said), granted, "{said:?}");
        }
    }
}
