//! Integrations: the refresh tokens of a store as resources.

use foxden_vault::ClientSecret;
use serde_json::Value;

use crate::answer::OddAnswer;
use crate::link::Links;
use crate::{ApiOrigins, Granted, LinkProblem, ReadError, ResourceUri, document};

/// An active refresh token of a store, as Foxy lists it (Foxy docs: rels/integration). The token itself is not shown.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Its address. DELETE there revokes the token.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The OAuth client that holds it.
    pub client_id: String,
    /// The token's scope, as Foxy writes it.
    pub scope: String,
    /// Whether Foxy says when it expires.
    pub says_expiry: bool,
}

/// An integration that was added: an OAuth client of its own, with a token of the store.
#[derive(Debug, Clone)]
pub struct AddedIntegration {
    /// Its address.
    pub uri: Result<ResourceUri, LinkProblem>,
    /// The id of its client.
    pub client_id: String,
    /// The secret of its client, without which the token can't be refreshed.
    pub client_secret: ClientSecret,
    /// The token.
    pub token: Granted,
}

impl Integration {
    fn read(entry: &Value, origins: &ApiOrigins) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let says_expiry = entry.get("expires").is_some_and(|expires| expires.is_string() || expires.is_number());
        Self { uri: Links::of(entry).own(origins), client_id: text("client_id"), scope: text("scope"), says_expiry }
    }

    /// All of a listing that must fit on one page.
    pub(crate) fn listed(document: &Value, origins: &ApiOrigins) -> Result<Vec<Self>, ReadError> {
        let entries = document::embedded(document, "fx:integrations").unwrap_or_default();
        let total =
            document.get("total_items").and_then(|total| total.as_u64().or_else(|| total.as_str()?.parse().ok()));
        if total.is_some_and(|total| total > entries.len() as u64) {
            return Err(ReadError::odd(OddAnswer::ListingCutShort));
        }
        Ok(entries.iter().map(|entry| Self::read(entry, origins)).collect())
    }
}

impl AddedIntegration {
    /// From the answer to its creation; nothing if it lacks what can't be asked for again.
    pub(crate) fn read(document: &Value, origins: &ApiOrigins) -> Option<Self> {
        let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(Self {
            uri: Links::of(document).own(origins),
            client_id: text("client_id")?.to_owned(),
            client_secret: ClientSecret::new(text("client_secret")?),
            token: Granted::of_fields(document)?,
        })
    }
}
