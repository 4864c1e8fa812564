//! The platform's color, which goes into a style sheet.

use std::{fmt, str::FromStr};

/// A color as `#rrggbb`. No other way to write one is taken, so nothing else can get into a style sheet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// It is not written like `#1a2b3c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the color like #1a2b3c")]
pub struct MalformedColor;

impl Color {
    /// Black or white: the one that is easier to read on this color. Its contrast is 4.5 to 1 at least (WCAG's AA),
    /// whatever the color is.
    pub(crate) fn text_upon(self) -> Self {
        let [black, white] = [Self([0; 3]), Self([255; 3])];
        if self.contrast(black) >= self.contrast(white) { black } else { white }
    }

    /// WCAG 2.2, "contrast ratio".
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl FromStr for Color {
    type Err = MalformedColor;

    fn from_str(text: &str) -> Result<Self, MalformedColor> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or(MalformedColor)?;
        // A plus sign is read as part of a number.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MalformedColor);
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).map_err(|_| MalformedColor)?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_is_six_hexadecimal_digits_and_nothing_else() {
        assert_eq!("#1A2b3c".parse::<Color>().unwrap().to_string(), "#1a2b3c");
        for text in ["", "#", "red", "1a2b3c", "#1a2b3", "#1a2b3c4", "#+12345", "#1a2b3g", "#é12345", "#fff;}*{x:y"] {
            assert_eq!(text.parse::<Color>(), Err(MalformedColor), "{text}");
        }
    }

    #[test]
    fn text_upon_any_color_can_be_read() {
        let steps = || (0..=255).step_by(15);
        for color in steps().flat_map(|r| steps().flat_map(move |g| steps().map(move |b| Color([r, g, b])))) {
            assert!(color.contrast(color.text_upon()) >= 4.5, "{color}");
        }
        assert_eq!("#ffffff".parse::<Color>().unwrap().text_upon(), Color([0; 3]));
    }
}
