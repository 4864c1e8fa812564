//! Characters that can't be seen, by Unicode's own properties.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiControl, DefaultIgnorableCodePoint, GeneralCategory},
};

/// Whether it leaves no mark by itself: blanks, controls, formatting, and what Unicode lets a renderer ignore
/// (`Default_Ignorable_Code_Point`). U+2800 is the Braille pattern without dots.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c == '\u{2800}'
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::LineSeparator
        )
}

/// Whether it can show the text around it in another order: the overrides, embeddings and isolates of UAX #9.
/// Right-to-left names need the marks (U+200E, U+200F, U+061C), and those don't reorder letters.
pub(super) fn reorders_text(c: char) -> bool {
    CodePointSetData::new::<BidiControl>().contains(c) && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// The first character of a kind, with its position, counted from 1.
pub(super) fn find(text: &str, is_kind: impl Fn(char) -> bool) -> Option<(usize, char)> {
    text.chars().enumerate().find(|(_, c)| is_kind(*c)).map(|(at, c)| (at + 1, c))
}

/// The code point, with the name of the common ones.
pub(super) fn named(c: char) -> String {
    let name = match c {
        ' ' => " SPACE",
        '\u{a0}' => " NO-BREAK SPACE",
        '\u{ad}' => " SOFT HYPHEN",
        '\u{200b}' => " ZERO WIDTH SPACE",
        '\u{200c}' => " ZERO WIDTH NON-JOINER",
        '\u{200d}' => " ZERO WIDTH JOINER",
        '\u{200e}' => " LEFT-TO-RIGHT MARK",
        '\u{200f}' => " RIGHT-TO-LEFT MARK",
        '\u{202a}' => " LEFT-TO-RIGHT EMBEDDING",
        '\u{202b}' => " RIGHT-TO-LEFT EMBEDDING",
        '\u{202c}' => " POP DIRECTIONAL FORMATTING",
        '\u{202d}' => " LEFT-TO-RIGHT OVERRIDE",
        '\u{202e}' => " RIGHT-TO-LEFT OVERRIDE",
        '\u{2060}' => " WORD JOINER",
        '\u{3164}' => " HANGUL FILLER",
        '\u{feff}' => " BYTE ORDER MARK",
        _ => "",
    };
    format!("U+{:04X}{name}", u32::from(c))
}
