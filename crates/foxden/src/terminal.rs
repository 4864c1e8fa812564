//! What may be shown on a terminal, and in which colours; and asking whoever sits there.

use std::{
    borrow::Cow,
    fmt,
    io::{self, BufRead as _, IsTerminal},
};

use crate::output;

/// Colours a text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painter {
    colours: bool,
}

/// A colour or weight, as a terminal knows it (ECMA-48, SGR). The terminal's own palette, so that it fits any theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// For what should be read first.
    Bold,
    /// For what is there if looked for.
    Dim,
    /// For what a person must act on.
    Red,
    /// For what may go away by itself.
    Yellow,
    /// For what went well.
    Green,
    /// For what helps to find a fault.
    Blue,
}

impl Painter {
    /// Colours where they are seen as colours: on a terminal, unless the person there wants none.
    pub(crate) fn of(stream: &impl IsTerminal, no_color: bool) -> Self {
        Self { colours: stream.is_terminal() && !no_color }
    }

    /// A text in this colour. The text must be [`printable`].
    pub(crate) fn paint<T: fmt::Display>(self, paint: Paint, text: T) -> Painted<T> {
        Painted { paint: self.colours.then_some(paint), text }
    }
}

/// A text in a colour.
pub(crate) struct Painted<T> {
    paint: Option<Paint>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = match self.paint {
            None => return self.text.fmt(f),
            Some(Paint::Bold) => "1",
            Some(Paint::Dim) => "2",
            Some(Paint::Red) => "31",
            Some(Paint::Yellow) => "33",
            Some(Paint::Green) => "32",
            Some(Paint::Blue) => "34",
        };
        write!(f, "\u{1b}[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\u{1b}[0m")
    }
}

/// Whether somebody sits there who could answer a question.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks the person at the terminal. Anything but a plain yes is a no.
pub(crate) fn ask(question: &str) -> io::Result<bool> {
    output::note(format!("{question} Type yes to go on:"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// The text with everything escaped that does more to a terminal than show itself.
///
/// Texts from outside could otherwise make up lines, colour them, move the cursor, or turn the reading direction
/// (control characters of either half of Latin-1, line separators, and Unicode's invisible formatting characters).
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if acts(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// JSON with everything escaped in it that does more to a terminal than show itself; it stays the same JSON.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if acts(character) {
            let mut units = [0; 2];
            // Such characters stand in strings only, where JSON has this escape (RFC 8259 section 7).
            character.encode_utf16(&mut units).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character does something other than show itself: moves the cursor, ends a line, turns the reading
/// direction, or is not seen at all, so that one text can pass for another. Unicode 16: the categories Cc, Cf, Zl and
/// Zp, and what is `Default_Ignorable_Code_Point`, variation selectors and tags among it.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is about to be written, of whatever it is made: its line breaks stay, and the colours that a [`Painter`] has
/// put there; all else that acts is escaped. Nothing is written without it, so that no caller has to remember.
pub(crate) fn safe_lines(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c != '\n' && acts(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find(|c| c != '\n' && acts(c)) {
        safe.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match COLOURS.iter().find(|code| rest.starts_with(**code)) {
            Some(code) => {
                safe.push_str(code);
                code.len()
            }
            None => {
                let character = rest.chars().next().unwrap_or_default();
                safe.extend(character.escape_default());
                character.len_utf8().min(rest.len())
            }
        };
        rest = &rest[length..];
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

/// All that a painter writes.
const COLOURS: [&str; 7] =
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[34m"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        for (text, shown) in [
            ("plain, müde, 狐", "plain, müde, 狐"),
            ("two\nlines\r", r"two\nlines\r"),
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}desrever", r"\u{202e}desrever"),
            ("\u{2028}", r"\u{2028}"),
            ("\0\u{7f}", r"\u{0}\u{7f}"),
            ("a\u{61c}b\u{fff9}c\u{fffb}", r"a\u{61c}b\u{fff9}c\u{fffb}"),
            ("\u{e0041}\u{e007f}", r"\u{e0041}\u{e007f}"),
            ("\u{ad}\u{200d}\u{fe0f}\u{3164}\u{180e}", r"\u{ad}\u{200d}\u{fe0f}\u{3164}\u{180e}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn json_keeps_its_meaning_and_acts_on_no_terminal() {
        let text = "\u{1b}[31m \u{9b}31m \u{202e} \u{7f} müde";
        let json = serde_json::json!({ "text": text }).to_string();
        let safe = printable_json(&json);
        assert!(!safe.contains(acts), "{safe:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap()["text"], text);
    }

    #[test]
    fn what_is_written_keeps_its_lines_and_our_colours_and_nothing_else_that_acts() {
        let text =
            format!("{}\ntwo\t\u{1b}[2J\u{9b}1m\u{202e}\u{61c}", Painter { colours: true }.paint(Paint::Red, "one"));
        assert_eq!(safe_lines(&text), "\u{1b}[31mone\u{1b}[0m\ntwo\\t\\u{1b}[2J\\u{9b}1m\\u{202e}\\u{61c}");
        assert!(matches!(safe_lines("plain\nmüde"), Cow::Borrowed(_)));
    }

    #[test]
    fn there_are_no_colours_where_they_are_not_wanted() {
        assert_eq!(Painter { colours: false }.paint(Paint::Red, "fox").to_string(), "fox");
        assert_eq!(Painter { colours: true }.paint(Paint::Red, "fox").to_string(), "\u{1b}[31mfox\u{1b}[0m");
    }

    #[test]
    fn a_file_gets_no_colours() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Painter::of(&file, false).paint(Paint::Red, "fox").to_string(), "fox");
    }
}
