//! Striking secrets out of what a server says.
//!
//! Foxy, or what stands before it, may repeat a request in its answer: a bearer in an error's words, a form in a
//! page. What goes out with a call is known where the call is made, so it is struck there, before an answer's words
//! become an error, evidence or an address. [`Struck`] finds a secret in whatever form a server may write it: as it
//! is, in any case, with percent, JSON or HTML escapes, in Base64 at each alignment, in hexadecimal, and with line
//! breaks in between. Long words that look like a token are struck as well: they may be somebody else's.

use std::fmt;
use std::ops::Range;
use std::str::Chars;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use foxden_vault::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::CaptchaCode;

/// What stands in a secret's place.
const MARK: &str = "[…]";

/// Shorter ones can't be distinguished from words. Foxy's secrets are some 40 characters long.
const SHORTEST: usize = 8;

/// Of what says who somebody is. What is shorter is struck, word by word, by those who know what it means.
const SHORTEST_PRIVATE: usize = 6;

/// At least this many characters of a secret at the end of a text that may have been cut off are struck as well.
const SHORTEST_START: usize = 4;

/// How a text ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// As its writer meant it. Nothing but whole secrets is struck: an address whose number ends like a secret begins is
    /// an address.
    Whole,
    /// Perhaps in the middle of a secret.
    MayBeCutOff,
}

/// Words of as many characters with letters and digits among them look like a token. Foxy's references
/// (`id-1234567890`) are shorter.
const TOKEN_LIKE: usize = 20;

/// What an escape begins with.
const ESCAPES: [char; 3] = ['%', '\\', '&'];

/// Escapes in escapes are undone this often.
const MOST_LAYERS: usize = 4;

/// The secrets that an answer may repeat: what went out with the call, and what its sender is known by.
#[derive(Clone, Default)]
pub(crate) struct Struck {
    secrets: Vec<Zeroizing<String>>,
    /// What may say who somebody is. Struck out of words only: a link of Foxy's may hold such a text by chance.
    private: Vec<Zeroizing<String>>,
}

/// Declares what adds one kind of secret each: so a call names what it sends, and each kind is exposed here alone.
macro_rules! with_secrets {
    ($($(#[$meta:meta])* $name:ident($secret:ty);)*) => {
        impl Struck {
            $($(#[$meta])*
            pub(crate) fn $name(mut self, secret: &$secret) -> Self {
                self.add(secret.expose());
                self
            })*
        }
    };
}

with_secrets! {
    /// With an access token.
    access(AccessToken);
    /// With a refresh token.
    refresh(RefreshToken);
    /// With an authorization code.
    code(AuthorizationCode);
    /// With a client's secret.
    client_secret(ClientSecret);
    /// With a captcha code.
    captcha(CaptchaCode);
}

impl Struck {
    /// With the texts of a body: the client's secret, when it is changed, and what says who somebody is. Not the
    /// store's domain, which is public, and what most refusals are about.
    pub(crate) fn body(mut self, body: &Value) -> Self {
        self.add_texts(body);
        self
    }

    fn add_texts(&mut self, value: &Value) {
        match value {
            Value::String(text) => add(&mut self.private, text, SHORTEST_PRIVATE),
            Value::Array(values) => values.iter().for_each(|value| self.add_texts(value)),
            Value::Object(fields) => {
                let private = fields.iter().filter(|(name, _)| *name != "store_domain");
                for (name, value) in private {
                    match value {
                        Value::String(secret) if name.contains("secret") => self.add(secret),
                        other => self.add_texts(other),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, secret: &str) {
        add(&mut self.secrets, secret, SHORTEST);
    }

    /// A server's words without any of these secrets, and without anything that looks like a token.
    pub(crate) fn words(&self, text: &str) -> String {
        let private = Forms::of(&self.private).found(text, Ending::MayBeCutOff);
        cover(text, &mut [self.found(text), private, token_like(text)].concat())
    }

    /// Whether a text holds one of these secrets, or looks like a token itself.
    pub(crate) fn taints(&self, text: &str) -> bool {
        !self.found(text).is_empty() || !token_like(text).is_empty()
    }

    /// Strikes these secrets, and nothing else, out of every text of a document.
    pub(crate) fn strike_document(&self, document: &mut Value) {
        Forms::of(&self.secrets).strike_document(document);
    }

    /// A text without these secrets, and with all else.
    pub(crate) fn without(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.strike(&mut text);
        text
    }

    /// Strikes these secrets, and nothing else, out of a text.
    pub(crate) fn strike(&self, text: &mut String) {
        Forms::of(&self.secrets).strike(text);
    }

    fn found(&self, text: &str) -> Vec<Range<usize>> {
        Forms::of(&self.secrets).found(text, Ending::MayBeCutOff)
    }
}

/// How many, and nothing of them.
impl fmt::Debug for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Struck({} secrets)", self.secrets.len())
    }
}

fn add(texts: &mut Vec<Zeroizing<String>>, text: &str, shortest: usize) {
    if text.chars().count() >= shortest {
        texts.push(Zeroizing::new(text.to_owned()));
    }
}

/// Every way to write these texts that escapes don't explain.
struct Forms {
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

    /// Whether it may begin where a text goes on like this. Whatever an escape or a break in a word may begin with has to
    /// be looked at; all else has the form's own characters.
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
    fn of(texts: &[Zeroizing<String>]) -> Self {
        let forms: Vec<_> = texts.iter().flat_map(|secret| forms(secret)).filter_map(Form::of).collect();
        let mut first = [false; 128];
        let begins = forms.iter().map(|form| form.begins[0]);
        for c in begins.flat_map(|c| [c, c.to_ascii_uppercase()]).chain(ESCAPES).filter(char::is_ascii) {
            first[c as usize] = true;
        }
        Self { forms, first }
    }

    /// Where the secrets are.
    fn found(&self, text: &str, ending: Ending) -> Vec<Range<usize>> {
        // What is not ASCII is looked at.
        let may_begin = |c: char| self.first.get(c as usize).copied().unwrap_or(true);
        let starts = text.char_indices().filter(|(_, c)| may_begin(*c)).map(|(at, _)| at);
        let here = |at: usize| self.forms.iter().filter(move |form| form.may_begin(text[at..].chars()));
        let longest = |at| here(at).filter_map(|form| end_at(&form.text, text, at, ending)).max();
        starts.filter_map(|at| Some(grown(text, at..longest(at)?))).collect()
    }

    fn strike(&self, text: &mut String) {
        let mut found = self.found(text, Ending::Whole);
        if !found.is_empty() {
            *text = cover(text, &mut found);
        }
    }

    fn strike_document(&self, document: &mut Value) {
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

/// Words that look like a token.
fn token_like(text: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_+=~".contains(c);
    let mut found = Vec::new();
    let mut start = 0;
    for (end, separator) in text.char_indices().filter(|(_, c)| !is_part(*c)).chain([(text.len(), ' ')]) {
        let word = &text[start..end];
        if looks_like_a_token(word) {
            found.push(start..end);
        }
        start = (end + separator.len_utf8()).min(text.len());
    }
    found
}

fn looks_like_a_token(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    // A number alone is an id; words joined by lines are a name. Both at once are neither, but for a UUID.
    word.len() >= TOKEN_LIKE && digits >= 2 && letters >= 2 && !is_uuid(word)
}

/// References of many programs have this form, and tokens don't.
fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The text with a mark in the place of each range.
fn cover(text: &str, ranges: &mut [Range<usize>]) -> String {
    ranges.sort_by_key(|range| (range.start, range.end));
    let (mut covered, mut at) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        if range.start >= at {
            covered.push_str(&text[at..range.start]);
            covered.push_str(MARK);
        }
        at = at.max(range.end);
    }
    covered + &text[at..]
}

#[cfg(test)]
mod tests;
