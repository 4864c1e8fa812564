//! What one signup asks for, as it is sealed into the ledger.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A checked signup event without its envelope: what is needed to make the user and the store.
///
/// It is personal data. It is sealed before it reaches the ledger, opened only to make a call, and wiped once the
/// store is there. `Debug` shows none of it. Intake writes it, provisioning reads it, and this shape is all they share:
/// a field is only ever added, with a default, since rows of an earlier release are read by the next.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// The person who will be the Foxy user.
    pub user: UserDetails,
    /// The shop.
    pub store: StoreDetails,
    /// What was solved for the calls that make them.
    #[serde(default, skip_serializing_if = "CaptchaCodes::is_empty")]
    pub captcha: CaptchaCodes,
}

/// hCaptcha codes: each lets one creation pass, once. They say nothing of what is asked for, so two events that
/// differ in nothing else ask for the same.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaptchaCodes {
    /// For the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

/// The Foxy user to be. Limits are those of Foxy's `rels/create_user` page, checked at the intake.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct UserDetails {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// The login at Foxy, unique there: the natural key of the user step.
    pub email: String,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Further properties of a Foxy user, under Foxy's own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// The Foxy store to be. Limits are those of Foxy's `rels/stores` page, checked at the intake.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StoreDetails {
    /// The shop's name.
    pub name: String,
    /// The store domain, if the parent app wants this very one; else one is derived from the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The address of the shop's site.
    pub url: String,
    /// Where the shop's mail goes.
    pub email: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// State, province or region.
    pub region: String,
    /// Postal code.
    pub postal_code: String,
    /// Further properties of a Foxy store, under Foxy's own names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Payload {
    /// Every piece of text that says something about a person, and every code, to be struck out of texts that come
    /// from outside.
    pub fn personal_texts(&self) -> Vec<&str> {
        let (user, store) = (&self.user, &self.store);
        let named = [&user.first_name, &user.last_name, &user.email, &store.name, &store.url, &store.email];
        let mut texts: Vec<&str> = named.into_iter().map(String::as_str).collect();
        texts.extend([store.postal_code.as_str(), store.region.as_str()]);
        texts.extend(user.phone.as_deref());
        texts.extend([self.captcha.user.as_deref(), self.captcha.store.as_deref()].into_iter().flatten());
        for value in user.extra.values().chain(store.extra.values()) {
            gather(value, &mut texts);
        }
        texts
    }
}

impl CaptchaCodes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Every text within a value.
fn gather<'a>(value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| gather(value, texts)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// Personal data shows nothing of itself.
macro_rules! redacted_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([personal data])"))
            }
        }
    )*};
}
redacted_debug!(Payload, UserDetails, StoreDetails);

/// Codes show nothing of themselves.
impl fmt::Debug for CaptchaCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaptchaCodes([redacted])")
    }
}
