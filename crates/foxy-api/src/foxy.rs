//! The client itself.

use std::fmt;
use std::sync::Arc;

use foxden_vault::ClientSecret;
use serde_json::json;
use tokio::time::Instant;

use crate::access::{Access, Found, Identity, To, When};
use crate::answer::OddAnswer;
use crate::errors::Creating;
use crate::follow::{Followed, follow};
use crate::http::{Http, Verb};
use crate::link::Links;
use crate::oauth::Grant;
use crate::single_flight::SingleFlight;
use crate::wire::Wire;
use crate::{
    ApiOrigins, BroughtCode, ClientError, ClientSecrets, CreatedUser, Document, ExchangeError, Granted, HeldToken,
    Line, NewUser, Opened, OpenedStore, OpenedUser, Reach, ReadError, Report, SecretSource, Settings, StoreSession,
    TokenError, TokenScope, UserSession, opened, outcome,
};

/// One OAuth client of Foxy. Cheap to clone; clones share connections, links and the client's access token.
#[derive(Clone)]
pub struct Foxy {
    shared: Arc<Shared>,
}

struct Shared {
    wire: Wire,
    client: Access,
    /// The links of `fx:reporting`.
    reporting: SingleFlight<Links>,
}

impl Foxy {
    /// Builds a client. Sends nothing: links and token are fetched when first needed.
    ///
    /// The program must have installed a cryptography provider for TLS before, also for plain http:
    /// `rustls::crypto::ring::default_provider().install_default()`.
    ///
    /// # Errors
    /// [`ClientError`], when settings or surroundings won't do.
    pub fn try_new(settings: Settings) -> Result<Self, ClientError> {
        Self::build(settings, None, None)
    }

    /// As [`Foxy::try_new`], and goes on when the client's secret is changed: what `source` has is read when it was
    /// changed, and when Foxy refuses the secret in use. Only a secret that Foxy took is kept.
    ///
    /// # Errors
    /// [`ClientError`], when settings or surroundings won't do.
    pub fn with_secret_source(settings: Settings, source: Arc<dyn SecretSource>) -> Result<Self, ClientError> {
        Self::build(settings, Some(source), None)
    }

    /// As [`Foxy::with_secret_source`], and refreshes tokens that were given to other clients
    /// ([`TokenKeeper::client_id`](crate::TokenKeeper::client_id)) as those. All else it does as itself.
    ///
    /// # Errors
    /// [`ClientError`], when settings or surroundings won't do.
    pub fn with_other_clients(
        settings: Settings,
        source: Option<Arc<dyn SecretSource>>,
        others: Arc<dyn ClientSecrets>,
    ) -> Result<Self, ClientError> {
        Self::build(settings, source, Some(others))
    }

    fn build(
        settings: Settings,
        source: Option<Arc<dyn SecretSource>>,
        others: Option<Arc<dyn ClientSecrets>>,
    ) -> Result<Self, ClientError> {
        settings.check()?;
        let http = Http::try_new(&settings)?;
        let wire = Wire::new(settings, source, others, http);
        let shared = Shared { wire, client: Access::new(Identity::Client), reporting: SingleFlight::new(None) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Creates a user (Foxy docs: rels/create_user), or says that nothing was created, or that nobody knows.
    ///
    /// `deadline` is the moment by which the call has ended, whatever it came to: it shortens the call timeout, and
    /// nothing is sent after it. With a [`Rate`](crate::Rate), the call first waits for its turn; if that would not leave
    /// it the whole call timeout before the deadline, it is [held back](crate::NoEffect::HeldBack) instead. Dropping the
    /// future leaves the outcome unknown.
    pub async fn create_user(&self, user: &NewUser, deadline: Instant) -> Report<CreatedUser> {
        self.create_user_if(user, Line::New, deadline, &|| true).await
    }

    /// As [`Foxy::create_user`], unless it is not `wanted` any more when its turn under the rate of calls has come. In
    /// [`Line::Begun`] it is the retry of an earlier call.
    pub async fn create_user_if(
        &self,
        user: &NewUser,
        line: Line,
        deadline: Instant,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedUser> {
        let (what, when) = ((Creating::User, "fx:create_user"), When { deadline, line, wanted });
        let captcha = user.captcha.as_ref();
        let report = self.shared.client.create(self.wire(), what, &user.body(), captcha, when).await;
        report.map(|created| CreatedUser::new(created, self.clone()))
    }

    /// Acts as a user by its refresh token. Its access token and links are fetched when first needed.
    pub fn user(&self, token: impl Into<HeldToken>) -> UserSession {
        UserSession::of_refresh_token(self.clone(), token.into())
    }

    /// Acts as a store by its refresh token. Its access token and links are fetched when first needed.
    pub fn store(&self, token: impl Into<HeldToken>) -> StoreSession {
        StoreSession::of_refresh_token(self.clone(), token.into())
    }

    /// What the client itself can do beyond this. It has an access token of its own.
    pub fn reach(&self) -> Reach {
        Reach::new(self.clone(), Arc::new(Access::new(Identity::Client)))
    }

    /// Reads the OAuth client itself (Foxy docs: rels/client), with its secret ([`Document::client_secret`]).
    ///
    /// # Errors
    /// [`ReadError`], by what is wrong.
    pub async fn read_client(&self) -> Result<Document, ReadError> {
        Document::linked(self.wire(), &self.shared.client, "fx:client").await
    }

    /// Gives the OAuth client another secret (Foxy docs: authentication, client creation). Refresh tokens go on with the
    /// new one; access tokens made before live out their two hours. This client keeps asking with the old one: build
    /// another, or give it a [`SecretSource`].
    ///
    /// After [`Outcome::Unknown`](crate::Outcome::Unknown) one of the two secrets is the right one; [`Foxy::probe`] with
    /// each tells which.
    pub async fn change_client_secret(&self, secret: &ClientSecret, deadline: Instant) -> Report<()> {
        let body = json!({ "client_secret": secret.expose() });
        let to = (Verb::Patch, To::Home("fx:client"));
        self.shared.client.send(self.wire(), to, &body, deadline, outcome::judge_change).await
    }

    /// Exchanges what a browser brought back for tokens (`authorization_code`, RFC 6749 section 4.1.3). Check the `state`
    /// that came with it first.
    ///
    /// A code opens once, so it is sent once, whatever becomes of it. If no answer arrives the person has to grant
    /// access again. Dropping the future drops a token that may be on its way: let it run to the end, and keep what it
    /// brings.
    ///
    /// What was granted need not be what was meant: see what it opens.
    ///
    /// # Errors
    /// [`ExchangeError`], by what may have become of the code.
    pub async fn exchange_code(&self, brought: BroughtCode<'_>) -> Result<Granted, ExchangeError> {
        let BroughtCode { code, client_id, redirect_uri, scope } = brought;
        let grant = Grant::Code { code, redirect_uri: redirect_uri.map(str::to_owned), scope };
        let turn = self.wire().turn_to_read().await.map_err(|source| ExchangeError::NotSent { source })?;
        self.wire().exchange(client_id, &grant, turn).await
    }

    /// Which user a grant opens, as its own access token sees it. May be repeated while that lives.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn opened_user(&self, granted: &Granted) -> Result<Opened, ReadError> {
        let read = opened::read(self.wire(), granted, "fx:user").await?;
        Ok(read.map_or_else(Opened::Unproven, |(uri, user)| Opened::User(OpenedUser::of(uri, &user))))
    }

    /// Which store a grant opens, as its own access token sees it. May be repeated while that lives.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn opened_store(&self, granted: &Granted) -> Result<Opened, ReadError> {
        let read = opened::read(self.wire(), granted, "fx:store").await?;
        Ok(read.map_or_else(Opened::Unproven, |(uri, store)| Opened::Store(OpenedStore::of(uri, &store))))
    }

    /// Whether a user with this email exists (Foxy docs: rels/reporting_email_exists). Says nothing of whose it is.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn email_exists(&self, email: &str) -> Result<bool, ReadError> {
        self.exists("fx:reporting_email_exists", "email", email).await
    }

    /// Whether a store with this domain exists (Foxy docs: rels/reporting_store_domain_exists). Says nothing of whose
    /// it is.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn store_domain_exists(&self, domain: &str) -> Result<bool, ReadError> {
        self.exists("fx:reporting_store_domain_exists", "store_domain", domain).await
    }

    /// Makes an access token of this scope from a refresh token.
    ///
    /// # Errors
    /// [`TokenError::Revoked`] if the refresh token is refused, and so is whatever else its keeper has; else as for any
    /// read.
    pub async fn access_token(&self, token: impl Into<HeldToken>, scope: TokenScope) -> Result<Granted, TokenError> {
        let turn = self.wire().turn_to_read().await?;
        Ok(token.into().refresh(self.wire(), scope, Some(turn)).await?.0)
    }

    /// Fetches the home document with the client's token: proves address, TLS, credentials and scope, and changes
    /// nothing.
    ///
    /// For health checks, and for a circuit breaker to see whether Foxy is back. Always asks Foxy; the links that come
    /// with the answer are kept for the calls that follow.
    ///
    /// # Errors
    /// [`ReadError`], by what is wrong.
    pub async fn probe(&self) -> Result<(), ReadError> {
        self.shared.client.renew_home(self.wire(), "fx:create_user").await
    }

    /// Fetches the client's access token and its links, unless they are kept: the first create then needs one request.
    /// A create that begins meanwhile waits for the same answers.
    ///
    /// Takes no turn under the [`Rate`](crate::Rate), as it would not if the first create asked.
    ///
    /// # Errors
    /// [`ReadError`], by what is wrong; the first create meets the same.
    pub async fn prepare(&self) -> Result<(), ReadError> {
        self.shared.client.follow(self.wire(), "fx:create_user").await.map(drop)
    }

    /// From here on no call waits for its turn under the [`Rate`](crate::Rate): it goes at once, or not at all. For a
    /// program that is about to end.
    pub fn stop_waiting(&self) {
        self.wire().stop_waiting();
    }

    /// Where this client's API is, and which origins it trusts.
    pub fn origins(&self) -> &ApiOrigins {
        self.wire().origins()
    }

    /// What this client's users share with it.
    pub(crate) fn wire(&self) -> &Wire {
        &self.shared.wire
    }

    /// Asks one of the reporting links about one value. A 404 is an answer only if Foxy says in words that there is
    /// none; else the link has moved, and "absent" would be a guess that leads to a second creation.
    async fn exists(&self, rel: &'static str, name: &str, value: &str) -> Result<bool, ReadError> {
        let mut last = 404;
        let mut turn = Some(self.wire().turn_to_read().await?);
        for _ in 0..2 {
            let link = self.reporting(rel).await?;
            match self.shared.client.read(self.wire(), &link.uri.with_query(name, value), turn.take()).await? {
                Found::Document(_) => return Ok(true),
                Found::Gone { absent: true, .. } => return Ok(false),
                Found::Gone { status, .. } => last = status,
            }
            self.shared.reporting.forget(link.edition).await;
        }
        Err(ReadError::odd(OddAnswer::Status(last)))
    }

    /// Follows a link of the reporting document; the way there is discovered anew, once, should it have moved.
    async fn reporting(&self, rel: &'static str) -> Result<Followed, ReadError> {
        let discover = || async {
            let mut last = 404;
            for _ in 0..2 {
                let link = self.shared.client.follow(self.wire(), "fx:reporting").await?;
                match self.shared.client.read(self.wire(), &link.uri, None).await? {
                    Found::Document(document) => return Ok(Links::of(&document)),
                    Found::Gone { status, .. } => last = status,
                }
                self.shared.client.forget_home(link.edition).await;
            }
            Err(ReadError::odd(OddAnswer::Status(last)))
        };
        follow(&self.shared.reporting, rel, self.origins(), discover).await
    }
}

impl fmt::Debug for Foxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foxy({} at {})", self.wire().client_id(), self.origins())
    }
}
