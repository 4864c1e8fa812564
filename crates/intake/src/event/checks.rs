//! What a single text must be like. Each check answers with a problem that continues a path and repeats no value.

use url::Url;

use super::{
    characters,
    limits::{LABEL_MAX, PROPERTY_NAME_MAX, USER_ID_MAX},
};

/// The answer of a check.
pub(super) type Checked = Result<(), String>;

/// What every text of an event must be: visible, not too long, without control characters, without blanks around it.
///
/// Blanks around a value are refused instead of trimmed: a value that differs from what the parent app has on file would
/// be hard to find again.
pub(super) fn text(value: &str, max: usize) -> Checked {
    if value.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let length = value.chars().count();
    if length > max {
        return Err(format!("has {length} characters; at most {max} are allowed"));
    }
    // U+2028 and U+2029 end lines for some readers of logs and mails, though they count as no control characters.
    if let Some(at) = value.chars().position(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(format!("has a control character at position {}", at + 1));
    }
    if let Some((at, c)) = characters::find(value, characters::reorders_text) {
        return Err(format!("has {} at position {at}, which reorders the text around it", characters::named(c)));
    }
    if value.trim() != value {
        return Err("begins or ends with a blank".to_owned());
    }
    if value.chars().all(characters::is_invisible) {
        return Err("has no visible character".to_owned());
    }
    Ok(())
}

/// One plain address: a dot-atom at a domain (RFC 5322 section 3.4.1, RFC 6531 section 3.3), without quotes, comments
/// or address literals. Nothing in it may be invisible, or two spellings of one mailbox would make two users.
pub(super) fn email(value: &str) -> Checked {
    if let Some((at, c)) = characters::find(value, characters::is_invisible) {
        return Err(format!(
            "has {} at position {at}; an email address has no invisible characters",
            characters::named(c)
        ));
    }
    let is_address = value
        .split_once('@')
        .is_some_and(|(local, domain)| local.split('.').all(is_atom) && domain.split('.').all(is_mail_label));
    if is_address { Ok(()) } else { Err("must be one plain email address".to_owned()) }
}

/// One atom of an unquoted local part.
fn is_atom(piece: &str) -> bool {
    !piece.is_empty() && !piece.contains(NOT_IN_AN_ATOM)
}

/// The specials of RFC 5322 section 3.2.3 but for the dot, which separates atoms.
pub(super) const NOT_IN_AN_ATOM: [char; 12] = ['@', ',', ';', ':', '<', '>', '(', ')', '[', ']', '\\', '"'];

/// A DNS label, in either case and any script (RFC 6531 section 3.3).
fn is_mail_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii())
}

/// One or several addresses, separated by commas (Foxy docs: rels/stores, `store_email`).
pub(super) fn emails(value: &str) -> Checked {
    if value.split(',').all(|one| email(one.trim()).is_ok()) {
        Ok(())
    } else {
        Err("must be one email address, or several separated by commas".to_owned())
    }
}

/// A link that a browser can follow.
pub(super) fn web_url(value: &str) -> Checked {
    let problem = || Err("must be an http or https URL with a host".to_owned());
    // The parser is more generous than any browser's address bar: it drops blanks and takes `http:example.com`.
    let lower = value.to_ascii_lowercase();
    if value.contains(char::is_whitespace) || !(lower.starts_with("http://") || lower.starts_with("https://")) {
        return problem();
    }
    match Url::parse(value) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("must not contain a user name or password".to_owned())
        }
        Ok(url) if url.has_host() => Ok(()),
        _ => problem(),
    }
}

/// A store domain below Foxy's own: a single DNS label in lower case (Foxy docs: rels/stores, `store_domain`).
pub(super) fn domain_label(value: &str) -> Checked {
    if is_label(value) {
        Ok(())
    } else {
        Err(format!("must be a single DNS label: 1 to {LABEL_MAX} of a-z, 0-9 and -, with no - at either end"))
    }
}

/// A store domain of the customer's own (Foxy docs: rels/stores, `use_remote_domain`).
pub(super) fn full_domain(value: &str) -> Checked {
    if value.contains('.') && value.split('.').all(is_label) {
        Ok(())
    } else {
        Err("must be a full domain in lower case, such as shop.example.com, when use_remote_domain is true".to_owned())
    }
}

fn is_label(value: &str) -> bool {
    (1..=LABEL_MAX).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

/// The two-letter code that Foxy wants for a region of the US (Foxy docs: rels/stores, `region`).
pub(super) fn us_region(value: &str) -> Checked {
    if value.len() == 2 && value.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err("must be the two-letter code in upper case, such as MN, when store.country is US".to_owned())
    }
}

/// The parent app's id of a customer: as a signup id, something that survives a log line, a shell and a header.
pub(super) fn visible_id(value: &str) -> Checked {
    if value.len() <= USER_ID_MAX && value.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!("must be at most {USER_ID_MAX} visible ASCII characters without spaces"))
    }
}

/// A captcha code, which travels in a header.
pub(super) fn code(value: &str) -> Checked {
    if value.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must be visible ASCII characters without spaces".to_owned())
    }
}

/// A property's name in Foxy's manner.
pub(super) fn is_property_name(name: &str) -> bool {
    name.len() <= PROPERTY_NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::{Checked, domain_label, email, emails, full_domain, is_property_name, text, web_url};

    fn sorts(check: impl Fn(&str) -> Checked, good: &[&str], bad: &[&str]) {
        for value in good {
            assert_eq!(check(value), Ok(()), "{value:?}");
        }
        for value in bad {
            assert!(check(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_text_is_counted_in_characters_and_has_no_control_characters_or_outer_blanks() {
        let bad = ["", "abcd", "a\n", " a", "a\u{a0}", "a\u{7}b", "a\u{2028}b", "\u{200b}", "\u{3164}\u{3164}"];
        sorts(|value| text(value, 3), &["é€𝄞", "a b"], &bad);
        assert_eq!(text("\u{3164}", 9).unwrap_err(), "has no visible character");
        let reordered = "has U+202E RIGHT-TO-LEFT OVERRIDE at position 3, which reorders the text around it";
        assert_eq!(text("ab\u{202e}c", 9).unwrap_err(), reordered);
        // Many scripts spell with joiners, and emoji are built with them.
        assert_eq!(text("نامه\u{200c}ای", 9), Ok(()));
        assert_eq!(text("ab\u{1b}c", 9).unwrap_err(), "has a control character at position 3");
        assert_eq!(text("äöüß", 3).unwrap_err(), "has 4 characters; at most 3 are allowed");
    }

    #[test]
    fn an_email_is_one_plain_address() {
        let bad = [
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b,c@d",
            "A <a@b>",
            "a@.b",
            "a@b.",
            "a@b;c",
            "a@example..com",
            "mailto:a@example.com",
            "a@exam/ple.com",
            "a..b@c",
            ".a@b",
            "a.@b",
            "\"a b\"@c",
            "a@[127.0.0.1]",
            "a@-b.com",
            "a@b_c.com",
        ];
        sorts(email, &["a@b", "jörg+shop@exämple.de"], &bad);
        let zero_width = "has U+200B ZERO WIDTH SPACE at position 14; an email address has no invisible characters";
        assert_eq!(email("a@example.com\u{200b}").unwrap_err(), zero_width);
        for hidden in ['\u{202e}', '\u{ad}', '\u{2060}', '\u{feff}', '\u{3164}', '\u{e0041}', '\u{61c}', '\u{fff9}'] {
            assert!(email(&format!("a{hidden}@example.com")).is_err(), "{hidden:?}");
        }
        sorts(emails, &["a@b", "a@b,c@d", "a@b, c@d"], &["", ",", "a@b,", "a@b c@d"]);
    }

    #[test]
    fn a_url_is_http_with_a_host_and_without_credentials() {
        let good = ["http://a", "https://shop.example/x?y=1#z", "HTTPS://a", "https://[::1]:8/"];
        let bad = ["shop.example", "ftp://a", "http:a", "http://", "https://a b", "https://u:p@a", "javascript:x"];
        sorts(web_url, &good, &bad);
    }

    #[test]
    fn a_domain_is_a_label_or_where_it_is_remote_a_full_domain() {
        let long = "x".repeat(64);
        sorts(domain_label, &["a", "my-shop-2", &long[1..]], &["", "-a", "a-", "A", "a.b", "a_b", "ä", &long]);
        sorts(full_domain, &["shop.example.com"], &["shop", "shop.", ".com", "a..b", "Shop.example.com", "-a.com"]);
    }

    #[test]
    fn a_property_name_is_lower_snake_case() {
        assert!(is_property_name("webhook_url2"));
        for name in ["", "2fast", "Upper", "jane@example.com", "a-b", &"x".repeat(65)] {
            assert!(!is_property_name(name), "{name}");
        }
    }
}
