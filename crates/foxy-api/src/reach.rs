//! What one identity can do at Foxy beyond the calls that a signup needs.

use std::fmt;
use std::sync::Arc;

use foxden_vault::{AccessToken, ClientSecret};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::access::{Access, Found, To, When};
use crate::answer::OddAnswer;
use crate::errors::Creating;
use crate::http::{Caller, Verb};
use crate::pace::Line;
use crate::struck::Struck;
use crate::wire::unavailable;
use crate::{
    AddedIntegration, CreatedStore, Foxy, Integration, Methods, NewStore, ReadError, Report, ResourceUri, outcome,
};

/// More integrations than a store has; Foxy's largest page.
const LARGEST_PAGE: &str = "300";

/// A client's, a user's or a store's reach, by [`Foxy::reach`], [`UserSession::reach`](crate::UserSession::reach) or
/// [`StoreSession::reach`](crate::StoreSession::reach). Much of it Foxy may refuse.
#[derive(Clone)]
pub struct Reach {
    foxy: Foxy,
    access: Arc<Access>,
}

impl Reach {
    pub(crate) fn new(foxy: Foxy, access: Arc<Access>) -> Self {
        Self { foxy, access }
    }

    /// Where the home document leads under this relation.
    ///
    /// # Errors
    /// [`ReadError`]; a [`SetupFault`](crate::SetupFault) if there is no such link.
    pub async fn linked(&self, rel: &'static str) -> Result<ResourceUri, ReadError> {
        Ok(self.access.follow(self.foxy.wire(), rel).await?.uri)
    }

    /// Asks which methods a resource takes, which has no effect. `None`: the answer does not say.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn methods(&self, uri: &ResourceUri) -> Result<Option<Methods>, ReadError> {
        self.access.methods(self.foxy.wire(), uri).await
    }

    /// Deletes a resource. May be repeated after an unknown outcome.
    pub async fn delete(&self, uri: &ResourceUri, deadline: Instant) -> Report<()> {
        let to = (Verb::Delete, To::Known(uri));
        self.access.send(self.foxy.wire(), to, &Value::Null, deadline, outcome::judge_change).await
    }

    /// Creates a store where this identity's home document links `fx:stores`.
    pub async fn create_store(&self, store: &NewStore, deadline: Instant) -> Report<CreatedStore> {
        let (what, when) = ((Creating::Store, "fx:stores"), When { deadline, line: Line::Begun, wanted: &|| true });
        let report = self.access.create(self.foxy.wire(), what, &store.body(), store.captcha.as_ref(), when).await;
        report.map(|created| CreatedStore::new(created, self.foxy.origins()))
    }

    /// The integrations in the collection at this address (Foxy docs: rels/integrations).
    ///
    /// # Errors
    /// [`ReadError`], also if there are more than fit on one page.
    pub async fn integrations(&self, collection: &ResourceUri) -> Result<Vec<Integration>, ReadError> {
        let wire = self.foxy.wire();
        let turn = wire.turn_to_read().await?;
        match self.access.read(wire, &collection.with_query("limit", LARGEST_PAGE), Some(turn)).await? {
            Found::Document(document) => Integration::listed(&document, wire.origins()),
            Found::Gone { status, .. } => Err(ReadError::odd(OddAnswer::Status(status))),
        }
    }

    /// Adds an integration to the collection at this address: a client of its own, with a token of the store.
    pub async fn add_integration(
        &self,
        collection: &ResourceUri,
        project_name: &str,
        deadline: Instant,
    ) -> Report<AddedIntegration> {
        let wire = self.foxy.wire();
        let body = json!({ "project_name": project_name });
        let origins = wire.origins();
        let judge = |exchange: &_| {
            outcome::judge_creation(Creating::Other, exchange, |document| AddedIntegration::read(document, origins))
        };
        self.access.send(wire, (Verb::Post, To::Known(collection)), &body, deadline, judge).await
    }

    /// Sends a client's new secret to the `fx:token` link, as one of Foxy's pages has it.
    pub async fn change_secret_at_token_endpoint(&self, secret: &ClientSecret, deadline: Instant) -> Report<()> {
        let body = json!({ "client_secret": secret.expose() });
        let to = (Verb::Patch, To::Home("fx:token"));
        self.access.send(self.foxy.wire(), to, &body, deadline, outcome::judge_change).await
    }

    /// Whether this very access token opens a resource now. No other is fetched in its place.
    ///
    /// # Errors
    /// [`ReadError`]; then it is not known.
    pub async fn opens(&self, token: &AccessToken, uri: &ResourceUri) -> Result<bool, ReadError> {
        let wire = self.foxy.wire();
        let turn = wire.turn_to_read().await?;
        let caller = Caller { token: Some(token), captcha: None, known: &wire.struck(Struck::default()) };
        let answer = wire.http.get(uri, caller, Some(turn)).await.map_err(unavailable)?;
        match answer.status {
            200..=299 => Ok(true),
            401 => Ok(false),
            status => Err(ReadError::odd(OddAnswer::Status(status))),
        }
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reach(at {})", self.foxy.origins())
    }
}
