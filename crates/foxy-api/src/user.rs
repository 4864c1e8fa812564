//! A Foxy user: what it takes to make one, and what one gets.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::link::Links;
use crate::outcome::Created;
use crate::{CaptchaCode, Foxy, Granted, LinkProblem, ResourceUri, UserSession};

/// A user to be created (Foxy docs: rels/create_user). Personal data: `Debug` shows none of it.
///
/// Lengths and formats are Foxy's to judge; see [`RejectionKind`](crate::RejectionKind).
#[derive(Clone, PartialEq, Default)]
pub struct NewUser {
    /// At most 50 characters.
    pub first_name: String,
    /// At most 50 characters.
    pub last_name: String,
    /// At most 100 characters; the login, unique in Foxy.
    pub email: String,
    /// At most 50 characters.
    pub phone: Option<String>,
    /// Further properties under Foxy's names: `affiliate_id`, `is_programmer`, `is_front_end_developer`, `is_designer`,
    /// `is_merchant`. The fields above win over properties of their names.
    pub extra: Map<String, Value>,
    /// What a person has solved for this creation; goes out as a header, and is no part of the user. Without one, that of
    /// the [`Settings`](crate::Settings), if any.
    pub captcha: Option<CaptchaCode>,
}

/// A user that was created, with its token.
#[derive(Debug, Clone)]
pub struct CreatedUser {
    /// The user's address. Its token is good whatever is wrong with the address: keep the token first.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The user's token (`user_full_access`).
    pub token: Granted,
    /// The one link of the answer that the next step needs, unchecked until used.
    stores: Option<Links>,
    /// When the answer was in hand, from which the access token's life is counted.
    received: Instant,
    foxy: Foxy,
}

impl NewUser {
    /// Foxy's body for the creation.
    pub(crate) fn body(&self) -> Value {
        let mut body = self.extra.clone();
        body.insert("first_name".into(), self.first_name.as_str().into());
        body.insert("last_name".into(), self.last_name.as_str().into());
        body.insert("email".into(), self.email.as_str().into());
        if let Some(phone) = &self.phone {
            body.insert("phone".into(), phone.as_str().into());
        }
        Value::Object(body)
    }
}

impl CreatedUser {
    /// From a 201.
    pub(crate) fn new(created: Created, foxy: Foxy) -> Self {
        Self {
            uri: created.links.own(foxy.origins()),
            stores: created.links.only("fx:stores"),
            token: created.token,
            received: Instant::now(),
            foxy,
        }
    }

    /// Whether the answer said where this user's stores are. If not, the user's home document is asked when needed.
    pub fn links_stores(&self) -> bool {
        self.stores.is_some()
    }

    /// Acts as this user at once: with the access token and the `fx:stores` link of the answer, and no request more.
    pub fn session(&self) -> UserSession {
        UserSession::of_creation(self.foxy.clone(), &self.token, self.received, self.stores.clone())
    }
}

impl Serialize for NewUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body().serialize(serializer)
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewUser([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user() -> NewUser {
        NewUser {
            first_name: "Ann".into(),
            last_name: "Lee".into(),
            email: "ann@example.com".into(),
            phone: None,
            extra: Map::new(),
            captcha: CaptchaCode::parse("solved").ok(),
        }
    }

    #[test]
    fn a_user_is_sent_under_foxys_names_and_without_what_it_lacks() {
        assert_eq!(
            serde_json::to_value(user()).unwrap(),
            json!({"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"})
        );
        let extra = json!({"is_merchant": true, "email": "other@example.com"}).as_object().unwrap().clone();
        assert_eq!(
            serde_json::to_value(NewUser { phone: Some("1".into()), extra, ..user() }).unwrap(),
            json!({"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com", "phone": "1", "is_merchant": true})
        );
    }

    #[test]
    fn debug_shows_no_personal_data() {
        assert_eq!(format!("{:?}", user()), "NewUser([redacted])");
    }
}
