//! The layouts of envelopes.

use std::fmt;
use std::ops::Range;

use crate::KeyId;
use crate::key_id::LongKeyId;

const MAGIC_LEN: usize = 4;
pub(crate) const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// A layout of envelopes: `magic | key id | nonce (24) | ciphertext and tag (16)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A key id of 8 bytes. The key itself seals, whatever the purpose, and what is sealed is the bare value.
    Fxd1,
    /// A key id of 16 bytes, which commits to the key. A key of the purpose's own seals, and what is sealed says
    /// whose it is.
    Fxd2,
}

impl Format {
    /// All of them, the oldest first.
    pub const ALL: [Self; 2] = [Self::Fxd1, Self::Fxd2];

    /// The four bytes that an envelope of this format begins with.
    pub const fn magic(self) -> [u8; MAGIC_LEN] {
        match self {
            Self::Fxd1 => *b"FXD1",
            Self::Fxd2 => *b"FXD2",
        }
    }

    /// The format whose magic these bytes begin with.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| bytes.starts_with(&format.magic()))
    }

    /// Magic and key id.
    pub(crate) const fn header_len(self) -> usize {
        MAGIC_LEN
            + match self {
                Self::Fxd1 => KeyId::LEN,
                Self::Fxd2 => LongKeyId::LEN,
            }
    }

    pub(crate) const fn nonce(self) -> Range<usize> {
        self.header_len()..self.header_len() + NONCE_LEN
    }

    /// How much longer an envelope is than what it holds; an envelope of this length holds nothing.
    pub(crate) const fn overhead(self) -> usize {
        self.nonce().end + TAG_LEN
    }

    /// The header of an envelope that this key seals.
    pub(crate) fn header(self, key: &LongKeyId) -> Vec<u8> {
        let id = match self {
            Self::Fxd1 => &key.as_bytes()[..KeyId::LEN],
            Self::Fxd2 => key.as_bytes(),
        };
        [&self.magic(), id].concat()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fxd1 => "FXD1",
            Self::Fxd2 => "FXD2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_magic_and_as_much_of_the_key_id_as_the_format_has() {
        let key = LongKeyId::of(&std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(Format::Fxd1.header(&key), b"FXD1\x40\x4c\x0b\x2f\x39\x5e\x50\xdc");
        assert_eq!(Format::Fxd2.header(&key), b"FXD2\x40\x4c\x0b\x2f\x39\x5e\x50\xdc\x46\xda\xcf\xfd\xf6\x11\xd9\x98");
        for format in Format::ALL {
            assert_eq!(format.header(&key).len(), format.header_len());
            assert_eq!(format.magic(), format.to_string().as_bytes());
            assert_eq!(Format::of(&format.header(&key)), Some(format));
        }
        assert_eq!(Format::of(b"FXD3"), None);
    }
}
