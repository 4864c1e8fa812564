//! Fingerprints of events: keyed digests that tell a repeat from a change after the contents were wiped (decision
//! 0003).

use foxden_ledger::SignupId;
use foxden_vault::Fingerprint;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    content::encode,
    custody::Custody,
    payload::{Payload, StoreDetails, UserDetails},
};

const CONTENT: &str = "event-fingerprint";
const CONTENT_AND_CODES: &str = "event-with-captcha-codes-fingerprint";

impl Custody {
    /// A keyed digest of an event's content: tells a repeat from a changed event after the payload was wiped, without
    /// keeping an unkeyed hash of personal data that could be guessed at. Captcha codes are no part of the content.
    pub fn fingerprint(&self, signup_id: &SignupId, account_id: Option<&str>, payload: &Payload) -> Fingerprint {
        self.ring().fingerprint(CONTENT, &content(signup_id, account_id, payload))
    }

    /// Whether the content is the one that the fingerprint was taken of; `None` if its key is no longer in the ring.
    pub fn is_same_event(
        &self,
        signup_id: &SignupId,
        account_id: Option<&str>,
        payload: &Payload,
        known: &Fingerprint,
    ) -> Option<bool> {
        self.ring().matches(CONTENT, &content(signup_id, account_id, payload), known)
    }

    /// A keyed digest of an event's content and its captcha codes: tells codes that were replaced from new ones.
    pub fn fingerprint_with_codes(
        &self,
        signup_id: &SignupId,
        account_id: Option<&str>,
        payload: &Payload,
    ) -> Fingerprint {
        self.ring().fingerprint(CONTENT_AND_CODES, &content_and_codes(signup_id, account_id, payload))
    }

    /// Whether content and codes are those that [`Custody::fingerprint_with_codes`] was taken of; `None` if its key
    /// is no longer in the ring.
    pub fn has_same_codes(
        &self,
        signup_id: &SignupId,
        account_id: Option<&str>,
        payload: &Payload,
        known: &Fingerprint,
    ) -> Option<bool> {
        self.ring().matches(CONTENT_AND_CODES, &content_and_codes(signup_id, account_id, payload), known)
    }
}

/// The content in a fixed order: fields as declared, further properties sorted by name. What a payload may have besides
/// must not change what earlier releases took the fingerprint of.
fn content(signup_id: &SignupId, account_id: Option<&str>, payload: &Payload) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Content<'a> {
        user: &'a UserDetails,
        store: &'a StoreDetails,
    }
    let Payload { user, store, captcha: _ } = payload;
    encode(&(signup_id.as_str(), account_id, Content { user, store }))
}

fn content_and_codes(signup_id: &SignupId, account_id: Option<&str>, payload: &Payload) -> Zeroizing<Vec<u8>> {
    encode(&(signup_id.as_str(), account_id, payload))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use foxden_vault::KeyRing;

    use super::*;
    use crate::payload::CaptchaCodes;

    #[test]
    fn captcha_codes_change_no_fingerprint_but_the_one_of_codes() {
        let ring = KeyRing::parse(&foxden_vault::generate_key("test").unwrap()).unwrap();
        let custody = Custody::new(Arc::new(ring), "test");
        let without: Payload = serde_json::from_str(
            r#"{"user":{"first_name":"A","last_name":"B","email":"a@b","extra":{}},"store":{"name":"S","url":"u",
                "email":"e","country":"US","region":"MN","postal_code":"1"}}"#,
        )
        .unwrap();
        let codes = CaptchaCodes { user: Some("solved".into()), store: None };
        let with = Payload { captcha: codes, ..without.clone() };
        let id = SignupId::parse("s-1").unwrap();
        // As an earlier release serialized it, which knew no codes.
        assert_eq!(*content(&id, None, &with), serde_json::to_vec(&("s-1", None::<&str>, &without)).unwrap());
        let known = custody.fingerprint(&id, None, &without);
        assert_eq!(custody.is_same_event(&id, None, &with, &known), Some(true));
        let known = custody.fingerprint_with_codes(&id, None, &with);
        assert_eq!(custody.has_same_codes(&id, None, &with, &known), Some(true));
        assert_eq!(custody.has_same_codes(&id, None, &without, &known), Some(false));
        assert_eq!(custody.is_same_event(&id, None, &with, &known), Some(false), "a digest of another purpose");
    }
}
