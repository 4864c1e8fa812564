//! hCaptcha codes: what a person has solved, for one creation.

use std::fmt;

use zeroize::Zeroizing;

/// An hCaptcha code (Foxy docs: rels/create_user), which goes into the `h-captcha-code` header of a creation and nowhere
/// else. Foxy takes each one once, and soon after it was made.
///
/// One that exists fits into a header, so a creation is never stopped by its code half-way. Wiped from memory when
/// dropped. `Debug` is redacted; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct CaptchaCode(Zeroizing<String>);

/// A text that is no hCaptcha code. It does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an hCaptcha code is 1 to {} visible ASCII characters", CaptchaCode::MAX)]
pub struct CaptchaCodeError;

/// Which code went out with a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaptchaSent {
    /// None.
    No,
    /// The one in the settings.
    OfSettings,
    /// The creation's own.
    Own,
}

impl CaptchaCode {
    /// The most characters that a code may have. Ours: Foxy documents none, and servers take headers of some 8 KiB.
    pub const MAX: usize = 4096;

    /// Takes a code over.
    ///
    /// # Errors
    /// [`CaptchaCodeError`], where a header can't carry it.
    pub fn parse(text: impl Into<String>) -> Result<Self, CaptchaCodeError> {
        let text = Zeroizing::new(text.into());
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err(CaptchaCodeError) }
    }

    /// The code itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CaptchaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaptchaCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_what_a_header_can_carry() {
        let longest = "x".repeat(CaptchaCode::MAX);
        for good in ["P1_eyJ0.e-X~", "!", &longest] {
            assert_eq!(CaptchaCode::parse(good).unwrap().expose(), good);
        }
        for bad in ["", " ", "a b", "a\r\nX-Evil: 1", "a\0", "\u{7f}", "é", &format!("{longest}x")] {
            assert_eq!(CaptchaCode::parse(bad), Err(CaptchaCodeError), "{bad:?}");
        }
    }

    #[test]
    fn neither_debug_nor_the_error_shows_it() {
        assert_eq!(format!("{:?}", CaptchaCode::parse("s3cret").unwrap()), "CaptchaCode([redacted])");
        let error = CaptchaCode::parse("s3 cret").unwrap_err().to_string();
        assert_eq!(error, "an hCaptcha code is 1 to 4096 visible ASCII characters");
    }
}
