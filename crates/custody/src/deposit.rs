//! What is written in the escrow's files.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_ledger::{NewCredential, ProvisioningId, Scope};
use foxden_vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::renewal::Renewal;

/// A file of a later release is left for that release.
const VERSION: u32 = 1;
/// A token that replaces another one. A release that knows none of them must not take it for the call's own.
const RENEWAL: u32 = 2;

/// What a file turns out to be.
pub(crate) enum Content {
    Token(ProvisioningId, NewCredential),
    Renewal(ProvisioningId, Renewal),
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
}

/// A token's file.
pub(crate) fn write(id: &ProvisioningId, credential: &NewCredential, replaces: Option<&Sealed>) -> Vec<u8> {
    let deposit = Deposit {
        version: if replaces.is_some() { RENEWAL } else { VERSION },
        provisioning_id: id.to_string(),
        scope: credential.scope.as_str().to_owned(),
        intent: credential.intent,
        resource_uri: credential.resource_uri.clone(),
        sealed: STANDARD.encode(credential.sealed.as_bytes()),
        replaces: replaces.map(|replaces| STANDARD.encode(replaces.as_bytes())),
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
        Ok(Versioned { version: version @ (VERSION | RENEWAL) }) => match (version, token(text)) {
            (VERSION, Some((id, token, None))) => Content::Token(id, token),
            (RENEWAL, Some((id, new, Some(replaces)))) => Content::Renewal(id, Renewal { new, replaces }),
            _ => Content::NotOurs,
        },
        Ok(_) => Content::OfLaterRelease,
        Err(_) => Content::NotOurs,
    }
}

fn token(text: &[u8]) -> Option<(ProvisioningId, NewCredential, Option<Sealed>)> {
    let deposit: Deposit = serde_json::from_slice(text).ok()?;
    let sealed = |text: String| Sealed::from_bytes(STANDARD.decode(text).ok()?).ok();
    let replaces = match deposit.replaces {
        Some(text) => Some(sealed(text)?),
        None => None,
    };
    let credential = NewCredential {
        scope: Scope::parse(&deposit.scope)?,
        intent: deposit.intent,
        resource_uri: deposit.resource_uri,
        sealed: sealed(deposit.sealed)?,
    };
    Some((ProvisioningId::parse(&deposit.provisioning_id)?, credential, replaces))
}
