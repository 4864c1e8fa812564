//! Striking secrets out of what a server says.
//!
//! Foxy, or what stands before it, may repeat a request in its answer: a bearer in an error's words, a form in a
//! page. What goes out with a call is known where the call is made, so it is struck there, before an answer's words
//! become an error, evidence or an address. [`Struck`] finds a secret in whatever form a server may write it: as it
//! is, in any case, with percent, JSON or HTML escapes, in Base64 at each alignment, in hexadecimal, and with line
//! breaks in between. Long words that look like a token are struck as well: they may be somebody else's.

mod forms;

use std::fmt;
use std::ops::Range;

use foxden_vault::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::CaptchaCode;

use self::forms::{Ending, Forms};

/// What stands in a secret's place.
const MARK: &str = "[…]";

/// Shorter ones can't be distinguished from words. Foxy's secrets are some 40 characters long.
const SHORTEST: usize = 8;

/// Of what says who somebody is. What is shorter is struck, word by word, by those who know what it means.
const SHORTEST_PRIVATE: usize = 6;

/// Words of as many characters with letters and digits among them look like a token. Foxy's references
/// (`id-1234567890`) are shorter.
const TOKEN_LIKE: usize = 20;

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
        let secrets = Forms::of(&self.secrets).found(text, Ending::MayBeCutOff);
        cover(text, &mut [secrets, private, token_like(text)].concat())
    }

    /// Whether a text, which is whole, holds one of these secrets, or looks like a token itself.
    pub(crate) fn taints(&self, text: &str) -> bool {
        !Forms::of(&self.secrets).found(text, Ending::Whole).is_empty() || !token_like(text).is_empty()
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
