//! A Foxy store: what it takes to make one, and what one gets.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::outcome::Created;
use crate::{ApiOrigins, CaptchaCode, Granted, LinkProblem, ResourceUri};

/// A store to be created (Foxy docs: rels/stores). Personal data: `Debug` shows none of it.
///
/// Lengths and formats are Foxy's to judge; see [`RejectionKind`](crate::RejectionKind).
#[derive(Clone, PartialEq, Default)]
pub struct NewStore {
    /// `store_name`, at most 50 characters.
    pub name: String,
    /// `store_domain`, unique in Foxy: one DNS label, or a full domain if `extra` says `use_remote_domain`.
    pub domain: String,
    /// `store_url`, http or https, at most 300 characters.
    pub url: String,
    /// `store_email`, at most 300 characters.
    pub email: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// A two-letter code in the US, elsewhere the region's name; at most 100 characters.
    pub region: String,
    /// At most 50 characters.
    pub postal_code: String,
    /// Further properties under Foxy's names, such as `timezone` or `language`. The fields above win over properties of
    /// their names.
    pub extra: Map<String, Value>,
    /// As that of a [`NewUser`](crate::NewUser::captcha), and another one: a code serves once.
    pub captcha: Option<CaptchaCode>,
}

/// A store that was created, with its token.
#[derive(Debug, Clone)]
pub struct CreatedStore {
    /// The store's address. Its token is good whatever is wrong with the address: keep the token first.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The store's token (`store_full_access`).
    pub token: Granted,
}

impl NewStore {
    /// Foxy's body for the creation.
    pub(crate) fn body(&self) -> Value {
        let mut body = self.extra.clone();
        let fields = [
            ("store_name", &self.name),
            ("store_domain", &self.domain),
            ("store_url", &self.url),
            ("store_email", &self.email),
            ("country", &self.country),
            ("region", &self.region),
            ("postal_code", &self.postal_code),
        ];
        for (name, value) in fields {
            body.insert(name.into(), value.as_str().into());
        }
        Value::Object(body)
    }
}

impl CreatedStore {
    /// From a 201.
    pub(crate) fn new(created: Created, origins: &ApiOrigins) -> Self {
        Self { uri: created.links.own(origins), token: created.token }
    }
}

impl Serialize for NewStore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

impl fmt::Debug for NewStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewStore([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> NewStore {
        NewStore {
            name: "Ann's".into(),
            domain: "anns".into(),
            url: "https://anns.example".into(),
            email: "ann@example.com".into(),
            country: "US".into(),
            region: "MN".into(),
            postal_code: "55401".into(),
            extra: json!({"language": "english", "store_domain": "other"}).as_object().unwrap().clone(),
            captcha: CaptchaCode::parse("solved").ok(),
        }
    }

    #[test]
    fn a_store_is_sent_under_foxys_names() {
        assert_eq!(
            serde_json::to_value(store()).unwrap(),
            json!({
                "store_name": "Ann's", "store_domain": "anns", "store_url": "https://anns.example",
                "store_email": "ann@example.com", "country": "US", "region": "MN", "postal_code": "55401",
                "language": "english",
            })
        );
    }

    #[test]
    fn debug_shows_no_personal_data() {
        assert_eq!(format!("{:?}", store()), "NewStore([redacted])");
    }
}
