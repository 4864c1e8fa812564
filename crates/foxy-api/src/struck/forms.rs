//! Every way in which a server may write a secret, and where one of them stands in a text.

use std::ops::Range;
use std::str::Chars;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;
use zeroize::Zeroizing;

use super::cover;

/// At least this many characters of a secret at the end of a text that may have been cut off are struck as well.
const SHORTEST_START: usize = 4;

/// How a text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As its writer meant it. Nothing but whole secrets is struck: an address may end with the characters that a
    /// secret begins with.
    Whole,
    /// Perhaps in the middle of a secret.
    MayBeCutOff,
}

/// What an escape begins with.
const ESCAPES: [char; 3] = ['%', '\\', '&'];

/// Escapes in escapes are undone this often.
const MOST_LAYERS: usize = 4;

/// Every way to write these texts that escapes don't explain.
pub(super) struct Forms {
    forms: Vec<Form>,
    /// Which ASCII characters one may begin with: few places of a text are worth more than a look.
    first: [bool; 128],
}

/// A way to write a text.
struct Form {
    text: Zeroizing<String>,
    /// Its first two characters, in lower case.
    begins: [char; 2],
}

impl Form {
    /// `None` if it is too short to be looked for.
    fn of(text: Zeroizing<String>) -> Option<Self> {
        let mut chars = text.chars().map(|c| c.to_ascii_lowercase());
        let begins = [chars.next()?, chars.next()?];
        Some(Self { text, begins })
    }

    /// Whether it may begin where a text continues like this. An escape or a break in a word is worth a whole look;
    /// all else has to be the form's own characters.
    fn may_begin(&self, mut rest: Chars<'_>) -> bool {
        let first = rest.next().unwrap_or_default();
        if ESCAPES.contains(&first) {
            return true;
        }
        let second_fits = |c: char| c.eq_ignore_ascii_case(&self.begins[1]) || !c.is_ascii_alphanumeric();
        first.eq_ignore_ascii_case(&self.begins[0]) && rest.next().is_none_or(second_fits)
    }
}

impl Forms {
    pub(super) fn of(texts: &[Zeroizing<String>]) -> Self {
        let forms: Vec<_> = texts.iter().flat_map(|secret| forms(secret)).filter_map(Form::of).collect();
        let mut first = [false; 128];
        let begins = forms.iter().map(|form| form.begins[0]);
        for c in begins.flat_map(|c| [c, c.to_ascii_uppercase()]).chain(ESCAPES).filter(char::is_ascii) {
            first[c as usize] = true;
        }
        Self { forms, first }
    }

    /// Where the secrets are.
    pub(super) fn found(&self, text: &str, ending: Ending) -> Vec<Range<usize>> {
        // What is not ASCII is looked at.
        let may_begin = |c: char| self.first.get(c as usize).copied().unwrap_or(true);
        let starts = text.char_indices().filter(|(_, c)| may_begin(*c)).map(|(at, _)| at);
        let here = |at: usize| self.forms.iter().filter(move |form| form.may_begin(text[at..].chars()));
        let longest = |at| here(at).filter_map(|form| end_at(&form.text, text, at, ending)).max();
        starts.filter_map(|at| Some(grown(text, at..longest(at)?))).collect()
    }

    pub(super) fn strike(&self, text: &mut String) {
        let mut found = self.found(text, Ending::Whole);
        if !found.is_empty() {
            *text = cover(text, &mut found);
        }
    }

    pub(super) fn strike_document(&self, document: &mut Value) {
        match document {
            Value::String(text) => self.strike(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.strike_document(value)),
            // Properties are asked for by name, so what else they are called goes nowhere.
            Value::Object(fields) => fields.values_mut().for_each(|value| self.strike_document(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// As it is, in hexadecimal, and in Base64: alone, and after one or two bytes that don't matter.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let digit = |of: u8| char::from(b"0123456789abcdef"[usize::from(of)]);
    let hex = secret.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>();
    let mut forms = vec![Zeroizing::new(secret.to_owned()), Zeroizing::new(hex)];
    for before in 0..3 {
        let bytes = Zeroizing::new([&b"xx"[..before], secret.as_bytes()].concat());
        // The characters that no neighbour has bits in.
        let inner = (before * 8).div_ceil(6)..(bytes.len() * 8 / 6);
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*bytes));
            forms.push(Zeroizing::new(encoded[inner.clone()].to_owned()));
        }
    }
    forms
}

/// Where a form ends, if it begins here. At the end of a text that may have been cut off its beginning counts.
fn end_at(form: &str, text: &str, start: usize, ending: Ending) -> Option<usize> {
    let is_enough = |matched| ending == Ending::MayBeCutOff && matched >= SHORTEST_START;
    if text[start..].starts_with(form) {
        return Some(start + form.len());
    }
    let mut at = start;
    for (matched, wanted) in form.chars().enumerate() {
        if matched > 0 {
            at = skip_breaks(text, at);
            if at == text.len() {
                return is_enough(matched).then_some(at);
            }
        }
        let (found, next) = unit(text, at)?;
        if !found.eq_ignore_ascii_case(&wanted) {
            let is_cut = is_enough(matched) && is_unfinished_escape(&text[at..]);
            return is_cut.then_some(text.len());
        }
        at = next;
    }
    Some(at)
}

/// One character, out of as many escapes as it stands in; and where the next one begins.
fn unit(text: &str, at: usize) -> Option<(char, usize)> {
    let raw = text.get(at..)?.chars().next()?;
    let mut here = (raw, at + raw.len_utf8());
    // Also the percent sign of an escape may have been escaped.
    for _ in 0..MOST_LAYERS {
        match unescaped(text, here) {
            Some(further) => here = further,
            None => break,
        }
    }
    Some(here)
}

/// Of an escape that begins with this character: what it stands for.
fn unescaped(text: &str, (first, next): (char, usize)) -> Option<(char, usize)> {
    let rest = text.get(next..)?;
    let hex = |digits: &str, radix| char::from_u32(u32::from_str_radix(digits, radix).ok()?);
    match first {
        '%' => Some((hex(rest.get(..2)?, 16)?, next + 2)),
        '\\' if rest.starts_with(['u', 'U']) => Some((hex(rest.get(1..5)?, 16)?, next + 5)),
        '\\' if rest.starts_with('x') => Some((hex(rest.get(1..3)?, 16)?, next + 3)),
        '\\' => {
            let escaped = rest.chars().next().filter(|c| "\\/\"'".contains(*c))?;
            Some((escaped, next + escaped.len_utf8()))
        }
        '&' => {
            let (name, _) = rest.get(..rest.len().min(10)).unwrap_or(rest).split_once(';')?;
            let meant = match name.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(digits) => hex(digits, 16)?,
                    None => hex(number, 10)?,
                },
                None => match name {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => return None,
                },
            };
            Some((meant, next + name.len() + 1))
        }
        _ => None,
    }
}

/// Whether a text ends within an escape, so that no one can say what it would have stood for.
fn is_unfinished_escape(rest: &str) -> bool {
    rest.starts_with(ESCAPES) && rest.len() < 8 && !rest.contains([';', ' '])
}

/// Over what a server may have put into a long word: line breaks, written or escaped, and characters that don't show.
fn skip_breaks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let written = ["\\r", "\\n", "\\t", "=\r\n", "=\n", "%0d", "%0D", "%0a", "%0A", "<br>", "<wbr>"];
        if let Some(escape) = written.iter().find(|escape| rest.starts_with(**escape)) {
            at += escape.len();
            continue;
        }
        match rest.chars().next() {
            Some(c)
                if c.is_whitespace()
                    || c.is_control()
                    || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}') =>
            {
                at += c.len_utf8();
            }
            _ => return at,
        }
    }
}

/// With what is left of the word around it: the name and the colon of Basic authentication, or the bits at the edge.
fn grown(text: &str, range: Range<usize>) -> Range<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+/_-%".contains(c);
    let before = text[..range.start].chars().rev().take_while(|c| is_part(*c)).count();
    let after: usize = text[range.end..].chars().take_while(|c| is_part(*c)).count();
    // All of them are ASCII, so a character is a byte.
    range.start - before..range.end + after
}
