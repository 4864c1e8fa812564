//! One log line, before it is given a form.

use serde_json::Value;
use time::OffsetDateTime;
use tracing::{Event, Level, Metadata};

use super::fields::Fields;

/// What one line says.
#[derive(Debug)]
pub(super) struct Line {
    /// When, in UTC.
    pub(super) at: OffsetDateTime,
    /// How grave.
    pub(super) level: Level,
    /// Its stable name, if it is one of ours.
    pub(super) event: Option<String>,
    /// What happened, for people.
    pub(super) message: Option<String>,
    /// All other fields: those of the spans around it, outermost first, then its own, which win.
    pub(super) fields: Fields,
    /// Which module says so.
    pub(super) target: String,
}

impl Line {
    /// Takes an event apart. `context` holds the fields of the spans around it.
    pub(super) fn of(event: &Event<'_>, context: Fields, at: OffsetDateTime) -> Self {
        let mut own = Fields::default();
        event.record(&mut own);
        let target = take_log_target(&mut own, event.metadata());
        let name = own.take("event").map(text);
        let message = own.take("message").map(text);
        let mut fields = Fields::default();
        for (name, value) in context.into_iter().chain(own) {
            fields.set(unreserved(name), value);
        }
        Self { at, level: *event.metadata().level(), event: name, message, fields, target }
    }
}

/// Where the event comes from. Those of the `log` crate all have the target `log`, and their true one in a field.
fn take_log_target(own: &mut Fields, metadata: &Metadata<'_>) -> String {
    if metadata.target() == "log"
        && let Some(target) = own.take("log.target")
    {
        own.remove_where(|name| name.starts_with("log."));
        return text(target);
    }
    metadata.target().to_owned()
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A field's name on the line: another one if it is that of a part that every line has, which must be there once.
fn unreserved(name: &'static str) -> &'static str {
    match name {
        "ts" => "ts_",
        "level" => "level_",
        "event" => "event_",
        "message" => "message_",
        "target" => "target_",
        other => other,
    }
}
