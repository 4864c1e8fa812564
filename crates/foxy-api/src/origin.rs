//! The origins that may be given a token.

use std::fmt;

use url::{Host, Origin, Url};

/// The production API's first name (Foxy docs: "authentication").
const PRODUCTION: &str = "https://api.foxycart.com";
/// The production API's second name. Links in an answer may carry either, whichever was asked.
const PRODUCTION_IO: &str = "https://api.foxy.io";
/// The sandbox API (Foxy docs: "authentication").
const SANDBOX: &str = "https://api-sandbox.foxycart.com";

/// Where the API's home document is, and every origin (scheme, host and port) that may be given a token or a secret.
///
/// A link to any other origin is refused before anything is sent there. `Display` prints the home's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiOrigins {
    home: Url,
    trusted: Vec<Origin>,
}

/// Why [`ApiOrigins::explicit`] refused its text. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not an absolute URL.
    #[error("the API's home is not an absolute URL, such as https://api.foxycart.com")]
    NotAUrl,
    /// Neither https, nor http to this machine.
    #[error("the API's home must be https; plain http is for loopback hosts only")]
    Insecure,
    /// A user name or password before the host.
    #[error("the API's home must not hold a user name or a password")]
    Credentials,
    /// A path, query or fragment after the host.
    #[error("the API's home must be an origin alone, without path, query or fragment")]
    NotAnOrigin,
}

impl ApiOrigins {
    /// Foxy's production API under `api.foxycart.com`, trusting both of its names.
    pub fn production() -> Self {
        Self::known(PRODUCTION, &[PRODUCTION, PRODUCTION_IO])
    }

    /// Foxy's production API under its newer name `api.foxy.io`, trusting both of its names.
    pub fn production_io() -> Self {
        Self::known(PRODUCTION_IO, &[PRODUCTION, PRODUCTION_IO])
    }

    /// Foxy's sandbox, which trusts none of production's names, nor they it.
    pub fn sandbox() -> Self {
        Self::known(SANDBOX, &[SANDBOX])
    }

    /// Any other API home, such as a simulator's: an origin, https unless the host is this machine.
    ///
    /// A production name given here still gets production's trust domain.
    ///
    /// # Errors
    /// [`OriginError`], when the text is no origin, or not one that secrets may be sent to.
    pub fn explicit(home: &str) -> Result<Self, OriginError> {
        let home = Url::parse(home).map_err(|_| OriginError::NotAUrl)?;
        if !is_secure(&home) {
            return Err(OriginError::Insecure);
        }
        if has_credentials(&home) {
            return Err(OriginError::Credentials);
        }
        if home.path() != "/" || home.query().is_some() || home.fragment().is_some() {
            return Err(OriginError::NotAnOrigin);
        }
        let named = [Self::production(), Self::production_io()].into_iter().find(|known| known.home == home);
        Ok(named.unwrap_or_else(|| Self { trusted: vec![home.origin()], home }))
    }

    /// Whether this is Foxy's production API, by either of its names.
    pub fn are_production(&self) -> bool {
        self.trusted == Self::production().trusted
    }

    /// Whether this is Foxy's sandbox.
    pub fn are_sandbox(&self) -> bool {
        self.trusted == Self::sandbox().trusted
    }

    /// The address of the home document.
    pub(crate) fn home(&self) -> &Url {
        &self.home
    }

    /// Whether a token may be sent to this URL: a web address on a trusted origin, and no user name or password that
    /// would come along. The origin alone does not say so: that of `blob:https://…` is the inner address's.
    pub(crate) fn trust(&self, url: &Url) -> bool {
        let is_of_the_web = matches!(url.scheme(), "https" | "http") && url.has_host();
        is_of_the_web && self.trusted.contains(&url.origin()) && !has_credentials(url)
    }

    /// Whether both this API and a URL are on this machine, without TLS: simulators, which choose their ports.
    pub(crate) fn are_of_this_machine(&self, url: &Url) -> bool {
        let is_here = url.scheme() == "http" && url.host().is_some_and(|host| is_loopback(&host));
        is_here && !has_credentials(url) && !self.is_https()
    }

    /// Whether the API is on this machine, without TLS: a simulator.
    pub(crate) fn are_a_simulator(&self) -> bool {
        self.are_of_this_machine(&self.home)
    }

    /// Whether every trusted origin is https, so that the HTTP client may refuse anything else as well.
    pub(crate) fn is_https(&self) -> bool {
        self.home.scheme() == "https"
    }

    fn known(home: &str, trusted: &[&str]) -> Self {
        let parse = |text: &str| Url::parse(text).expect("Foxy's own addresses are URLs");
        Self { home: parse(home), trusted: trusted.iter().map(|text| parse(text).origin()).collect() }
    }
}

impl fmt::Display for ApiOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.home.origin().ascii_serialization())
    }
}

/// Whether what is sent there can't be read on the way: https, or http to this machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => url.host().is_some_and(|host| is_loopback(&host)),
        _ => false,
    }
}

pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// `localhost` counts although a resolver could answer otherwise: RFC 6761 section 6.3 reserves it for loopback.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(origins: &ApiOrigins, url: &str) -> bool {
        origins.trust(&Url::parse(url).unwrap())
    }

    #[test]
    fn the_two_production_names_are_one_trust_domain() {
        for origins in [
            ApiOrigins::production(),
            ApiOrigins::production_io(),
            ApiOrigins::explicit("https://api.foxy.io/").unwrap(),
        ] {
            assert!(trusts(&origins, "https://api.foxycart.com/users/1"));
            assert!(trusts(&origins, "https://api.foxy.io:443/users/1"));
            assert!(!trusts(&origins, "https://api-sandbox.foxycart.com/users/1"));
            assert!(origins.are_production() && !origins.are_sandbox());
        }
        let other = ApiOrigins::explicit("https://mock.example").unwrap();
        assert!(!other.are_production() && !other.are_sandbox());
        assert!(ApiOrigins::explicit("https://api-sandbox.foxycart.com").unwrap().are_sandbox());
        assert!(!trusts(&ApiOrigins::sandbox(), "https://api.foxycart.com/users/1"));
    }

    #[test]
    fn scheme_host_and_port_must_all_match_and_credentials_are_refused() {
        let origins = ApiOrigins::production();
        for url in [
            "http://api.foxycart.com/",
            "https://api.foxycart.com:8443/",
            "https://api.foxycart.com.evil.example/",
            "https://evil.example/api.foxycart.com",
            "https://api.foxycart.com@evil.example/",
            "https://user@api.foxycart.com/",
            "https://user:pass@api.foxycart.com/",
            "https://api.foxycart.com./",
            "data:text/plain,hello",
            "blob:https://api.foxycart.com/users/1",
            "blob:https://api.foxycart.com",
        ] {
            assert!(!trusts(&origins, url), "{url}");
        }
        assert!(trusts(&origins, "https://API.FoxyCart.com/"));
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for home in ["http://127.0.0.1:8787", "http://127.9.9.9", "http://[::1]:8787", "http://localhost:8787/"] {
            assert!(ApiOrigins::explicit(home).is_ok(), "{home}");
        }
        for home in ["http://api.foxycart.com", "http://localhost.evil.example", "http://10.0.0.1", "ftp://localhost"] {
            assert_eq!(ApiOrigins::explicit(home), Err(OriginError::Insecure), "{home}");
        }
    }

    #[test]
    fn a_home_is_an_origin_alone() {
        assert_eq!(ApiOrigins::explicit("api.foxycart.com"), Err(OriginError::NotAUrl));
        assert_eq!(ApiOrigins::explicit("https://u:p@mock.example"), Err(OriginError::Credentials));
        for home in ["https://mock.example/v1", "https://mock.example/?a=b", "https://mock.example/#x"] {
            assert_eq!(ApiOrigins::explicit(home), Err(OriginError::NotAnOrigin), "{home}");
        }
    }

    #[test]
    fn display_is_the_origin() {
        assert_eq!(ApiOrigins::production_io().to_string(), "https://api.foxy.io");
        assert_eq!(ApiOrigins::explicit("http://127.0.0.1:8787/").unwrap().to_string(), "http://127.0.0.1:8787");
    }
}
