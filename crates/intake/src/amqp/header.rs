//! The values of a message's headers, in types that are not the library's.

use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A text among headers; nothing where it is of another type.
pub(super) fn text_in(headers: &FieldTable, name: &str) -> Option<String> {
    text_of(headers.inner().get(name)?)
}

/// A value as a text, if it is one.
pub(super) fn text_of(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => str::from_utf8(text.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// A time as AMQP gives it, in whole seconds.
pub(super) fn rfc3339(epoch_seconds: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(epoch_seconds).ok()?).ok()?.format(&Rfc3339).ok()
}

/// A header's value for people and scripts.
pub(super) fn as_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Float(value) => json!(value),
        AMQPValue::Double(value) => json!(value),
        AMQPValue::DecimalValue(value) => json!(format!("{}e-{}", value.value, value.scale)),
        AMQPValue::ShortString(text) => json!(text.as_str()),
        AMQPValue::LongString(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::FieldArray(list) => list.as_slice().iter().map(as_json).collect(),
        AMQPValue::Timestamp(seconds) => rfc3339(*seconds).map_or_else(|| json!(seconds), Value::String),
        AMQPValue::FieldTable(table) => {
            table.into_iter().map(|(name, value)| (name.as_str().to_owned(), as_json(value))).collect()
        }
        AMQPValue::ByteArray(bytes) => json!(format!("{} bytes", bytes.len())),
        AMQPValue::Void => Value::Null,
    }
}
