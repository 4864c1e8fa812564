//! The wire: the HTTP clients, and what a request's failure tells about whether it was sent.
//!
//! Nothing but this module knows the HTTP library. It sends to [`ResourceUri`]s only, follows no redirect, sends
//! nothing twice, uses no proxy that the environment names, and keeps no cookies.

mod connections;
mod fate;
mod once;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foxden_vault::{AccessToken, ClientSecret};
use reqwest::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response};
use rustls_platform_verifier::ConfigVerifierExt as _;
use time::OffsetDateTime;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::connections::Connections;
pub(crate) use self::fate::Fate;
use self::fate::fate;
use crate::answer::{Answer, challenge_error};
use crate::body::{self, Body};
use crate::oauth::Grant;
use crate::pace::{Line, Pace, TooLate, Turn};
use crate::struck::Struck;
use crate::wiped;
use crate::{CaptchaCode, Cause, ClientError, Methods, NotSent, ResourceUri, Settings, retry_after};

/// Foxy docs: rels/create_user.
const H_CAPTCHA_CODE: HeaderName = HeaderName::from_static("h-captcha-code");

/// Sends requests, each with its own rules.
#[derive(Debug)]
pub(crate) struct Http {
    /// For everything that may be sent again: connections are kept and shared.
    reads: Client,
    /// For what changes something. HTTP/1.1 only, so that no other request's fate (a GOAWAY, a reset) is shared.
    changes: Arc<Connections>,
    call_timeout: Duration,
    pace: Pace,
}

/// How a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Makes a resource.
    Post,
    /// Changes the named properties of one.
    Patch,
    /// Removes one.
    Delete,
}

/// As whom a call goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// What opens it; none for what is public.
    pub(crate) token: Option<&'a AccessToken>,
    /// What a person has solved for it.
    pub(crate) captcha: Option<&'a CaptchaCode>,
    /// The caller's other secrets, which a server may know from earlier calls.
    pub(crate) known: &'a Struck,
}

/// A request without an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What may have become of it.
    pub(crate) fate: Fate,
    /// The error underneath, without its URL; none if there was no attempt.
    pub(crate) cause: Option<Cause>,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Caller<'_> {
    fn introduced(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        match self.captcha {
            Some(code) => request.header(H_CAPTCHA_CODE, captcha_header(code)),
            None => request,
        }
    }

    /// What the answer may repeat.
    fn struck(&self) -> Struck {
        let mut struck = self.known.clone();
        if let Some(token) = self.token {
            struck = struck.access(token);
        }
        if let Some(code) = self.captcha {
            struck = struck.captcha(code);
        }
        struck
    }
}

impl Http {
    /// Builds the client for reads; the others are built when they are needed.
    pub(crate) fn try_new(settings: &Settings) -> Result<Self, ClientError> {
        // Checked here, since the HTTP library would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ClientError::NoCryptoProvider);
        }
        let build = |builder: ClientBuilder| {
            builder.build().map_err(|error| ClientError::Build { source: Arc::new(error.without_url()) })
        };
        let tls = tls().map_err(|error| ClientError::Build { source: Arc::new(error) })?;
        let common = Common {
            user_agent: settings.user_agent.clone(),
            connect_timeout: settings.connect_timeout,
            https_only: settings.api.is_https(),
        };
        let (mut of_reads, mut of_changes) = (tls.clone(), tls);
        of_reads.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        of_changes.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            reads: build(common.builder(of_reads))?,
            changes: Connections::new(settings.connection_idle, move || common.builder(of_changes.clone())),
            call_timeout: settings.call_timeout,
            pace: Pace::new(settings.rate),
        })
    }

    /// Waits until a create may begin, which must leave it the whole call timeout before `deadline`. One that needs no
    /// wait may begin however late it is.
    pub(crate) async fn turn_to_create(&self, line: Line, deadline: Instant) -> Result<Turn, Duration> {
        let latest = deadline.checked_sub(self.call_timeout).unwrap_or(deadline);
        self.pace.turn(line, latest).await.map_err(|TooLate(wait)| wait)
    }

    /// Waits until a read may begin, for as long as the read itself may take.
    pub(crate) async fn turn_to_read(&self) -> Result<Turn, Duration> {
        self.pace.turn(Line::Begun, Instant::now() + self.call_timeout).await.map_err(|TooLate(wait)| wait)
    }

    /// Nobody waits for a turn any more.
    pub(crate) fn stop_waiting(&self) {
        self.pace.stop_waiting();
    }

    /// How long a call may take once it has begun.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Fetches a document; `None` as turn for what a call under way needs.
    pub(crate) async fn get(
        &self,
        uri: &ResourceUri,
        caller: Caller<'_>,
        turn: Option<Turn>,
    ) -> Result<Answer, Failure> {
        let request = self.reads.get(uri.url().clone()).timeout(self.call_timeout);
        let request = caller.introduced(request);
        self.read(turn, request, caller.struck()).await
    }

    /// Asks which methods a resource takes.
    pub(crate) async fn options(
        &self,
        uri: &ResourceUri,
        caller: Caller<'_>,
        turn: Option<Turn>,
    ) -> Result<Answer, Failure> {
        let request = self.reads.request(Method::OPTIONS, uri.url().clone()).timeout(self.call_timeout);
        let request = caller.introduced(request);
        self.read(turn, request, caller.struck()).await
    }

    /// Asks the token endpoint for what may be asked for again.
    pub(crate) async fn ask_for_token(
        &self,
        uri: &ResourceUri,
        grant: &Grant,
        credentials: (&str, &ClientSecret),
        turn: Option<Turn>,
    ) -> Result<Answer, Failure> {
        let struck = grant.struck().client_secret(credentials.1);
        let request = self.token_request(&self.reads, uri, credentials).body(wiped::sent(grant.form()));
        self.read(turn, request, struck).await
    }

    /// A request to the token endpoint, but for its form, with HTTP Basic authentication of the client (RFC 6749
    /// section 2.3.1).
    ///
    /// Id and secret go in as they are, not form-encoded as that section says: few servers decode them, and Foxy's ids
    /// and secrets have no character that would differ (an inference from the examples in its docs).
    fn token_request(
        &self,
        client: &Client,
        uri: &ResourceUri,
        (client_id, client_secret): (&str, &ClientSecret),
    ) -> RequestBuilder {
        let request = client.post(uri.url().clone()).timeout(self.call_timeout);
        let request = request.basic_auth(client_id, Some(client_secret.expose()));
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    /// Sends a request that may be repeated.
    async fn read(&self, turn: Option<Turn>, request: RequestBuilder, struck: Struck) -> Result<Answer, Failure> {
        let turn = self.pass(turn)?;
        let (answer, _) = self.sent(&turn, &self.reads, request, struck, &AtomicBool::new(true)).await?;
        Ok(answer)
    }

    /// The turn of a request, unless the pace forbids it.
    fn pass(&self, turn: Option<Turn>) -> Result<Turn, Failure> {
        self.pace.pass(turn).map_err(|TooLate(wait)| Failure { fate: Fate::HeldBack(wait), cause: None })
    }

    /// Sends a request, and lets the pace know what Foxy makes of it. Its connection may then be idle for as long as
    /// comes with the answer.
    async fn sent(
        &self,
        turn: &Turn,
        client: &Client,
        request: RequestBuilder,
        struck: Struck,
        handed_over: &AtomicBool,
    ) -> Result<(Answer, Duration), Failure> {
        let (answer, allowed_idle) = send(client, request, struck, handed_over).await?;
        match (answer.status, answer.retry_after) {
            (429, wait) => self.pace.slow_down(turn, wait),
            // Overloaded or in maintenance, and it says for how long (RFC 9110 section 15.6.4).
            (503, wait @ Some(_)) => self.pace.slow_down(turn, wait),
            (..500, _) => self.pace.answered(),
            _ => {}
        }
        Ok((answer, allowed_idle))
    }
}

/// A captcha code as a header's value, which no library prints.
fn captcha_header(code: &CaptchaCode) -> HeaderValue {
    let mut value = HeaderValue::from_str(code.expose()).expect("a captcha code is visible ASCII characters");
    value.set_sensitive(true);
    value
}

/// What all clients have in common.
#[derive(Debug, Clone)]
struct Common {
    user_agent: String,
    connect_timeout: Duration,
    https_only: bool,
}

impl Common {
    fn builder(&self, tls: rustls::ClientConfig) -> ClientBuilder {
        // Foxy answers only requests that name the API's version (Foxy docs: "authentication").
        let api_version = (HeaderName::from_static("foxy-api-version"), HeaderValue::from_static("1"));
        // Without it any encoding may be chosen (RFC 9110 section 12.5.3).
        let as_it_is = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(self.user_agent.as_str())
            .default_headers(HeaderMap::from_iter([api_version, as_it_is]))
            .connect_timeout(self.connect_timeout)
            .https_only(self.https_only)
            .redirect(reqwest::redirect::Policy::none())
            // The library's default sends again what HTTP/2 servers say they have not processed; we take no one's word
            // for it.
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
    }
}

/// How certificates are checked: as the HTTP library does it by itself, but with one store of roots for all clients.
fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    rustls::ClientConfig::with_platform_verifier()
}

/// Sends one request and reads its answer. `handed_over` tells, at any failure, whether a connection had asked for the
/// body.
async fn send(
    client: &Client,
    request: RequestBuilder,
    struck: Struck,
    handed_over: &AtomicBool,
) -> Result<(Answer, Duration), Failure> {
    let begun = Instant::now();
    let request = request.build().map_err(|error| Failure {
        fate: Fate::NotSent(NotSent::RequestInvalid),
        cause: Some(Arc::new(error.without_url())),
    })?;
    let method = request.method().clone();
    let path = request.url().path().to_owned();
    let result = client.execute(request).await;
    match result {
        Ok(response) => {
            let allowed_idle = connections::allowed_idle(&response);
            let answer = read(response, struck).await;
            let elapsed_ms = begun.elapsed().as_millis();
            tracing::debug!(%method, path, status = answer.status, elapsed_ms, "Foxy answered");
            Ok((answer, allowed_idle))
        }
        Err(error) => {
            let error = error.without_url();
            let fate = fate(&error, handed_over.load(Ordering::Acquire));
            let elapsed_ms = begun.elapsed().as_millis();
            let chain: &(dyn Error + 'static) = &error;
            tracing::debug!(%method, path, ?fate, error = chain, elapsed_ms, "no answer from Foxy");
            Err(Failure { fate, cause: Some(Arc::new(error)) })
        }
    }
}

/// Reads an answer's head, and as much of its body as we are willing to hold.
async fn read(mut response: Response, struck: Struck) -> Answer {
    let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
    Answer {
        status: response.status().as_u16(),
        retry_after: text(RETRY_AFTER).and_then(|value| retry_after::parse(value, OffsetDateTime::now_utc())),
        challenge: text(WWW_AUTHENTICATE).and_then(challenge_error),
        allow: text(ALLOW).map(Methods::parse),
        location: text(LOCATION).map(|location| struck.without(location)),
        body: read_body(&mut response).await,
        struck,
    }
}

async fn read_body(response: &mut Response) -> Body {
    let mut bytes = Zeroizing::new(Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > body::LARGEST => return Body::TooLarge,
            Ok(Some(chunk)) => wiped::append(&mut bytes, &chunk),
            Ok(None) => return Body::Whole(bytes).plain(),
            Err(error) => return Body::Cut { read: bytes, cause: Arc::new(error.without_url()) }.plain(),
        }
    }
}

#[cfg(test)]
mod tests;
