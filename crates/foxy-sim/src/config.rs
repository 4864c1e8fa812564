//! How a simulator is set up.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::{Allows, FaultScript};

/// How a simulator is set up; change what matters and take the rest from [`Config::default`].
///
/// ```
/// let config = foxy_sim::Config { seed: 7, ..foxy_sim::Config::default() };
/// ```
#[derive(Clone)]
pub struct Config {
    /// Where to listen. Default: loopback, on a port the operating system picks.
    pub bind: SocketAddr,
    /// The origin that clients use where a proxy stands before the simulator, such as `https://127.0.0.1:8443`, without
    /// a trailing slash; every link begins with it. Default: none, which means the address where it listens.
    pub public_url: Option<String>,
    /// The seeded client's id. Default: empty, which means the first client of the books, or else a random one.
    pub client_id: String,
    /// The seeded client's secret. Default: empty, which means the one in the books, or else a random one.
    pub client_secret: String,
    /// Where the authorization endpoint sends the browser back to for the seeded client.
    pub redirect_uri: String,
    /// How long answers take. Default: no added time.
    pub latency: Latency,
    /// How long an access token opens its resource. Default: 7200 s (Foxy docs: authentication, terms).
    pub access_token_lifetime: Duration,
    /// How long an authorization code can be exchanged. Default: 600 s (RFC 6749 section 4.1.2: at most).
    pub code_lifetime: Duration,
    /// Which creations demand an hCaptcha code. Default: none.
    pub captcha: CaptchaPolicy,
    /// The one hCaptcha code that they take. Default: none, which means any.
    pub captcha_code: Option<String>,
    /// What it allows of the things that Foxy's documentation leaves open. Default: what Foxy documents.
    pub allows: Allows,
    /// The file in which clients, users, stores and refresh tokens outlive the process. Default: none.
    pub books: Option<PathBuf>,
    /// What goes wrong from the start. Default: nothing.
    pub faults: FaultScript,
    /// Repeats tokens, latencies and fault percentages from run to run. Default: 0, a new one for every run.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_url: None,
            client_id: String::new(),
            client_secret: String::new(),
            redirect_uri: "http://127.0.0.1:8788/oauth/callback".to_owned(),
            latency: Latency::default(),
            access_token_lifetime: Duration::from_secs(7200),
            code_lifetime: Duration::from_secs(600),
            captcha: CaptchaPolicy::Off,
            captcha_code: None,
            allows: Allows::default(),
            books: None,
            faults: FaultScript::default(),
            seed: 0,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("bind", &self.bind)
            .field("public_url", &self.public_url)
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .field("redirect_uri", &self.redirect_uri)
            .field("latency", &self.latency)
            .field("access_token_lifetime", &self.access_token_lifetime)
            .field("code_lifetime", &self.code_lifetime)
            .field("captcha", &self.captcha)
            .field("captcha_code", &self.captcha_code.as_ref().map(|_| "[redacted]"))
            .field("allows", &self.allows)
            .field("books", &self.books)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .finish()
    }
}

/// How long an answer takes, evenly drawn from `min` to `max` for each request.
///
/// Half of it passes before the work and half after, so that a client that gives up meanwhile may have
/// left on either side of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl FromStr for Latency {
    type Err = ParseConfigError;

    /// Reads milliseconds: `50`, or `20..80`.
    fn from_str(text: &str) -> Result<Self, ParseConfigError> {
        let wrong =
            || ParseConfigError { value: text.to_owned(), wants: "milliseconds such as 50, or a range such as 20..80" };
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let ms = |part: &str| part.trim().parse().map(Duration::from_millis).map_err(|_| wrong());
        let latency = Self { min: ms(min)?, max: ms(max)? };
        if latency.min > latency.max { Err(wrong()) } else { Ok(latency) }
    }
}

/// Which creations demand a `h-captcha-code` header (Foxy docs: rels/create_user).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CaptchaPolicy {
    /// None: the platform is exempt.
    #[default]
    Off,
    /// Users.
    Users,
    /// Users and stores.
    UsersAndStores,
}

impl FromStr for CaptchaPolicy {
    type Err = ParseConfigError;

    /// Reads `off`, `users` or `users-and-stores`.
    fn from_str(text: &str) -> Result<Self, ParseConfigError> {
        match text {
            "off" => Ok(Self::Off),
            "users" => Ok(Self::Users),
            "users-and-stores" => Ok(Self::UsersAndStores),
            _ => Err(ParseConfigError { value: text.to_owned(), wants: "off, users or users-and-stores" }),
        }
    }
}

/// A setting's text that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {wants}")]
pub struct ParseConfigError {
    value: String,
    wants: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_a_number_or_a_rising_range() {
        assert_eq!("50".parse(), Ok(Latency { min: Duration::from_millis(50), max: Duration::from_millis(50) }));
        assert_eq!("20..80".parse(), Ok(Latency { min: Duration::from_millis(20), max: Duration::from_millis(80) }));
        assert_eq!(
            "80..20".parse::<Latency>().unwrap_err().to_string(),
            "\"80..20\" is not milliseconds such as 50, or a range such as 20..80"
        );
    }

    #[test]
    fn neither_the_client_secret_nor_the_captcha_code_is_in_debug_output() {
        let hush = "hush-hush".to_owned();
        let config = Config { client_secret: hush.clone(), captcha_code: Some(hush), ..Config::default() };
        assert!(!format!("{config:?}").contains("hush-hush"));
    }
}
