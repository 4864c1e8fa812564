//! One identity's way into the API: its access token, its home document's links, and the calls made with both.

use std::mem::replace;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answer::OddAnswer;
use crate::errors::Creating;
use crate::http::{Failure, Http};
use crate::link::Links;
use crate::oauth::{Bearer, Grant};
use crate::outcome::{self, Created, Ending};
use crate::read::{self, Reading};
use crate::single_flight::{Kept, SingleFlight};
use crate::{
    ApiOrigins, Cause, Evidence, Granted, NoEffect, NotSent, Outcome, ReadError, Report, ResourceUri, Settings,
    SetupFault,
};

/// What all identities share: the wire, the client's credentials, and the way to the token endpoint.
#[derive(Debug)]
pub(crate) struct Wire {
    settings: Settings,
    http: Http,
    /// The links of the home document as the public sees it.
    entry: SingleFlight<Links>,
}

/// An identity: the client itself, or one user.
#[derive(Debug)]
pub(crate) struct Access {
    grant: Grant,
    token: SingleFlight<Bearer>,
    /// The links of the home document as this identity sees it, or those that another answer brought.
    home: SingleFlight<Links>,
}

/// A document, or the news that there is none at this address.
#[derive(Debug)]
pub(crate) enum Found {
    /// The document.
    Document(Value),
    /// 404 or 410; `absent` if Foxy says in words that what was asked about does not exist.
    Gone { status: u16, absent: bool },
}

/// A link from a kept document.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Where it leads.
    pub(crate) uri: ResourceUri,
    /// The document's edition, to be forgotten should the link lead nowhere.
    pub(crate) edition: u64,
}

impl Wire {
    /// The shared part of a client; nothing is fetched yet.
    pub(crate) fn new(settings: Settings, http: Http) -> Self {
        Self { settings, http, entry: SingleFlight::new(None) }
    }

    /// The origins that links are checked against.
    pub(crate) fn origins(&self) -> &ApiOrigins {
        &self.settings.api
    }

    /// The OAuth client's id.
    pub(crate) fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// Asks the token endpoint; once more, should its link have moved since it was discovered.
    pub(crate) async fn token(&self, grant: &Grant) -> Result<(Granted, Bearer), ReadError> {
        let mut rediscovered = false;
        loop {
            let endpoint = follow(&self.entry, "fx:token", self.origins(), || self.discover_entry()).await?;
            let since = Instant::now();
            let credentials = (self.client_id(), self.settings.client_secret.expose());
            let asked = self.http.ask_for_token(&endpoint.uri, grant.form(), credentials).await;
            let answer = asked.map_err(unavailable)?;
            if !matches!(answer.status, 404 | 410) {
                return grant.read(&answer, since);
            }
            self.entry.forget(endpoint.edition).await;
            if replace(&mut rediscovered, true) {
                return Err(ReadError::odd(OddAnswer::Status(answer.status)));
            }
        }
    }

    async fn discover_entry(&self) -> Result<Links, ReadError> {
        let answer = self.http.get(&ResourceUri::home(self.origins()), None).await.map_err(unavailable)?;
        match read::judge(&answer) {
            Reading::Document(document) => Ok(Links::of(&document)),
            Reading::Failed(error) => Err(error),
            Reading::Gone { .. } | Reading::StaleToken => Err(ReadError::odd(OddAnswer::Status(answer.status))),
        }
    }
}

impl Access {
    /// An identity of which nothing but its grant is known.
    pub(crate) fn new(grant: Grant) -> Self {
        Self { grant, token: SingleFlight::new(None), home: SingleFlight::new(None) }
    }

    /// An identity whose access token, and perhaps some links, came with an earlier answer.
    pub(crate) fn known(grant: Grant, token: Bearer, links: Option<Links>) -> Self {
        Self { grant, token: SingleFlight::new(Some(token)), home: SingleFlight::new(links) }
    }

    /// Follows a link of the home document.
    pub(crate) async fn follow(&self, wire: &Wire, rel: &'static str) -> Result<Followed, ReadError> {
        follow(&self.home, rel, wire.origins(), || self.discover_home(wire)).await
    }

    /// Forgets the home document from which a link was followed.
    pub(crate) async fn forget_home(&self, edition: u64) {
        self.home.forget(edition).await;
    }

    /// Fetches the home document, whatever is kept, and keeps its links if `rel` is among them.
    pub(crate) async fn renew_home(&self, wire: &Wire, rel: &'static str) -> Result<(), ReadError> {
        let links = self.discover_home(wire).await?;
        links.uri(rel, wire.origins())?;
        self.home.keep(links).await;
        Ok(())
    }

    /// Fetches a document; once more with a fresh token, should the present one be refused.
    pub(crate) async fn read(&self, wire: &Wire, uri: &ResourceUri) -> Result<Found, ReadError> {
        let mut renewed = false;
        loop {
            let token = self.bearer(wire).await?;
            let answer = wire.http.get(uri, Some(&token.value.access)).await.map_err(unavailable)?;
            match read::judge(&answer) {
                Reading::Document(document) => return Ok(Found::Document(document)),
                Reading::Gone { status, absent } => return Ok(Found::Gone { status, absent }),
                Reading::Failed(error) => return Err(error),
                Reading::StaleToken => self.token.forget(token.edition).await,
            }
            if replace(&mut renewed, true) {
                return Err(SetupFault::TokenRefused.into());
            }
        }
    }

    /// Creates something at the address that the home document links as `rel`, before `deadline`.
    ///
    /// It is sent again only where Foxy's answer says that nothing was created: once with a fresh token, once to a link
    /// discovered anew.
    pub(crate) async fn create(
        &self,
        wire: &Wire,
        (creating, rel): (Creating, &'static str),
        body: &Value,
        deadline: Instant,
    ) -> Report<Created> {
        let begun = Instant::now();
        let body = body.to_string().into_bytes();
        let mut evidence = Evidence::default();
        let (mut renewed, mut rediscovered) = (false, false);
        let outcome = loop {
            let (link, token) = match self.prepare(wire, rel, deadline).await {
                Ok(prepared) => prepared,
                Err((reason, cause)) => {
                    evidence.cause = cause;
                    break Outcome::NoEffect(reason);
                }
            };
            let exchange = wire.http.create(&link.uri, &token.value.access, body.clone(), deadline).await;
            evidence = outcome::evidence(&exchange, wire.origins());
            match outcome::judge(creating, &exchange) {
                Ending::Final(outcome) => break outcome,
                Ending::StaleToken => {
                    self.token.forget(token.edition).await;
                    if replace(&mut renewed, true) {
                        break Outcome::NoEffect(NoEffect::SetupFault(SetupFault::TokenRefused));
                    }
                }
                Ending::StaleLink => {
                    self.home.forget(link.edition).await;
                    if replace(&mut rediscovered, true) {
                        break Outcome::NoEffect(NoEffect::LinksChanged);
                    }
                }
            }
        };
        evidence.elapsed = begun.elapsed();
        Report { outcome, evidence }
    }

    /// Link and token for a create. All of it may be given up at the deadline: fetching them changes nothing at Foxy.
    async fn prepare(
        &self,
        wire: &Wire,
        rel: &'static str,
        deadline: Instant,
    ) -> Result<(Followed, Kept<Bearer>), (NoEffect, Option<Cause>)> {
        let passed = || (NoEffect::NotSent(NotSent::DeadlinePassed), None);
        if Instant::now() >= deadline {
            return Err(passed());
        }
        let fetch = async { Ok((self.follow(wire, rel).await?, self.bearer(wire).await?)) };
        timeout_at(deadline, fetch).await.map_err(|_| passed())?.map_err(ReadError::into_no_effect)
    }

    async fn discover_home(&self, wire: &Wire) -> Result<Links, ReadError> {
        match self.read(wire, &ResourceUri::home(wire.origins())).await? {
            Found::Document(document) => Ok(Links::of(&document)),
            Found::Gone { status, .. } => Err(ReadError::odd(OddAnswer::Status(status))),
        }
    }

    async fn bearer(&self, wire: &Wire) -> Result<Kept<Bearer>, ReadError> {
        self.token.get(Bearer::is_good, || async { Ok(wire.token(&self.grant).await?.1) }).await
    }
}

/// Follows a link of a kept document, which is discovered first if it is not kept. A document without a usable link is
/// not kept: once Foxy has mended it, nobody should have to restart us.
pub(crate) async fn follow<F: Future<Output = Result<Links, ReadError>>>(
    documents: &SingleFlight<Links>,
    rel: &'static str,
    origins: &ApiOrigins,
    discover: impl FnOnce() -> F,
) -> Result<Followed, ReadError> {
    let links = documents.get(|_| true, discover).await?;
    match links.value.uri(rel, origins) {
        Ok(uri) => Ok(Followed { uri, edition: links.edition }),
        Err(problem) => {
            documents.forget(links.edition).await;
            Err(problem.into())
        }
    }
}

/// A read without an answer: whether it was sent makes no difference.
fn unavailable(failure: Failure) -> ReadError {
    match failure.cause {
        Some(source) => ReadError::Unavailable { retry_after: None, source },
        None => ReadError::Unavailable { retry_after: None, source: OddAnswer::None.cause() },
    }
}
