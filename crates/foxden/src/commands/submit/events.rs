//! Splitting input into events: one document, or one a line.

use std::io::{self, BufRead, Cursor, Read as _};

use foxden_intake::BODY_MAX;
use serde::de::IgnoredAny;

/// A file that holds one event over several lines is read whole; more than this is not one event.
const WHOLE_MAX: u64 = 4 * BODY_MAX as u64;

/// U+FEFF in UTF-8, which writers on Windows begin with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The same in UTF-16, of either byte order.
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// The input is events in another form than one event a line. Each of its lines would be refused for itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum OtherForm {
    #[error("the input is a list; write one event a line: jq -c '.[]' FILE | foxden submit -")]
    List,
    #[error("each event takes several lines; write one event a line: jq -c . FILE | foxden submit -")]
    SeveralLinesEach,
    #[error("the input is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE | foxden submit -")]
    Utf16,
}

/// One event's text.
pub(super) struct Document {
    /// The line it begins on.
    pub(super) line: u64,
    /// Where in the input it ends.
    pub(super) end: u64,
    /// Its text.
    pub(super) bytes: Vec<u8>,
    /// Whether it was longer than what was kept of it.
    pub(super) is_cut: bool,
}

/// The events of one input, read as they are asked for.
pub(super) struct Documents {
    first: Option<Document>,
    rest: Box<dyn BufRead + Send>,
    line: u64,
    position: u64,
}

impl Documents {
    /// Looks at the first line that is not blank: if it is JSON by itself, the input is one event a line. If its brackets are
    /// open, the input is one event, unless a later line is an object by itself: then the first one is only broken.
    ///
    /// # Errors
    /// [`OtherForm`], or why the input can't be read.
    pub(super) fn read(mut input: Box<dyn BufRead + Send>) -> anyhow::Result<Self> {
        let (mut line, mut position) = (0, 0);
        loop {
            let mut bytes = Vec::new();
            let read = read_line(&mut input, &mut bytes)?;
            if read == 0 {
                return Ok(Self { first: None, rest: input, line, position });
            }
            line += 1;
            position += read;
            let mut is_cut = read > bytes.len() as u64;
            if line == 1 && UTF_16.iter().any(|mark| bytes.starts_with(mark)) {
                return Err(OtherForm::Utf16.into());
            }
            if line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            let text = bytes.trim_ascii();
            if text.is_empty() {
                continue;
            }
            if text.starts_with(b"[") && (is_cut || opens_more(text) || is_json(text) && input.fill_buf()?.is_empty()) {
                return Err(OtherForm::List.into());
            }
            if opens_more(&bytes) && !is_cut {
                let mut more = Vec::new();
                input.by_ref().take(WHOLE_MAX).read_to_end(&mut more)?;
                if are_several(&[bytes.as_slice(), &more].concat()) {
                    return Err(OtherForm::SeveralLinesEach.into());
                }
                let mut later = more.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                if later.any(|line| line.starts_with(b"{") && is_json(line))
                    && !is_json(&[bytes.as_slice(), &more].concat())
                {
                    input = Box::new(Cursor::new(more).chain(input));
                } else {
                    position += more.len() as u64;
                    is_cut = more.len() as u64 == WHOLE_MAX;
                    bytes.append(&mut more);
                }
            }
            let first = Some(Document { line, end: position, bytes, is_cut });
            return Ok(Self { first, rest: input, line, position });
        }
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Whether it is a value and the beginning of another object.
fn are_several(text: &[u8]) -> bool {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    matches!(values.next(), Some(Ok(_))) && text[values.byte_offset()..].trim_ascii_start().starts_with(b"{")
}

/// Whether a line that is no JSON may be the beginning of some: its brackets are not closed.
fn opens_more(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// Reads a line of any length, keeping no more of it than shows that it is too long.
fn read_line(input: &mut Box<dyn BufRead + Send>, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut read = 0;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(read);
        }
        let (used, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), false),
        };
        let room = (BODY_MAX + 2).saturating_sub(line.len());
        line.extend_from_slice(&available[..used.min(room)]);
        input.consume(used);
        read += used as u64;
        if ended {
            return Ok(read);
        }
    }
}

impl Iterator for Documents {
    type Item = io::Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        loop {
            let mut bytes = Vec::new();
            match read_line(&mut self.rest, &mut bytes) {
                Err(error) => return Some(Err(error)),
                Ok(0) => return None,
                Ok(read) => {
                    self.line += 1;
                    self.position += read;
                    if !bytes.trim_ascii().is_empty() {
                        let is_cut = read > bytes.len() as u64;
                        return Some(Ok(Document { line: self.line, end: self.position, bytes, is_cut }));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use foxden_intake::BODY_MAX;

    use super::{Documents, OtherForm};

    fn split(input: &str) -> Vec<(u64, String)> {
        Documents::read(Box::new(Cursor::new(input.to_owned())))
            .unwrap()
            .map(|document| document.unwrap())
            .map(|document| (document.line, String::from_utf8(document.bytes).unwrap().trim().to_owned()))
            .collect()
    }

    fn at(line: u64, text: &str) -> (u64, String) {
        (line, text.to_owned())
    }

    #[test]
    fn one_event_may_take_several_lines() {
        assert_eq!(split("\n{\n \"a\": 1\n}\n"), [at(2, "{\n \"a\": 1\n}")]);
    }

    #[test]
    fn json_lines_are_one_event_each_and_blank_lines_are_none() {
        assert_eq!(
            split("{\"a\":1}\n\n{\"b\":2}\n  \n{\"c\":3}"),
            [at(1, "{\"a\":1}"), at(3, "{\"b\":2}"), at(5, "{\"c\":3}")]
        );
    }

    #[test]
    fn a_broken_line_does_not_swallow_the_next() {
        assert_eq!(split("{\"a\":}\n{\"b\":2}"), [at(1, "{\"a\":}"), at(2, "{\"b\":2}")]);
        assert_eq!(split("{}\n{\"b\":\n{}"), [at(1, "{}"), at(2, "{\"b\":"), at(3, "{}")]);
    }

    #[test]
    fn a_broken_first_line_does_not_swallow_the_next_either() {
        let broken = "{\"a\": {\n\n{\"b\":2}\n{\"c\":3}\n";
        assert_eq!(split(broken), [at(1, "{\"a\": {"), at(3, "{\"b\":2}"), at(4, "{\"c\":3}")]);
        let twice = "{\"a\": {\n{\"a\": {\n{\"b\":2}\n";
        assert_eq!(split(twice), [at(1, "{\"a\": {"), at(2, "{\"a\": {"), at(3, "{\"b\":2}")]);
        let endless = format!("{{\n{}", "{\"b\":2}\n".repeat(100_000));
        assert_eq!(split(&endless).len(), 100_001);
    }

    #[test]
    fn an_endless_line_is_kept_only_as_far_as_shows_it_is_too_long() {
        let input = format!("{{}}\n\"{}\"\n{{}}", "x".repeat(3 * BODY_MAX));
        let lines = split(&input);
        assert_eq!((lines.len(), lines[1].1.len()), (3, BODY_MAX + 2));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_before_either_form() {
        assert_eq!(split("\u{feff}{\"a\":1}\n{\"b\":2}"), [at(1, "{\"a\":1}"), at(2, "{\"b\":2}")]);
        assert_eq!(split("\u{feff}{\n \"a\": 1\n}\n"), [at(1, "{\n \"a\": 1\n}")]);
        assert!(split("\u{feff}\n").is_empty());
    }

    #[test]
    fn events_in_another_form_are_one_mistake() {
        let form = |input: &[u8]| {
            let error = Documents::read(Box::new(Cursor::new(input.to_owned()))).err().expect("an error");
            error.downcast::<OtherForm>().unwrap()
        };
        for list in [&b"[]"[..], b"[{\"a\":1},{\"b\":2}]\n", b"\n[\n  {\n", b"[{},\n{}]"] {
            assert!(matches!(form(list), OtherForm::List), "{list:?}");
        }
        let pretty = "{\n  \"a\": {}\n}\n".repeat(50_000);
        assert!(matches!(form(pretty.as_bytes()), OtherForm::SeveralLinesEach));
        assert!(matches!(form(b"\xff\xfe{\0}\0"), OtherForm::Utf16));
        // A list among lines is one bad line.
        assert_eq!(split("[1]\n{}"), [at(1, "[1]"), at(2, "{}")]);
    }

    #[test]
    fn nothing_is_no_event() {
        assert!(split("").is_empty() && split("\n \n").is_empty());
    }
}
