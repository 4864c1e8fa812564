//! An answer's body: how much of it came, and what can be read from that.

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::Cause;
use crate::wiped::{self, Wiped};

/// Bodies above this are not held, neither as they came nor decompressed; what Foxy answers is a small fraction of it.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// RFC 1952 section 2.3.1. No JSON and no text begins like this.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The byte order mark, which RFC 8259 section 8.1 lets a reader ignore.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of an answer's body there is. It may hold a token, so it is wiped when it is dropped.
#[derive(Clone)]
pub(crate) enum Body {
    /// All of it.
    Whole(Zeroizing<Vec<u8>>),
    /// The connection ended, or time ran out, before all of it had come.
    Cut {
        /// What had come by then.
        read: Zeroizing<Vec<u8>>,
        /// Why there is no more.
        cause: Cause,
    },
    /// More than we are willing to hold.
    TooLarge,
}

impl Body {
    /// Decompresses what a proxy has compressed, though we ask for it as it is.
    ///
    /// The bytes decide, not the header: some proxies leave the header out, others name a compression that they did not do.
    pub(crate) fn plain(self) -> Self {
        match self {
            Self::Whole(bytes) if bytes.starts_with(GZIP) => match gunzip(&bytes) {
                (read, _) if read.len() > LARGEST => Self::TooLarge,
                (read, None) => Self::Whole(read),
                (read, Some(cause)) => Self::Cut { read, cause },
            },
            Self::Cut { read, cause } if read.starts_with(GZIP) => match gunzip(&read) {
                (read, _) if read.len() > LARGEST => Self::TooLarge,
                (read, _) => Self::Cut { read, cause },
            },
            plain => plain,
        }
    }

    /// The body as a JSON object, if it is a whole one and nothing else.
    pub(crate) fn json(&self) -> Option<Value> {
        self.value().filter(Value::is_object)
    }

    /// The body as JSON of whatever kind, if it is whole.
    pub(crate) fn value(&self) -> Option<Value> {
        match self {
            Self::Whole(bytes) => serde_json::from_slice(without_bom(bytes)).ok(),
            Self::Cut { .. } | Self::TooLarge => None,
        }
    }

    /// Whether less has arrived than was said: it was cut, or it begins as JSON and ends before that makes sense, as
    /// where something in between has cut or damaged it and then passed it on as whole.
    pub(crate) fn is_damaged(&self) -> bool {
        let bytes = match self {
            Self::Cut { .. } => return true,
            Self::TooLarge => return false,
            Self::Whole(bytes) => without_bom(bytes),
        };
        let start = bytes.iter().position(|byte| !byte.is_ascii_control() && *byte != b' ').unwrap_or(bytes.len());
        let readable = |bytes: &[u8]| {
            let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
            values.next().is_some_and(|value| value.map(Wiped::from).is_ok())
        };
        matches!(bytes.get(start), Some(b'{' | b'['))
            && !readable(&bytes[start..])
            && !readable(lossy(&bytes[start..]).as_bytes())
    }

    /// The JSON object that the body begins with, whatever comes after it, whether or not anything should have, and
    /// whatever the text in it is encoded in. For answers that can't be asked for again.
    pub(crate) fn first_object(&self) -> Option<Wiped> {
        let bytes = match self {
            Self::Whole(bytes) | Self::Cut { read: bytes, .. } => without_bom(bytes),
            Self::TooLarge => return None,
        };
        let first = |bytes: &[u8]| {
            let first = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().next()?.ok();
            first.map(Wiped::from).filter(|first| first.is_object())
        };
        first(bytes).or_else(|| first(lossy(bytes).as_bytes()))
    }
}

/// A body holds tokens and personal data, so only its length is shown.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Cut { cause, .. } => f.debug_tuple("Cut").field(cause).finish(),
            Self::TooLarge => f.write_str("TooLarge"),
        }
    }
}

/// The text, with a mark in place of what is in another encoding.
fn lossy(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(bytes).into_owned())
}

fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Decompresses as far as that goes, and no further than one byte above the limit: a few kilobytes may claim gigabytes.
fn gunzip(bytes: &[u8]) -> (Zeroizing<Vec<u8>>, Option<Cause>) {
    let (mut plain, mut piece) = (Zeroizing::new(Vec::new()), Zeroizing::new([0; 4096]));
    let mut decoder = MultiGzDecoder::new(bytes).take(LARGEST as u64 + 1);
    loop {
        match decoder.read(piece.as_mut_slice()) {
            Ok(0) => return (plain, None),
            Ok(read) => wiped::append(&mut plain, &piece[..read]),
            Err(error) => return (plain, Some(Arc::new(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn whole(bytes: &[u8]) -> Body {
        Body::Whole(bytes.to_vec().into())
    }

    fn cut(read: &[u8]) -> Body {
        Body::Cut { read: read.to_vec().into(), cause: Arc::new(io::Error::from(io::ErrorKind::UnexpectedEof)) }
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let marked = [BOM, br#"{"a":1}"#].concat();
        assert_eq!(whole(&marked).json(), Some(json!({"a": 1})));
        assert_eq!(cut(&marked).first_object().as_deref(), Some(&json!({"a": 1})));
    }

    #[test]
    fn what_is_compressed_is_read_whatever_the_headers_say() {
        assert_eq!(whole(&gzip(br#"{"a":1}"#)).plain().json(), Some(json!({"a": 1})));
        assert_eq!(whole(br#"{"a":1}"#).plain().json(), Some(json!({"a": 1})));
    }

    #[test]
    fn the_limit_is_on_what_comes_out_of_the_compression() {
        let bomb = gzip(&vec![b' '; 64 * LARGEST]);
        assert!(bomb.len() < LARGEST, "{}", bomb.len());
        assert!(matches!(whole(&bomb).plain(), Body::TooLarge));
        assert!(matches!(whole(&gzip(&vec![b' '; LARGEST])).plain(), Body::Whole(_)));
    }

    #[test]
    fn of_a_broken_compression_as_much_is_read_as_there_is() {
        let compressed = gzip(br#"{"a":1}"#);
        let without_its_sum = whole(&compressed[..compressed.len() - 8]).plain();
        assert!(matches!(without_its_sum, Body::Cut { .. }), "{without_its_sum:?}");
        assert_eq!(without_its_sum.json(), None);
        assert_eq!(without_its_sum.first_object().as_deref(), Some(&json!({"a": 1})));
        assert!(cut(&compressed[..4]).plain().first_object().is_none());
    }

    #[test]
    fn the_first_object_is_read_whatever_follows_and_however_it_is_encoded() {
        for body in ["{\"a\":1}\n<!-- 12 ms -->", "{\"a\":1}{\"a\":2}", "{\"a\":1}"] {
            assert_eq!(cut(body.as_bytes()).first_object().as_deref(), Some(&json!({"a": 1})), "{body}");
            assert_eq!(whole(body.as_bytes()).first_object().as_deref(), Some(&json!({"a": 1})), "{body}");
        }
        let latin = whole(b"{\"name\":\"Zo\xeb\",\"a\":1}");
        assert_eq!(latin.first_object().unwrap()["a"], 1);
        for body in ["[1]", "{\"a\":1", "", "<html>"] {
            assert!(cut(body.as_bytes()).first_object().is_none(), "{body}");
        }
    }

    #[test]
    fn what_begins_as_json_and_does_not_end_as_such_is_damaged() {
        for body in ["{", "{\"message\": \"unter", "\u{1}\u{2}{\"message\"", " [{\"a\":1},", "{not json}"] {
            assert!(whole(body.as_bytes()).is_damaged(), "{body}");
        }
        for body in ["", "  ", "a {", "<p>{", "{\"a\":1}", "{\"a\":1} <!-- 12 ms -->", "[]", "{\"a\":1}{"] {
            assert!(!whole(body.as_bytes()).is_damaged(), "{body}");
        }
        assert!(!whole(b"{\"name\":\"Zo\xeb\"}").is_damaged());
        assert!(cut(b"").is_damaged() && !Body::TooLarge.is_damaged());
    }

    #[test]
    fn debug_shows_no_body() {
        assert_eq!(format!("{:?}", whole(b"token")), "Whole(5 bytes)");
        assert!(!format!("{:?}", cut(b"token")).contains("token"));
    }
}
