//! The public name of a key, derived from the key itself.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

/// Changing it orphans every envelope.
const INFO: &[u8] = b"foxden v1 key id";

/// Identifies a key without revealing it: the first 8 bytes of HKDF-SHA256 over the key.
///
/// Because it is derived, a wrong key under a familiar name has another id, and is noticed before it opens or seals
/// anything. Public: it may be stored in the clear, logged and compared.
///
/// An envelope of [`FXD1`](crate::Format::Fxd1) names its key by these 8 bytes. One of
/// [`FXD2`](crate::Format::Fxd2) has 8 more of the same derivation behind them, so both name one key alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    /// Length of an id in bytes.
    pub const LEN: usize = 8;

    /// The id whose bytes were stored earlier. Any 8 bytes are an id; whether its key is at hand, the ring knows.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The id's bytes, to store or to compare in a query.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The id of a key.
    #[cfg(test)]
    pub(crate) fn of(key: &[u8; 32]) -> Self {
        LongKeyId::of(key).short()
    }
}

/// The first 16 bytes of HKDF-SHA256 over a key, which commit to it: another key with the same ones can't be found.
///
/// [`KeyId`] is its first half. That suffices to choose a key of a ring; whether it is the right one, the whole says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LongKeyId([u8; Self::LEN]);

impl LongKeyId {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn of(key: &[u8; 32]) -> Self {
        let mut id = [0; Self::LEN];
        Hkdf::<Sha256>::new(None, key).expand(INFO, &mut id).expect("16 bytes are within what HKDF-SHA256 can give");
        Self(id)
    }

    pub(crate) fn short(&self) -> KeyId {
        let (short, _) = self.0.split_first_chunk().expect("a long id is longer than a short one");
        KeyId(*short)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_id_that_any_hkdf_gives() {
        // Python: prk = hmac(32 zero bytes, key); hmac(prk, info + b"\x01")[:16], both with sha256 and key =
        // bytes(range(32)).
        let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let long = LongKeyId::of(&key);
        assert_eq!(long.as_bytes(), b"\x40\x4c\x0b\x2f\x39\x5e\x50\xdc\x46\xda\xcf\xfd\xf6\x11\xd9\x98");
        assert_eq!(long.short().to_string(), "404c0b2f395e50dc");
    }

    #[test]
    fn an_id_survives_being_stored_as_bytes() {
        let id = KeyId::of(&[7; 32]);
        assert_eq!(KeyId::from_bytes(*id.as_bytes()), id);
    }
}
