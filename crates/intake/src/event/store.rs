//! `store`: the shop (Foxy docs: rels/stores).

use std::collections::BTreeMap;

use foxden_custody::StoreDetails;
use serde_json::Value;

use super::{
    checks::{self, is_property_name},
    fields::{Fields, scalar},
    limits::{
        COUNTRY_NAME_MAX, FROM_EMAIL_MAX, LOGO_URL_MAX, POSTAL_CODE_MAX, PROPERTIES_MAX, PROPERTY_NAME_MAX,
        PROPERTY_TEXT_MAX, RECEIPT_CONTINUE_URL_MAX, REGION_MAX, SHORT_WORD_MAX, STORE_DOMAIN_MAX, STORE_EMAIL_MAX,
        STORE_NAME_MAX, STORE_URL_MAX, STORE_VERSION_URI_MAX,
    },
    mistakes::Mistakes,
    node::Node,
    rule::{
        Form::{Anything, Country, DomainLabel, Email, Emails, FullDomain, UsRegion, WebUrl},
        Text,
    },
};

pub(super) const NAME: Text = Text::required("name", STORE_NAME_MAX, Anything);
/// As it is without a remote domain.
pub(super) const DOMAIN: Text = Text::optional("domain", STORE_DOMAIN_MAX, DomainLabel);
/// The customer's own domain. What foxden derives from the store's name is a label, never somebody's own.
pub(super) const FULL_DOMAIN: Text = DOMAIN.with_form(FullDomain);
pub(super) const URL: Text = Text::required("url", STORE_URL_MAX, WebUrl);
pub(super) const EMAIL: Text = Text::required("email", STORE_EMAIL_MAX, Emails);
pub(super) const COUNTRY: Text = Text::required("country", COUNTRY_NAME_MAX, Country);
/// As it is outside of the US.
pub(super) const REGION: Text = Text::required("region", REGION_MAX, Anything);
pub(super) const US_REGION: Text = REGION.with_form(UsRegion);
pub(super) const POSTAL_CODE: Text = Text::required("postal_code", POSTAL_CODE_MAX, Anything);

/// Optional properties of a Foxy store that the contract names, as Foxy names them.
pub(super) const OPTIONAL: [Text; 7] = [
    Text::optional("from_email", FROM_EMAIL_MAX, Email),
    Text::optional("receipt_continue_url", RECEIPT_CONTINUE_URL_MAX, WebUrl),
    Text::optional("logo_url", LOGO_URL_MAX, WebUrl),
    Text::optional("locale_code", SHORT_WORD_MAX, Anything),
    Text::optional("language", SHORT_WORD_MAX, Anything),
    Text::optional("timezone", SHORT_WORD_MAX, Anything),
    Text::optional("store_version_uri", STORE_VERSION_URI_MAX, WebUrl),
];

/// 2^63: no whole number from here on is exact as a float, and what fits 64 bits is not read as one.
const BEYOND_64_BITS: f64 = 9_223_372_036_854_775_808.0;

pub(super) const REMOTE_DOMAIN: &str = "use_remote_domain";

/// Foxy's names of what the contract has fields for: not to be smuggled in through `store.properties`.
pub(super) const SPOKEN_FOR: [&str; 8] =
    ["store_name", "store_domain", "store_url", "store_email", "postal_code", "country", "region", REMOTE_DOMAIN];

/// What Foxy is told of the shop. Nothing, where there are mistakes.
pub(super) fn store(node: Option<Node>, mistakes: &mut Mistakes) -> Option<StoreDetails> {
    let mut fields = Fields::open("store", node, mistakes)?;
    let mut extra: BTreeMap<String, Value> = BTreeMap::new();
    let remote = fields.flag(REMOTE_DOMAIN, mistakes);
    if let Some(value) = remote {
        extra.insert(REMOTE_DOMAIN.to_owned(), Value::Bool(value));
    }
    let name = fields.text(&NAME, mistakes);
    let domain = domain(&mut fields, remote == Some(true), mistakes);
    let url = fields.text(&URL, mistakes);
    let email = fields.text(&EMAIL, mistakes);
    let country = fields.text(&COUNTRY, mistakes);
    let region = fields.text(if country.as_deref() == Some("US") { &US_REGION } else { &REGION }, mistakes);
    let postal_code = fields.text(&POSTAL_CODE, mistakes);
    for rule in &OPTIONAL {
        if let Some(text) = fields.text(rule, mistakes) {
            extra.insert(rule.name.to_owned(), Value::String(text));
        }
    }
    if let Some(node) = fields.take("properties") {
        properties(node, &mut extra, mistakes);
    }
    fields.finish(mistakes);
    Some(StoreDetails {
        name: name?,
        domain,
        url: url?,
        email: email?,
        country: country?,
        region: region?,
        postal_code: postal_code?,
        extra,
    })
}

fn domain(fields: &mut Fields, remote: bool, mistakes: &mut Mistakes) -> Option<String> {
    if !remote {
        return fields.text(&DOMAIN, mistakes);
    }
    if !fields.has(FULL_DOMAIN.name) {
        fields.take(FULL_DOMAIN.name);
        mistakes.add(fields.path(FULL_DOMAIN.name), "is required when use_remote_domain is true");
        return None;
    }
    fields.text(&FULL_DOMAIN, mistakes)
}

/// `store.properties`: what a Foxy store has besides, passed on as it is. Foxy has the last word on it.
fn properties(node: Node, extra: &mut BTreeMap<String, Value>, mistakes: &mut Mistakes) {
    let Some(fields) = Fields::open("store.properties", Some(node), mistakes) else { return };
    let mut count = 0;
    for (path, name, node) in fields.into_rest() {
        count += 1;
        if !is_property_name(&name) {
            let rule =
                format!("has a name that is not 1 to {PROPERTY_NAME_MAX} of a-z, 0-9 and _, beginning with a letter");
            mistakes.add(path, rule);
        } else if SPOKEN_FOR.contains(&name.as_str()) || OPTIONAL.iter().any(|known| known.name == name) {
            mistakes.add(path, "has a field of its own directly in store; give it there");
        } else {
            match property(node) {
                Ok(value) => {
                    extra.insert(name, value);
                }
                Err(problem) => mistakes.add(path, problem),
            }
        }
    }
    if count > PROPERTIES_MAX {
        mistakes.add("store.properties", format!("has {count} entries; at most {PROPERTIES_MAX} are allowed"));
    }
}

fn property(node: Node) -> Result<Value, String> {
    let value = scalar(node).ok_or("must be a string, a number, true or false")?;
    // The parser has made a float of it, and dropped digits.
    if value.as_f64().is_some_and(|number| number.abs() >= BEYOND_64_BITS && !value.is_u64() && !value.is_i64()) {
        return Err("is a number beyond 64 bits, which would lose digits; send it as a string".to_owned());
    }
    match value.as_str() {
        // An empty text may be what blanks one of Foxy's defaults.
        Some(text) if !text.is_empty() => checks::text(text, PROPERTY_TEXT_MAX).map(|()| value),
        _ => Ok(value),
    }
}
