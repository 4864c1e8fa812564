//! The addresses by which browsers know us, the platform and Foxy. None of them comes from a request.

use url::{Host, Origin, Url};

/// Why an address can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL at all, or one without a host.
    #[error("it is not an absolute URL")]
    NotAUrl,
    /// Browsers would send cookies and codes in the clear.
    #[error("use https; http is for localhost only")]
    NotHttps,
    /// It would be shown to everyone.
    #[error("leave out user and password")]
    Credentials,
    /// A base or a redirect URI with more than a path.
    #[error("leave out query and fragment")]
    QueryOrFragment,
    /// Characters that would mean something else in a header or a route.
    #[error("of its host and path, use letters, digits and -._~ only")]
    OddCharacters,
    /// The redirect URI is not served here.
    #[error("it must begin with the scheme, host and port of the public URL")]
    OtherOrigin,
    /// The redirect URI would hide a page.
    #[error("its path is that of another page; use one such as /callback")]
    PathTaken,
}

/// Where browsers reach the pages: an origin, and a path if the platform's proxy serves them below one.
#[derive(Clone, Debug)]
pub struct PublicUrl {
    origin: Origin,
    /// Empty, or begins with a slash and ends with none.
    base: String,
}

impl PublicUrl {
    /// Reads the URL. A slash at its end makes no difference.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = plain(text)?;
        let base = url.path().trim_end_matches('/').to_owned();
        if base.contains("//") {
            return Err(AddressError::OddCharacters);
        }
        Ok(Self { origin: url.origin(), base })
    }

    /// The page's address that a link with this ticket leads to.
    pub fn link(&self, ticket: &crate::Ticket) -> String {
        format!("{}{}/grant/{}", self.origin.ascii_serialization(), self.base, ticket.as_str())
    }

    /// As browsers write it into `Origin`.
    pub(crate) fn origin(&self) -> String {
        self.origin.ascii_serialization()
    }

    /// The path of one of our pages, as browsers see it.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.base)
    }
}

/// The OAuth client's redirect URI.
#[derive(Clone, Debug)]
pub struct RedirectUri {
    path: String,
}

impl RedirectUri {
    /// Reads the URI, which must lie at the public URL's origin. It need not lie below its path.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str, public: &PublicUrl) -> Result<Self, AddressError> {
        let url = plain(text)?;
        let path = url.path().to_owned();
        if url.origin() != public.origin {
            return Err(AddressError::OtherOrigin);
        }
        let is_page = |page: &str| path.starts_with(&public.path(page));
        if path == "/" || path.contains("//") || ["grant/", "trip/", "trouble/"].into_iter().any(is_page) {
            return Err(AddressError::PathTaken);
        }
        Ok(Self { path })
    }

    /// The path alone.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// An origin that a form may lead to.
///
/// Chromium holds `form-action` against each redirect that follows a form, so all hosts on the way to Foxy's consent
/// page are needed.
#[derive(Clone, Debug)]
pub struct FormTarget(Origin);

impl FormTarget {
    /// The origin of this URL.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        parse(text).map(|url| Self(url.origin()))
    }

    /// As a source of a content security policy.
    pub(crate) fn source(&self) -> String {
        self.0.ascii_serialization()
    }

    /// Whether this URL lies there.
    pub(crate) fn has(&self, url: &Url) -> bool {
        self.0 == url.origin()
    }
}

/// Where a person goes with the signed result, instead of a page of ours.
#[derive(Clone, Debug)]
pub struct ReturnUrl(Url);

impl ReturnUrl {
    /// Reads the URL. It may have a query, to which the result is added.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = parse(text)?;
        if url.fragment().is_some() {
            return Err(AddressError::QueryOrFragment);
        }
        Ok(Self(url))
    }

    /// With one more parameter.
    pub(crate) fn with(&self, name: &str, value: &str) -> Url {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        url
    }

    /// What a form that ends there must be allowed.
    pub(crate) fn target(&self) -> FormTarget {
        FormTarget(self.0.origin())
    }
}

fn plain(text: &str) -> Result<Url, AddressError> {
    let url = parse(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::QueryOrFragment);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    if url.path().bytes().all(is_plain) { Ok(url) } else { Err(AddressError::OddCharacters) }
}

fn parse(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::NotAUrl)?;
    let is_local = match url.host().ok_or(AddressError::NotAUrl)? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local) {
        return Err(AddressError::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    // A semicolon in a host is legal in a URL, and would end a directive of the policy.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    if url.host_str().is_some_and(|host| host.bytes().all(is_plain)) {
        Ok(url)
    } else {
        Err(AddressError::OddCharacters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ticket;

    #[test]
    fn a_public_url_has_an_origin_and_perhaps_a_path() {
        let ticket = Ticket::parse("t").unwrap();
        for (text, link) in [
            ("https://a.example", "https://a.example/grant/t"),
            ("https://a.example:443/x/", "https://a.example/x/grant/t"),
            ("http://localhost:8080/", "http://localhost:8080/grant/t"),
            ("http://[::1]:8080", "http://[::1]:8080/grant/t"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().link(&ticket), link);
        }
    }

    #[test]
    fn addresses_that_would_mean_something_else_are_refused() {
        let refused = |text: &str| PublicUrl::parse(text).unwrap_err();
        assert_eq!(refused("a.example"), AddressError::NotAUrl);
        assert_eq!(refused("data:text/html,x"), AddressError::NotAUrl);
        assert_eq!(refused("http://a.example"), AddressError::NotHttps);
        assert_eq!(refused("http://localhost.a.example"), AddressError::NotHttps);
        assert_eq!(refused("javascript://a.example"), AddressError::NotHttps);
        assert_eq!(refused("https://a:b@a.example"), AddressError::Credentials);
        assert_eq!(refused("https://a.example?x"), AddressError::QueryOrFragment);
        assert_eq!(refused("https://a.example/{x}"), AddressError::OddCharacters);
        assert_eq!(refused("https://a.example/x//y"), AddressError::OddCharacters);
        assert_eq!(refused("https://a;script-src.example"), AddressError::OddCharacters);
        assert_eq!(ReturnUrl::parse("https://a.example/#x").unwrap_err(), AddressError::QueryOrFragment);
    }

    #[test]
    fn a_redirect_uri_is_served_here_and_hides_no_page() {
        let public = PublicUrl::parse("https://a.example/x").unwrap();
        let parsed = |text: &str| RedirectUri::parse(text, &public).map(|uri| uri.path);
        assert_eq!(parsed("https://a.example/x/callback").unwrap(), "/x/callback");
        assert_eq!(parsed("https://a.example/elsewhere").unwrap(), "/elsewhere");
        assert_eq!(parsed("https://b.example/callback"), Err(AddressError::OtherOrigin));
        assert_eq!(parsed("https://a.example:444/callback"), Err(AddressError::OtherOrigin));
        assert_eq!(parsed("https://a.example/x/grant/callback"), Err(AddressError::PathTaken));
        assert_eq!(parsed("https://a.example"), Err(AddressError::PathTaken));
    }

    #[test]
    fn a_result_is_added_to_the_query_of_the_return_url() {
        let url = ReturnUrl::parse("https://a.example/done?page=1").unwrap();
        assert_eq!(url.with("r", "a&b=c#d").as_str(), "https://a.example/done?page=1&r=a%26b%3Dc%23d");
    }
}
