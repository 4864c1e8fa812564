//! The keys a process holds: one that seals, several that open.

use std::fmt;

use zeroize::Zeroizing;

use crate::{KeyId, key_id::LongKeyId};

/// One key under its name. The bytes are wiped when it is dropped.
pub(crate) struct NamedKey {
    pub(crate) name: String,
    pub(crate) id: LongKeyId,
    pub(crate) bytes: Zeroizing<[u8; 32]>,
}

/// The keys of this process: the first seals, all of them open.
///
/// Keys are rotated by putting a new one first and keeping the old ones until nothing is sealed with them any more.
/// Made by [`KeyRing::parse`]; never empty. Not `Clone`, so that there is one copy of each key to wipe: share it.
///
/// ```compile_fail,E0599
/// let ring = foxden_vault::KeyRing::parse(&foxden_vault::generate_key("main").unwrap()).unwrap();
/// ring.clone();
/// ```
///
/// `Debug` shows names and ids only. It has no `Display`:
///
/// ```compile_fail,E0277
/// let ring = foxden_vault::KeyRing::parse(&foxden_vault::generate_key("main").unwrap()).unwrap();
/// format!("{ring}");
/// ```
///
/// and no `Serialize`:
///
/// ```compile_fail,E0277
/// let ring = foxden_vault::KeyRing::parse(&foxden_vault::generate_key("main").unwrap()).unwrap();
/// serde_json::to_string(&ring);
/// ```
pub struct KeyRing {
    keys: Vec<NamedKey>,
}

impl KeyRing {
    /// Takes keys that are distinct in name and id, and at least one.
    pub(crate) fn from_distinct(keys: Vec<NamedKey>) -> Self {
        debug_assert!(!keys.is_empty());
        Self { keys }
    }

    /// The key that seals.
    pub fn primary(&self) -> KeyId {
        self.first().id.short()
    }

    /// Name and id of each key, the sealing one first. Both may be shown.
    pub fn keys(&self) -> impl Iterator<Item = (&str, KeyId)> {
        self.keys.iter().map(|key| (key.name.as_str(), key.id.short()))
    }

    /// Whether envelopes of this key can be opened.
    pub fn contains(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    pub(crate) fn key(&self, id: KeyId) -> Option<&NamedKey> {
        self.keys.iter().find(|key| key.id.short() == id)
    }

    pub(crate) fn first(&self) -> &NamedKey {
        self.keys.first().expect("a key ring is never empty")
    }
}

impl fmt::Debug for KeyRing {
    /// Names and ids, never a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing ")?;
        f.debug_map().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str =
        "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn the_first_key_seals() {
        let ring = KeyRing::parse(TWO).unwrap();
        let names: Vec<_> = ring.keys().map(|(name, _)| name).collect();
        assert_eq!(names, ["new", "old"]);
        assert_eq!(ring.primary().to_string(), "404c0b2f395e50dc");
    }

    #[test]
    fn a_ring_knows_which_keys_it_holds() {
        let ring = KeyRing::parse(TWO).unwrap();
        assert!(ring.keys().all(|(_, id)| ring.contains(id)));
        assert!(!ring.contains(KeyId::of(&[9; 32])));
    }

    #[test]
    fn debug_shows_names_and_ids_only() {
        let ring = KeyRing::parse("main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        assert_eq!(format!("{ring:?}"), r#"KeyRing {"main": KeyId(404c0b2f395e50dc)}"#);
    }
}
