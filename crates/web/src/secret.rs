//! What the browser carries of a trip: its `state` and the cookie that says in which browser it began.

use std::fmt;

use foxden_vault::{NoRandomness, random_text};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Characters that stand unescaped in a URL and in a cookie. There are 64 of them: six bits each.
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// As many of them as hold 256 bits.
const LENGTH: usize = 43;

/// A random text of 256 bits, and its hash, under a name of their own.
macro_rules! random_secret {
    ($(#[$doc:meta])* $name:ident, $(#[$hash_doc:meta])* $hash:ident) => {
        $(#[$doc])*
        pub(crate) struct $name(Zeroizing<String>);

        impl $name {
            /// A fresh one.
            pub(crate) fn generate() -> Result<Self, NoRandomness> {
                random_text(URL_SAFE, LENGTH).map(Self)
            }

            /// One that came back, if it has the form of one.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                is_ours(text).then(|| Self(Zeroizing::new(text.to_owned())))
            }

            /// The text itself, for the one place that sends it.
            pub(crate) fn expose(&self) -> &str {
                &self.0
            }

            /// What the ledger may know of it.
            pub(crate) fn hash(&self) -> $hash {
                $hash(Sha256::digest(self.0.as_bytes()).into())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        $(#[$hash_doc])*
        ///
        /// SHA-256 of the text. The text is random and long, so the hash needs neither key nor salt.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $hash([u8; 32]);

        impl $hash {
            /// Of a text that a browser brought, if it has the form that ours have.
            pub fn of(text: &str) -> Option<Self> {
                $name::parse(text).map(|secret| secret.hash())
            }

            /// As it is stored and compared.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $hash {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($hash))
            }
        }
    };
}

random_secret! {
    /// OAuth's `state` of one trip: sent to Foxy, and back with its answer.
    State,
    /// The hash of a trip's `state`.
    StateHash
}
random_secret! {
    /// The value of a browser's cookie. All trips of one browser share it: each keeps its hash.
    Cookie,
    /// The hash of the cookie of the browser in which a trip began.
    CookieHash
}

fn is_ours(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| URL_SAFE.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_generated_is_read_back_and_no_two_are_the_same() {
        let (one, other) = (State::generate().unwrap(), State::generate().unwrap());
        assert_eq!(StateHash::of(one.expose()), Some(one.hash()));
        assert_ne!(one.hash(), other.hash());
        assert_eq!(one.expose().len() * 6, 258);
    }

    #[test]
    fn the_hash_is_plain_sha_256_of_the_text() {
        let hash = StateHash::of(&"A".repeat(43)).unwrap();
        assert_eq!(hash.as_bytes()[..4], [0x0f, 0x00, 0x73, 0x85]);
    }

    #[test]
    fn other_forms_are_refused() {
        let long = "A".repeat(1_000_000);
        for text in ["", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43), &"é".repeat(22), &long] {
            assert!(StateHash::of(text).is_none() && CookieHash::of(text).is_none());
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let cookie = Cookie::generate().unwrap();
        assert_eq!(format!("{cookie:?} {:?}", cookie.hash()), "Cookie([redacted]) CookieHash");
    }
}
