//! The envelope: its layout and its checks, no cryptography.

use std::fmt;
use std::ops::Range;

use crate::KeyId;

const KEY_ID: Range<usize> = 4..12;
const NONCE: Range<usize> = 12..36;
const TAG_LEN: usize = 16;

/// One sealed value: `"FXD1" | key id (8) | nonce (24) | ciphertext and tag`.
///
/// Safe to store, copy and send; only its length and the [`KeyId`] can be read without the key. Well-formed by
/// construction, which does not mean that it opens.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Marks an envelope and its version. Another layout gets another magic.
    pub(crate) const MAGIC: [u8; 4] = *b"FXD1";
    pub(crate) const NONCE_LEN: usize = 24;
    /// How much longer an envelope is than what it holds; an envelope of this length holds nothing.
    pub(crate) const OVERHEAD: usize = NONCE.end + TAG_LEN;

    /// Reads an envelope that was stored earlier.
    ///
    /// # Errors
    /// If the bytes can't be an envelope of a version this code knows. Whether they open is found out by opening.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MalformedEnvelope> {
        if bytes.len() < Self::OVERHEAD {
            return Err(MalformedEnvelope::TooShort { found: bytes.len() });
        }
        if !bytes.starts_with(&Self::MAGIC) {
            return Err(MalformedEnvelope::UnknownVersion);
        }
        Ok(Self(bytes))
    }

    /// The whole envelope, header included, as it is to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As [`as_bytes`](Self::as_bytes), without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The key that opens this envelope.
    pub fn key_id(&self) -> KeyId {
        KeyId::from_bytes(self.0[KEY_ID].try_into().expect("an envelope is longer than its header"))
    }

    /// Writes the part of an envelope that comes before the ciphertext, with room for the rest.
    pub(crate) fn header(key_id: KeyId, nonce: &[u8; Self::NONCE_LEN], plaintext_len: usize) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(Self::OVERHEAD + plaintext_len);
        envelope.extend_from_slice(&Self::MAGIC);
        envelope.extend_from_slice(key_id.as_bytes());
        envelope.extend_from_slice(nonce);
        envelope
    }

    /// Takes an envelope whose every part the caller has just written.
    pub(crate) fn from_complete(envelope: Vec<u8>) -> Self {
        debug_assert!(envelope.len() >= Self::OVERHEAD && envelope.starts_with(&Self::MAGIC));
        Self(envelope)
    }

    pub(crate) fn nonce(&self) -> &[u8; Self::NONCE_LEN] {
        self.0[NONCE].try_into().expect("an envelope is longer than its header")
    }

    pub(crate) fn ciphertext_and_tag(&self) -> &[u8] {
        &self.0[NONCE.end..]
    }
}

impl fmt::Debug for Sealed {
    /// Key id and length only: the rest is noise to a reader, and a log is no place to keep envelopes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key_id(), self.0.len())
    }
}

/// Why bytes are not an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// Cut off, or never an envelope.
    #[error("an envelope has at least {} bytes, not {found}", Sealed::OVERHEAD)]
    TooShort {
        /// The length found, in bytes.
        found: usize,
    },
    /// Does not start with a magic this code knows: not an envelope, or one that a newer release wrote.
    #[error("this is not an envelope of a known version")]
    UnknownVersion,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortest() -> Vec<u8> {
        let mut bytes = Sealed::header(KeyId::from_bytes([0xab; 8]), &[0; 24], 0);
        bytes.resize(Sealed::OVERHEAD, 0);
        bytes
    }

    #[test]
    fn an_envelope_too_short_for_its_parts_is_malformed_at_every_length() {
        for found in 0..Sealed::OVERHEAD {
            let cut = shortest()[..found].to_vec();
            assert_eq!(Sealed::from_bytes(cut), Err(MalformedEnvelope::TooShort { found }));
        }
        assert!(Sealed::from_bytes(shortest()).is_ok());
    }

    #[test]
    fn another_magic_is_another_version() {
        let mut bytes = shortest();
        bytes[3] = b'2';
        assert_eq!(Sealed::from_bytes(bytes), Err(MalformedEnvelope::UnknownVersion));
    }

    #[test]
    fn debug_shows_the_key_and_the_length_only() {
        let sealed = Sealed::from_bytes(shortest()).unwrap();
        assert_eq!(format!("{sealed:?}"), "Sealed(key abababababababab, 52 bytes)");
    }

    #[test]
    fn errors_tell_what_was_found() {
        let short = Sealed::from_bytes(vec![]).unwrap_err();
        assert_eq!(short.to_string(), "an envelope has at least 52 bytes, not 0");
        assert_eq!(MalformedEnvelope::UnknownVersion.to_string(), "this is not an envelope of a known version");
    }
}
