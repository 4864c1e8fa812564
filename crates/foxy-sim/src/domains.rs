//! Which store domains Foxy takes.

/// Labels that Foxy is taken to keep for itself (a guess, as is the set).
const RESERVED: &[&str] = &[
    "admin", "api", "auth", "cdn", "email", "foxy", "foxycart", "ftp", "mail", "my", "sandbox", "secure", "static",
    "status", "support", "www",
];

/// Ends of a domain that no remote domain may have: they are Foxy's own.
const FOXY_DOMAINS: &[&str] = &["foxycart.com", "foxy.io"];

/// What is wrong with a store domain (Foxy docs: rels/store), `None` for a good one that may still be taken.
///
/// Without `remote` it is one DNS label, which becomes `label.foxycart.com`; with it a full domain.
pub(crate) fn mistake(domain: &str, remote: bool) -> Option<String> {
    let lower = domain.to_lowercase();
    if remote {
        if let Some(own) = FOXY_DOMAINS.iter().find(|own| lower == **own || lower.ends_with(&format!(".{own}"))) {
            return Some(format!("store_domain can not end with {own}"));
        }
        let whole = lower.contains('.') && lower.len() <= 253 && lower.split('.').all(is_label);
        return (!whole).then(|| "store_domain must be a full domain when use_remote_domain is true".to_owned());
    }
    if !is_label(&lower) {
        return Some(
            "store_domain must be 1 to 63 letters, digits and hyphens, without a hyphen at either end".to_owned(),
        );
    }
    let reserved = RESERVED.contains(&lower.as_str()) || lower.starts_with("xn--") || lower.starts_with("foxycart-");
    reserved.then(|| "store_domain is invalid because it has a reserved format".to_owned())
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
            let text = mistake(reserved, false);
            assert_eq!(text.as_deref(), Some("store_domain is invalid because it has a reserved format"));
        }
    }

    #[test]
    fn a_remote_domain_is_a_full_one_outside_foxys_own() {
        assert_eq!(mistake("shop.example.com", true), None);
        assert_eq!(mistake("a.foxycart.com", true).as_deref(), Some("store_domain can not end with foxycart.com"));
        assert!(mistake("shop", true).is_some());
    }
}
