//! The email a user is made with: the event's own, or one in a mailbox that the platform owns.

use std::fmt::Write as _;

use foxden_ledger::SignupId;

/// A template for emails in a mailbox that the platform owns, such as `shop+{signup_id}.{generation}@platform.example`.
///
/// With one, a user whose token was lost is superseded by the next generation at once: the email is the natural key of
/// the user step, and a new generation is a new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailTemplate(String);

const SIGNUP_ID: &str = "{signup_id}";
const GENERATION: &str = "{generation}";
/// Foxy's limit for a user's email (Foxy docs: `rels/create_user`).
const EMAIL_MAX: usize = 100;

/// Why a text is no email template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmailTemplateError {
    /// One of the two placeholders is missing: without it two users would share an email.
    #[error("it must contain {0}")]
    Lacks(&'static str),
    /// A placeholder that means nothing.
    #[error("it must have nothing in braces but {SIGNUP_ID} and {GENERATION}")]
    Unknown,
    /// Not the form of an email, or none that Foxy takes.
    #[error("it must be an email of at most {EMAIL_MAX} ASCII characters with one @ and no blanks")]
    NotAnEmail,
}

impl EmailTemplate {
    /// Checks a template.
    ///
    /// # Errors
    /// Says what is missing or too much.
    pub fn parse(text: &str) -> Result<Self, EmailTemplateError> {
        for placeholder in [SIGNUP_ID, GENERATION] {
            if !text.contains(placeholder) {
                return Err(EmailTemplateError::Lacks(placeholder));
            }
        }
        // The shortest email it can make.
        let email = text.replace(SIGNUP_ID, "1").replace(GENERATION, "1");
        if email.contains(['{', '}']) {
            return Err(EmailTemplateError::Unknown);
        }
        let fits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && c != '@');
        match email.split_once('@') {
            Some((local, domain)) if fits(local) && fits(domain) && email.len() <= EMAIL_MAX => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(EmailTemplateError::NotAnEmail),
        }
    }

    /// The template as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The email of one generation of one signup's user.
    ///
    /// Characters of the signup id that have a meaning in an email are written as `=` and two hex digits, so that no
    /// two ids share an email.
    pub fn fill(&self, signup_id: &SignupId, generation: u32) -> String {
        let mut safe = String::with_capacity(signup_id.as_str().len());
        for byte in signup_id.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => safe.push(char::from(byte)),
                other => write!(safe, "={other:02X}").expect("writing to a string does not fail"),
            }
        }
        self.0.replace(SIGNUP_ID, &safe).replace(GENERATION, &generation.to_string())
    }
}

/// Whether two emails are one login at Foxy, where case makes no difference (docs/foxy-assumptions.md: `email-case`).
/// Outside ASCII it does: two letters that look alike are not one, and an empty email is no one's.
pub(crate) fn is_same_email(one: &str, other: &str) -> bool {
    !one.is_empty() && one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use foxden_ledger::SignupId;

    use super::{EmailTemplate, EmailTemplateError, is_same_email};

    #[test]
    fn every_signup_and_generation_has_an_email_of_its_own() {
        let template = EmailTemplate::parse("shop+{signup_id}.{generation}@platform.example").unwrap();
        let email = |id, generation| template.fill(&SignupId::parse(id).unwrap(), generation);
        assert_eq!(email("acct_1", 1), "shop+acct_1.1@platform.example");
        assert_eq!(email("a.b/c@d", 2), "shop+a=2Eb=2Fc=40d.2@platform.example");
    }

    #[test]
    fn emails_that_differ_in_case_are_one_and_others_are_not() {
        for (one, other, same) in [
            ("ann@example.com", "Ann@Example.COM", true),
            ("ann@example.com", "ann+1@example.com", false),
            ("ann@example.com", "ann@example.com.evil.example", false),
            // The Kelvin sign, whose small letter is an ASCII k.
            ("kim@example.com", "\u{212a}im@example.com", false),
            ("", "", false),
        ] {
            assert_eq!(is_same_email(one, other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_template_that_would_make_two_users_share_an_email_is_refused() {
        for (text, error) in [
            ("shop+{signup_id}@p.example", EmailTemplateError::Lacks("{generation}")),
            ("shop+{generation}@p.example", EmailTemplateError::Lacks("{signup_id}")),
            ("{signup_id}{generation}{x}@p.example", EmailTemplateError::Unknown),
            ("{signup_id}{generation}", EmailTemplateError::NotAnEmail),
            ("{signup_id}@{generation}@p.example", EmailTemplateError::NotAnEmail),
            ("a shop {signup_id}.{generation}@p.example", EmailTemplateError::NotAnEmail),
        ] {
            assert_eq!(EmailTemplate::parse(text), Err(error), "{text}");
        }
        let long = format!("{{signup_id}}.{{generation}}@{}", "x".repeat(100));
        assert_eq!(EmailTemplate::parse(&long), Err(EmailTemplateError::NotAnEmail));
    }
}
