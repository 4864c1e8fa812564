//! Which store domains Foxy takes.

/// Labels that Foxy is taken to keep for itself (a guess, as is the set).
const RESERVED: &[&str] = &[
    "admin", "api", "auth", "cdn", "email", "foxy", "foxycart", "ftp", "mail", "my", "sandbox", "secure", "static",
    "status", "support", "www",
];

/// The end of a label that Foxy keeps for itself, which it refuses in words of their own (official foxy-elements).
const RESERVED_END: &str = "-internal";

/// Ends of a domain that no remote domain may have, since they are Foxy's own (a guess).
const FOXY_DOMAINS: &[&str] = &["foxycart.com", "foxy.io"];

/// How Foxy refuses a domain that it keeps for itself (Foxy docs: rels/stores).
const RESERVED_FORMAT: &str = "store_domain is invalid because it has a reserved format";

/// What is wrong with a store domain (Foxy docs: rels/store), `None` for a good one that may still be taken.
///
/// Without `remote` it is one DNS label, which becomes `label.foxycart.com`; with it a full domain below one that can
/// be registered, internationalized names in punycode.
pub(crate) fn mistake(domain: &str, remote: bool) -> Option<String> {
    let lower = domain.to_lowercase();
    if remote {
        if FOXY_DOMAINS.iter().any(|own| lower == *own || lower.ends_with(&format!(".{own}"))) {
            return Some(RESERVED_FORMAT.to_owned());
        }
        return (!is_full_domain(&lower))
            .then(|| "store_domain must be a full domain when use_remote_domain is true".to_owned());
    }
    if !is_label(&lower) {
        return Some(
            "store_domain must be 1 to 63 letters, digits and hyphens, without a hyphen at either end".to_owned(),
        );
    }
    if lower.ends_with(RESERVED_END) {
        return Some(format!("store_domain can not end with {RESERVED_END}"));
    }
    let reserved = RESERVED.contains(&lower.as_str()) || lower.starts_with("xn--") || lower.starts_with("foxycart-");
    reserved.then(|| RESERVED_FORMAT.to_owned())
}

/// At least three labels, the last of letters alone (official foxy-elements, StoreForm).
fn is_full_domain(domain: &str) -> bool {
    let labels: Vec<_> = domain.split('.').collect();
    let alphabetic = |label: &&str| label.bytes().all(|byte| byte.is_ascii_lowercase());
    domain.len() <= 253
        && labels.len() >= 3
        && labels.iter().all(|label| is_label(label))
        && labels.last().is_some_and(alphabetic)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_domain_is_one_unreserved_label() {
        for good in ["shop", "Shop-2", "a", &"x".repeat(63)] {
            assert_eq!(mistake(good, false), None, "{good}");
        }
        for bad in ["", "-shop", "shop-", "my shop", "shop.example", &"x".repeat(64)] {
            assert!(mistake(bad, false).is_some_and(|text| text.contains("1 to 63")), "{bad}");
        }
        for reserved in ["www", "API", "xn--caf-dma"] {
            assert_eq!(mistake(reserved, false).as_deref(), Some(RESERVED_FORMAT));
        }
        for internal in ["shop-internal", "Shop-INTERNAL"] {
            assert_eq!(mistake(internal, false).as_deref(), Some("store_domain can not end with -internal"));
        }
        for free in ["internal", "shop-internal-2", "shopinternal"] {
            assert_eq!(mistake(free, false), None, "{free}");
        }
    }

    #[test]
    fn a_remote_domain_has_three_labels_or_more_and_is_not_foxys_own() {
        for good in ["shop.example.com", "Shop.Example.CO.UK", "xn--caf-dma.example.com", "shop-internal.example.com"] {
            assert_eq!(mistake(good, true), None, "{good}");
        }
        for bad in ["shop", "example.com", "192.0.2.1", "shop.example.c0m", "café.example.com", "shop..com", "a.b.com."]
        {
            let text = "store_domain must be a full domain when use_remote_domain is true";
            assert_eq!(mistake(bad, true).as_deref(), Some(text), "{bad}");
        }
        for foxys in ["a.foxycart.com", "foxy.io"] {
            assert_eq!(mistake(foxys, true).as_deref(), Some(RESERVED_FORMAT), "{foxys}");
        }
    }
}
