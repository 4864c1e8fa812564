//! What a person brings to the platform's own page: how it ended, signed. `docs/grants.md` has the form.

use std::{fmt, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The parameter that is added to the return URL.
pub(crate) const PARAMETER: &str = "foxden_result";

/// Version and purpose, so that no other text that this key may sign one day reads like a result.
const FORM: &str = "FXR1";

const SHORTEST: usize = 32;
const LONGEST: usize = 1024;

/// The key that results are signed with. It is for nothing else; the platform has it, too.
pub struct ResultKey(Zeroizing<Vec<u8>>);

/// Why a key is not taken. Nothing of it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultKeyError {
    /// Too short to be a key, or too long to be one.
    #[error("the key has {found} bytes; use {SHORTEST} to {LONGEST}")]
    Length {
        /// Its bytes, spaces and line ends around it aside.
        found: usize,
    },
    /// A placeholder.
    #[error("the key is one byte repeated, which is no secret")]
    Repeated,
}

impl ResultKey {
    /// Takes the contents of a key's file, without spaces and line ends around it: editors add them.
    ///
    /// # Errors
    /// If it is too short or too long, or no secret.
    pub fn parse(contents: &[u8]) -> Result<Self, ResultKeyError> {
        let key = contents.trim_ascii();
        if !(SHORTEST..=LONGEST).contains(&key.len()) {
            return Err(ResultKeyError::Length { found: key.len() });
        }
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(ResultKeyError::Repeated);
        }
        Ok(Self(Zeroizing::new(key.to_vec())))
    }

    /// The parameter's value.
    pub(crate) fn sign(&self, result: &SignedResult<'_>) -> String {
        let content = serde_json::to_vec(result).expect("texts and a number are JSON");
        let mut text = format!("{FORM}.{}", URL_SAFE_NO_PAD.encode(content));
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut text);
        text
    }
}

impl fmt::Debug for ResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResultKey([redacted])")
    }
}

/// What is signed.
#[derive(Debug, Serialize)]
pub(crate) struct SignedResult<'a> {
    pub(crate) grant: &'a str,
    pub(crate) signup: &'a str,
    pub(crate) result: &'static str,
    /// Seconds since 1970.
    pub(crate) time: u64,
}

/// Seconds since 1970. A clock before that makes a result that no one takes.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signed(grant: &str, signup: &str) -> String {
        ResultKey::parse(KEY).unwrap().sign(&SignedResult { grant, signup, result: "granted", time: 1_795_000_000 })
    }

    /// The vector of `docs/grants.md`.
    #[test]
    fn the_form_is_the_documented_one() {
        let documented = include_str!("../../../docs/grants.md");
        let text = signed("018f6f2e-0000-7000-8000-000000000001", "acct_000001");
        assert!(documented.contains(&text), "docs/grants.md lacks {text}");
        let content = URL_SAFE_NO_PAD.decode(text.split('.').nth(1).unwrap()).unwrap();
        assert!(documented.contains(str::from_utf8(&content).unwrap()));
    }

    #[test]
    fn no_two_results_are_signed_alike() {
        assert_ne!(signed("a", "bc"), signed("ab", "c"));
        assert_ne!(signed("a", "b\",\"result\":\"x"), signed("a", "b"));
        assert!(signed("é\n\"", "%&=#").bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }

    #[test]
    fn a_key_is_long_enough_and_no_placeholder_and_never_shown() {
        let with_line_end = [b" ", KEY, b"\r\n"].concat();
        assert_eq!(ResultKey::parse(&with_line_end).unwrap().0.as_slice(), KEY);
        assert_eq!(ResultKey::parse(&KEY[..31]).unwrap_err(), ResultKeyError::Length { found: 31 });
        assert_eq!(ResultKey::parse(&[b' '; 40]).unwrap_err(), ResultKeyError::Length { found: 0 });
        assert_eq!(ResultKey::parse(&[b'x'; 2000]).unwrap_err(), ResultKeyError::Length { found: 2000 });
        assert_eq!(ResultKey::parse(&[0; 32]).unwrap_err(), ResultKeyError::Repeated);
        assert_eq!(format!("{:?}", ResultKey::parse(KEY).unwrap()), "ResultKey([redacted])");
    }
}
