//! Identifiers: validated once, right ever after.

use std::fmt;

use uuid::Uuid;

/// The ledger's own key of a provisioning: a UUIDv7, so that rows lie in order of their arrival.
///
/// It is part of what every envelope of the provisioning is bound to, and never changes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProvisioningId(String);

impl ProvisioningId {
    /// A fresh id.
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// The id in its hyphenated form, which is also its form in the database and in associated data.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an id where anything may stand, such as a file. `None` if it is none, or not in the form that is bound.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?.to_string();
        (id == text).then_some(Self(id))
    }

    /// Takes an id from our own database, where nothing else was ever written.
    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }
}

impl Default for ProvisioningId {
    fn default() -> Self {
        Self::new()
    }
}

/// One boot of one worker process: random, so that a restart under the same name inherits no lease.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WorkerId(String);

impl WorkerId {
    /// An id for this boot.
    pub fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// The id as it stands in the ledger and in logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for WorkerId {
    fn default() -> Self {
        Self::new()
    }
}

/// The key of one row of evidence: a UUIDv7. A record that is written again, since its confirmation was lost, has the
/// same, and so is recognized.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AttemptId(String);

impl AttemptId {
    /// A fresh id.
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }
}

impl Default for AttemptId {
    fn default() -> Self {
        Self::new()
    }
}

/// The key of one grant: a UUIDv7. It stands in the ticket that a link carries.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantId(String);

/// The key of one trip: a UUIDv7.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TripId(String);

/// The parent app's own key for a signup; the idempotency key, unique in the ledger.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignupId(String);

/// The longest signup id, in bytes.
pub const SIGNUP_ID_MAX: usize = 200;

/// Why a text is no signup id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignupIdError {
    /// Nothing at all.
    #[error("a signup id must not be empty")]
    Empty,
    /// More than [`SIGNUP_ID_MAX`] bytes.
    #[error("a signup id has at most {SIGNUP_ID_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// Something that would not survive a log line, a shell or a header.
    #[error("a signup id is made of visible ASCII characters without spaces; character {0} is not one")]
    Character(usize),
}

impl SignupId {
    /// Checks a text from outside.
    ///
    /// # Errors
    /// Says what is wrong with it, without repeating it.
    pub fn parse(text: &str) -> Result<Self, SignupIdError> {
        if text.is_empty() {
            return Err(SignupIdError::Empty);
        }
        if text.len() > SIGNUP_ID_MAX {
            return Err(SignupIdError::TooLong(text.len()));
        }
        match text.chars().position(|c| !c.is_ascii_graphic()) {
            Some(at) => Err(SignupIdError::Character(at + 1)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The id as the parent app wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }
}

/// One way to show an id, whoever shows it.
macro_rules! shown_as_text {
    ($($id:ident),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
shown_as_text!(ProvisioningId, WorkerId, AttemptId, GrantId, TripId, SignupId);

/// What is the same for the keys of grants and of trips.
macro_rules! key {
    ($($id:ident),*) => {$(
        impl $id {
            /// A fresh id.
            pub fn new() -> Self {
                Self(Uuid::now_v7().to_string())
            }

            /// The id in its hyphenated form, as it stands in the ledger.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Reads an id where anything may stand. `None` if it is none, or in another form.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Uuid::try_parse(text).ok()?.to_string();
                (id == text).then_some(Self(id))
            }

            pub(crate) fn from_row(text: String) -> Self {
                Self(text)
            }
        }
        impl Default for $id {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}
key!(GrantId, TripId);

#[cfg(test)]
mod tests {
    use super::{ProvisioningId, SignupId, SignupIdError};

    #[test]
    fn an_id_that_is_read_is_in_the_form_that_envelopes_are_bound_to() {
        let bound = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(ProvisioningId::parse(bound).unwrap().as_str(), bound);
        let (upper, simple, path) = (bound.to_uppercase(), bound.replace('-', ""), format!("../{bound}"));
        for text in ["", "s1", &upper, &simple, &path] {
            assert_eq!(ProvisioningId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_signup_id_is_visible_ascii_of_a_bounded_length() {
        assert_eq!(SignupId::parse("acct_000001").unwrap().as_str(), "acct_000001");
        assert_eq!(SignupId::parse(""), Err(SignupIdError::Empty));
        assert_eq!(SignupId::parse(&"x".repeat(201)), Err(SignupIdError::TooLong(201)));
        for (text, at) in [("a b", 2), ("a\nb", 2), ("é", 1), ("ab\u{7f}", 3)] {
            assert_eq!(SignupId::parse(text), Err(SignupIdError::Character(at)), "{text:?}");
        }
    }
}
