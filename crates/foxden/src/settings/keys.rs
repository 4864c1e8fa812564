//! What seals, and what envelopes are bound to.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_KEYS` (`_FILE`) | | the key ring, `name:base64[,name:base64…]`; the first key seals, all open |
//! | `FOXDEN_ENVIRONMENT` | `production` | 1 to 32 of a-z, 0-9 and `-`; bound into every envelope, so that what one environment sealed opens in no other. Never change it: nothing sealed before would open |
//! | `FOXDEN_TOKEN_REASON` | `optional` | whether `foxden token` must be told why: `optional` or `required` |

use foxden_vault::KeyRing;

use super::{Need, reader::Reader};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct KeySettings {
    /// The key ring; there for every command that requires it.
    pub(crate) ring: Option<KeyRing>,
    /// The label bound into every envelope.
    pub(crate) environment: String,
    /// Whether whoever opens a token must say why.
    pub(crate) token_reason_required: bool,
}

impl KeySettings {
    pub(super) fn read(reader: &mut Reader, need: Need) -> Option<Self> {
        const KEYS: &str = "FOXDEN_KEYS";
        reader.prepare_secret(KEYS, need);
        let ring = reader.value(KEYS, |text| KeyRing::parse(text).map_err(|error| error.to_string()));
        let environment = reader.value("FOXDEN_ENVIRONMENT", label);
        let token_reason = reader.value("FOXDEN_TOKEN_REASON", |text| match text {
            "optional" => Ok(false),
            "required" => Ok(true),
            _ => Err("expected optional or required".to_owned()),
        });
        Some(Self { ring, environment: environment?, token_reason_required: token_reason? })
    }
}

fn label(text: &str) -> Result<String, String> {
    let fits = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '-');
    if (1..=32).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 32 of a-z, 0-9 and -".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_and_plain() {
        for text in ["production", "eu-1", &"x".repeat(32)] {
            assert_eq!(label(text).as_deref(), Ok(text));
        }
        for text in ["", "Production", "eu_1", "a b", &"x".repeat(33)] {
            assert!(label(text).is_err(), "{text}");
        }
    }
}
