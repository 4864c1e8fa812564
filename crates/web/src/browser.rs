//! What a request's headers say about the browser and about the page that sent it there.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, ORIGIN},
};

use crate::secret::Cookie;

/// The prefix makes browsers refuse the cookie without `Secure`, for a domain, or for a path: no other host, and no
/// one on a plain connection, can plant one (RFC 6265bis section 4.1.3).
const NAME: &str = "__Host-trip";

/// The cookie of this browser, if it has one of ours.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<Cookie> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == NAME).find_map(|(_, value)| Cookie::parse(value))
}

/// Gives a browser its cookie, until it is closed. `Lax`: it must come along when Foxy sends the browser back.
pub(crate) fn set_cookie(cookie: &Cookie) -> HeaderValue {
    let text = format!("{NAME}={}; Path=/; Secure; HttpOnly; SameSite=Lax", cookie.expose());
    let mut value = HeaderValue::try_from(text).expect("url-safe characters can stand in a header");
    value.set_sensitive(true);
    value
}

/// Whether a form was sent from a page of ours.
///
/// Browsers since 2023 say so in `Sec-Fetch-Site`, which no page can write. Older ones name the `Origin`; they would
/// write `null` if our pages with forms asked for no referrer at all, which is why those pages don't.
pub(crate) fn is_from_our_page(headers: &HeaderMap, our_origin: &str) -> bool {
    match (headers.get("sec-fetch-site"), headers.get(ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin == our_origin,
        // No browser; or one so old that it couldn't show our pages.
        (None, None) => false,
    }
}

/// Whether a browser or a proxy only guesses that the person will want this.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz", "x-purpose"].into_iter().filter_map(|name| headers.get(name)).any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.starts_with(b"prefetch") || value.starts_with(b"preview")
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn our_cookie_is_found_among_others() {
        let ours = Cookie::generate().unwrap();
        let found = |line: &str| cookie(&headers(&[("cookie", line)])).map(|cookie| cookie.hash());
        assert_eq!(found(&format!("a=b; __Host-trip={}; c", ours.expose())), Some(ours.hash()));
        assert_eq!(found(&format!("__Host-trip=short; __Host-trip={}", ours.expose())), Some(ours.hash()));
        assert_eq!(found(&format!("__host-trip={}", ours.expose())), None);
        assert_eq!(found(&format!("x__Host-trip={}", ours.expose())), None);
        let set = set_cookie(&ours);
        assert!(set.to_str().unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax") && set.is_sensitive());
    }

    #[test]
    fn a_form_counts_only_from_our_own_origin() {
        let ours = |lines: &[(&'static str, &str)]| is_from_our_page(&headers(lines), "https://a.example");
        assert!(ours(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(ours(&[("origin", "https://a.example")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!ours(&[("sec-fetch-site", site), ("origin", "https://a.example")]), "{site}");
        }
        for origin in ["null", "https://a.example.evil.example", "http://a.example", "https://a.example:444"] {
            assert!(!ours(&[("origin", origin)]), "{origin}");
        }
        assert!(!ours(&[]));
    }

    #[test]
    fn a_guess_is_told_from_a_visit() {
        for line in [("sec-purpose", "prefetch;prerender"), ("purpose", "Prefetch"), ("x-moz", "prefetch")] {
            assert!(is_prefetch(&headers(&[line])), "{line:?}");
        }
        assert!(!is_prefetch(&headers(&[("sec-fetch-mode", "navigate")])));
    }
}
