//! What may hold a token or a secret, and is wiped when it is dropped.

use std::ops::{Deref, DerefMut};
use std::{fmt, io};

use bytes::Bytes;
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

/// How much a buffer has at first: more than any answer with a token.
const FIRST: usize = 4096;

/// JSON whose texts are wiped when it is dropped. The names of members stay; they are Foxy's words.
pub(crate) struct Wiped(Value);

impl From<Value> for Wiped {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Deref for Wiped {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// It may hold a token, so nothing of it is shown.
impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiped")
    }
}

/// No deeper than serde_json reads, which is 128 levels.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Appends, and leaves no copy behind where the buffer has to grow.
pub(crate) fn append(bytes: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    let needed = bytes.len() + more.len();
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(FIRST)));
        larger.extend_from_slice(bytes);
        // What was there is wiped as it is dropped.
        *bytes = larger;
    }
    bytes.extend_from_slice(more);
}

/// JSON as text, without a copy left behind.
pub(crate) fn text(value: &Value) -> Zeroizing<Vec<u8>> {
    let mut text = Text(Zeroizing::new(Vec::new()));
    serde_json::to_writer(&mut text, value).expect("JSON can be written to memory");
    text.0
}

struct Text(Zeroizing<Vec<u8>>);

impl io::Write for Text {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        append(&mut self.0, more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request's body, wiped once the last that holds it has let go of it: the connection, as a rule.
pub(crate) fn sent<T: Zeroize + AsRef<[u8]> + Send + 'static>(body: Zeroizing<T>) -> Bytes {
    Bytes::from_owner(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_wiped_and_nothing_is_shown() {
        let mut value = json!({"token": {"refresh_token": "r1"}, "list": ["a", [{"b": "c"}]], "n": 7, "x": null});
        assert_eq!(format!("{:?}", Wiped::from(value.clone())), "Wiped");
        wipe(&mut value);
        assert_eq!(value, json!({"token": {"refresh_token": ""}, "list": ["", [{"b": ""}]], "n": 7, "x": null}));
    }

    #[test]
    fn json_is_written_as_it_would_be_without_wiping() {
        let value = json!({"client_secret": "s\"1", "long": "x".repeat(2 * FIRST), "n": [7, null]});
        assert_eq!(*text(&value), value.to_string().into_bytes());
    }

    #[test]
    fn a_buffer_that_grows_keeps_what_it_had() {
        let mut bytes = Zeroizing::new(Vec::new());
        let pieces = [vec![1; 10], vec![2; FIRST], vec![3; 3 * FIRST]];
        pieces.iter().for_each(|piece| append(&mut bytes, piece));
        assert_eq!(*bytes, pieces.concat());
        assert_eq!(sent(bytes), pieces.concat());
    }
}
