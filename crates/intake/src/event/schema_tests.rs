//! The schema and the parser agree: what the parser takes fits the schema, and what the schema refuses the parser
//! refuses. The few things that a schema can't say are named here.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    schema::{signup, signup_cloud_event},
    tests::{full, problems, valid_event, with},
};
use crate::{SIGNUP_TYPE, SignupEvent, event::Attributes, schema_check};

static SIGNUP: LazyLock<Value> = LazyLock::new(signup);

fn fits(event: &Value) -> bool {
    schema_check::problems(&SIGNUP, event).is_empty()
}

/// Both say the same of an event.
fn agree(event: &Value) {
    let (told, schema) = (problems(event), schema_check::problems(&SIGNUP, event));
    assert_eq!(told.is_empty(), schema.is_empty(), "{event}\nparser: {told:?}\nschema: {schema:?}");
}

#[test]
fn both_take_a_full_event_and_know_the_same_names() {
    agree(&full());
    assert!(fits(&full()));
    let schema = &*SIGNUP;
    for (path, described) in [
        ("surplus", &schema["properties"]),
        ("user.surplus", &schema["properties"]["user"]["properties"]),
        ("store.surplus", &schema["properties"]["store"]["properties"]),
        ("captcha.surplus", &schema["properties"]["captcha"]["properties"]),
    ] {
        let told = problems(&with(path, json!(1)));
        let (_, known) = told[0].split_once("which here has: ").unwrap();
        let mut known: Vec<&str> = known.split(", ").collect();
        known.sort_unstable();
        let mut described: Vec<&str> = described.as_object().unwrap().keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(known, described, "{path}");
        agree(&with(path, json!(1)));
        agree(&with(path, json!(null)));
    }
}

#[test]
fn both_agree_on_every_value_at_the_border_of_every_field() {
    let paths = every_path();
    assert!(paths.len() > 30, "{paths:?}");
    for path in &paths {
        for value in border_values() {
            agree(&set(full(), path, value.clone()));
            agree(&set(set(full(), "store.country", json!("DE")), path, value));
        }
        agree(&with(path, Value::Null));
        agree(&set(full(), path, Value::Null));
    }
}

#[test]
fn both_agree_on_lengths_to_the_character() {
    for path in every_path() {
        for (head, tail) in [("", ""), ("a@", ""), ("https://a/", ""), ("a@b,", "@c")] {
            for length in [50, 51, 63, 64, 100, 101, 200, 201, 300, 301, 1000, 1001, 4096, 4097] {
                for filling in ["é", "a", "1"] {
                    let fill = length - head.len() - tail.len();
                    let text = format!("{head}{}{tail}", filling.repeat(fill));
                    agree(&set(set(full(), "store.country", json!("DE")), &path, json!(text)));
                }
            }
        }
    }
}

#[test]
fn both_agree_on_remote_domains() {
    for remote in [json!(true), json!(false), json!("x"), Value::Null] {
        for domain in ["shop", "shop.example.com", "Shop.example", ".a", "a.", "a..b", "-a.b"] {
            let event = set(set(full(), "store.use_remote_domain", remote.clone()), "store.domain", json!(domain));
            agree(&event);
            agree(&set(event, "store.domain", Value::Null));
        }
    }
    agree(&set(set(full(), "store.use_remote_domain", json!(true)), "store.domain", json!("a.b".repeat(40))));
}

#[test]
fn both_agree_on_the_number_and_names_of_further_properties() {
    for count in [0, 50, 51] {
        let properties: Value =
            (0..count).map(|n| (format!("p{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        agree(&set(full(), "store.properties", properties));
    }
    for name in ["a", "2a", "A", "a-b", "", "logo_url", "store_name", "country", &"x".repeat(64), &"x".repeat(65)] {
        agree(&set(full(), "store.properties", json!({ name: 1 })));
    }
}

#[test]
fn what_only_the_parser_knows_is_no_more_than_this() {
    // The schema takes these; the parser tells the mistake.
    for url in ["https://", "https://u:p@a/", "https://a b/", "https://[::1/"] {
        assert!(!problems(&with("store.url", json!(url))).is_empty(), "{url}");
    }
    for (path, unseen) in
        [("user.first_name", "\u{3164}"), ("user.email", "a\u{e0041}@b"), ("user.email", "a@b\u{200b}")]
    {
        let event = with(path, json!(unseen));
        assert!(fits(&event) && !problems(&event).is_empty(), "{path}");
    }
    assert!(fits(&with("store.url", json!("https://u:p@a/"))));
    assert!(
        fits(&with("user.affiliate_id", json!(1.0))) && !problems(&with("user.affiliate_id", json!(1.0))).is_empty()
    );
}

#[test]
fn both_agree_on_the_envelope_of_a_cloudevent() {
    let whole = json!({"specversion": "1.0", "type": SIGNUP_TYPE, "id": "e-1", "source": "/s", "data": full()});
    let agree = |event: &Value| {
        let kind = Some("application/cloudevents+json");
        let told = SignupEvent::parse_message(kind, &Attributes::new(), event.to_string().as_bytes()).is_ok();
        let schema = schema_check::problems(&signup_cloud_event(), event);
        assert_eq!(told, schema.is_empty(), "{event}\n{schema:?}");
    };
    agree(&whole);
    for name in ["specversion", "type", "id", "source", "data", "datacontenttype", "data_base64", "extension"] {
        for value in [
            json!(null),
            json!(""),
            json!(1),
            json!("1.0"),
            json!("0.3"),
            json!(SIGNUP_TYPE),
            json!("text/plain"),
            json!("Application/JSON ; charset=utf-8"),
            json!({}),
            full(),
        ] {
            agree(&set(whole.clone(), name, value));
        }
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(name);
        agree(&without);
    }
}

/// Sets a member, also to `null`.
fn set(mut event: Value, path: &str, value: Value) -> Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    let (parents, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parents).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    event
}

/// Every path that the schema describes.
fn every_path() -> Vec<String> {
    let schema = &*SIGNUP;
    let names = |object: &Value| object["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut paths = names(schema);
    for part in ["user", "store", "captcha"] {
        paths.extend(names(&schema["properties"][part]).into_iter().map(|name| format!("{part}.{name}")));
    }
    paths.push("store.properties.note".to_owned());
    paths
}

/// Values at the borders of what fields may be. URLs whose inside is wrong are left to the parser.
fn border_values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "a",
        " a",
        "a ",
        "a b",
        "\u{a0}a",
        "a\u{3000}",
        "\u{feff}a",
        "a\u{7}",
        "a\nb",
        "a\u{85}",
        "\u{2028}",
        "é",
        "狐",
        "a@b",
        "a@b,c@d",
        "a@b, c@d",
        "a@b,",
        "a@b@c",
        "a@.b",
        "a@b.",
        "a.@b",
        "A <a@b>",
        "a@b;c",
        "a@b\u{a0},c@d",
        "@",
        "a@b c@d",
        "http://a",
        "HTTPS://a/é",
        "ftp://a",
        "http:a",
        "https://a b",
        "US",
        "us",
        "DE",
        "XX",
        "USA",
        "MN",
        "Mn",
        "mn",
        "my-shop",
        "-a",
        "a-",
        "a_b",
        "a.b",
        "x\u{7f}",
        "~!",
        "ü-1",
        "\u{1680}x",
        "a\u{202e}b",
        "a\u{200d}b",
        "a..b@c",
        "a@b..c",
        "a@-b",
        "a@b-",
        "a@b-c.d",
        "mailto:a@b",
        "a@b/c",
        "a/b@c",
        "a@é.b",
        "\"a\"@b",
        "a@[b]",
        "a\\@b",
        "a@b_c",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend([json!(0), json!(1), json!(2), json!(-1), json!(1.5), json!(u64::MAX), json!(true), json!(false)]);
    values.extend([json!([]), json!({}), json!({ "a": [1] }), json!({ "a": null }), json!({ "a": "" })]);
    values
}

proptest! {
    #[test]
    fn every_valid_event_fits_the_schema(event in valid_event()) {
        prop_assert_eq!(schema_check::problems(&SIGNUP, &event), [] as [String; 0]);
    }
}
