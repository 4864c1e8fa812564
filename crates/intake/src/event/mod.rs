//! The signup event, version 1: the parent app's message that one of its customers wants a store.
//!
//! An event is checked whole, against Foxy's limits, before anything is sent or stored, and all its mistakes are told at
//! once. What passes is the ledger's [`Payload`] in Foxy's terms.

mod captcha;
mod characters;
mod checks;
mod cloud_event;
mod countries;
mod fields;
mod limits;
mod mistakes;
mod node;
mod rule;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod schema_tests;
mod store;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;

use foxden_custody::Payload;
use foxden_ledger::SignupId;

pub use cloud_event::SIGNUP_TYPE;
pub(crate) use cloud_event::{Attribute, Attributes};
pub use limits::BODY_MAX;
pub use mistakes::{EventError, Mistake};
#[cfg(test)]
pub(crate) use schema::{
    DIALECT, SIGNUP_FILE, signup as signup_schema, signup_cloud_event as signup_cloud_event_schema,
};

use fields::Fields;
use mistakes::Mistakes;
use node::Node;

/// The version of the contract that this release reads.
pub const EVENT_VERSION: u64 = 1;

/// A checked signup event.
#[derive(Clone, PartialEq)]
pub struct SignupEvent {
    /// The parent app's own key for this signup; a repeat under the same key is recognized.
    pub signup_id: SignupId,
    /// The parent app's id of the customer (`user.id`): two signups that share it make two stores of one Foxy user.
    pub account_id: Option<String>,
    /// What is asked for.
    pub payload: Payload,
}

impl SignupEvent {
    /// Reads and checks the body of a message.
    ///
    /// # Errors
    /// With every mistake in it, none of which repeats a value of the event.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let mut mistakes = Mistakes::default();
        let mut signup_id = None;
        let event = Self::checked(node::read(body)?, &mut signup_id, &mut mistakes);
        Self::finish(event, signup_id, mistakes)
    }

    /// The event, if nothing was wrong with it.
    fn finish(event: Option<Self>, signup_id: Option<SignupId>, mistakes: Mistakes) -> Result<Self, EventError> {
        if let Some(error) = mistakes.into_error(signup_id) {
            return Err(error);
        }
        Ok(event.expect("what is missing from an event has left a mistake"))
    }

    /// What can be made of the tree. The signup id is handed out by itself, since it is wanted even if the rest is wrong.
    fn checked(root: Node, signup_id_found: &mut Option<SignupId>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut fields = Fields::open("", Some(root), mistakes)?;
        version(fields.take("version"), mistakes);
        let signup_id = signup_id(fields.take("signup_id"), mistakes);
        signup_id_found.clone_from(&signup_id);
        let user = user::user(fields.take("user"), mistakes);
        let store = store::store(fields.take("store"), mistakes);
        let captcha = captcha::captcha(fields.take("captcha"), mistakes);
        fields.finish(mistakes);
        let (account_id, user) = user?;
        Some(Self { signup_id: signup_id?, account_id, payload: Payload { user, store: store?, captcha } })
    }
}

/// Personal data shows nothing of itself.
impl fmt::Debug for SignupEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignupEvent").field("signup_id", &self.signup_id).finish_non_exhaustive()
    }
}

fn version(node: Option<Node>, mistakes: &mut Mistakes) {
    match node {
        Some(Node::Number(number)) if number.as_u64() == Some(EVENT_VERSION) => {}
        Some(_) => mistakes.add("version", format!("must be {EVENT_VERSION}")),
        None => mistakes.add("version", format!("is required; this release reads version {EVENT_VERSION}")),
    }
}

fn signup_id(node: Option<Node>, mistakes: &mut Mistakes) -> Option<SignupId> {
    match node {
        Some(Node::Text(text)) => match SignupId::parse(&text) {
            Ok(id) => Some(id),
            Err(error) => {
                mistakes.add("signup_id", format!("is not usable: {error}"));
                None
            }
        },
        Some(_) => {
            mistakes.add("signup_id", "must be a string");
            None
        }
        None => {
            mistakes.add("signup_id", "is required");
            None
        }
    }
}
