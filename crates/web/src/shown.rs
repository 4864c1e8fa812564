//! Names from outside as a page shows them. The templates escape them; this is about what reads as something else.

/// Longest name that a page shows, in characters.
const LONGEST: usize = 80;

/// A name without what would turn the text around it, hide in it, or make it endless. Escaping is not done here.
pub(crate) fn shown(name: &str) -> String {
    let visible = name.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_unseen(*c));
    let mut shown = String::new();
    let mut length = 0;
    for c in visible {
        if c == ' ' && (shown.is_empty() || shown.ends_with(' ')) {
            continue;
        }
        if length == LONGEST {
            shown.push('…');
            break;
        }
        shown.push(c);
        length += 1;
    }
    shown.trim_end().to_owned()
}

/// Control characters, and the format characters that change the direction of text or have no width.
fn is_unseen(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_turn_nor_hide_nor_fill_the_text_around_it() {
        assert_eq!(shown("Ada's  Shop\r\n & Söhne"), "Ada's Shop & Söhne");
        assert_eq!(shown("\u{202e}live\u{200b}\u{0}"), "live");
        assert_eq!(shown(" \u{feff} "), "");
        assert_eq!(shown(&"x".repeat(10_000)), format!("{}…", "x".repeat(80)));
        assert_eq!(shown("متجر"), "متجر");
    }
}
