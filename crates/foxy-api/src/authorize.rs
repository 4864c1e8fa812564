//! Sending a person's browser to Foxy to grant access (RFC 6749 section 4.1.1).

use std::fmt;

use foxden_vault::AuthorizationState;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use crate::ApiOrigins;
use crate::origin::{has_credentials, is_secure};

/// Where people of the production API log in. It is also served as `https://auth.foxy.io/authorize`.
const PRODUCTION: &str = "https://my.foxycart.com/authorize";
const SANDBOX: &str = "https://my-sandbox.foxycart.com/authorize";

/// Where a browser is sent to grant access: Foxy's login site, which has another origin than its API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationEndpoint(Url);

/// Why a text is no [`AuthorizationEndpoint`]. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationEndpointError {
    /// Not an absolute URL.
    #[error("the authorization endpoint is not an absolute URL, such as https://my.foxycart.com/authorize")]
    NotAUrl,
    /// Neither https, nor http to this machine.
    #[error("the authorization endpoint must be https; plain http is for loopback hosts only")]
    Insecure,
    /// A user name or password before the host.
    #[error("the authorization endpoint must not hold a user name or a password")]
    Credentials,
    /// A fragment after the path (RFC 6749 section 3.1), which would swallow the request.
    #[error("the authorization endpoint must not have a fragment")]
    Fragment,
}

/// What a person is asked for.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// The client that asks.
    pub client_id: &'a str,
    /// What for, in words of [`TokenScope`](crate::TokenScope) and perhaps more: `store_full_access store_id_8`.
    pub scope: &'a str,
    /// Comes back with the browser. `None`: the caller adds it.
    pub state: Option<&'a AuthorizationState>,
    /// Where the browser is sent back to, if that is to be named. Then it is named with the code, too
    /// ([`BroughtCode`](crate::BroughtCode)).
    pub redirect_uri: Option<&'a str>,
}

/// Where to send a browser. May hold the `state`, so `Debug` is redacted.
#[derive(Clone)]
pub struct AuthorizationUrl(Zeroizing<String>);

impl AuthorizationEndpoint {
    /// The one that belongs to an API. `None`: that of an API we don't know, which has to be
    /// [given](Self::parse).
    pub fn of(api: &ApiOrigins) -> Option<Self> {
        let known = |text| Some(Self(Url::parse(text).expect("Foxy's own addresses are URLs")));
        if api.are_production() {
            known(PRODUCTION)
        } else if api.are_sandbox() {
            known(SANDBOX)
        } else if api.are_a_simulator() {
            api.home().join("authorize").ok().map(Self)
        } else {
            None
        }
    }

    /// One that is given: https, unless the host is this machine.
    ///
    /// # Errors
    /// [`AuthorizationEndpointError`], when no browser may be sent there.
    pub fn parse(text: &str) -> Result<Self, AuthorizationEndpointError> {
        use AuthorizationEndpointError as Error;
        let url = Url::parse(text).map_err(|_| Error::NotAUrl)?;
        if !is_secure(&url) {
            return Err(Error::Insecure);
        }
        if has_credentials(&url) {
            return Err(Error::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Error::Fragment);
        }
        Ok(Self(url))
    }

    /// Where to send a browser with this request.
    pub fn url(&self, request: &AuthorizationRequest<'_>) -> AuthorizationUrl {
        let AuthorizationRequest { client_id, scope, state, redirect_uri } = *request;
        let redirect = redirect_uri.unwrap_or_default();
        // With room enough not to grow, which would leave a copy behind. A byte is sent as three at most.
        let state = state.map(AuthorizationState::expose);
        let longest = client_id.len() + scope.len() + state.map_or(0, str::len) + redirect.len();
        let mut whole = Zeroizing::new(String::with_capacity(self.0.as_str().len() + 128 + 3 * longest));
        whole.push_str(self.0.as_str());
        whole.push(if self.0.query().is_some() { '&' } else { '?' });
        let before = whole.len();
        let mut query = form_urlencoded::Serializer::for_suffix(&mut *whole, before);
        query.append_pair("response_type", "code").append_pair("client_id", client_id);
        query.append_pair("scope", scope);
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        if let Some(uri) = redirect_uri {
            query.append_pair("redirect_uri", uri);
        }
        query.finish();
        AuthorizationUrl(whole)
    }
}

impl AuthorizationUrl {
    /// The whole address, for the browser alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthorizationEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for AuthorizationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizationUrl([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(endpoint: &str, redirect_uri: Option<&str>) -> AuthorizationUrl {
        let state = AuthorizationState::new("st&te");
        let scope = "store_full_access store_id_8";
        let request = AuthorizationRequest { client_id: "client+1", scope, state: Some(&state), redirect_uri };
        assert!(!format!("{request:?}").contains("st&te"));
        AuthorizationEndpoint::parse(endpoint).unwrap().url(&request)
    }

    #[test]
    fn each_foxy_has_an_endpoint_of_its_own_and_an_unknown_one_has_none() {
        let explicit = |home| ApiOrigins::explicit(home).unwrap();
        for (api, expected) in [
            (ApiOrigins::production(), Some("https://my.foxycart.com/authorize")),
            (ApiOrigins::production_io(), Some("https://my.foxycart.com/authorize")),
            (explicit("https://api.foxy.io"), Some("https://my.foxycart.com/authorize")),
            (ApiOrigins::sandbox(), Some("https://my-sandbox.foxycart.com/authorize")),
            (explicit("http://127.0.0.1:8787"), Some("http://127.0.0.1:8787/authorize")),
            (explicit("https://127.0.0.1:8787"), None),
            (explicit("https://mock.example"), None),
        ] {
            let found = AuthorizationEndpoint::of(&api).map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{api}");
        }
    }

    #[test]
    fn no_browser_is_sent_where_its_state_could_be_read_or_lost() {
        use AuthorizationEndpointError::{Credentials, Fragment, Insecure, NotAUrl};
        for (text, expected) in [
            ("https://login.example/authorize", Ok(())),
            ("https://login.example/authorize?tenant=1", Ok(())),
            ("http://[::1]:8787/authorize", Ok(())),
            ("/authorize", Err(NotAUrl)),
            ("http://login.example/authorize", Err(Insecure)),
            ("javascript:alert(1)", Err(Insecure)),
            ("https://u:p@login.example/authorize", Err(Credentials)),
            ("http://u@127.0.0.1/authorize", Err(Credentials)),
            ("https://login.example/authorize#x", Err(Fragment)),
        ] {
            assert_eq!(AuthorizationEndpoint::parse(text).map(drop), expected, "{text}");
        }
    }

    #[test]
    fn what_is_asked_for_is_in_the_address_and_in_nothing_that_is_printed() {
        let asked = "response_type=code&client_id=client%2B1&scope=store_full_access+store_id_8&state=st%26te";
        let bare = url("https://login.example/authorize", None);
        assert_eq!(bare.expose(), format!("https://login.example/authorize?{asked}"));
        assert_eq!(format!("{bare:?}"), "AuthorizationUrl([redacted])");
        let named = url("https://login.example/authorize?tenant=1", Some("https://shops.example/back?a=b"));
        let back = "redirect_uri=https%3A%2F%2Fshops.example%2Fback%3Fa%3Db";
        assert_eq!(named.expose(), format!("https://login.example/authorize?tenant=1&{asked}&{back}"));
    }

    #[test]
    fn the_state_may_be_left_to_whoever_sends_the_browser() {
        let endpoint = AuthorizationEndpoint::parse("https://login.example/authorize").unwrap();
        let request =
            AuthorizationRequest { client_id: "c", scope: "user_full_access", state: None, redirect_uri: None };
        let expected = "https://login.example/authorize?response_type=code&client_id=c&scope=user_full_access";
        assert_eq!(endpoint.url(&request).expose(), expected);
    }
}
