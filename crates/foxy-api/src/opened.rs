//! What a grant opens, as the grant's own access token sees it.

use std::fmt;

use foxden_vault::AccessToken;
use serde_json::Value;

use crate::answer::OddAnswer;
use crate::http::Caller;
use crate::link::Links;
use crate::pace::Turn;
use crate::read::{self, Reading};
use crate::struck::Struck;
use crate::wire::{Wire, unavailable};
use crate::{Granted, LinkProblem, ReadError, ResourceUri, SetupFault, document};

/// What a grant opens. The home document says it: a scope only says what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// This user.
    User(OpenedUser),
    /// This store.
    Store(OpenedStore),
    /// Nothing that is proven: the home document has no usable link of the kind that was asked for. What else it links
    /// proves nothing: a store's token is shown its user there, too, and does not open it.
    Unproven(LinkProblem),
}

/// A user that a grant opens. Personal data: `Debug` shows the address only.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedUser {
    /// Where the home document leads as `fx:user`.
    pub uri: ResourceUri,
    /// The login, if the user's document says it.
    pub email: Option<String>,
}

/// A store that a grant opens. Its name may be personal: `Debug` shows the address only.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedStore {
    /// Where the home document leads as `fx:store`.
    pub uri: ResourceUri,
    /// `store_domain`, if the store's document says it.
    pub domain: Option<String>,
    /// `store_name`, if the store's document says it.
    pub name: Option<String>,
}

/// Reads the home document with this very access token, and then what it links as `rel`. No other token is fetched:
/// what that opens would say nothing of this one.
pub(crate) async fn read(
    wire: &Wire,
    granted: &Granted,
    rel: &'static str,
) -> Result<Result<(ResourceUri, Value), LinkProblem>, ReadError> {
    let known = wire.struck(Struck::default().refresh(&granted.refresh));
    let turn = wire.turn_to_read().await?;
    let home = ResourceUri::home(wire.origins());
    let home = get(wire, &home, (&granted.access, &known), Some(turn)).await?;
    let uri = match Links::of(&home).uri(rel, wire.origins()) {
        Ok(uri) => uri.bare(),
        Err(problem) => return Ok(Err(problem)),
    };
    let document = get(wire, &uri, (&granted.access, &known), None).await?;
    Ok(Ok((uri, document)))
}

async fn get(
    wire: &Wire,
    uri: &ResourceUri,
    (token, known): (&AccessToken, &Struck),
    turn: Option<Turn>,
) -> Result<Value, ReadError> {
    let caller = Caller { token: Some(token), captcha: None, known };
    let answer = wire.http.get(uri, caller, turn).await.map_err(unavailable)?;
    match read::judge(&answer) {
        Reading::Document(document) => Ok(document),
        Reading::Gone { status, .. } => Err(ReadError::odd(OddAnswer::Status(status))),
        Reading::StaleToken => Err(SetupFault::TokenRefused.into()),
        Reading::Failed(error) => Err(error),
    }
}

impl OpenedUser {
    pub(crate) fn of(uri: ResourceUri, document: &Value) -> Self {
        Self { uri, email: document::some_text(document, "email") }
    }
}

impl OpenedStore {
    pub(crate) fn of(uri: ResourceUri, document: &Value) -> Self {
        let (domain, name) = ("store_domain", "store_name");
        Self { uri, domain: document::some_text(document, domain), name: document::some_text(document, name) }
    }
}

impl fmt::Debug for OpenedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedUser").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStore").field("uri", &self.uri).finish_non_exhaustive()
    }
}
