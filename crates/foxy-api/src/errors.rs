//! Foxy's own errors (`fx:errors`), and what their texts tell us.
//!
//! Foxy gives most rejections no code, so their text is all there is to go by. Every text we match is in this module,
//! as documented or as assumed. A text that we fail to know costs no more than a person's look: the rejection is then
//! [`RejectionKind::InvalidFields`], never a wrong guess about what exists.

use std::fmt;

use crate::struck::Struck;

/// One entry of `fx:errors`, or what was said in its place.
///
/// The message may repeat what was sent, personal data included: `Debug` redacts it, and logs should leave it out.
/// Secrets that went out with the call are struck out of it.
#[derive(Clone, PartialEq, Eq)]
pub struct FoxyError {
    /// Foxy's reference for its own log, such as `id-1234567890`. What Foxy's support asks for. Safe to log. It is the
    /// time in seconds, so others may have the same one: no key to anything.
    pub logref: Option<String>,
    /// A code, which some errors have. Safe to log.
    pub code: Option<String>,
    message: String,
    manner: Manner,
}

/// How an error was said, and so how far its words are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// In a document made for it.
    Document,
    /// As plain text: believed where it says something that we know, and else no reason that was read.
    Text,
    /// In a web page, of Foxy's or of what stands before it: for a person's eyes. Words that we know may stand anywhere in
    /// one.
    Page,
}

/// What Foxy has against a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// The user's email is some user's already.
    EmailTaken,
    /// The store's domain is some store's already.
    DomainTaken,
    /// The store's domain is of a form that Foxy keeps for itself.
    DomainReserved,
    /// Foxy named what is wrong with the fields.
    InvalidFields,
    /// The hCaptcha code of this creation is not, or no longer, one that Foxy takes.
    CaptchaRefused,
    /// Refused without a reason that we could read.
    Unread,
}

/// What was to be created; a text means different things for different resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creating {
    /// By `fx:create_user`.
    User,
    /// By `fx:stores`.
    Store,
    /// Anything that has no unique value of which we know: a client, an attribute; a change of something.
    Other,
}

impl FoxyError {
    /// One error. References and codes that are not plain identifiers are left out, lest a server use them to speak in
    /// logs.
    pub fn new(logref: Option<&str>, code: Option<&str>, message: impl Into<String>) -> Self {
        let (logref, code) = (logref.and_then(identifier), code.and_then(identifier));
        Self { logref, code, message: message.into(), manner: Manner::Document }
    }

    /// An error without more than words.
    pub(crate) fn in_words(message: String, manner: Manner) -> Self {
        Self { logref: None, code: None, message, manner }
    }

    /// The same without the secrets that went out with the call, and without what looks like one.
    pub(crate) fn without(self, struck: &Struck) -> Self {
        let untainted = |text: &String| !struck.taints(text);
        Self {
            logref: self.logref.filter(untainted),
            code: self.code.filter(untainted),
            message: struck.words(&self.message),
            manner: self.manner,
        }
    }

    /// Foxy's words. For a person who may see the signup's data; not for a log.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn says_any(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        self.manner != Manner::Page && phrases.iter().any(|phrase| message.contains(phrase))
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl FoxyError {
    /// The same error, had its message been empty.
    pub(crate) fn without_message(&self) -> Self {
        Self { message: String::new(), ..self.clone() }
    }
}

impl fmt::Debug for FoxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoxyError")
            .field("logref", &self.logref)
            .field("code", &self.code)
            .field("message", &format_args!("[redacted]"))
            .finish()
    }
}

/// Ways to say that a unique value is some other resource's.
const TAKEN: &[&str] = &[
    "already in use", // Documented for stores: "store_domain is already in use". For a user's email, assumed.
    "already taken",  // Assumed.
    "been taken",     // Assumed.
    "already exists", // Assumed.
    "already registered", // Assumed.
];

/// Ways to say that a domain is kept for Foxy itself. Both documented (Foxy docs: rels/stores).
const RESERVED: &[&str] = &["reserved format", "can not end with"];

/// What a user's unique value is called. Assumed; it is the property's name.
const EMAIL: &[&str] = &["email"];

/// What a store's unique value is called. The first documented, the second assumed.
const DOMAIN: &[&str] = &["store_domain", "store domain"];

/// How a demand for a captcha reads, and the refusal of a code. Assumed: the docs name the header `h-captcha-code`, not
/// the error.
const CAPTCHA: &[&str] = &["captcha"];

/// How the reporting links say that there is none. Documented (Foxy docs: rels/reporting_email_exists,
/// rels/reporting_store_domain_exists).
const NOT_FOUND: &[&str] = &["user was not found", "store was not found"];

/// Sorts a rejection by what a caller can do about it.
///
/// A taken value outweighs other mistakes: it says that something exists, and that must not be overlooked.
pub(crate) fn kind(creating: Creating, errors: &[FoxyError]) -> RejectionKind {
    let some = |about: &[&str], phrases: &[&str]| errors.iter().any(|e| e.says_any(about) && e.says_any(phrases));
    match creating {
        Creating::User if some(EMAIL, TAKEN) => RejectionKind::EmailTaken,
        Creating::Store if some(DOMAIN, TAKEN) => RejectionKind::DomainTaken,
        Creating::Store if some(DOMAIN, RESERVED) => RejectionKind::DomainReserved,
        Creating::User | Creating::Store | Creating::Other => {
            let names_one = errors.iter().any(|error| error.manner == Manner::Document);
            if names_one { RejectionKind::InvalidFields } else { RejectionKind::Unread }
        }
    }
}

/// Sorts a rejection for which the captcha code of the creation is among the reasons.
///
/// What is taken outweighs it, as it does everything.
pub(crate) fn kind_with_refused_captcha(creating: Creating, errors: &[FoxyError]) -> RejectionKind {
    match kind(creating, errors) {
        taken @ (RejectionKind::EmailTaken | RejectionKind::DomainTaken) => taken,
        RejectionKind::DomainReserved
        | RejectionKind::InvalidFields
        | RejectionKind::CaptchaRefused
        | RejectionKind::Unread => RejectionKind::CaptchaRefused,
    }
}

/// Whether Foxy asks for a captcha, or for a better code than the one that it was given.
pub(crate) fn demand_captcha(errors: &[FoxyError]) -> bool {
    errors.iter().any(|error| error.says_any(CAPTCHA))
}

/// Whether a 404 means that what was asked about does not exist, rather than that its address is wrong.
pub(crate) fn say_absent(errors: &[FoxyError]) -> bool {
    errors.iter().any(|error| error.says_any(NOT_FOUND))
}

/// Keeps a plain identifier of bearable length: no spaces, no `@`, nothing that could be a sentence or an address.
fn identifier(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (!text.is_empty() && text.len() <= 100 && text.bytes().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reasons;

    fn says(message: &str) -> Vec<FoxyError> {
        vec![FoxyError::new(Some("id-1"), None, message)]
    }

    #[test]
    fn documented_texts_are_known() {
        for (message, expected) in [
            ("store_domain is already in use", RejectionKind::DomainTaken),
            ("store_domain is invalid because it has a reserved format", RejectionKind::DomainReserved),
            ("store_domain can not end with -internal", RejectionKind::DomainReserved),
            ("postal_code is required", RejectionKind::InvalidFields),
        ] {
            assert_eq!(kind(Creating::Store, &says(message)), expected, "{message}");
        }
        assert!(say_absent(&says("This user was not found")));
        assert!(say_absent(&says("This store was not found.")));
        assert!(!say_absent(&says("This page was not found")));
    }

    #[test]
    fn assumed_texts_of_a_taken_email_are_known() {
        for message in [
            "email is already in use",
            "That Email has already been taken.",
            "Email already exists",
            // What Foxy says of a store's customers (official foxy-elements, customer API).
            "This email address is already in use by an existing customer of this store.",
        ] {
            assert_eq!(kind(Creating::User, &says(message)), RejectionKind::EmailTaken, "{message}");
        }
    }

    #[test]
    fn a_text_about_something_else_is_no_claim_that_it_exists() {
        for (creating, message) in [
            (Creating::User, "email is required"),
            (Creating::User, "phone is already in use"),
            (Creating::Store, "store_email is already in use"),
            (Creating::Store, "you were mistaken about store_domain"),
        ] {
            assert_eq!(kind(creating, &says(message)), RejectionKind::InvalidFields, "{message}");
        }
    }

    #[test]
    fn a_taken_value_outweighs_other_mistakes() {
        let errors = [says("region is required"), says("store_domain is already in use")].concat();
        assert_eq!(kind(Creating::Store, &errors), RejectionKind::DomainTaken);
    }

    #[test]
    fn a_refused_captcha_outweighs_all_but_a_taken_value() {
        let captcha = says("A valid hCaptcha code is required");
        for (message, expected) in [
            ("store_domain is already in use", RejectionKind::DomainTaken),
            ("store_domain can not end with -internal", RejectionKind::CaptchaRefused),
            ("region is required", RejectionKind::CaptchaRefused),
        ] {
            let errors = [captcha.clone(), says(message)].concat();
            assert_eq!(kind_with_refused_captcha(Creating::Store, &errors), expected, "{message}");
        }
        assert_eq!(kind_with_refused_captcha(Creating::User, &captcha), RejectionKind::CaptchaRefused);
    }

    #[test]
    fn no_errors_give_no_reason() {
        assert_eq!(kind(Creating::User, &[]), RejectionKind::Unread);
    }

    #[test]
    fn plain_text_is_believed_where_it_is_known_and_a_page_never() {
        for (message, in_text) in [
            ("store_domain is already in use", RejectionKind::DomainTaken),
            ("store_domain can not end with -internal", RejectionKind::DomainReserved),
            ("Bad Request", RejectionKind::Unread),
        ] {
            let said = |manner| [FoxyError::in_words(message.into(), manner)];
            assert_eq!(kind(Creating::Store, &said(Manner::Text)), in_text, "{message}");
            assert_eq!(kind(Creating::Store, &said(Manner::Page)), RejectionKind::Unread, "{message}");
        }
        let firewall = [FoxyError::in_words("Please complete the captcha".into(), Manner::Page)];
        assert!(!demand_captcha(&firewall));
    }

    #[test]
    fn errors_are_read_with_references_and_codes() {
        let body = json!({"total": 2, "_embedded": {"fx:errors": [
            {"logref": "id-1", "message": "a", "code": 42},
            {"logref": "ann@example.com signed up", "message": "b", "code": "too bad"},
        ]}});
        let errors = reasons::of_value(&body);
        assert_eq!(errors, [FoxyError::new(Some("id-1"), Some("42"), "a"), FoxyError::new(None, None, "b")]);
    }

    #[test]
    fn debug_redacts_the_message() {
        let error = FoxyError::new(Some("id-1"), None, "ann@example.com is already in use");
        assert_eq!(format!("{error:?}"), r#"FoxyError { logref: Some("id-1"), code: None, message: [redacted] }"#);
    }
}
