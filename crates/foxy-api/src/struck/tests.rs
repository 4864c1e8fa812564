use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::*;

const SECRET: &str = "f3/9+Ad61c-b5e2_88aa07cd41e9f0b3a6";

fn struck() -> Struck {
    Struck::default().access(&AccessToken::new(SECRET))
}

fn hex(c: char) -> String {
    format!("{:02X}", u32::from(c))
}

/// How a server may write it.
fn written() -> Vec<String> {
    let each = |write: &dyn Fn(char) -> String| SECRET.chars().map(write).collect::<String>();
    let mut all = vec![
        SECRET.to_owned(),
        SECRET.to_uppercase(),
        each(&|c| if c.is_ascii_alphanumeric() { c.into() } else { format!("%{}", hex(c)) }),
        each(&|c| if c.is_ascii_alphanumeric() { c.into() } else { format!("%25{}", hex(c)) }),
        each(&|c| format!("%{}", hex(c).to_lowercase())),
        each(&|c| format!("\\u00{}", hex(c))),
        each(&|c| format!("\\x{}", hex(c))),
        SECRET.replace('/', "\\/"),
        format!("f%33{}", &SECRET[2..]),
        each(&|c| format!("&#{};", u32::from(c))),
        each(&|c| format!("&#x{};", hex(c))),
        each(&hex),
        format!("{}\r\n {}", &SECRET[..12], &SECRET[12..]),
        format!("{}=\r\n{}", &SECRET[..12], &SECRET[12..]),
        format!("{}\\n{}", &SECRET[..12], &SECRET[12..]),
        format!("{}\u{200b}{}", &SECRET[..12], &SECRET[12..]),
        each(&|c| format!("{c} ")),
    ];
    for before in ["", "a", "bc", "client:", "client_id:"] {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = engine.encode(format!("{before}{SECRET}"));
            all.push(
                encoded
                    .chars()
                    .enumerate()
                    .map(|(i, c)| if i % 20 == 19 { format!("{c}\n") } else { c.into() })
                    .collect(),
            );
            all.push(encoded);
        }
    }
    all
}

/// What could be guessed from what is left: as many characters in a row, spaces and lines aside.
fn is_left(text: &str, written: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let (text, written) = (bare(text), bare(written));
    written.as_bytes().windows(6).any(|part| text.as_bytes().windows(6).any(|place| place == part))
}

#[test]
fn a_secret_is_struck_in_every_form() {
    for written in written() {
        let said = struck().words(&format!("The header Authorization: Bearer {written}, is not allowed"));
        assert!(!is_left(&said, &written), "{written:?} left {said:?}");
        assert!(said.starts_with("The header Authorization: Bearer […]"), "{said:?}");
        assert!(said.ends_with(" is not allowed"), "{said:?}");
    }
}

#[test]
fn a_secret_is_struck_where_it_is_cut_off() {
    for written in written() {
        let cut = &written[..written.len() * 2 / 3];
        let cut = cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let said = struck().words(&format!("bad token {cut}"));
        assert!(!is_left(&said, cut), "{cut:?} left {said:?}");
    }
}

#[test]
fn every_kind_of_secret_is_struck() {
    let body = serde_json::json!({"client_secret": "next-secret", "store_domain": "next-name"});
    let captcha = CaptchaCode::parse("captcha-code").unwrap();
    let struck = Struck::default()
        .access(&AccessToken::new("access-token"))
        .refresh(&RefreshToken::new("refresh-token"))
        .code(&AuthorizationCode::new("grant-code"))
        .client_secret(&ClientSecret::new("client-secret"))
        .captcha(&captcha)
        .body(&body);
    let said = "access-token refresh-token grant-code client-secret captcha-code next-secret next-name";
    assert_eq!(struck.words(said), "[…] […] […] […] […] […] next-name");
    assert_eq!(format!("{struck:?}"), "Struck(6 secrets)");
}

#[test]
fn what_looks_like_a_token_is_struck_whosever_it_is() {
    for token in [
        "0123456789abcdef0123456789abcdef01234567",
        "eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxMjM0",
        "ya29_a0AfH6SMBx-3kP0nE5",
        "QmFzaWMgY2xpZW50OnNlY3JldA0x==",
    ] {
        assert_eq!(Struck::default().words(&format!("token '{token}' expired")), "token '[…]' expired");
        assert!(Struck::default().taints(token), "{token}");
    }
}

#[test]
fn what_a_person_needs_is_left() {
    for said in [
        "store_domain is already in use",
        "See https://api.foxycart.com/rels/reporting_store_domain_exists, logref id-1795000000123-0",
        "request 123e4567-e89b-12d3-a456-426614174000 of client 12345678901234567890123 was refused",
        "postal_code 55401 is not in MN: expected 5 digits, or 5 and 4 (55401-1234)",
        "first_name müde 狐 …",
        "",
    ] {
        assert_eq!(struck().words(said), said);
    }
    assert!(!struck().taints("id-1795000000123-0"));
}

#[test]
fn a_document_keeps_all_but_the_secrets() {
    let other = "0123456789abcdef0123456789abcdef01234567";
    let mut document = serde_json::json!({
        "_links": {"self": {"href": format!("https://api.foxycart.com/users/1?t={SECRET}")}},
        "properties": [{"name": SECRET.to_uppercase()}, 7, null],
        "token": other,
    });
    struck().strike_document(&mut document);
    assert_eq!(
        document,
        serde_json::json!({
            "_links": {"self": {"href": "https://api.foxycart.com/users/1?t=[…]"}},
            "properties": [{"name": "[…]"}, 7, null],
            "token": other,
        })
    );
}

#[test]
fn an_address_that_ends_like_a_secret_begins_is_left() {
    // As the secret is written in hexadecimal digits, and as it is.
    for address in ["https://api.foxycart.com/users/186633", "https://api.foxycart.com/stores/f3/9"] {
        assert_eq!(struck().without(address), address);
        // Nor is a reference that ends so.
        assert!(!struck().taints("id-1790006633"));
        let mut document = serde_json::json!({"self": {"href": address}});
        struck().strike_document(&mut document);
        assert_eq!(document["self"]["href"], address);
    }
}

#[test]
fn what_a_body_says_of_a_person_is_struck_out_of_words_and_not_out_of_addresses() {
    let body = serde_json::json!({"email": "ada@people.example", "last_name": "Stores", "store_domain": "engines-2"});
    let struck = Struck::default().body(&body);
    assert_eq!(struck.words("engines-2 of ada%40people.example, STORES"), "engines-2 of […], […]");
    let address = "https://api.foxycart.com/stores/1";
    assert_eq!(struck.without(address), address);
}

#[test]
fn what_is_too_short_to_be_a_secret_strikes_no_words() {
    let struck = Struck::default().access(&AccessToken::new("in"));
    assert_eq!(struck.words("store_domain is already in use"), "store_domain is already in use");
}

#[test]
fn any_text_can_be_looked_through() {
    let mut random = fastrand::Rng::with_seed(11);
    let alphabet: Vec<char> = "%\\&#;xuU2fF5/9+Ad=\r\n é狐\u{200b}\u{feff}{}\"".chars().collect();
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..60)).map(|_| alphabet[random.usize(..alphabet.len())]).collect();
        let _ = struck().words(&text);
    }
}
