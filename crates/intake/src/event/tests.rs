//! The contract, by table and by chance.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{BODY_MAX, SignupEvent};
use crate::DeadReason;

pub(super) fn full() -> Value {
    json!({
        "version": 1,
        "signup_id": "acct_000001",
        "user": {
            "id": "u-1", "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
            "phone": "+1 612 555 0100", "affiliate_id": 7, "is_merchant": true
        },
        "store": {
            "name": "Ada's Engines", "domain": "adas-engines", "url": "https://engines.example",
            "email": "shop@engines.example", "country": "US", "region": "MN", "postal_code": "55401",
            "timezone": "America/Chicago", "properties": { "hide_currency_symbol": true, "weight": 1.5, "note": "" }
        },
        "captcha": { "user_code": "P1_user.code", "store_code": "P1_store.code" }
    })
}

/// The full event with one member replaced, or removed where the value is `null`.
pub(super) fn with(path: &str, value: Value) -> Value {
    let mut event = full();
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = parents.split('.').filter(|part| !part.is_empty()).fold(&mut event, |at, part| &mut at[part]);
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(name);
    } else {
        parent[name] = value;
    }
    event
}

pub(super) fn problems(event: &Value) -> Vec<String> {
    problems_of(event.to_string().as_bytes())
}

fn problems_of(body: &[u8]) -> Vec<String> {
    SignupEvent::parse(body).err().map_or(Vec::new(), |error| error.to_string().lines().map(str::to_owned).collect())
}

#[test]
fn a_full_event_becomes_a_payload_in_foxys_terms() {
    let event = SignupEvent::parse(full().to_string().as_bytes()).unwrap();
    assert_eq!(event.signup_id.as_str(), "acct_000001");
    assert_eq!(event.account_id.as_deref(), Some("u-1"));
    assert_eq!(event.payload.user.phone.as_deref(), Some("+1 612 555 0100"));
    assert_eq!(event.payload.user.extra["affiliate_id"], json!(7));
    assert_eq!(event.payload.store.domain.as_deref(), Some("adas-engines"));
    assert_eq!(event.payload.store.extra["timezone"], json!("America/Chicago"));
    assert_eq!(event.payload.captcha.user.as_deref(), Some("P1_user.code"));
    assert_eq!(event.payload.captcha.store.as_deref(), Some("P1_store.code"));
    assert_eq!(event.payload.store.extra["hide_currency_symbol"], json!(true));
    assert_eq!(format!("{event:?}"), "SignupEvent { signup_id: acct_000001, .. }");
}

#[test]
fn every_required_field_is_missed_by_its_path() {
    for path in [
        "signup_id",
        "user",
        "store",
        "user.first_name",
        "user.last_name",
        "user.email",
        "store.name",
        "store.url",
        "store.email",
        "store.country",
        "store.region",
        "store.postal_code",
    ] {
        assert_eq!(problems(&with(path, Value::Null)), [format!("{path} is required")]);
    }
    assert_eq!(problems(&with("version", Value::Null)), ["version is required; this release reads version 1"]);
}

#[test]
fn every_optional_field_may_be_left_out_or_null() {
    for path in [
        "user.id",
        "user.phone",
        "user.affiliate_id",
        "store.domain",
        "store.timezone",
        "store.properties",
        "captcha",
        "captcha.user_code",
    ] {
        assert_eq!(problems(&with(path, Value::Null)), [] as [String; 0], "{path}");
    }
    let text = full().to_string().replace("\"+1 612 555 0100\"", "null");
    assert_eq!(SignupEvent::parse(text.as_bytes()).unwrap().payload.user.phone, None);
}

#[test]
fn every_mistake_is_named_by_its_path_all_at_once() {
    let event = json!({
        "version": 2, "signup_id": "has blank", "user": {"first_name": 1, "last_name": "", "email": "nobody", "id": "ü"},
        "store": {"name": "x".repeat(51), "country": "us", "region": "MN", "postal_code": " 1", "contry": "US",
            "email": "a@b", "url": "shop"},
        "extra": true
    });
    assert_eq!(
        problems(&event),
        [
            "version must be 1",
            "signup_id is not usable: a signup id is made of visible ASCII characters without spaces; character 4 is not one",
            "user.first_name must be a string",
            "user.last_name must not be empty",
            "user.email must be one plain email address",
            "user.id must be at most 200 visible ASCII characters without spaces",
            "store.name has 51 characters; at most 50 are allowed",
            "store.url must be an http or https URL with a host",
            "store.country must be in upper case",
            "store.postal_code begins or ends with a blank",
            "store.contry is not in the contract, which here has: use_remote_domain, name, domain, url, email, country, \
             region, postal_code, from_email, receipt_continue_url, logo_url, locale_code, language, timezone, \
             store_version_uri, properties",
            "extra is not in the contract, which here has: version, signup_id, user, store, captcha",
        ]
    );
}

#[test]
fn a_captcha_code_is_what_a_header_can_carry() {
    for (value, problem) in [
        (json!(""), "must not be empty"),
        (json!("a b"), "must be visible ASCII characters without spaces"),
        (json!("é"), "must be visible ASCII characters without spaces"),
        (json!("a\r\nx: 1"), "has a control character at position 2"),
        (json!("x".repeat(4097)), "has 4097 characters; at most 4096 are allowed"),
        (json!(7), "must be a string"),
    ] {
        assert_eq!(problems(&with("captcha.store_code", value)), [format!("captcha.store_code {problem}")]);
    }
    assert_eq!(problems(&with("captcha.user_code", json!("x".repeat(4096)))), [] as [String; 0]);
    assert_eq!(problems(&with("captcha", json!("solved"))), ["captcha must be an object"]);
    assert_eq!(problems(&with("captcha", json!({}))), [] as [String; 0]);
}

#[test]
fn foxys_limits_hold_to_the_character() {
    let long = |head: &str, length: usize| json!(format!("{head}{}", "é".repeat(length - head.chars().count())));
    for (path, head, max) in [
        ("user.first_name", "", 50),
        ("user.last_name", "", 50),
        ("user.email", "a@", 100),
        ("user.phone", "", 50),
        ("store.name", "", 50),
        ("store.url", "https://a/", 300),
        ("store.email", "a@", 300),
        ("store.region", "", 100),
        ("store.postal_code", "", 50),
        ("store.from_email", "a@", 100),
        ("store.logo_url", "https://a/", 200),
        ("store.receipt_continue_url", "https://a/", 300),
    ] {
        let mut at_the_limit = with(path, long(head, max));
        at_the_limit["store"]["country"] = json!("DE");
        assert_eq!(problems(&at_the_limit), [] as [String; 0], "{path}");
        let mut beyond = with(path, long(head, max + 1));
        beyond["store"]["country"] = json!("DE");
        assert_eq!(problems(&beyond), [format!("{path} has {} characters; at most {max} are allowed", max + 1)]);
    }
}

#[test]
fn types_are_not_guessed() {
    for (path, value, problem) in [
        ("version", json!("1"), "must be 1"),
        ("user", json!([]), "must be an object"),
        ("user.email", json!({}), "must be a string"),
        ("user.affiliate_id", json!(-1), "must be a whole number, zero or more"),
        ("user.affiliate_id", json!(1.5), "must be a whole number, zero or more"),
        ("user.is_designer", json!("yes"), "must be true or false"),
        ("store.use_remote_domain", json!(1), "must be true or false"),
        ("store.properties", json!("x"), "must be an object"),
        ("store.properties.a", json!([1]), "must be a string, a number, true or false"),
        (
            "store.properties.a",
            serde_json::from_str("18446744073709551616").unwrap(),
            "is a number beyond 64 bits, which would lose digits; send it as a string",
        ),
        ("store.properties.store_domain", json!("x"), "has a field of its own directly in store; give it there"),
        ("store.properties.logo_url", json!("x"), "has a field of its own directly in store; give it there"),
    ] {
        assert_eq!(problems(&with(path, value)), [format!("{path} {problem}")]);
    }
    assert_eq!(problems_of(b"[]"), ["event must be an object"]);
}

#[test]
fn a_domain_is_a_label_unless_it_is_the_customers_own() {
    assert!(
        problems(&with("store.domain", json!("shop.example.com")))[0].starts_with("store.domain must be a single DNS")
    );
    let mut remote = with("store.domain", json!("shop.example.com"));
    remote["store"]["use_remote_domain"] = json!(true);
    assert_eq!(problems(&remote), [] as [String; 0]);
    remote["store"]["domain"] = Value::Null;
    assert_eq!(problems(&remote), ["store.domain is required when use_remote_domain is true"]);
}

#[test]
fn a_region_of_the_us_is_its_two_letter_code() {
    assert_eq!(
        problems(&with("store.region", json!("Minnesota"))),
        ["store.region must be the two-letter code in upper case, such as MN, when store.country is US"]
    );
}

#[test]
fn a_repeated_key_is_refused_since_readers_differ_on_which_one_counts() {
    let body = full().to_string().replacen("\"country\":", "\"country\":\"DE\",\"country\":", 1);
    assert_eq!(problems_of(body.as_bytes()), ["store.country is given more than once"]);
}

#[test]
fn what_is_no_json_is_told_by_position_alone() {
    for (body, problem) in [
        (&b"{\"user\": secret}"[..], "event is not valid JSON (line 1, column 10)"),
        (b"", "event is not valid JSON (line 1, column 0)"),
        (b"{}{}", "event is not valid JSON (line 1, column 3)"),
        (b"{\"a\":\"\xff\"}", "event is not UTF-8 (byte 7)"),
    ] {
        let error = SignupEvent::parse(body).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.reason()), (problem, DeadReason::Unreadable));
    }
    let error = SignupEvent::parse(&vec![b' '; BODY_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "event has 65537 bytes; at most 65536 are read");
}

#[test]
fn an_invalid_event_still_tells_which_signup_it_was() {
    let error = SignupEvent::parse(with("user.email", json!("x")).to_string().as_bytes()).unwrap_err();
    assert_eq!((error.signup_id.as_deref(), error.reason()), (Some("acct_000001"), DeadReason::Invalid));
}

#[test]
fn beyond_fifty_mistakes_are_counted_not_listed() {
    let mut event = full();
    for n in 0..60 {
        event["user"][format!("x{n}")] = json!(1);
    }
    let told = problems(&event);
    assert_eq!((told.len(), told[50].as_str()), (51, "event has 10 more mistakes, which are not listed"));
}

#[test]
fn a_name_that_is_no_plain_word_is_shown_by_its_position() {
    let told = problems(&with("user.jane@example", json!(1)));
    assert!(told[0].starts_with("user.(field ") && !told[0].contains("jane"), "{told:?}");
}

/// A text that every text field accepts.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-zÀ-ÿ0-9'-]{1,10}( [A-Za-z0-9]{1,8}){0,3}"
}

prop_compose! {
    pub(super) fn valid_event()(
        (id, first, last, phone) in ("[!-~]{1,200}", word(), word(), proptest::option::of(word())),
        (name, domain) in (word(), proptest::option::of("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")),
        (local, host) in ("[a-z0-9+_-]{1,15}(\\.[a-z0-9+_'-]{1,10}){0,2}", "[a-z]{1,20}(\\.[a-z]{2,6}){0,2}"),
        (country, region, code) in (prop::sample::select(vec!["DE", "FR", "JP", "ZW"]), word(), word()),
    ) -> Value {
        let email = format!("{local}@{host}");
        json!({
            "version": 1, "signup_id": id,
            "user": { "first_name": first, "last_name": last, "email": email, "phone": phone },
            "store": { "name": name, "domain": domain, "url": format!("https://{host}/"), "email": email,
                "country": country, "region": region, "postal_code": code }
        })
    }
}

proptest! {
    #[test]
    fn parsing_never_panics_whatever_the_bytes(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(SignupEvent::parse(&body));
    }

    #[test]
    fn parsing_never_panics_on_damaged_events(at in 0_usize..700, byte in any::<u8>()) {
        let mut body = full().to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        drop(SignupEvent::parse(&body));
    }

    #[test]
    fn every_valid_event_is_accepted(event in valid_event()) {
        prop_assert_eq!(problems(&event), [] as [String; 0]);
    }

    #[test]
    fn no_error_repeats_a_value(field in 0_usize..12, breaking in prop::sample::select(vec!["\u{7}", " ", "@@", ""])) {
        const PLANTED: &str = "PLANTEDzq9";
        let path = ["signup_id", "user.first_name", "user.last_name", "user.email", "user.phone", "user.id", "store.name",
            "store.domain", "store.url", "store.country", "store.properties.a", "captcha.user_code"][field];
        let mut event = with(path, json!(format!("{PLANTED}{breaking}")));
        // Never valid, so that there always is an error to look at.
        event["version"] = json!(PLANTED);
        // Without the signup id, which is meant to be told.
        let error = SignupEvent::parse(event.to_string().as_bytes()).unwrap_err();
        let shown = format!("{error} {:?}", error.mistakes);
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
        let shown = format!("{:?}", SignupEvent::parse(&event.to_string().as_bytes()[..400]).unwrap_err());
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
    }
}
