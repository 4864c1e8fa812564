//! Making an OAuth client.

use std::fmt;
use std::time::Duration;

use foxden_vault::ClientSecret;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::errors::Creating;
use crate::http::Http;
use crate::link::Links;
use crate::wire::Wire;
use crate::{ApiOrigins, ClientError, Granted, LinkProblem, Report, ResourceUri, Settings, outcome};

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
    /// The client's secret. Foxy does not show it again.
    pub secret: ClientSecret,
    /// The client's own token (`client_full_access`), if the answer had one. It need not be kept: id and secret make
    /// others.
    pub token: Option<Granted>,
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
            rate: None,
            user_agent,
        };
        settings.check()?;
        let http = Http::try_new(&settings)?;
        Ok(Self { wire: Wire::new(settings, None, http) })
    }

    /// Creates a client (Foxy docs: rels/create_client), or says that nothing was created, or that nobody knows.
    ///
    /// A client whose secret was lost with the answer ([`Outcome::Unknown`](crate::Outcome::Unknown),
    /// [`Outcome::TokenLost`](crate::Outcome::TokenLost)) is of no use and does no harm: make another, under another id.
    pub async fn create_client(&self, client: &NewClient, deadline: Instant) -> Report<CreatedClient> {
        let origins = self.wire.origins().clone();
        let judge = |exchange: &_| {
            outcome::judge_creation(Creating::Other, exchange, |document| CreatedClient::read(document, &origins))
        };
        self.wire.send_public("fx:create_client", &client.body(), deadline, judge).await
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

impl CreatedClient {
    /// From a 201; nothing if it lacks the id or the secret.
    pub(crate) fn read(document: &Value, origins: &ApiOrigins) -> Option<Self> {
        let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            uri: Links::of(document).own(origins),
            id: text("client_id")?.to_owned(),
            secret: ClientSecret::new(text("client_secret")?),
            token: Granted::of_creation(document),
        })
    }
}

impl fmt::Debug for NewClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewClient").field("id", &self.id).finish_non_exhaustive()
    }
}
