//! Making an OAuth client.

use std::fmt;
use std::time::Duration;

use foxden_vault::ClientSecret;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::access::{Access, Identity};
use crate::errors::Creating;
use crate::http::Http;
use crate::link::Links;
use crate::wire::Wire;
use crate::{
    ApiOrigins, ClientError, Document, Granted, LinkProblem, Outcome, Report, ResourceUri, Settings, TokenLoss,
    TokenScope, outcome,
};

/// An OAuth client to be created (Foxy docs: rels/create_client). Partly personal data: `Debug` shows the id only.
#[derive(Clone, PartialEq)]
pub struct NewClient {
    /// The id it is to have; Foxy makes one up if there is none. It can't be changed later. Distributed integrations take a
    /// prefix of their own and a random rest (Foxy docs: authentication, client creation).
    pub id: Option<String>,
    /// Where browsers are sent back to with a code.
    pub redirect_uri: String,
    /// What the integration is called.
    pub project_name: String,
    /// Whose it is.
    pub company_name: String,
    /// Whom Foxy asks about it.
    pub contact_name: String,
    /// How that person is reached.
    pub contact_email: String,
    /// How that person is reached.
    pub contact_phone: String,
    /// Further properties under Foxy's names, such as `project_description` or `company_url`. The fields above win over
    /// properties of their names.
    pub extra: Map<String, Value>,
}

/// An OAuth client that was created.
#[derive(Debug, Clone)]
pub struct CreatedClient {
    /// The client's address. Its secret is good whatever is wrong with the address: keep the secret first.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The client's id, which is public.
    pub id: String,
    /// The client's secret. The client's token reads it again: [`Foxy::read_client`](crate::Foxy::read_client).
    pub secret: ClientSecret,
    /// The client's own token (`client_full_access`), if the answer had one. It need not be kept: id and secret make
    /// others.
    pub token: Option<Granted>,
}

/// What the answer to a creation says of a client.
pub(crate) struct Answered {
    uri: Result<ResourceUri, LinkProblem>,
    id: String,
    secret: Option<ClientSecret>,
    token: Option<Granted>,
}

/// Makes OAuth clients, for which no client is needed.
#[derive(Debug)]
pub struct Registrar {
    wire: Wire,
}

impl Registrar {
    /// Prepares to make a client there. Sends nothing. As [`Foxy::try_new`](crate::Foxy::try_new) in all else.
    ///
    /// # Errors
    /// [`ClientError`], when settings or surroundings won't do.
    pub fn try_new(
        api: ApiOrigins,
        connect_timeout: Duration,
        call_timeout: Duration,
        user_agent: impl Into<String>,
    ) -> Result<Self, ClientError> {
        // Nothing that is sent from here has an id or a secret in it.
        let (client_id, client_secret) = ("none".to_owned(), ClientSecret::new("none"));
        let user_agent = user_agent.into();
        let settings = Settings {
            api,
            client_id,
            client_secret,
            h_captcha_code: None,
            connect_timeout,
            call_timeout,
            // Clients are made one by one.
            connection_idle: Duration::ZERO,
            rate: None,
            user_agent,
        };
        settings.check()?;
        let http = Http::try_new(&settings)?;
        Ok(Self { wire: Wire::new(settings, None, None, http) })
    }

    /// Creates a client (Foxy docs: rels/create_client), or says that nothing was created, or that nobody knows.
    ///
    /// An answer with a token, but without the secret, is no loss: the secret is read with the token. A client whose
    /// secret was lost with the whole answer ([`Outcome::Unknown`], [`Outcome::TokenLost`]) is of no use and does no
    /// harm: make another, under another id.
    pub async fn create_client(&self, client: &NewClient, deadline: Instant) -> Report<CreatedClient> {
        let begun = Instant::now();
        let origins = self.wire.origins().clone();
        let judge = |exchange: &_| {
            outcome::judge_creation(Creating::Other, exchange, |document| Answered::read(document, &origins))
        };
        let Report { outcome, mut evidence } =
            self.wire.send_public("fx:create_client", &client.body(), deadline, judge).await;
        let outcome = match outcome {
            Outcome::Done(answered) => self.with_secret(answered, deadline).await,
            Outcome::NoEffect(reason) => Outcome::NoEffect(reason),
            Outcome::Rejected(rejection) => Outcome::Rejected(rejection),
            Outcome::Unknown(doubt) => Outcome::Unknown(doubt),
            Outcome::TokenLost(loss) => Outcome::TokenLost(loss),
        };
        evidence.elapsed = begun.elapsed();
        Report { outcome, evidence }
    }

    /// The client, with the secret that the answer brought, or else with the one that Foxy shows for its token.
    async fn with_secret(&self, answered: Answered, deadline: Instant) -> Outcome<CreatedClient> {
        let Answered { uri, id, secret, token } = answered;
        let secret = match (secret, &token) {
            (Some(secret), _) => Some(secret),
            (None, Some(token)) => self.read_secret(&id, token, deadline).await,
            (None, None) => None,
        };
        match secret {
            Some(secret) => Outcome::Done(CreatedClient { uri, id, secret, token }),
            None => Outcome::TokenLost(TokenLoss::NoToken),
        }
    }

    async fn read_secret(&self, id: &str, token: &Granted, deadline: Instant) -> Option<ClientSecret> {
        let bearer = token.bearer(Instant::now(), TokenScope::Client);
        let access = Access::known(Identity::Client, bearer, None);
        let read = timeout_at(deadline, Document::linked(&self.wire, &access, "fx:client")).await.ok()?.ok()?;
        read.client_secret().filter(|_| read.text("client_id") == Some(id)).cloned()
    }
}

impl NewClient {
    /// Foxy's body for the creation.
    fn body(&self) -> Value {
        let mut body = self.extra.clone();
        let fields = [
            ("client_id", self.id.as_ref()),
            ("redirect_uri", Some(&self.redirect_uri)),
            ("project_name", Some(&self.project_name)),
            ("company_name", Some(&self.company_name)),
            ("contact_name", Some(&self.contact_name)),
            ("contact_email", Some(&self.contact_email)),
            ("contact_phone", Some(&self.contact_phone)),
        ];
        for (name, value) in fields {
            body.remove(name);
            if let Some(value) = value {
                body.insert(name.into(), value.as_str().into());
            }
        }
        Value::Object(body)
    }
}

impl Answered {
    /// From a 201; nothing if it lacks the id, or both the secret and the way to read it.
    pub(crate) fn read(document: &Value, origins: &ApiOrigins) -> Option<Self> {
        let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (secret, token) = (text("client_secret").map(ClientSecret::new), Granted::of_creation(document));
        let id = text("client_id").filter(|_| secret.is_some() || token.is_some())?.to_owned();
        Some(Self { uri: Links::of(document).own(origins), id, secret, token })
    }

    /// Whether the secret is there, or the token that reads it.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn leads_to_a_secret(&self) -> bool {
        self.secret.as_ref().is_some_and(|secret| !secret.expose().is_empty()) || self.token.is_some()
    }
}

impl fmt::Debug for NewClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewClient").field("id", &self.id).finish_non_exhaustive()
    }
}
