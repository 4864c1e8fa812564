//! The contract as JSON Schema (draft 2020-12), made of the rules that the parser checks by.
//!
//! A schema says a little less than the parser: not that a key is given twice, that a number such as `1.0` is no
//! whole number here, what a URL's inside must be, which characters are invisible, or how large a body may be. It
//! never refuses what the parser takes.

use serde_json::{Map, Value, json};

use super::{
    EVENT_VERSION, SIGNUP_TYPE, captcha, checks,
    cloud_event::{IDENTITY, JSON, SPECVERSION},
    countries,
    limits::{LABEL_MAX, PROPERTIES_MAX, PROPERTY_NAME_MAX, PROPERTY_TEXT_MAX},
    rule::{Form, Text},
    store, user,
};

/// The dialect that all schemas of the contract name.
pub(crate) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where the schema of a plain event is, for the one of a wrapped event.
pub(crate) const SIGNUP_FILE: &str = "signup.v1.schema.json";

/// Blanks that are no control characters (Unicode, property `White_Space`), as members of a character class.
const BLANKS: &str = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";
/// What no text may have: controls, ends of lines, and what reorders the text around it (UAX #9).
const CONTROLS: &str = r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069";

/// A plain signup event.
pub(crate) fn signup() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "Signup event, version 1",
        "description": "One store wanted for one customer. null counts as left out. A key must not be given twice, and \
            the whole must not be larger than 65536 bytes: a schema can't say so.",
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "signup_id", "user", "store"],
        "properties": {
            "version": { "const": EVENT_VERSION },
            "signup_id": {
                "description": "Your own key for this signup. It appears in logs, so it should not be an email address.",
                "type": "string", "minLength": 1, "maxLength": foxden_ledger::SIGNUP_ID_MAX, "pattern": visible_ascii(),
            },
            "user": user_object(),
            "store": store_object(),
            "captcha": captcha_object(),
        },
    })
}

/// A signup event as a CloudEvent in structured mode.
pub(crate) fn signup_cloud_event() -> Value {
    let mut properties = Map::new();
    properties.insert("specversion".to_owned(), json!({ "const": SPECVERSION }));
    properties.insert("type".to_owned(), json!({ "const": SIGNUP_TYPE }));
    for name in IDENTITY {
        properties.insert(name.to_owned(), json!({ "type": "string", "minLength": 1 }));
    }
    let json_type = format!(r"^\s*{}\s*(?:;[\s\S]*)?$", in_any_case(JSON));
    properties.insert("datacontenttype".to_owned(), json!({ "type": ["string", "null"], "pattern": json_type }));
    properties.insert("data_base64".to_owned(), json!({ "type": "null" }));
    properties.insert("data".to_owned(), json!({ "$ref": SIGNUP_FILE }));
    let required: Vec<_> = ["specversion", "type"].into_iter().chain(IDENTITY).chain(["data"]).collect();
    json!({
        "$schema": DIALECT,
        "title": "Signup event, version 1, as a CloudEvent in structured mode",
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn user_object() -> Value {
    let texts = [user::FIRST_NAME, user::LAST_NAME, user::EMAIL, user::PHONE, user::ID];
    let mut properties = texts_of(&texts);
    properties.insert(
        user::AFFILIATE_ID.to_owned(),
        json!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX }),
    );
    for name in user::FLAGS {
        properties.insert(name.to_owned(), json!({ "type": ["boolean", "null"] }));
    }
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required_of(&texts),
        "properties": properties,
    })
}

fn store_object() -> Value {
    let named = [store::NAME, store::URL, store::EMAIL, store::COUNTRY, store::REGION, store::POSTAL_CODE];
    let mut properties = texts_of(&named);
    properties.extend(texts_of(&store::OPTIONAL));
    properties.insert(store::REMOTE_DOMAIN.to_owned(), json!({ "type": ["boolean", "null"] }));
    // What it must be depends on `use_remote_domain`: see below.
    properties.insert(store::DOMAIN.name.to_owned(), json!({ "type": ["string", "null"] }));
    properties.insert("properties".to_owned(), further_properties());
    let is = |name: &str, value: Value| json!({ "required": [name], "properties": { name: { "const": value } } });
    let then = |rule: &Text| json!({ "properties": { rule.name: text(rule) } });
    let full_domain = Text { required: true, ..store::FULL_DOMAIN };
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required_of(&named),
        "properties": properties,
        "allOf": [
            {
                "if": is(store::REMOTE_DOMAIN, json!(true)),
                "then": { "required": [full_domain.name], "properties": { full_domain.name: text(&full_domain) } },
                "else": then(&store::DOMAIN),
            },
            { "if": is(store::COUNTRY.name, json!("US")), "then": then(&store::US_REGION) },
        ],
    })
}

fn captcha_object() -> Value {
    json!({
        "description": "hCaptcha codes, where Foxy asks for them. Each serves once, and not for long.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": texts_of(&[captcha::USER_CODE, captcha::STORE_CODE]),
    })
}

fn further_properties() -> Value {
    let taken: Vec<_> = store::SPOKEN_FOR.into_iter().chain(store::OPTIONAL.iter().map(|rule| rule.name)).collect();
    json!({
        "type": ["object", "null"],
        "maxProperties": PROPERTIES_MAX,
        "propertyNames": {
            "pattern": format!("^[a-z][a-z0-9_]{{0,{}}}$", PROPERTY_NAME_MAX - 1),
            "not": { "enum": taken },
        },
        "additionalProperties": {
            "anyOf": [
                { "type": ["number", "boolean"] },
                { "const": "" },
                text(&Text::required("", PROPERTY_TEXT_MAX, Form::Anything)),
            ],
        },
    })
}

fn texts_of(rules: &[Text]) -> Map<String, Value> {
    rules.iter().map(|rule| (rule.name.to_owned(), text(rule))).collect()
}

fn required_of(rules: &[Text]) -> Vec<&'static str> {
    rules.iter().filter(|rule| rule.required).map(|rule| rule.name).collect()
}

fn text(rule: &Text) -> Value {
    if rule.form == Form::Country {
        return json!({ "enum": countries::CODES[..] });
    }
    let kind = if rule.required { json!("string") } else { json!(["string", "null"]) };
    json!({ "type": kind, "minLength": 1, "maxLength": rule.max, "pattern": pattern(rule.form) })
}

/// A form as a regular expression of ECMA-262, without look-around, which not every engine has.
fn pattern(form: Form) -> String {
    let address = {
        let unseen = format!("{BLANKS}{CONTROLS}");
        let specials: String = checks::NOT_IN_AN_ATOM.iter().map(|c| format!(r"\u{:04x}", u32::from(*c))).collect();
        let atom = format!(r"[^.{specials}{unseen}]+");
        // Everything that is not ASCII, and of ASCII the letters and digits.
        let of_a_label =
            |hyphen: &str| format!(r"[^\u0000-{hyphen}\u002e\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f{unseen}]");
        let (end, middle) = (of_a_label(r"\u002d"), of_a_label(r"\u002c"));
        let label = format!("{end}(?:{middle}*{end})?");
        format!(r"{atom}(?:\.{atom})*@{label}(?:\.{label})*")
    };
    let label = format!("[a-z0-9](?:[a-z0-9-]{{0,{}}}[a-z0-9])?", LABEL_MAX - 2);
    match form {
        Form::Anything => format!("^[^{BLANKS}{CONTROLS}](?:[^{CONTROLS}]*[^{BLANKS}{CONTROLS}])?$"),
        Form::Email => format!("^{address}$"),
        Form::Emails => format!("^{address}(?:[{BLANKS}]*,[{BLANKS}]*{address})*$"),
        Form::WebUrl => format!("^{}s?://[^{BLANKS}{CONTROLS}]+$", in_any_case("http")).replace("s?", "[sS]?"),
        Form::DomainLabel => format!("^{label}$"),
        Form::FullDomain => format!(r"^{label}(?:\.{label})+$"),
        // An enumeration instead.
        Form::Country => unreachable!("a country is one of a list, not of a form"),
        Form::UsRegion => "^[A-Z]{2}$".to_owned(),
        Form::VisibleId | Form::Code => visible_ascii(),
    }
}

fn visible_ascii() -> String {
    "^[!-~]+$".to_owned()
}

/// Letters of either case; the patterns of JSON Schema have no flags.
fn in_any_case(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphabetic() {
                format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase())
            } else {
                c.to_string()
            }
        })
        .collect()
}
