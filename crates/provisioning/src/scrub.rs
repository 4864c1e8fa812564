//! Striking personal data out of texts that come from outside.

use foxden_custody::Payload;

const STRUCK: &str = "[…]";

/// Shorter texts are struck only where they stand alone: striking every "li" would leave nothing to read.
const MIN_CHARS: usize = 4;
/// More of a message does not help.
const MAX_CHARS: usize = 500;

/// Foxy's message as it may be kept and logged: without anything of the event's personal data that it may repeat,
/// without anything that looks like an email, on one line, and bounded.
pub(crate) fn scrub(message: &str, payload: &Payload) -> String {
    let mut personal_texts = payload.personal_texts();
    // Twice, since striking single letters makes a text longer.
    let margin = 2 * personal_texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    // Some more than is kept, so that what is cut off is cut off after everything in it was struck.
    let mut characters = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = characters.by_ref().take(8 * MAX_CHARS + margin).collect();
    let is_cut = characters.next().is_some();
    // The longest first: a name struck out of an email would leave the rest of it.
    personal_texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    for personal in personal_texts {
        if personal.chars().count() >= MIN_CHARS {
            text = strike(&text, personal);
        } else if !personal.trim().is_empty() {
            text = strike_words(&text, personal);
        }
    }
    if is_cut {
        // The first part of what would have been struck may stand at the end.
        let whole = text.chars().count().saturating_sub(margin);
        text = text.chars().take(whole).chain(STRUCK.chars()).collect();
    }
    let words: Vec<&str> = text.split(' ').map(|word| if word.contains('@') { STRUCK } else { word }).collect();
    words.join(" ").chars().take(MAX_CHARS).collect()
}

/// Replaces it where it is a word of its own.
fn strike_words(text: &str, personal: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        let is_it = !word.is_empty() && word.to_lowercase() == personal.to_lowercase();
        clean.push_str(if is_it { STRUCK } else { word });
        clean.push_str(&piece[word.len()..]);
    }
    clean
}

/// Replaces every occurrence, whatever its case.
fn strike(text: &str, personal: &str) -> String {
    let (mut rest, mut clean) = (text, String::with_capacity(text.len()));
    while let Some((start, end)) = find_ignoring_case(rest, personal) {
        clean.push_str(&rest[..start]);
        clean.push_str(STRUCK);
        rest = &rest[end..];
    }
    clean + rest
}

/// The byte range of the first occurrence of `needle`, compared by lower-cased characters.
fn find_ignoring_case(text: &str, needle: &str) -> Option<(usize, usize)> {
    let needle: Vec<char> = needle.chars().flat_map(char::to_lowercase).collect();
    text.char_indices().find_map(|(start, _)| {
        let mut wanted = needle.iter();
        for (offset, c) in text[start..].char_indices() {
            for lower in c.to_lowercase() {
                if wanted.next() != Some(&lower) {
                    return None;
                }
            }
            if wanted.len() == 0 {
                return Some((start, start + offset + c.len_utf8()));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use foxden_custody::{CaptchaCodes, Payload, StoreDetails, UserDetails};
    use proptest::prelude::{any, proptest};

    use super::scrub;

    fn payload(first_name: &str) -> Payload {
        Payload {
            user: UserDetails {
                first_name: first_name.into(),
                last_name: "Straße".into(),
                email: "ada@example.com".into(),
                phone: Some("+44 20 7946 0000".into()),
                extra: Default::default(),
            },
            store: StoreDetails {
                name: "Engines".into(),
                domain: None,
                url: "https://engines.example".into(),
                email: "shop@engines.example".into(),
                country: "GB".into(),
                region: "London".into(),
                postal_code: "W1".into(),
                extra: Default::default(),
            },
            captcha: Default::default(),
        }
    }

    #[test]
    fn what_an_event_holds_of_a_person_is_struck_out() {
        let said = "ADA straße (Ada@Example.com, +44 20 7946 0000) or ops@foxy.io: store_name ENGINES is bad\nreally";
        assert_eq!(scrub(said, &payload("Ada")), "[…] […] ([…], […]) or […] store_name […] is bad really");
    }

    #[test]
    fn a_short_name_is_struck_where_it_stands_alone() {
        assert_eq!(scrub("Li: first_name of Li's listing", &payload("Li")), "[…]: first_name of […]'s listing");
    }

    #[test]
    fn what_is_cut_off_leaves_no_half_of_a_name() {
        let said = format!("{}Alexandrina", "x".repeat(495));
        assert_eq!(scrub(&said, &payload("Alexandrina")), format!("{}[…]", "x".repeat(495)));
    }

    #[test]
    fn what_says_nothing_about_anyone_is_left() {
        let said = "store_domain is already in use";
        assert_eq!(scrub(said, &payload("Ada")), said);
    }

    #[test]
    fn a_captcha_code_is_struck_out() {
        let codes = CaptchaCodes { user: Some("P1_ey.Ab".into()), store: Some("P1_ey.Cd".into()) };
        let payload = Payload { captcha: codes, ..payload("Ada") };
        assert_eq!(scrub("hCaptcha: P1_ey.Ab, P1_ey.Cd are bad", &payload), "hCaptcha: […], […] are bad");
    }

    #[test]
    fn what_is_cut_off_leaves_no_part_of_what_is_struck_out() {
        let code = format!("P1_{}", "x".repeat(4093));
        let codes = CaptchaCodes { user: Some(code.clone()), store: None };
        let payload = Payload { captcha: codes, ..payload("Ada") };
        assert_eq!(scrub(&format!("bad code: {code} was used"), &payload), "bad code: […] was used");
        for times in 2..9 {
            let said = scrub(&format!("bad code: {}", code.repeat(times)), &payload);
            assert!(said.contains("[…]") && !said.contains("xx"), "{times}: {said}");
        }
    }

    proptest! {
        #[test]
        fn a_name_never_survives(name in "\\PC{4,12}", before in any::<String>(), after in any::<String>()) {
            let clean = scrub(&format!("{before}{name}{after}"), &payload(&name));
            if !"[…]".contains(&name) {
                assert!(!clean.contains(&name), "{clean:?}");
            }
        }
    }
}
