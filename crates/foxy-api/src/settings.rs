//! What a client of Foxy needs to know before its first request, and why one can't be built.

use std::time::Duration;

use foxden_vault::ClientSecret;

use crate::{ApiOrigins, CaptchaCode, Cause, Rate};

/// The settings of one OAuth client of Foxy.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the API is, and which origins may be given a token.
    pub api: ApiOrigins,
    /// The OAuth client's id. Public. Without a colon, which HTTP Basic could not carry (RFC 7617 section 2).
    pub client_id: String,
    /// The OAuth client's secret. Sent to the token endpoint only.
    pub client_secret: ClientSecret,
    /// The code of users and stores that bring none of their own, for Foxy's test keys: a real one serves only once.
    pub h_captcha_code: Option<CaptchaCode>,
    /// The longest a connection may take to be made: name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// The longest a request may take, from its first step to the last byte of its answer. A create's deadline shortens
    /// it.
    pub call_timeout: Duration,
    /// The longest a connection for calls that change something may be idle before it is closed; zero: each such call
    /// has a connection of its own.
    pub connection_idle: Duration,
    /// How many requests are sent at most, by this client and all its clones together; `None`: as many as are asked for.
    ///
    /// A call waits for its turn before it begins. Whatever is set here, after a 429 (or a 503 with a `Retry-After`) all
    /// calls wait for as long as Foxy says, an hour at most, and then go on at half the rate, which rises again step by
    /// step as calls are answered.
    pub rate: Option<Rate>,
    /// The `User-Agent` header of every request; lets Foxy's support find ours.
    pub user_agent: String,
}

/// Why [`Foxy::try_new`](crate::Foxy::try_new) refused its settings or its surroundings.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The program has not chosen a cryptography provider for TLS.
    ///
    /// ```
    /// # use foxy_api::{ApiOrigins, ClientError, Foxy, Settings};
    /// # let secret = foxden_vault::ClientSecret::new("secret");
    /// let settings = Settings::new(ApiOrigins::sandbox(), "client", secret);
    /// assert!(matches!(Foxy::try_new(settings), Err(ClientError::NoCryptoProvider)));
    /// ```
    #[error(
        "no TLS cryptography provider is installed; \
         call rustls::crypto::ring::default_provider().install_default() at the start of the program"
    )]
    NoCryptoProvider,
    /// The client id is empty or has characters that HTTP Basic can't carry.
    #[error("the client id must be visible ASCII characters, without a colon")]
    ClientId,
    /// The client secret is empty.
    #[error("the client secret is empty")]
    ClientSecret,
    /// The user agent has characters that a header can't carry.
    #[error("the user agent must be visible ASCII characters and spaces")]
    UserAgent,
    /// A timeout of zero, under which no call could succeed.
    #[error("the connect timeout and the call timeout must be longer than zero")]
    ZeroTimeout,
    /// A rate that no call could be sent at.
    #[error("the rate must be from 0.001 to 1,000,000 requests per second, with a burst of at least 1")]
    Rate,
    /// The HTTP client could not be built, for instance because the machine has no CA certificates.
    #[error("the HTTP client could not be built; are the system's CA certificates installed?")]
    Build {
        /// What the HTTP library said.
        source: Cause,
    },
}

impl Settings {
    /// Settings for this client, with what is usual for the rest: 5 s to connect, 30 s for a call, connections idle for
    /// 3 s, 5 requests a second after a burst of 10, no captcha code, and this crate as user agent.
    pub fn new(api: ApiOrigins, client_id: impl Into<String>, client_secret: ClientSecret) -> Self {
        Self {
            api,
            client_id: client_id.into(),
            client_secret,
            h_captcha_code: None,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            connection_idle: Duration::from_secs(3),
            rate: Some(Rate { per_second: 5.0, burst: 10 }),
            user_agent: concat!("foxy-api/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// Finds what [`Foxy::try_new`](crate::Foxy::try_new) must refuse without building anything.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        let basic = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if self.client_id.is_empty() || !self.client_id.bytes().all(basic) {
            return Err(ClientError::ClientId);
        }
        if self.client_secret.expose().is_empty() {
            return Err(ClientError::ClientSecret);
        }
        if !self.user_agent.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(ClientError::UserAgent);
        }
        if self.connect_timeout.is_zero() || self.call_timeout.is_zero() {
            return Err(ClientError::ZeroTimeout);
        }
        if self.rate.is_some_and(|rate| !rate.is_sound()) {
            return Err(ClientError::Rate);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            api: ApiOrigins::sandbox(),
            client_id: "client_abc".into(),
            client_secret: ClientSecret::new("s3cret"),
            h_captcha_code: CaptchaCode::parse("s3cret").ok(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(20),
            connection_idle: Duration::from_secs(3),
            rate: None,
            user_agent: "foxden/0.1 (ops)".into(),
        }
    }

    #[test]
    fn good_settings_pass() {
        assert!(settings().check().is_ok());
    }

    #[test]
    fn a_client_id_that_basic_authentication_would_split_is_refused() {
        for client_id in ["", "a:b", "a b", "a\nb", "ä"] {
            let error = Settings { client_id: client_id.into(), ..settings() }.check().unwrap_err();
            assert!(matches!(error, ClientError::ClientId), "{client_id:?}: {error}");
        }
    }

    #[test]
    fn an_empty_secret_a_header_breaking_user_agent_and_a_zero_timeout_are_refused() {
        let secret = Settings { client_secret: ClientSecret::new(""), ..settings() };
        assert!(matches!(secret.check(), Err(ClientError::ClientSecret)));
        let agent = Settings { user_agent: "a\r\nX-Evil: 1".into(), ..settings() };
        assert!(matches!(agent.check(), Err(ClientError::UserAgent)));
        let timeout = Settings { call_timeout: Duration::ZERO, ..settings() };
        assert!(matches!(timeout.check(), Err(ClientError::ZeroTimeout)));
    }

    #[test]
    fn a_rate_at_which_nothing_could_be_sent_is_refused() {
        for (per_second, burst) in [(0.0, 1), (-1.0, 1), (f64::NAN, 1), (f64::INFINITY, 1), (5.0, 0)] {
            let settings = Settings { rate: Some(Rate { per_second, burst }), ..settings() };
            assert!(matches!(settings.check(), Err(ClientError::Rate)), "{per_second} {burst}");
        }
        assert!(Settings { rate: Some(Rate { per_second: 0.5, burst: 1 }), ..settings() }.check().is_ok());
    }

    #[test]
    fn settings_do_not_print_the_secret() {
        assert!(!format!("{:?}", settings()).contains("s3cret"));
    }
}
