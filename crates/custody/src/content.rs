//! What stands inside an envelope of `FXD2`: the secret, and whose it is.
//!
//! An envelope is bound to its row's id. All else that a row says of it (the signup, the address, the call) can be
//! edited by anyone who can write to the database; so it stands inside as well, and the two are compared before
//! anything is used.

use foxden_ledger::{Credential, FoxyClient, Provisioning, ProvisioningId, Scope, SignupId, is_same_resource};
use foxden_vault::{ClientSecret, RefreshToken};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::payload::Payload;

/// How a token was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// In the answer to a create call.
    Created,
    /// By a person who granted access.
    Granted,
    /// By an integration that was made in the store.
    Integration,
    /// It was there before foxden.
    Adopted,
}

/// What surrounds a token's envelope: what its row, or its file in the escrow, says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The row, to which the envelope is bound.
    pub provisioning: ProvisioningId,
    /// Whose row it is.
    pub signup_id: SignupId,
    /// What the token opens.
    pub scope: Scope,
    /// The create call that brought it, or the number that a granted one is kept by.
    pub serial: u32,
    /// The addresses that it is said to open, or is about to be used for.
    pub addresses: Vec<String>,
    /// The OAuth client that it was given to, where that is known.
    pub client: Option<FoxyClient>,
}

impl TokenRow {
    /// The surroundings of a token of this row.
    pub fn of(row: &Provisioning, held: &Credential) -> Self {
        Self::of_call(row, held.scope, held.intent, held.resource_uri.as_deref()).given_to(held.client.clone())
    }

    /// The same for a token that was given to this client.
    #[must_use]
    pub fn given_to(self, client: Option<FoxyClient>) -> Self {
        Self { client, ..self }
    }

    /// The surroundings of a token that a create call of this row has brought, or will bring.
    pub fn of_call(row: &Provisioning, scope: Scope, intent: u32, resource_uri: Option<&str>) -> Self {
        Self {
            provisioning: row.id.clone(),
            signup_id: row.signup_id.clone(),
            scope,
            serial: intent,
            addresses: resource_uri.map(str::to_owned).into_iter().collect(),
            client: None,
        }
    }

    /// The same, to be used for another address as well.
    #[must_use]
    pub fn used_for(mut self, address: Option<&str>) -> Self {
        self.addresses.extend(address.map(str::to_owned));
        self
    }
}

/// What differs between an envelope's content and its row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It was sealed for another signup.
    #[error("it was sealed for signup {0}")]
    SignupId(String),
    /// It opens something of another kind.
    #[error("it is a token of another scope")]
    Scope,
    /// It opens another address than the row says.
    #[error("it was sealed for another address")]
    Address,
    /// It came with another create call.
    #[error("it was sealed for create call {0}")]
    Serial(u32),
    /// It says nothing of whose it is, and the ledger has none of that format any more.
    #[error("it is of FXD1, of which this ledger has none any more")]
    Format,
    /// It belongs to another client.
    #[error("it was sealed for another client")]
    Client,
    /// The row's fingerprint is not known to be that of this event.
    #[error("the row's fingerprint is not known to be that of its event")]
    Fingerprint,
    /// What the row says of the token can't all be true.
    #[error(
        "the row contradicts itself: its signup is missing, none of its tokens is of its address, or its client is damaged"
    )]
    Row,
}

impl Mismatch {
    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SignupId(_) => "signup_id",
            Self::Scope => "scope",
            Self::Address => "resource_uri",
            Self::Serial(_) => "serial",
            Self::Format => "format",
            Self::Client => "client_id",
            Self::Fingerprint => "fingerprint",
            Self::Row => "row",
        }
    }
}

/// A token with all that is known of it. The member that a secret reader asks for most stands last.
#[derive(Serialize, Deserialize)]
pub(crate) struct TokenContent {
    signup_id: String,
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_client_secret")]
    client_secret: Option<ClientSecret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    foxy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<TokenSource>,
    serial: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    obtained_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
    #[serde(serialize_with = "exposed_refresh_token")]
    pub(crate) refresh_token: RefreshToken,
}

fn exposed_refresh_token<S: Serializer>(token: &RefreshToken, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

fn exposed_client_secret<S: Serializer>(secret: &Option<ClientSecret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ClientSecret::expose).serialize(serializer)
}

impl TokenContent {
    /// A token that is about to be sealed for this row.
    pub(crate) fn new(
        row: &TokenRow,
        token: &RefreshToken,
        source: Option<TokenSource>,
        obtained_at_ms: Option<i64>,
    ) -> Self {
        Self {
            signup_id: row.signup_id.to_string(),
            scope: row.scope.as_str().to_owned(),
            resource_uri: row.addresses.first().cloned(),
            client_id: row.client.as_ref().map(|client| client.id.to_string()),
            client_secret: None,
            foxy: row.client.as_ref().map(|client| client.foxy.to_string()),
            source,
            serial: row.serial,
            obtained_at_ms,
            expires_at_ms: None,
            refresh_token: token.clone(),
        }
    }

    /// Whether it is what the row says it is.
    pub(crate) fn check(&self, row: &TokenRow) -> Result<(), Mismatch> {
        if self.signup_id != row.signup_id.as_str() {
            return Err(Mismatch::SignupId(self.signup_id.clone()));
        }
        if self.scope != row.scope.as_str() {
            return Err(Mismatch::Scope);
        }
        if self.serial != row.serial {
            return Err(Mismatch::Serial(self.serial));
        }
        // A row whose links were forgotten has no address. One that has an address must have this one.
        let is_own = |address: &String| is_same_resource(self.resource_uri.as_deref(), Some(address));
        if !row.addresses.iter().all(is_own) {
            return Err(Mismatch::Address);
        }
        // What was sealed before its client was known has none. Which Foxy it is is not compared: a ledger may have
        // been bound to another name of the same Foxy since, and the row with it.
        if self.client_id.is_some() && self.client_id != row.client.as_ref().map(|client| client.id.to_string()) {
            return Err(Mismatch::Client);
        }
        Ok(())
    }
}

/// A signup's contents as they are sealed.
#[derive(Serialize)]
pub(crate) struct PayloadContent<'a> {
    pub(crate) signup_id: &'a str,
    pub(crate) contents: &'a Payload,
}

/// The same as they are opened.
#[derive(Deserialize)]
pub(crate) struct OpenedPayload {
    signup_id: String,
    contents: Payload,
}

impl OpenedPayload {
    /// The contents, if they are this signup's.
    pub(crate) fn of(self, signup_id: &SignupId) -> Result<Payload, Mismatch> {
        if self.signup_id == signup_id.as_str() { Ok(self.contents) } else { Err(Mismatch::SignupId(self.signup_id)) }
    }
}

/// The contents of a signup as an earlier release has sealed them, with whose they are. They stay byte for byte what
/// they were, since they may have members that this release does not know.
pub(crate) fn with_owner(signup_id: &SignupId, contents: &[u8]) -> Zeroizing<Vec<u8>> {
    let owner = serde_json::to_vec(signup_id.as_str()).expect("a string always serializes");
    let parts: [&[u8]; 5] = [b"{\"signup_id\":", &owner, b",\"contents\":", contents, b"}"];
    let mut text = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| text.extend_from_slice(part));
    text
}

/// A client secret that is about to be given to a client.
#[derive(Serialize, Deserialize)]
pub(crate) struct PendingContent {
    pub(crate) client_id: String,
    #[serde(serialize_with = "exposed_pending")]
    pub(crate) client_secret: ClientSecret,
}

fn exposed_pending<S: Serializer>(secret: &ClientSecret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

/// JSON, in a buffer that is wiped.
pub(crate) fn encode(content: &impl Serialize) -> Zeroizing<Vec<u8>> {
    struct Length(usize);
    impl std::io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    const ALWAYS: &str = "strings, numbers and JSON values always serialize";
    // Its length first: a buffer that grows leaves copies behind that are not wiped.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, content).expect(ALWAYS);
    let mut text = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *text, content).expect(ALWAYS);
    text
}
