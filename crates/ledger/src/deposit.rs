//! What is written in the escrow's files.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::{ids::ProvisioningId, record::NewCredential, state::Scope};

/// A file of a later release is left for that release.
const VERSION: u32 = 1;

/// What a file turns out to be.
pub(crate) enum Content {
    Token(ProvisioningId, NewCredential),
    OfLaterRelease,
    NotOurs,
}

/// One token's file.
#[derive(Serialize, Deserialize)]
struct Deposit {
    version: u32,
    provisioning_id: String,
    scope: String,
    intent: u32,
    resource_uri: Option<String>,
    sealed: String,
}

/// A token's file.
pub(crate) fn write(id: &ProvisioningId, credential: &NewCredential) -> Vec<u8> {
    let deposit = Deposit {
        version: VERSION,
        provisioning_id: id.to_string(),
        scope: credential.scope.as_str().to_owned(),
        intent: credential.intent,
        resource_uri: credential.resource_uri.clone(),
        sealed: STANDARD.encode(credential.sealed.as_bytes()),
    };
    serde_json::to_vec(&deposit).expect("strings and numbers always serialize")
}

/// What a file holds.
pub(crate) fn read(text: &[u8]) -> Content {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(text) {
        Ok(Versioned { version: VERSION }) => {
            token(text).map_or(Content::NotOurs, |(id, token)| Content::Token(id, token))
        }
        Ok(_) => Content::OfLaterRelease,
        Err(_) => Content::NotOurs,
    }
}

fn token(text: &[u8]) -> Option<(ProvisioningId, NewCredential)> {
    let deposit: Deposit = serde_json::from_slice(text).ok()?;
    let credential = NewCredential {
        scope: Scope::parse(&deposit.scope)?,
        intent: deposit.intent,
        resource_uri: deposit.resource_uri,
        sealed: Sealed::from_bytes(STANDARD.decode(deposit.sealed).ok()?).ok()?,
    };
    Some((ProvisioningId::from_row(deposit.provisioning_id), credential))
}
