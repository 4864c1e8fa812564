//! A signup event inside a CloudEvent (CloudEvents 1.0). Structured mode: the body is the CloudEvent, and the signup event
//! is its `data`. Binary mode: the body is the signup event, and the attributes stand beside it.

use std::collections::BTreeMap;

use super::{
    SignupEvent,
    fields::Fields,
    mistakes::{EventError, Mistakes},
    node::{self, Node},
};
use crate::dead_reason::DeadReason;

/// The `type` of a signup event as a CloudEvent.
pub const SIGNUP_TYPE: &str = "com.foxden.signup.requested.v1";
/// The version of CloudEvents that is read (CloudEvents 1.0, section "specversion").
pub(super) const SPECVERSION: &str = "1.0";
/// What the data may be.
pub(super) const JSON: &str = "application/json";
/// CloudEvents, JSON format, section 3: the media type of the structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";
/// The attributes that every CloudEvent has, besides those that say what it is.
pub(super) const IDENTITY: [&str; 2] = ["id", "source"];

/// An attribute as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attribute {
    Text(String),
    /// No text, or given twice and not alike.
    Unusable,
}

/// The attributes beside a body, by their names in CloudEvents.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

impl SignupEvent {
    /// Reads and checks a message, whichever way it holds the event: plain, or as a CloudEvent of either mode.
    ///
    /// # Errors
    /// With every mistake in it, none of which repeats a value of the event.
    pub(crate) fn parse_message(
        content_type: Option<&str>,
        attributes: &Attributes,
        body: &[u8],
    ) -> Result<Self, EventError> {
        match content_type.map(media_type).as_deref() {
            Some(STRUCTURED) => structured(body),
            None | Some("" | JSON) if attributes.is_empty() => Self::parse(body),
            None | Some("" | JSON) => binary(attributes, body),
            Some(_) => Err(unknown_content_type("content_type")),
        }
    }
}

/// A media type without its parameters. A `charset` says nothing new: JSON is UTF-8, and what isn't is not read.
fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn structured(body: &[u8]) -> Result<SignupEvent, EventError> {
    let mut mistakes = Mistakes::default();
    let Some(mut fields) = Fields::open("", Some(node::read(body)?), &mut mistakes) else {
        return SignupEvent::finish(None, None, mistakes);
    };
    let attribute = |node| match node {
        Node::Text(text) => Attribute::Text(text),
        _ => Attribute::Unusable,
    };
    check_attributes(|name| fields.take(name).map(attribute), &mut mistakes)?;
    match fields.take("datacontenttype") {
        None => {}
        Some(Node::Text(text)) if media_type(&text) == JSON => {}
        Some(_) => return Err(unknown_content_type("datacontenttype")),
    }
    if fields.take("data_base64").is_some() {
        mistakes.add("data_base64", "is not read; give the signup event as an object in data");
    }
    let (mut signup_id, mut event) = (None, None);
    match fields.take("data") {
        Some(data) => event = SignupEvent::checked(data, &mut signup_id, &mut mistakes),
        None => mistakes.add("data", "is required"),
    }
    // What is left are extensions, which a reader that does not know them ignores.
    SignupEvent::finish(event, signup_id, mistakes)
}

fn binary(attributes: &Attributes, body: &[u8]) -> Result<SignupEvent, EventError> {
    let mut mistakes = Mistakes::default();
    check_attributes(|name| attributes.get(name).cloned(), &mut mistakes)?;
    let mut signup_id = None;
    let event = SignupEvent::checked(node::read(body)?, &mut signup_id, &mut mistakes);
    SignupEvent::finish(event, signup_id, mistakes)
}

/// Of another version or type nothing more can be said; what else is wrong is collected.
fn check_attributes(
    mut take: impl FnMut(&'static str) -> Option<Attribute>,
    mistakes: &mut Mistakes,
) -> Result<(), EventError> {
    let fixed =
        [("specversion", SPECVERSION, DeadReason::UnknownSpecversion), ("type", SIGNUP_TYPE, DeadReason::UnknownType)];
    for (name, known, otherwise) in fixed {
        match take(name) {
            Some(Attribute::Text(text)) if text == known => {}
            Some(_) => return Err(EventError::refused(otherwise, name, format!("must be {known}"))),
            None => mistakes.add(name, format!("is required in a CloudEvent; it is {known}")),
        }
    }
    for name in IDENTITY {
        match take(name) {
            Some(Attribute::Text(text)) if !text.is_empty() => {}
            Some(_) => mistakes.add(name, "must be one text that is not empty"),
            None => mistakes.add(name, "is required in a CloudEvent"),
        }
    }
    Ok(())
}

fn unknown_content_type(path: &str) -> EventError {
    let problem = if path == "content_type" {
        format!("must be {JSON} or {STRUCTURED}, or left out")
    } else {
        format!("must be {JSON}, or left out")
    };
    EventError::refused(DeadReason::UnknownContentType, path, problem)
}
