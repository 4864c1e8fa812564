//! A resource as it is read.

use std::fmt;

use foxden_vault::ClientSecret;
use serde_json::{Map, Value};

use crate::access::Access;
use crate::answer::CLIENT_SECRET;
use crate::link::Links;
use crate::wire::Wire;
use crate::{ApiOrigins, Attribute, LinkProblem, ReadError, ResourceUri};

/// A client, a user or a store as Foxy shows it. Mostly personal data: `Debug` shows the address only.
#[derive(Clone)]
pub struct Document {
    /// The resource's address: its own `self` link.
    pub uri: ResourceUri,
    /// The properties, under Foxy's names, but for a client's secret.
    pub properties: Map<String, Value>,
    /// Its attributes, which Foxy embeds unasked (Foxy docs: cheat sheet).
    pub attributes: Vec<Attribute>,
    client_secret: Option<ClientSecret>,
    links: Links,
}

impl Document {
    /// The secret of a client, which Foxy shows to the client's token (Foxy docs: rels/create_client). It stands apart,
    /// so that nothing that prints properties prints it.
    pub fn client_secret(&self) -> Option<&ClientSecret> {
        self.client_secret.as_ref()
    }

    /// One property, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    /// Where the document leads under this relation.
    ///
    /// # Errors
    /// [`LinkProblem`], if there is no such link, or none that may be followed.
    pub fn link(&self, rel: &'static str, origins: &ApiOrigins) -> Result<ResourceUri, LinkProblem> {
        self.links.uri(rel, origins)
    }

    /// Reads what the home document links as `rel`.
    pub(crate) async fn linked(wire: &Wire, access: &Access, rel: &'static str) -> Result<Self, ReadError> {
        Self::of(access.linked(wire, rel).await?.1, wire.origins())
    }

    /// From a JSON object.
    pub(crate) fn of(document: Value, origins: &ApiOrigins) -> Result<Self, ReadError> {
        let links = Links::of(&document);
        let uri = links.uri("self", origins)?;
        let attributes = embedded(&document, "fx:attributes").unwrap_or_default();
        let attributes = attributes.iter().filter_map(|entry| Attribute::read(entry, origins)).collect();
        let mut properties = match document {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        properties.retain(|name, _| !name.starts_with('_'));
        let client_secret = match properties.remove(CLIENT_SECRET) {
            Some(Value::String(secret)) if !secret.is_empty() => Some(ClientSecret::new(secret)),
            _ => None,
        };
        Ok(Self { uri, properties, attributes, client_secret, links })
    }

    /// The document's links.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }
}

/// A property, if it is text and says something.
pub(crate) fn some_text(document: &Value, name: &str) -> Option<String> {
    document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What a document embeds under a relation. HAL allows one resource where there could be several (draft-kelly-json-hal
/// section 4.1.2), and PHP writes an empty list in several ways. `None`: there is no such relation, or it is no resource.
pub(crate) fn embedded<'a>(document: &'a Value, rel: &str) -> Option<&'a [Value]> {
    match document.get("_embedded")?.get(rel)? {
        Value::Array(several) => Some(several),
        Value::Object(none) if none.is_empty() => Some(&[]),
        Value::Null => Some(&[]),
        one @ Value::Object(_) => Some(std::slice::from_ref(one)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("uri", &self.uri).finish_non_exhaustive()
    }
}
