//! A resource as it is read.

use std::fmt;

use serde_json::{Map, Value};

use crate::access::{Access, Wire};
use crate::link::Links;
use crate::{ApiOrigins, Attribute, ReadError, ResourceUri};

/// A client, a user or a store as Foxy shows it. Mostly personal data: `Debug` shows the address only.
#[derive(Clone, PartialEq)]
pub struct Document {
    /// The resource's address: its own `self` link.
    pub uri: ResourceUri,
    /// The properties, under Foxy's names.
    pub properties: Map<String, Value>,
    /// Its attributes, which Foxy embeds unasked (Foxy docs: cheat sheet).
    pub attributes: Vec<Attribute>,
    links: Links,
}

impl Document {
    /// One property, if it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    /// Reads what the home document links as `rel`.
    pub(crate) async fn linked(wire: &Wire, access: &Access, rel: &'static str) -> Result<Self, ReadError> {
        Self::of(access.linked(wire, rel).await?.1, wire.origins())
    }

    /// From a JSON object.
    pub(crate) fn of(document: Value, origins: &ApiOrigins) -> Result<Self, ReadError> {
        let links = Links::of(&document);
        let uri = links.uri("self", origins)?;
        let embedded = document.pointer("/_embedded/fx:attributes").and_then(Value::as_array);
        let attributes = embedded.into_iter().flatten().filter_map(|entry| Attribute::read(entry, origins)).collect();
        let mut properties = match document {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        properties.retain(|name, _| !name.starts_with('_'));
        Ok(Self { uri, properties, attributes, links })
    }

    /// The document's links.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("uri", &self.uri).finish_non_exhaustive()
    }
}
