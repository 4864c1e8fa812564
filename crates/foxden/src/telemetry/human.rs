//! A line for eyes: `12:01:02.345  INFO   worker.started  message  key=value`.

use std::borrow::Cow;

use serde_json::Value;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::Level;

use super::line::Line;
use crate::terminal::{Paint, Painter, printable};

/// Who watches knows the day. UTC, as in the JSON lines and the ledger, so that times can be compared.
const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");

/// One line and its break. Everything that comes from outside is escaped, so nothing can look like a line of its own.
pub(super) fn render(line: &Line, painter: Painter) -> Vec<u8> {
    let time = clock(line.at);
    // A line without a name of its own is a library's: there the module is what tells most.
    let name = line.event.as_deref().unwrap_or(&line.target);
    let mut text = format!(
        "{}  {}  {}",
        painter.paint(Paint::Dim, time),
        painter.paint(paint(line.level), format_args!("{:<5}", line.level.as_str())),
        painter.paint(Paint::Bold, printable(name)),
    );
    if let Some(message) = &line.message {
        text.push_str("  ");
        text.push_str(&printable(message));
    }
    for (index, (name, value)) in line.fields.iter().enumerate() {
        text.push_str(if index == 0 { "  " } else { " " });
        let key = format!("{name}=");
        text.push_str(&painter.paint(Paint::Dim, printable(&key)).to_string());
        text.push_str(&shown(value));
    }
    text.push('\n');
    text.into_bytes()
}

fn clock(at: OffsetDateTime) -> String {
    at.format(CLOCK).expect("a time has all parts of the format")
}

fn paint(level: Level) -> Paint {
    match level {
        Level::ERROR => Paint::Red,
        Level::WARN => Paint::Yellow,
        Level::INFO => Paint::Green,
        Level::DEBUG => Paint::Blue,
        Level::TRACE => Paint::Dim,
    }
}

/// A value: in quotes if one could not tell otherwise where it ends.
fn shown(value: &Value) -> Cow<'_, str> {
    let Value::String(text) = value else {
        return Cow::Owned(value.to_string());
    };
    let is_clear = |character: char| !character.is_whitespace() && !matches!(character, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_clear) {
        return printable(text);
    }
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#);
    Cow::Owned(format!("\"{}\"", printable(&escaped)))
}
