//! Field tables and short strings (AMQP 0-9-1, section 4.2.5; RabbitMQ docs: AMQP 0-9-1 errata, field types).

use super::{
    bytes::Bytes,
    flaw::{Flaw, Flaws},
};

/// How deeply headers may nest, the table of all headers included. RabbitMQ's own have three levels. In the library
/// each level takes a few hundred bytes of stack in a release build, and some thousands in a debug build.
pub(super) const DEPTH_MAX: usize = 32;

const VOID: u8 = b'V';

/// A table or an array that is being copied.
struct Open {
    is_table: bool,
    /// Where it ends in the input.
    end: usize,
    /// Where in the output its length is written.
    length_at: usize,
}

/// The beginning of a table or an array within another.
struct Inner {
    is_table: bool,
    size: usize,
}

/// Copies the entries of a table, with its length before them, as the library can take it.
pub(super) fn table(entries: &[u8], out: &mut Vec<u8>, flaws: &mut Flaws) {
    let mut at = 0;
    let mut open = vec![begin(true, entries.len(), out)];
    while let Some(&Open { is_table, end, length_at }) = open.last() {
        if at == end {
            finish(length_at, out);
            open.pop();
            continue;
        }
        let mut here = Bytes::new(&entries[at..end]);
        let (entry_at, may_nest) = (out.len(), open.len() < DEPTH_MAX);
        match entry(&mut here, is_table, may_nest, out, flaws) {
            Some(inner) => {
                at = end - here.len();
                open.extend(inner.map(|Inner { is_table, size }| begin(is_table, at + size, out)));
            }
            None => {
                flaws.add(Flaw::HeaderForm);
                out.truncate(entry_at);
                at = end;
            }
        }
    }
}

fn begin(is_table: bool, end: usize, out: &mut Vec<u8>) -> Open {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    Open { is_table, end, length_at }
}

fn finish(length_at: usize, out: &mut [u8]) {
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Copies one entry. Of a table or an array it copies the type and answers the rest. Nothing, if there is no telling
/// where the entry ends.
fn entry(
    input: &mut Bytes<'_>,
    is_in_table: bool,
    may_nest: bool,
    out: &mut Vec<u8>,
    flaws: &mut Flaws,
) -> Option<Option<Inner>> {
    if is_in_table {
        short_string(input.short()?, Flaw::HeaderName, out, flaws);
    }
    let kind = input.u8()?;
    let fixed = match kind {
        VOID => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => {
            let text = input.long()?;
            out.push(kind);
            out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
            out.extend_from_slice(text);
            return Some(None);
        }
        b'A' | b'F' if may_nest => {
            let size = input.clone().long()?.len();
            input.take(4)?;
            out.push(kind);
            return Some(Some(Inner { is_table: kind == b'F', size }));
        }
        b'A' | b'F' => {
            input.long()?;
            flaws.add(Flaw::HeaderDepth);
            out.push(VOID);
            return Some(None);
        }
        _ => return None,
    };
    let value = input.take(fixed)?;
    out.push(kind);
    out.extend_from_slice(value);
    Some(None)
}

/// Copies a short string, with its length before it. Bytes that are not UTF-8 become `\x…`, so that a reader sees them.
pub(super) fn short_string(text: &[u8], flaw: Flaw, out: &mut Vec<u8>, flaws: &mut Flaws) {
    let escaped;
    let text = if str::from_utf8(text).is_ok() {
        text
    } else {
        flaws.add(flaw);
        escaped = escape(text);
        &escaped.as_bytes()[..escaped.floor_char_boundary(u8::MAX.into())]
    };
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text);
}

fn escape(text: &[u8]) -> String {
    let mut escaped = String::new();
    for chunk in text.utf8_chunks() {
        escaped.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| escaped.push_str(&format!("\\x{byte:02x}")));
    }
    escaped
}
