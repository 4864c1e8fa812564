//! The fuzz targets on stable Rust: documents of Foxy's kinds, damaged at random under a fixed seed.

use fastrand::Rng;
use serde_json::{Value, json};

use super::everything;

const CASES: usize = 60_000;

/// Documents as Foxy writes them; every damaged one begins as one of these.
const WHOLE: &[&str] = &[
    r#"{"_links":{"curies":[{"name":"fx","href":"https://api.foxycart.com/rels/{rel}","templated":true}],
        "self":{"href":"https://api.foxycart.com/"},"fx:create_user":{"href":"https://api.foxycart.com/users"},
        "fx:token":{"href":"https://api.foxycart.com/token"},"next":[{"href":"/stores?offset=20"},{"href":"x"}]}}"#,
    r#"{"_links":{"self":{"href":"https://api.foxycart.com/users/1"},"fx:stores":{"href":"https://api.foxy.io/users/1/stores"}},
        "message":"created","client_id":"c","client_secret":"s",
        "token":{"access_token":"a1","expires_in":7200,"token_type":"Bearer","scope":"user_full_access","refresh_token":"r1"}}"#,
    r#"{"access_token":"a1","expires_in":"7200","token_type":"Bearer","scope":"s","refresh_token":"r1"}"#,
    r#"{"error":"invalid_grant","error_description":"The refresh token is invalid"}"#,
    r#"{"total":1,"_links":{},"_embedded":{"fx:errors":[{"logref":"id-1","code":"x","message":"email is already in use"}]}}"#,
    r#"{"total_items":"1","returned_items":1,"limit":20,"offset":0,
        "_links":{"self":{"href":"/s"},"next":{"href":"https://api.foxycart.com/stores?offset=20"}},
        "_embedded":{"fx:stores":[{"store_domain":"a","_links":{"self":{"href":"https://api.foxycart.com/stores/1"}}}],
        "fx:attributes":[{"name":"n","value":"v","visibility":"public","_links":{"self":{"href":"/attributes/1"}}}]}}"#,
    "https://api.foxycart.com/users/1{?email}",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    r#"Bearer realm="Service", error="invalid_token", error_description="expired""#,
    "<html><h1>502 Bad Gateway</h1></html>",
];

/// What parsers trip over.
const SPLINTERS: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"{",
    b"[",
    b"\"",
    b":",
    b",",
    b"null",
    b"-0",
    b"1e999",
    b"18446744073709551616",
    b"https://",
    b"//evil.example",
    b"@",
    b"\\",
    b"?",
    b"#",
    b"\r\nX: y",
    b"{?",
    b"_links",
    b"href",
    b"token",
    b"refresh_token",
    b"expires_in",
    b"9999999999999999999999",
    "\u{202e}".as_bytes(),
    "İß\u{1f98a}".as_bytes(),
];

fn damage(rng: &mut Rng, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..rng.usize(0..6) {
        let at = rng.usize(0..=bytes.len());
        match rng.u8(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, rng.choice(SPLINTERS).unwrap().iter().copied())),
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(0..8),
            3 => {
                let end = rng.usize(at..=bytes.len().min(at + 40));
                drop(bytes.drain(at..end));
            }
            4 => {
                // A piece of another document, or of this one again.
                let other = rng.choice(WHOLE).unwrap().as_bytes();
                let from = rng.usize(0..other.len());
                let piece = other[from..rng.usize(from..=other.len())].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => {
                let depth = rng.usize(1..300);
                drop(bytes.splice(at..at, std::iter::repeat_n(if rng.bool() { b'[' } else { b'{' }, depth)));
            }
        }
    }
    bytes
}

/// A text that is wrong in its place, though it is good JSON.
fn splinter(rng: &mut Rng) -> String {
    let pick = |rng: &mut Rng| String::from_utf8_lossy(rng.choice(SPLINTERS).unwrap()).into_owned();
    match rng.u8(0..3) {
        0 => pick(rng),
        1 => pick(rng) + &pick(rng),
        _ => pick(rng).repeat(rng.usize(1..400)),
    }
}

/// Puts something else into some places of a document, which stays good JSON.
fn warp(rng: &mut Rng, value: &mut Value) {
    if rng.u8(0..12) == 0 {
        *value = match rng.u8(0..6) {
            0 => Value::Null,
            1 => rng.bool().into(),
            2 => rng.i64(..).into(),
            3 => rng.f64().into(),
            4 => json!([{ "href": splinter(rng) }]),
            _ => splinter(rng).into(),
        };
    }
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(|entry| warp(rng, entry)),
        Value::Object(entries) => entries.values_mut().for_each(|entry| warp(rng, entry)),
        _ => {}
    }
}

fn warped(rng: &mut Rng, whole: &str) -> Option<Vec<u8>> {
    let mut document = serde_json::from_str(whole).ok()?;
    warp(rng, &mut document);
    Some(document.to_string().into_bytes())
}

#[test]
fn nothing_that_a_server_sends_brings_a_panic_or_an_unchecked_address() {
    let mut rng = Rng::with_seed(1);
    for _ in 0..CASES {
        // 0 and 1 are the successes, in which there is the most to read.
        let mut input = vec![if rng.bool() { rng.u8(0..2) } else { rng.u8(..) }];
        let whole = rng.choice(WHOLE).unwrap();
        let sent = if rng.bool() { warped(&mut rng, whole) } else { None };
        input.extend(sent.unwrap_or_else(|| damage(&mut rng, whole.as_bytes())));
        let told = input.clone();
        let survived = std::panic::catch_unwind(|| everything(&input));
        assert!(survived.is_ok(), "{}", String::from_utf8_lossy(&told).escape_debug());
    }
}

#[test]
fn whole_documents_are_read_under_every_status() {
    for whole in WHOLE {
        for choice in 0..=u8::MAX {
            everything(&[&[choice], whole.as_bytes()].concat());
        }
    }
}

#[test]
fn no_depth_of_nesting_overflows_the_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"_links\":", "}")] {
        let depth = 200_000;
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        everything(nested.as_bytes());
    }
}
