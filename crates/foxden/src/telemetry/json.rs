//! A line as one JSON object.

use serde::ser::{SerializeMap, Serializer};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::Level;

use super::line::Line;
use crate::terminal::printable_json;

/// RFC 3339 in UTC, always with three digits of the second's fraction: texts of one length sort by time.
const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `{"ts":…,"level":…,"event":…,"message":…,fields…,"target":…}` and a line break. Control characters are escaped, so
/// the object is one line whatever its values are.
pub(super) fn render(line: &Line) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    write(line, &mut serde_json::Serializer::new(&mut bytes))
        .expect("texts, numbers and flags can be written to memory as JSON");
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    let mut line = printable_json(&text).into_owned();
    line.push('\n');
    line.into_bytes()
}

fn write(line: &Line, serializer: &mut serde_json::Serializer<&mut Vec<u8>>) -> Result<(), serde_json::Error> {
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("ts", &timestamp(line.at))?;
    object.serialize_entry("level", level(line.level))?;
    if let Some(event) = &line.event {
        object.serialize_entry("event", event)?;
    }
    if let Some(message) = &line.message {
        object.serialize_entry("message", message)?;
    }
    for (name, value) in line.fields.iter() {
        object.serialize_entry(name, value)?;
    }
    object.serialize_entry("target", &line.target)?;
    object.end()
}

fn timestamp(at: OffsetDateTime) -> String {
    at.format(TIMESTAMP).expect("a date and time has all parts of the format")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn timestamps_have_milliseconds_and_one_length() {
        assert_eq!(timestamp(datetime!(2026-11-22 12:01:02.345678 UTC)), "2026-11-22T12:01:02.345Z");
        assert_eq!(timestamp(datetime!(2026-11-22 12:01:02 UTC)), "2026-11-22T12:01:02.000Z");
    }
}
