//! Telling a repeated value from a changed one without keeping it, and one of ours from a forged one.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{KeyId, KeyRing};

/// Followed by the purpose, so that equal data under two purposes shows no likeness.
const INFO: &[u8] = b"foxden v1 fingerprint: ";

/// A keyed fingerprint of a value: `key id (8) | HMAC-SHA256 (32)`.
///
/// For recognising a repeated event after its payload is gone. A plain hash would do for that, but personal data has
/// few possible values, so a plain hash can be reversed by guessing; without the key this one can't.
///
/// Kept beside its value it proves that whoever made it has the key.
///
/// There is no `==`: the same data has another fingerprint under another key, so ask [`KeyRing::matches`].
#[derive(Clone)]
pub struct Fingerprint([u8; Self::LEN]);

impl Fingerprint {
    /// Length of a fingerprint in bytes.
    pub const LEN: usize = KeyId::LEN + 32;

    /// Reads a fingerprint that was stored earlier.
    ///
    /// # Errors
    /// If the length is another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedFingerprint> {
        bytes.try_into().map(Self).map_err(|_| MalformedFingerprint { found: bytes.len() })
    }

    /// The fingerprint as it is to be stored.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The key this fingerprint was made with.
    pub fn key_id(&self) -> KeyId {
        let (id, _) = self.0.split_first_chunk().expect("a fingerprint starts with a key id");
        KeyId::from_bytes(*id)
    }

    fn tag(&self) -> &[u8] {
        &self.0[KeyId::LEN..]
    }
}

impl fmt::Debug for Fingerprint {
    /// The key id only: a log full of fingerprints would link a person's events to each other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint(key {})", self.key_id())
    }
}

/// Bytes that are not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has {} bytes, not {found}", Fingerprint::LEN)]
pub struct MalformedFingerprint {
    found: usize,
}

impl KeyRing {
    /// The fingerprint of `data`, under the ring's first key. Fingerprints of different purposes can't be compared.
    pub fn fingerprint(&self, purpose: &str, data: &[u8]) -> Fingerprint {
        let mut bytes = [0; Fingerprint::LEN];
        let (id, tag) = bytes.split_at_mut(KeyId::LEN);
        id.copy_from_slice(self.primary().as_bytes());
        tag.copy_from_slice(&mac(&self.first().bytes, purpose, data).finalize().into_bytes());
        Fingerprint(bytes)
    }

    /// Whether `earlier` is the fingerprint of `data`; `None` if its key is no longer in the ring, so that nobody can
    /// tell. Takes the same time whatever the answer.
    pub fn matches(&self, purpose: &str, data: &[u8], earlier: &Fingerprint) -> Option<bool> {
        let key = self.key(earlier.key_id())?;
        Some(mac(&key.bytes, purpose, data).verify_slice(earlier.tag()).is_ok())
    }
}

fn mac(key: &[u8; 32], purpose: &str, data: &[u8]) -> Hmac<Sha256> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, key)
        .expand_multi_info(&[INFO, purpose.as_bytes()], derived.as_mut_slice())
        .expect("32 bytes are within what HKDF-SHA256 can give");
    Hmac::<Sha256>::new_from_slice(derived.as_slice()).expect("HMAC takes a key of any length").chain_update(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text).unwrap()
    }

    #[test]
    fn a_fingerprint_is_laid_out_as_documented() {
        // Python: key id, then hmac(hkdf(key, b"foxden v1 fingerprint: signup event", 32), b"payload"), with sha256.
        let print = ring(NEW).fingerprint("signup event", b"payload");
        let hex: String = print.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "404c0b2f395e50dc24d93f445aa568c31039875505176bc0f11e94e326afc334c8950b5a3551ed14");
    }

    #[test]
    fn the_same_data_matches_and_other_data_does_not() {
        let ring = ring(NEW);
        let print = ring.fingerprint("signup event", b"payload");
        assert_eq!(ring.matches("signup event", b"payload", &print), Some(true));
        assert_eq!(ring.matches("signup event", b"payload ", &print), Some(false));
    }

    #[test]
    fn the_same_data_does_not_match_for_another_purpose() {
        let ring = ring(NEW);
        let print = ring.fingerprint("signup event", b"payload");
        assert_eq!(ring.matches("email", b"payload", &print), Some(false));
    }

    #[test]
    fn a_fingerprint_made_with_an_old_key_still_matches() {
        let print = ring(OLD).fingerprint("signup event", b"payload");
        let rotated = ring(&format!("{NEW},{OLD}"));
        assert_eq!(rotated.matches("signup event", b"payload", &print), Some(true));
        assert_eq!(rotated.matches("signup event", b"other", &print), Some(false));
    }

    #[test]
    fn without_the_key_nobody_can_tell() {
        let print = ring(OLD).fingerprint("signup event", b"payload");
        assert_eq!(ring(NEW).matches("signup event", b"payload", &print), None);
    }

    #[test]
    fn a_stored_fingerprint_is_read_back_whole_or_not_at_all() {
        let print = ring(NEW).fingerprint("signup event", b"payload");
        let stored = Fingerprint::from_bytes(print.as_bytes()).unwrap();
        assert_eq!(stored.as_bytes(), print.as_bytes());
        let error = Fingerprint::from_bytes(&print.as_bytes()[1..]).unwrap_err();
        assert_eq!(error.to_string(), "a fingerprint has 40 bytes, not 39");
    }

    #[test]
    fn debug_shows_the_key_only() {
        let print = ring(NEW).fingerprint("signup event", b"payload");
        assert_eq!(format!("{print:?}"), "Fingerprint(key 404c0b2f395e50dc)");
    }
}
