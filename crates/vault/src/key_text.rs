//! Keys as text: reading a ring from a setting or a file, and writing a fresh entry for it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::key_id::LongKeyId;
use crate::key_ring::NamedKey;
use crate::randomness::random_bytes;
use crate::{KeyRing, NoRandomness};

const KEY_LEN: usize = 32;

/// What an entry's key takes in base64, padding included.
const KEY_TEXT_LEN: usize = KEY_LEN.div_ceil(3) * 4;

/// Other programs that make keys differ in whether they pad, so both forms are read; we write the padded one.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is not a key ring. Positions count from 1. No variant carries any part of a key; a name is shown only
/// once it is known to be one, since a key pasted without a name stands where the name should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no entry at all.
    #[error("the key ring is empty; `foxden keys generate` makes a key")]
    Empty,
    /// An entry without a colon.
    #[error("key {position} has no name; write it as name:base64")]
    NameMissing {
        /// Which entry.
        position: usize,
    },
    /// What stands before the colon can't be a name.
    #[error("key {position} has an invalid name; use 1 to 32 of a-z, 0-9, - and _")]
    InvalidName {
        /// Which entry.
        position: usize,
    },
    /// What stands after the colon is not standard base64.
    #[error("key {position} ({name}) is not valid base64")]
    InvalidBase64 {
        /// Which entry.
        position: usize,
        /// Its name.
        name: String,
    },
    /// A key of another length, as of another cipher.
    #[error("key {position} ({name}) has {found} bytes instead of 32")]
    WrongLength {
        /// Which entry.
        position: usize,
        /// Its name.
        name: String,
        /// The length found, in bytes.
        found: usize,
    },
    /// A placeholder that never was a secret.
    #[error("key {position} ({name}) is all zeros, which is no secret; `foxden keys generate` makes a key")]
    AllZero {
        /// Which entry.
        position: usize,
        /// Its name.
        name: String,
    },
    /// Two entries of one name.
    #[error("key {position} ({name}) has the name of an earlier key")]
    DuplicateName {
        /// The later of the two entries.
        position: usize,
        /// Their name.
        name: String,
    },
    /// Two entries with one key: a rotation that would change nothing.
    #[error("key {position} ({name}) is the same key as {earlier}")]
    DuplicateKey {
        /// The later of the two entries.
        position: usize,
        /// Its name.
        name: String,
        /// The name of the earlier one.
        earlier: String,
    },
}

/// Why no key was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateKeyError {
    /// The name would not be read back.
    #[error("invalid key name; use 1 to 32 of a-z, 0-9, - and _")]
    InvalidName,
    /// There was nothing to make a key of.
    #[error("could not make a key")]
    NoRandomness(#[from] NoRandomness),
}

impl KeyRing {
    /// Reads `name:base64` entries separated by commas or newlines; the first one seals. Space around entries and
    /// empty entries are ignored, so that a setting and a file of one key a line read alike.
    ///
    /// A key is 32 bytes in standard base64, with or without padding; a name is 1 to 32 of `a-z`, `0-9`, `-` and `_`.
    ///
    /// # Errors
    /// On the first entry that is wrong. No error shows a key.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<NamedKey> = Vec::new();
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for (position, entry) in (1..).zip(entries) {
            let key = parse_entry(position, entry)?;
            if keys.iter().any(|earlier| earlier.name == key.name) {
                return Err(KeyRingError::DuplicateName { position, name: key.name });
            }
            if let Some(earlier) = keys.iter().find(|earlier| earlier.id.short() == key.id.short()) {
                return Err(KeyRingError::DuplicateKey { position, name: key.name, earlier: earlier.name.clone() });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self::from_distinct(keys)) }
    }
}

fn parse_entry(position: usize, entry: &str) -> Result<NamedKey, KeyRingError> {
    let (name, value) = entry.split_once(':').ok_or(KeyRingError::NameMissing { position })?;
    if !is_name(name) {
        return Err(KeyRingError::InvalidName { position });
    }
    let name = name.to_owned();
    let mut decoded = Zeroizing::new(Vec::new());
    if BASE64.decode_vec(value, &mut decoded).is_err() {
        return Err(KeyRingError::InvalidBase64 { position, name });
    }
    let mut bytes = Zeroizing::new([0; KEY_LEN]);
    if decoded.len() != KEY_LEN {
        return Err(KeyRingError::WrongLength { position, name, found: decoded.len() });
    }
    bytes.copy_from_slice(&decoded);
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(KeyRingError::AllZero { position, name });
    }
    Ok(NamedKey { name, id: LongKeyId::of(&bytes), bytes })
}

/// Letters of one case, and none that a shell, a URL or a file name would mind.
fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// A fresh key as an entry for [`KeyRing::parse`], from the operating system's generator.
///
/// # Errors
/// If the name is not one that [`KeyRing::parse`] takes, or if the operating system gives no randomness.
pub fn generate_key(name: &str) -> Result<Zeroizing<String>, GenerateKeyError> {
    if !is_name(name) {
        return Err(GenerateKeyError::InvalidName);
    }
    let key = random_bytes::<KEY_LEN>()?;
    // Room for all of it at once: a string that grows leaves its old copies unwiped.
    let mut entry = Zeroizing::new(String::with_capacity(name.len() + 1 + KEY_TEXT_LEN));
    entry.push_str(name);
    entry.push(':');
    BASE64.encode_string(key.as_slice(), &mut entry);
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn refusal(text: &str) -> String {
        KeyRing::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_generated_key_is_read_back() {
        let entry = generate_key("main-2026").unwrap();
        let ring = KeyRing::parse(&entry).unwrap();
        assert_eq!(ring.keys().next().unwrap().0, "main-2026");
    }

    #[test]
    fn no_two_generated_keys_are_the_same() {
        let text = format!("{},{}", *generate_key("a").unwrap(), *generate_key("b").unwrap());
        assert_eq!(KeyRing::parse(&text).unwrap().keys().count(), 2);
    }

    #[test]
    fn a_key_is_not_generated_under_a_name_that_would_be_refused() {
        for name in ["", "Main", "a b", "a:b", "a,b", "ä", &"x".repeat(33)] {
            assert!(matches!(generate_key(name), Err(GenerateKeyError::InvalidName)), "{name:?}");
        }
    }

    #[test]
    fn a_setting_and_a_file_read_alike() {
        let setting = KeyRing::parse(&format!("new:{COUNTING},old:{ONES}")).unwrap();
        let file = KeyRing::parse(&format!("\n  new:{COUNTING}\r\n\n\told:{ONES} ,\n")).unwrap();
        assert_eq!(setting.keys().collect::<Vec<_>>(), file.keys().collect::<Vec<_>>());
    }

    #[test]
    fn padding_may_be_left_out() {
        let padded = KeyRing::parse(&format!("main:{COUNTING}")).unwrap();
        let bare = KeyRing::parse(&format!("main:{}", COUNTING.trim_end_matches('='))).unwrap();
        assert_eq!(padded.primary(), bare.primary());
    }

    #[test]
    fn an_empty_ring_is_refused() {
        for text in ["", " \n ", ",,"] {
            assert_eq!(refusal(text), "the key ring is empty; `foxden keys generate` makes a key");
        }
    }

    #[test]
    fn a_key_without_a_name_is_refused_by_position() {
        assert_eq!(refusal(&format!("old:{ONES},{COUNTING}")), "key 2 has no name; write it as name:base64");
    }

    #[test]
    fn what_can_not_be_a_name_is_not_shown() {
        let expected = "key 1 has an invalid name; use 1 to 32 of a-z, 0-9, - and _";
        for name in ["", "Main", "a b", "é", &"x".repeat(33), ONES] {
            assert_eq!(refusal(&format!("{name}:{COUNTING}")), expected);
        }
    }

    #[test]
    fn a_key_in_another_encoding_is_refused_by_name() {
        let url_safe = "__________________________________________8=";
        for key in [url_safe, "not base64", &COUNTING.replace('A', "A A")] {
            assert_eq!(refusal(&format!("main:{key}")), "key 1 (main) is not valid base64");
        }
    }

    #[test]
    fn a_key_of_another_length_is_refused_by_name() {
        assert_eq!(refusal("main:AQEBAQ=="), "key 1 (main) has 4 bytes instead of 32");
        assert_eq!(refusal(&format!("main:{}", "AQEB".repeat(11))), "key 1 (main) has 33 bytes instead of 32");
        assert_eq!(refusal("main:"), "key 1 (main) has 0 bytes instead of 32");
    }

    #[test]
    fn a_key_of_zeros_is_refused() {
        let zeros = format!("main:{}=", "A".repeat(43));
        assert_eq!(
            refusal(&zeros),
            "key 1 (main) is all zeros, which is no secret; `foxden keys generate` makes a key"
        );
    }

    #[test]
    fn duplicates_are_refused() {
        assert_eq!(refusal(&format!("main:{ONES},main:{COUNTING}")), "key 2 (main) has the name of an earlier key");
        assert_eq!(refusal(&format!("new:{ONES},old:{ONES}")), "key 2 (old) is the same key as new");
    }
}
