//! What all pages have in common: the frame, the style, and the policy that goes with it.

use axum::http::HeaderValue;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::settings::{Platform, Settings};

/// Colors of text and ground are the same for every platform, with contrast enough for small text in light and dark.
/// The platform's color is a ground only, since text in it might be unreadable on one of the two.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#ffffff;--text:#1c1c21;--quiet:#55555f;--line:#c9c9d1}\
@media(prefers-color-scheme:dark){:root{--ground:#17171b;--text:#f2f2f5;--quiet:#b4b4bf;--line:#4a4a55}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--ground);color:var(--text);font:1.0625rem/1.55 system-ui,sans-serif;\
overflow-wrap:anywhere}\
header{border-top:.5rem solid var(--accent);padding:1rem 1.25rem 0;max-width:36rem;margin:0 auto;color:var(--quiet);\
font-weight:600}\
main{max-width:36rem;margin:0 auto;padding:.5rem 1.25rem 3rem}\
h1{font-size:1.5rem;line-height:1.25;margin:1rem 0}\
dl{margin:1.25rem 0;padding:.25rem 0;border:solid var(--line);border-width:1px 0}\
dt{color:var(--quiet);font-size:.9375rem;margin-top:.5rem}\
dd{margin:0 0 .5rem;font-weight:600}\
.quiet{color:var(--quiet);font-size:.9375rem}\
button,.button{display:inline-block;min-height:2.75rem;padding:.625rem 1.25rem;border:2px solid var(--line);\
border-radius:.5rem;background:var(--accent);color:var(--upon);font:inherit;font-weight:600;text-decoration:none;\
cursor:pointer}\
a{color:inherit}\
:focus-visible{outline:3px solid var(--text);outline-offset:3px}\
fieldset{margin:1.25rem 0;padding:0;border:0}\
legend{padding:0;font-weight:600}\
label{display:flex;gap:.75rem;align-items:center;min-height:2.75rem;padding:.5rem 0;\
border-bottom:1px solid var(--line)}\
input{width:1.25rem;height:1.25rem;flex:none;accent-color:var(--accent)}\
@media(max-width:26rem){button,.button{width:100%;text-align:center}}\
@media(forced-colors:active){button,.button{border-color:ButtonText}}";

/// The frame of all pages, made once.
#[derive(Debug)]
pub(crate) struct Layout {
    platform: Platform,
    style: String,
    policy: HeaderValue,
}

impl Layout {
    pub(crate) fn new(settings: &Settings) -> Self {
        let color = settings.platform.color();
        let style = format!(":root{{--accent:{color};--upon:{}}}{STYLE}", color.text_upon());
        let hash = STANDARD.encode(Sha256::digest(&style));
        let forms = settings.authorization.iter().map(|target| target.source());
        // A person whom Foxy asks nothing comes back within the redirects of the form.
        let forms = forms.chain(settings.return_to.iter().map(|to| to.url.target().source()));
        let forms: String = forms.flat_map(|source| [" ".to_owned(), source]).collect();
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'{forms}; frame-ancestors 'none'; \
             base-uri 'none'"
        );
        let policy = HeaderValue::try_from(policy).expect("origins are checked for what may stand in a header");
        Self { platform: settings.platform.clone(), style, policy }
    }

    /// The content security policy.
    pub(crate) fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// The platform, by its name.
    pub(crate) fn platform(&self) -> &Platform {
        &self.platform
    }

    /// A whole document. `again_in`: after as many seconds it is to be fetched again.
    pub(crate) fn document(&self, heading: &str, again_in: Option<u32>, body: &Markup) -> String {
        let name = self.platform.name();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if let Some(seconds) = again_in { meta http-equiv="refresh" content=(seconds); }
                    title { (heading) " – " (name) }
                    // The one thing that isn't escaped: made of constants and of colors.
                    style { (PreEscaped(&self.style)) }
                }
                body {
                    header { (name) }
                    main {
                        h1 { (heading) }
                        (body)
                        @if let Some(help) = self.platform.help() {
                            p.quiet { "Questions? " a href=(help) { "Ask " (name) } "." }
                        }
                    }
                }
            }
        };
        page.into_string()
    }
}

#[cfg(test)]
mod tests {
    use super::STYLE;
    use crate::color::Color;

    /// WCAG's AAA for text: 7 to 1, on the ground that goes with it.
    #[test]
    fn text_can_be_read_in_light_and_in_dark() {
        let colors = |name: &str| -> Vec<Color> {
            STYLE.split(&format!("--{name}:")).skip(1).map(|rest| rest[..7].parse().unwrap()).collect()
        };
        let grounds = colors("ground");
        assert_eq!(grounds.len(), 2);
        for (text, ground) in ["text", "quiet"].into_iter().flat_map(|name| colors(name).into_iter().zip(&grounds)) {
            assert!(text.contrast(*ground) >= 7.0, "{text} on {ground}");
        }
    }
}
