//! The envelope: its layout and its checks, no cryptography.

use std::fmt;

use crate::format::{Format, NONCE_LEN};
use crate::{KeyId, key_id::LongKeyId};

/// Behind the magic, whatever the format.
const KEY_ID: std::ops::Range<usize> = 4..4 + KeyId::LEN;

/// One sealed value, in one of the [formats](Format).
///
/// Safe to store, copy and send; only its format, its length and the [`KeyId`] can be read without the key.
/// Well-formed by construction, which does not mean that it opens.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    format: Format,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Reads an envelope that was stored earlier.
    ///
    /// # Errors
    /// If the bytes can't be an envelope of a version this code knows. Whether they open is found out by opening.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MalformedEnvelope> {
        let format = Format::of(&bytes);
        let at_least = format.unwrap_or(Format::Fxd1).overhead();
        if bytes.len() < at_least {
            return Err(MalformedEnvelope::TooShort { at_least, found: bytes.len() });
        }
        Ok(Self { format: format.ok_or(MalformedEnvelope::UnknownVersion)?, bytes })
    }

    /// The whole envelope, header included, as it is to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As [`as_bytes`](Self::as_bytes), without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How it is laid out, and thereby which release may have written it.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The key that opens this envelope.
    pub fn key_id(&self) -> KeyId {
        KeyId::from_bytes(self.bytes[KEY_ID].try_into().expect("an envelope is longer than its header"))
    }

    /// Writes the part of an envelope that comes before the ciphertext, with room for the rest.
    pub(crate) fn begin(format: Format, key: &LongKeyId, nonce: &[u8; NONCE_LEN], plaintext_len: usize) -> Vec<u8> {
        let mut envelope = Vec::with_capacity(format.overhead() + plaintext_len);
        envelope.extend_from_slice(&format.header(key));
        envelope.extend_from_slice(nonce);
        envelope
    }

    /// Takes an envelope whose every part the caller has just written.
    pub(crate) fn from_complete(format: Format, bytes: Vec<u8>) -> Self {
        debug_assert!(bytes.len() >= format.overhead() && bytes.starts_with(&format.magic()));
        Self { format, bytes }
    }

    /// Magic and key id.
    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[..self.format.header_len()]
    }

    pub(crate) fn nonce(&self) -> &[u8; NONCE_LEN] {
        self.bytes[self.format.nonce()].try_into().expect("an envelope is longer than its header")
    }

    pub(crate) fn ciphertext_and_tag(&self) -> &[u8] {
        &self.bytes[self.format.nonce().end..]
    }
}

impl fmt::Debug for Sealed {
    /// Format, key id and length only: the rest is noise to a reader, and a log is no place to keep envelopes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, key {}, {} bytes)", self.format, self.key_id(), self.bytes.len())
    }
}

/// Why bytes are not an envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// Cut off, or never an envelope.
    #[error("an envelope of this version has at least {at_least} bytes, not {found}")]
    TooShort {
        /// The length of an envelope that holds nothing, in bytes.
        at_least: usize,
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

    fn shortest(format: Format) -> Vec<u8> {
        let mut bytes = Sealed::begin(format, &LongKeyId::of(&[1; 32]), &[0; 24], 0);
        bytes.resize(format.overhead(), 0);
        bytes
    }

    #[test]
    fn an_envelope_too_short_for_its_parts_is_malformed_at_every_length() {
        for (format, whole) in [(Format::Fxd1, 52), (Format::Fxd2, 60)] {
            assert_eq!(format.overhead(), whole);
            for found in 0..whole {
                // Without a magic there is no saying of which format it was.
                let at_least = if found < 4 { 52 } else { whole };
                let cut = shortest(format)[..found].to_vec();
                assert_eq!(Sealed::from_bytes(cut), Err(MalformedEnvelope::TooShort { at_least, found }));
            }
            assert_eq!(Sealed::from_bytes(shortest(format)).unwrap().format(), format);
        }
    }

    #[test]
    fn another_magic_is_another_version() {
        let mut bytes = shortest(Format::Fxd2);
        bytes[3] = b'3';
        assert_eq!(Sealed::from_bytes(bytes), Err(MalformedEnvelope::UnknownVersion));
    }

    #[test]
    fn an_envelope_names_its_key_alike_in_each_format() {
        let [one, two] = Format::ALL.map(|format| Sealed::from_bytes(shortest(format)).unwrap().key_id());
        assert_eq!(one, two);
        assert_eq!(one.to_string(), "0aa064ca16dd3cef");
    }

    #[test]
    fn debug_shows_format_key_and_length_only() {
        let [one, two] = Format::ALL.map(|format| format!("{:?}", Sealed::from_bytes(shortest(format)).unwrap()));
        assert_eq!(one, "Sealed(FXD1, key 0aa064ca16dd3cef, 52 bytes)");
        assert_eq!(two, "Sealed(FXD2, key 0aa064ca16dd3cef, 60 bytes)");
    }

    #[test]
    fn errors_tell_what_was_found() {
        let short = Sealed::from_bytes(b"FXD2".to_vec()).unwrap_err();
        assert_eq!(short.to_string(), "an envelope of this version has at least 60 bytes, not 4");
        assert_eq!(MalformedEnvelope::UnknownVersion.to_string(), "this is not an envelope of a known version");
    }
}
