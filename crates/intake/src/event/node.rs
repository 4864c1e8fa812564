//! Reading a body into a tree that still shows repeated keys, which `serde_json::Value` silently drops.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

use super::{
    limits::{BODY_MAX, DEPTH_MAX},
    mistakes::EventError,
};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A JSON value. Lists have no place in the contract, so that their content is not kept.
#[derive(Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List,
    /// The members in their order, repeated names included.
    Object(Vec<(String, Node)>),
}

/// Reads a body. Errors tell a position at most: the parser's own texts may repeat what it found there.
pub(super) fn read(body: &[u8]) -> Result<Node, EventError> {
    let unreadable = |problem: String| Err(EventError::unreadable(problem));
    if body.len() > BODY_MAX {
        return unreadable(format!("has {} bytes; at most {BODY_MAX} are read", body.len()));
    }
    if let Err(error) = str::from_utf8(body) {
        return unreadable(format!("is not UTF-8 (byte {})", error.valid_up_to() + 1));
    }
    // Writers on Windows begin with a byte order mark, which a reader may skip (RFC 8259 section 8.1).
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if depth(body) > DEPTH_MAX {
        return unreadable(format!("nests deeper than {DEPTH_MAX} levels"));
    }
    match serde_json::from_slice(body) {
        Ok(node) => Ok(node),
        Err(error) => unreadable(format!("is not valid JSON (line {}, column {})", error.line(), error.column())),
    }
}

/// How deep brackets nest outside of strings. Looked at before parsing, which recurses.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, Node, depth, read};

    #[test]
    fn a_byte_order_mark_at_the_beginning_is_skipped() {
        assert!(read(b"\xef\xbb\xbf{}").is_ok_and(|node| node == Node::Object(Vec::new())));
        for elsewhere in [&b"\xef\xbb\xbf\xef\xbb\xbf{}"[..], b" \xef\xbb\xbf{}", b"{}\xef\xbb\xbf"] {
            assert!(read(elsewhere).is_err(), "{elsewhere:?}");
        }
    }

    #[test]
    fn brackets_inside_strings_are_no_nesting() {
        assert_eq!(depth(br#"{"a":"[[[[\"[[","b":[{}]}"#), 3);
        assert_eq!(depth(b"]]]]["), 1);
    }

    #[test]
    fn a_body_nested_too_deep_is_not_parsed() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        let error = read(&nested(30_000)).err().unwrap();
        assert_eq!(error.to_string(), "event nests deeper than 8 levels");
    }
}
