//! The keys with which a store signs its carts, single sign-on and webhooks (Foxy docs: rels/store, `webhook_key`).

use serde_json::Value;

/// How long one key may be.
const LONGEST: usize = 100;

/// The keys of a `webhook_key` that is a JSON object. All of them must be there (official foxy-elements, StoreForm).
const NAMES: &[&str] = &["cart_signing", "xml_datafeed", "api_legacy", "sso"];

/// What can be switched on, and the key in a JSON object that it needs.
const USES: &[(&str, &str)] =
    &[("use_cart_validation", "cart_signing"), ("use_webhook", "xml_datafeed"), ("use_single_sign_on", "sso")];

/// What is wrong with a store's keys. `effective` looks a property up as it will be. A store that is being made has a
/// key unless it is given an empty one.
pub(crate) fn mistakes<'a>(effective: impl Fn(&str) -> Option<&'a Value>, is_new: bool) -> Vec<String> {
    let given = effective("webhook_key").and_then(Value::as_str);
    let object = given.and_then(|key| serde_json::from_str::<Value>(key).ok()).filter(Value::is_object);
    let parts = NAMES.iter().map(|name| object.as_ref()?.get(*name)?.as_str()).collect::<Vec<_>>();
    let mut mistakes = Vec::new();
    if object.is_some() && parts.contains(&None) {
        mistakes.push(format!("webhook_key must have {}", NAMES.join(", ")));
    }
    let whole = given.filter(|_| object.is_none());
    if parts.iter().flatten().chain(&whole).any(|key| key.chars().count() > LONGEST) {
        mistakes.push(format!("webhook_key can not be longer than {LONGEST} characters"));
    }
    for (switch, name) in USES {
        let is_on = effective(switch).and_then(Value::as_bool).unwrap_or_default();
        let has_key = match &object {
            Some(object) => object.get(name).and_then(Value::as_str).is_some_and(|key| !key.is_empty()),
            None => whole.map_or(is_new, |key| !key.is_empty()),
        };
        if is_on && !has_key {
            mistakes.push(format!("{switch} needs a webhook_key"));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(store: &Value, is_new: bool) -> Vec<String> {
        mistakes(|name| store.get(name), is_new)
    }

    #[test]
    fn what_signs_needs_its_key() {
        let on = |key: Value| json!({ "use_webhook": true, "webhook_key": key });
        let needs = ["use_webhook needs a webhook_key"];
        assert_eq!(said(&json!({ "use_webhook": true }), true), [""; 0]);
        assert_eq!(said(&on(json!("secret")), true), [""; 0]);
        assert_eq!(said(&on(json!("")), true), needs);
        assert_eq!(said(&on(json!("")), false), needs);
        let four = r#"{"cart_signing":"a","xml_datafeed":"","api_legacy":"c","sso":"d"}"#;
        assert_eq!(said(&on(json!(four)), true), needs);
        let carts = json!({ "use_cart_validation": true, "use_single_sign_on": 0, "webhook_key": four });
        assert_eq!(said(&carts, true), [""; 0]);
    }

    #[test]
    fn a_key_is_one_text_or_all_four_in_one_object() {
        let key = |key: String| said(&json!({ "webhook_key": key }), true);
        let long = ["webhook_key can not be longer than 100 characters"];
        assert_eq!(key("k".repeat(100)), [""; 0]);
        assert_eq!(key("k".repeat(101)), long);
        let four = |sso: usize| {
            let (one, sso) = ("k".repeat(60), "k".repeat(sso));
            json!({ "cart_signing": one, "xml_datafeed": one, "api_legacy": one, "sso": sso }).to_string()
        };
        assert_eq!(key(four(100)), [""; 0]);
        assert_eq!(key(four(101)), long);
        let three = r#"{"cart_signing":"a","xml_datafeed":"b","sso":"d"}"#.to_owned();
        assert_eq!(key(three), ["webhook_key must have cart_signing, xml_datafeed, api_legacy, sso"]);
    }
}
