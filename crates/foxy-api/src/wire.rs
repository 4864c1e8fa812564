//! The wire: the client's credentials, the way to the token endpoint, and calls that need no token.

use std::mem::replace;
use std::sync::Arc;
use std::time::Duration;

use foxden_vault::ClientSecret;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, OddAnswer};
use crate::code;
use crate::follow::follow;
use crate::http::{Caller, Failure, Fate, Http, Verb};
use crate::link::Links;
use crate::oauth::{Bearer, Grant};
use crate::outcome::{self, Ending};
use crate::pace::{Line, Turn};
use crate::read::{self, Reading};
use crate::secret::Secrets;
use crate::single_flight::SingleFlight;
use crate::struck::Struck;
use crate::wiped;
use crate::{
    ApiOrigins, ClientSecrets, CodeRefusal, Evidence, ExchangeError, Granted, NoEffect, NotSent, Outcome, ReadError,
    Report, ResourceUri, SecretSource, Settings, SetupFault,
};

/// What all identities share: the wire, the client's credentials, and the way to the token endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    pub(crate) settings: Arc<Settings>,
    secrets: Arc<Secrets>,
    other_clients: Option<Arc<dyn ClientSecrets>>,
    pub(crate) http: Arc<Http>,
    /// The links of the home document as the public sees it.
    entry: Arc<SingleFlight<Links>>,
}

impl Wire {
    /// The shared part of a client; nothing is fetched yet.
    pub(crate) fn new(
        settings: Settings,
        source: Option<Arc<dyn SecretSource>>,
        other_clients: Option<Arc<dyn ClientSecrets>>,
        http: Http,
    ) -> Self {
        let secrets = Secrets::new(settings.client_secret.clone(), source);
        let (secrets, http) = (Arc::new(secrets), Arc::new(http));
        Self { settings: Arc::new(settings), secrets, other_clients, http, entry: Arc::new(SingleFlight::new(None)) }
    }

    /// The origins that links are checked against.
    pub(crate) fn origins(&self) -> &ApiOrigins {
        &self.settings.api
    }

    /// The OAuth client's id.
    pub(crate) fn client_id(&self) -> &str {
        &self.settings.client_id
    }

    /// What no answer may bring into an error: these, and the client's secrets.
    pub(crate) fn struck(&self, of_caller: Struck) -> Struck {
        self.secrets.struck(of_caller)
    }

    /// Asks the token endpoint as the client that the grant was given to, and as no other.
    pub(crate) async fn token_of(
        &self,
        client_id: Option<&str>,
        grant: &Grant,
        mut turn: Option<Turn>,
    ) -> Result<(Granted, Bearer), ReadError> {
        let Some(id) = client_id.filter(|id| *id != self.client_id()) else { return self.token(grant, turn).await };
        let first = self.secret_of_other(id)?;
        let answered = match self.ask_with((id, &first), grant, turn.take()).await {
            Err(ReadError::SetupFault(SetupFault::InvalidClient)) => match self.secret_of_other(id) {
                // It was changed meanwhile.
                Ok(now) if now.expose() != first.expose() => self.ask_with((id, &now), grant, None).await,
                _ => Err(SetupFault::InvalidClient.into()),
            },
            answered => answered,
        };
        answered.map_err(|error| match error {
            ReadError::SetupFault(SetupFault::InvalidClient) => SetupFault::OtherClientRefused(id.to_owned()).into(),
            error => error,
        })
    }

    /// Exchanges a code for tokens, as the client that has asked for it. The code is sent once at most.
    ///
    /// A secret that was changed lately, or an endpoint that has moved, would cost the code. So the client first gets a
    /// token of its own, which may be asked for again, and shows both.
    pub(crate) async fn exchange(&self, client_id: &str, code: &Grant, turn: Turn) -> Result<Granted, ExchangeError> {
        let is_other = client_id != self.client_id();
        let ready = async {
            self.token_of(Some(client_id), &Grant::Client, Some(turn)).await?;
            let secret = if is_other { self.secret_of_other(client_id)? } else { self.secrets.latest() };
            let endpoint = follow(&self.entry, "fx:token", self.origins(), || self.discover_entry()).await?;
            Ok((secret, endpoint))
        };
        let (secret, endpoint) = ready.await.map_err(|source| ExchangeError::NotSent { source })?;
        let since = Instant::now();
        let exchange = self.http.exchange(&endpoint.uri, code, (client_id, &secret)).await;
        if exchange.as_ref().is_ok_and(|answer| matches!(answer.status, 404 | 410)) {
            self.entry.forget(endpoint.edition).await;
        }
        code::judge(code, exchange, since).map_err(|error| match error {
            ExchangeError::Refused(CodeRefusal::SetupFault(SetupFault::InvalidClient)) if is_other => {
                let fault = SetupFault::OtherClientRefused(client_id.to_owned());
                ExchangeError::Refused(CodeRefusal::SetupFault(fault))
            }
            error => error,
        })
    }

    fn secret_of_other(&self, client_id: &str) -> Result<ClientSecret, ReadError> {
        let secret = self.other_clients.as_ref().and_then(|clients| clients.secret_of(client_id));
        secret.ok_or_else(|| SetupFault::OtherClientUnknown(client_id.to_owned()).into())
    }

    /// Asks the token endpoint with the client's secret; with another, if there is one, should Foxy refuse it. `None`
    /// as turn for what a call under way needs.
    pub(crate) async fn token(&self, grant: &Grant, mut turn: Option<Turn>) -> Result<(Granted, Bearer), ReadError> {
        let mut secret = self.secrets.first();
        let mut refused = Vec::new();
        loop {
            let answered = self.ask_with((self.client_id(), &secret), grant, turn.take()).await;
            match &answered {
                Ok(_) => self.secrets.took(&secret),
                Err(ReadError::SetupFault(SetupFault::InvalidClient)) => {
                    refused.push(secret);
                    if let Some(other) = self.secrets.other_than(&refused).await {
                        secret = other;
                        continue;
                    }
                }
                Err(_) => {}
            }
            return answered;
        }
    }

    /// Asks the token endpoint; once more, should its link have moved since it was discovered.
    async fn ask_with(
        &self,
        credentials: (&str, &ClientSecret),
        grant: &Grant,
        mut turn: Option<Turn>,
    ) -> Result<(Granted, Bearer), ReadError> {
        let mut rediscovered = false;
        loop {
            let endpoint = follow(&self.entry, "fx:token", self.origins(), || self.discover_entry()).await?;
            let since = Instant::now();
            let asked = self.http.ask_for_token(&endpoint.uri, grant, credentials, turn.take()).await;
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

    /// Sends a call that needs no token to what the public home document links as `rel`, once, before `deadline`.
    pub(crate) async fn send_public<T>(
        &self,
        rel: &'static str,
        body: &Value,
        deadline: Instant,
        judge: impl Fn(&Result<Answer, Failure>) -> Ending<T>,
    ) -> Report<T> {
        let begun = Instant::now();
        let turn = match self.http.turn_to_create(Line::Begun, deadline).await {
            Ok(turn) => turn,
            Err(wait) => return held_back(wait, begun),
        };
        let link = async { follow(&self.entry, rel, self.origins(), || self.discover_entry()).await };
        let (outcome, mut evidence) = match timeout_at(deadline, link).await {
            Err(_) => (Outcome::NoEffect(NoEffect::NotSent(NotSent::DeadlinePassed)), Evidence::default()),
            Ok(Err(error)) => {
                let (reason, cause) = error.into_no_effect();
                (Outcome::NoEffect(reason), Evidence { cause, ..Evidence::default() })
            }
            Ok(Ok(link)) => {
                let known = &self.struck(Struck::default()).body(body);
                let body = wiped::text(body);
                let to = (Verb::Post, &link.uri);
                let caller = Caller { token: None, captcha: None, known };
                let exchange = self.http.change(to, caller, body, deadline, Some(turn)).await;
                let outcome = match judge(&exchange) {
                    Ending::Final(outcome) => outcome,
                    // There was no token to be stale.
                    Ending::StaleToken => Outcome::NoEffect(NoEffect::SetupFault(SetupFault::Forbidden)),
                    Ending::StaleLink => {
                        self.entry.forget(link.edition).await;
                        Outcome::NoEffect(NoEffect::LinksChanged)
                    }
                };
                (outcome, outcome::evidence(&exchange, self.origins()))
            }
        };
        evidence.elapsed = begun.elapsed();
        Report { outcome, evidence }
    }

    /// Waits until a read may begin.
    pub(crate) async fn turn_to_read(&self) -> Result<Turn, ReadError> {
        self.http.turn_to_read().await.map_err(|wait| ReadError::HeldBack { wait })
    }

    /// Ends all waiting for turns.
    pub(crate) fn stop_waiting(&self) {
        self.http.stop_waiting();
    }

    async fn discover_entry(&self) -> Result<Links, ReadError> {
        let caller = Caller { token: None, captcha: None, known: &self.struck(Struck::default()) };
        let answer = self.http.get(&ResourceUri::home(self.origins()), caller, None).await.map_err(unavailable)?;
        match read::judge(&answer) {
            Reading::Document(document) => Ok(Links::of(&document)),
            Reading::Failed(error) => Err(error),
            Reading::Gone { .. } | Reading::StaleToken => Err(ReadError::odd(OddAnswer::Status(answer.status))),
        }
    }
}

/// A call whose turn would come too late.
pub(crate) fn held_back<T>(wait: Duration, begun: Instant) -> Report<T> {
    let evidence = Evidence { elapsed: begun.elapsed(), ..Evidence::default() };
    Report { outcome: Outcome::NoEffect(NoEffect::HeldBack { wait }), evidence }
}

/// A read without an answer: whether it was sent makes no difference.
pub(crate) fn unavailable(failure: Failure) -> ReadError {
    match (failure.fate, failure.cause) {
        (Fate::HeldBack(wait), _) => ReadError::HeldBack { wait },
        (_, Some(source)) => ReadError::Unavailable { retry_after: None, source },
        (_, None) => ReadError::Unavailable { retry_after: None, source: OddAnswer::None.cause() },
    }
}
