//! Store domains: the event's own, or derived from the store's name.

use foxden_custody::Payload;
use foxden_ledger::Provisioning;

/// A DNS label is at most this long (RFC 1035 section 2.3.4; Foxy docs: `rels/stores`).
const LABEL_MAX: usize = 63;

/// From this try on the candidate ends in a random tail: counting further would only find more of the same name.
const RANDOM_FROM: u32 = 9;

/// Stands in for a name that leaves nothing once it is spelled in letters and digits.
const NAMELESS: &str = "store";

/// The domain of the store step; it was set with the step, so a row without one is of another making.
pub(crate) fn of(row: &Provisioning, payload: &Payload) -> String {
    row.store_domain.clone().unwrap_or_else(|| first(payload))
}

/// The domain that is tried first.
pub(crate) fn first(payload: &Payload) -> String {
    at(0, payload)
}

/// The domain of the event, or the derived one of this try.
pub(crate) fn at(tries: u32, payload: &Payload) -> String {
    match &payload.store.domain {
        Some(exact) => exact.clone(),
        None => candidate(&payload.store.name, tries, random_tail),
    }
}

/// The `tries`-th candidate for a store's domain: the name as a slug, then `-2` … `-9`, then with a random tail.
///
/// `tail` gives the random tail: lower-case letters and digits, at most 10.
fn candidate(store_name: &str, tries: u32, tail: impl FnOnce() -> String) -> String {
    let slug = slug(store_name);
    let suffix = match tries {
        0 => return shorten(&slug, LABEL_MAX).to_owned(),
        tries if tries < RANDOM_FROM => format!("-{}", tries + 1),
        _ => format!("-{}", tail()),
    };
    format!("{}{suffix}", shorten(&slug, LABEL_MAX - suffix.len()))
}

/// A random tail: 8 characters of base 32 from the operating system's generator.
///
/// # Panics
/// If the operating system gives no random bytes, which it does not after boot.
fn random_tail() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes once it has booted");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Lower-case letters, digits and single hyphens between them.
fn slug(name: &str) -> String {
    let spelled = deunicode::deunicode(name);
    let mut slug = String::with_capacity(spelled.len());
    for c in spelled.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if c == '\'' {
            // Ada's → adas
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { NAMELESS.to_owned() } else { slug.to_owned() }
}

fn shorten(slug: &str, max: usize) -> &str {
    slug[..slug.len().min(max)].trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{candidate, random_tail};

    fn first(name: &str) -> String {
        candidate(name, 0, random_tail)
    }

    #[test]
    fn a_name_in_any_script_becomes_a_label() {
        assert_eq!(first("Ada's Analytical Engines"), "adas-analytical-engines");
        assert_eq!(first("  Größe & Söhne  "), "grosse-sohne");
        assert_eq!(first("北京"), "bei-jing");
        assert_eq!(first("☕☕"), first("☕☕"));
        assert_eq!(first("---"), "store");
    }

    #[test]
    fn candidates_count_up_and_then_end_in_a_random_tail() {
        assert_eq!(candidate("Shop", 1, random_tail), "shop-2");
        assert_eq!(candidate("Shop", 8, random_tail), "shop-9");
        assert_eq!(candidate("Shop", 9, || "k7".into()), "shop-k7");
        assert_ne!(candidate("Shop", 9, random_tail), candidate("Shop", 9, random_tail));
    }

    #[test]
    fn a_suffix_never_makes_a_label_too_long() {
        let name = "x".repeat(80);
        assert_eq!(candidate(&name, 0, random_tail).len(), 63);
        assert_eq!(candidate(&name, 4, random_tail), format!("{}-5", "x".repeat(61)));
    }

    proptest! {
        #[test]
        fn every_candidate_is_a_dns_label(name in any::<String>(), tries in 0_u32..30) {
            let label = candidate(&name, tries, random_tail);
            assert!((1..=63).contains(&label.len()));
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!(!label.starts_with('-') && !label.ends_with('-'));
        }
    }
}
