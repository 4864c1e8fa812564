//! The names in our URLs, opaque to this crate. Their form is checked before anyone is asked about them.

use std::fmt;

/// What a link to a person carries. Anyone who has it sees the page of its grant, so nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(String);

/// Names one trip in the URL of its result, which is shown to the browser of that trip only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TripId(String);

/// Names one of the stores that a person may choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceId(String);

/// A name of another form: too long, empty, or of characters that would have to be escaped somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 1 to {longest} of A-Z, a-z, 0-9, -, _, . and ~")]
pub struct MalformedName {
    longest: usize,
}

macro_rules! name {
    ($name:ident, $longest:literal) => {
        impl $name {
            /// Takes 1 to
            #[doc = stringify!($longest)]
            /// characters that stand unescaped in a URL.
            ///
            /// # Errors
            /// On any other text.
            pub fn parse(text: &str) -> Result<Self, MalformedName> {
                if is_name(text, $longest) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MalformedName { longest: $longest })
                }
            }

            /// As it stands in a URL.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(Ticket, 256);
name!(TripId, 64);
name!(ChoiceId, 128);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket([redacted])")
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    // A URL's path is resolved before it is sent, and these two don't survive that.
    let is_dots = matches!(text, "." | "..");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=longest).contains(&text.len()) && text.bytes().all(is_plain) && !is_dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_unescaped_in_a_url_is_a_name() {
        assert_eq!(Ticket::parse("FXT1.abc-_~").unwrap().as_str(), "FXT1.abc-_~");
        for text in ["", ".", "..", "a/b", "a b", "a\n", "é", "%41", "<", &"a".repeat(257)] {
            assert!(Ticket::parse(text).is_err(), "{text}");
        }
        assert_eq!(TripId::parse("?").unwrap_err().to_string(), "use 1 to 64 of A-Z, a-z, 0-9, -, _, . and ~");
    }

    #[test]
    fn a_ticket_is_not_printed() {
        assert_eq!(format!("{:?}", Ticket::parse("secret").unwrap()), "Ticket([redacted])");
    }
}
