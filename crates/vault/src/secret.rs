//! Secrets as types: one per kind, so that one can't be passed for another, and none can be printed by accident.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use zeroize::Zeroizing;

use crate::NoRandomness;
use crate::randomness::{URL_SAFE, random_text};

/// Defines one secret text type. The types share no trait: code generic over "any secret" is code that may mix them up.
///
/// There is no `PartialEq` either: `==` on text stops at the first difference, and thereby tells how far a guess got.
macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Wiped from memory when dropped. `Debug` is redacted, and nothing else prints it:
        ///
        /// ```
        #[doc = concat!("let secret = foxden_vault::", stringify!($name), "::new(\"s3cret\");")]
        #[doc = concat!("assert_eq!(format!(\"{secret:?}\"), \"", stringify!($name), "([redacted])\");")]
        /// ```
        ///
        /// It has no `Display`:
        ///
        /// ```compile_fail,E0277
        #[doc = concat!("let secret = foxden_vault::", stringify!($name), "::new(\"s3cret\");")]
        /// format!("{secret}");
        /// ```
        ///
        /// and no `Serialize`:
        ///
        /// ```compile_fail,E0277
        #[doc = concat!("let secret = foxden_vault::", stringify!($name), "::new(\"s3cret\");")]
        /// serde_json::to_string(&secret);
        /// ```
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the secret over. A `String` moves in without a copy; of anything else, the caller's copy remains.
            pub fn new(secret: impl Into<String>) -> Self {
                Self(Zeroizing::new(secret.into()))
            }

            /// The secret itself. Use it on the spot; every call of this method is a place worth reviewing.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Serde's own message for a wrong type quotes the value, which is still a secret if a number.
                String::deserialize(deserializer)
                    .map(Self::new)
                    .map_err(|_| D::Error::custom("a secret must be a string"))
            }
        }
    };
}

secret_text! {
    /// The OAuth client's secret: Foxy's docs, page "storing tokens", call it the integration's master password.
    ClientSecret
}
secret_text! {
    /// A bearer token of two hours (Foxy docs: refreshing tokens). Never stored, sealed or not.
    AccessToken
}
secret_text! {
    /// A token of ten years that makes access tokens (Foxy docs: refreshing tokens). Stored sealed only.
    RefreshToken
}
secret_text! {
    /// What a browser brings back from the authorization endpoint: opens what was granted, once (RFC 6749 section 4.1.2).
    AuthorizationCode
}
secret_text! {
    /// What goes to the authorization endpoint with a browser and comes back with it (RFC 6749 section 10.12): proof
    /// that the code beside it was asked for here.
    AuthorizationState
}

/// Characters of a secret of ours, six bits each: as many as 32 random bytes take in base64.
const GENERATED: usize = 43;

/// Lets a secret be one of ours.
macro_rules! generated {
    ($name:ident) => {
        impl $name {
            /// A fresh secret of 43 characters of url-safe base64.
            ///
            /// # Errors
            /// Only if the operating system gives no random bytes.
            pub fn generate() -> Result<Self, NoRandomness> {
                Ok(Self(random_text(URL_SAFE, GENERATED)?))
            }
        }
    };
}

generated!(ClientSecret);
generated!(AuthorizationState);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_a_string() {
        let token: RefreshToken = serde_json::from_str(r#""s3cret""#).unwrap();
        assert_eq!(token.expose(), "s3cret");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_not_quoted_in_the_error() {
        let error = serde_json::from_str::<AccessToken>("123456789").unwrap_err().to_string();
        assert!(error.starts_with("a secret must be a string"), "{error}");
        assert!(!error.contains("123456789"), "{error}");
    }

    #[test]
    fn a_generated_secret_has_43_characters_that_need_no_escape_and_is_never_the_same() {
        let [one, other] = [0; 2].map(|_| AuthorizationState::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        for state in [one, other] {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert!(state.expose().len() == 43 && state.expose().bytes().all(safe), "{}", state.expose());
        }
    }

    #[test]
    fn alternate_debug_is_redacted_too() {
        let secret = ClientSecret::new("s3cret");
        assert_eq!(format!("{:#?}", Some(secret)), "Some(\n    ClientSecret([redacted]),\n)");
    }
}
