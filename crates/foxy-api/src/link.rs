//! HAL links, and the one type through which an address can be reached: a link whose origin was checked.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use url::{Origin, Url};

use crate::ApiOrigins;
use crate::struck::Struck;

/// The longest address we keep. Those in Foxy's docs are under 100 bytes; a longer one is an attack on whoever stores
/// it.
const LONGEST: usize = 2048;

/// The address of a Foxy resource: absolute, on a trusted origin, without user name or password.
///
/// Requests are sent to values of this type only, so nothing is ever sent to an address that was not checked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResourceUri(Url);

/// What is wrong with a link. A foreign link is named by its origin only: the rest may be anything its sender liked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkProblem {
    /// The document has no such link.
    #[error("the answer has no {rel} link")]
    Missing {
        /// The link's relation, such as `self`.
        rel: &'static str,
    },
    /// The link leads to an origin that may not be given a token, or carries credentials of its own.
    #[error("the {rel} link leads to {origin}, which is not the API")]
    Foreign {
        /// The link's relation.
        rel: &'static str,
        /// Scheme, host and port of where it leads.
        origin: String,
    },
    /// The link is not an address.
    #[error("the {rel} link is not an address")]
    Malformed {
        /// The link's relation.
        rel: &'static str,
    },
}

impl ResourceUri {
    /// Checks an address kept from an earlier answer, for instance one read back from a database.
    ///
    /// # Errors
    /// [`LinkProblem::Foreign`] or [`LinkProblem::Malformed`], under the relation `self`.
    pub fn parse(text: &str, origins: &ApiOrigins) -> Result<Self, LinkProblem> {
        Self::resolve("self", text, origins)
    }

    /// Checks an address that was kept, as it stands in a database that others may have written to: absolute, and of
    /// the API. Where the API is a simulator on this machine, whose port changes from start to start, its path
    /// counts, and the answer is that path at the present simulator.
    ///
    /// # Errors
    /// As [`ResourceUri::parse`].
    pub fn kept(text: &str, origins: &ApiOrigins) -> Result<Self, LinkProblem> {
        let url = Url::parse(text).map_err(|_| LinkProblem::Malformed { rel: "self" })?;
        match Self::resolve("self", text, origins) {
            Err(LinkProblem::Foreign { .. }) if origins.are_of_this_machine(&url) => {
                let mut here = origins.home().clone();
                here.set_path(url.path());
                Ok(Self(here))
            }
            checked => checked,
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The home document's address, trusted by definition.
    pub(crate) fn home(origins: &ApiOrigins) -> Self {
        Self(origins.home().clone())
    }

    /// The address with one query parameter more, and percent-encoded.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        Self(url)
    }

    /// The same address without a query or fragment.
    pub(crate) fn bare(mut self) -> Self {
        self.0.set_query(None);
        self.0.set_fragment(None);
        self
    }

    /// The same address, as the HTTP client takes it.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Resolves a link against the API's home, since HAL allows relative ones, then checks where it leads.
    fn resolve(rel: &'static str, href: &str, origins: &ApiOrigins) -> Result<Self, LinkProblem> {
        let url = match origins.home().join(href) {
            Ok(url) if href.len() <= LONGEST => url,
            _ => return Err(LinkProblem::Malformed { rel }),
        };
        if origins.trust(&url) { Ok(Self(url)) } else { Err(LinkProblem::Foreign { rel, origin: origin_text(&url) }) }
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceUri({})", self.as_str())
    }
}

/// The links of one document, unchecked until asked for by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Links(BTreeMap<String, String>);

impl Links {
    /// Reads a document's `_links`. A relation with several links keeps its first; anything that is no link is left
    /// out.
    pub(crate) fn of(document: &Value) -> Self {
        let Some(links) = document.get("_links").and_then(Value::as_object) else { return Self::default() };
        let href = |link: &Value| -> Option<String> {
            let link = link.as_array().map_or(Some(link), |several| several.first())?;
            link.get("href")?.as_str().map(str::to_owned)
        };
        Self(links.iter().filter_map(|(rel, link)| Some((rel.clone(), href(link)?))).collect())
    }

    /// Only the one relation, if it is there.
    pub(crate) fn only(&self, rel: &str) -> Option<Self> {
        self.0.get_key_value(rel).map(|(rel, href)| Self(BTreeMap::from([(rel.clone(), href.clone())])))
    }

    /// The address of the document's own resource, as it is kept and shown: without a query or fragment. None of
    /// Foxy's has one, and what a server puts there may repeat what it was sent.
    pub(crate) fn own(&self, origins: &ApiOrigins) -> Result<ResourceUri, LinkProblem> {
        self.uri("self", origins).map(ResourceUri::bare)
    }

    /// Follows a relation: its address, once checked.
    pub(crate) fn uri(&self, rel: &'static str, origins: &ApiOrigins) -> Result<ResourceUri, LinkProblem> {
        let href = self.0.get(rel).ok_or(LinkProblem::Missing { rel })?;
        // A templated link ends in a form-style query such as `{?email}` (RFC 6570 section 3.2.8); we add our own
        // query.
        let href = href.split_once("{?").map_or(href.as_str(), |(fixed, _)| fixed);
        ResourceUri::resolve(rel, href, origins)
    }
}

/// Scheme, host and port; of an address without a host, the scheme alone. Never longer than a log line can bear.
fn origin_text(url: &Url) -> String {
    let mut text = match url.origin() {
        Origin::Opaque(_) => format!("{}:", url.scheme()),
        tuple @ Origin::Tuple(..) => tuple.ascii_serialization(),
    };
    text.truncate(120); // ASCII, so no character is cut in half.
    // A host can be made of what was sent.
    Struck::default().words(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn follow(document: &Value, rel: &'static str) -> Result<String, LinkProblem> {
        Links::of(document).uri(rel, &ApiOrigins::production()).map(|uri| uri.to_string())
    }

    #[test]
    fn a_link_on_either_production_name_is_followed() {
        let document = json!({"_links": {
            "self": {"href": "https://api.foxy.io/users/1"},
            "fx:stores": {"href": "https://api.foxycart.com/users/1/stores"},
        }});
        assert_eq!(follow(&document, "self").unwrap(), "https://api.foxy.io/users/1");
        assert_eq!(follow(&document, "fx:stores").unwrap(), "https://api.foxycart.com/users/1/stores");
    }

    #[test]
    fn a_foreign_link_is_named_by_its_origin_only() {
        for (href, origin) in [
            ("https://evil.example/steal?token=1", "https://evil.example"),
            ("//evil.example/steal", "https://evil.example"),
            ("https:\\\\evil.example\\x", "https://evil.example"),
            ("https://api.foxycart.com@evil.example:8443/", "https://evil.example:8443"),
            ("http://api.foxycart.com/users/1", "http://api.foxycart.com"),
            ("https://me:pass@api.foxycart.com/users/1", "https://api.foxycart.com"),
            ("javascript:alert(1)", "javascript:"),
        ] {
            let problem = follow(&json!({"_links": {"self": {"href": href}}}), "self").unwrap_err();
            assert_eq!(problem, LinkProblem::Foreign { rel: "self", origin: origin.into() }, "{href}");
        }
    }

    #[test]
    fn a_relative_link_is_resolved_against_the_home() {
        let document = json!({"_links": {"self": {"href": "/users/1"}}});
        assert_eq!(follow(&document, "self").unwrap(), "https://api.foxycart.com/users/1");
    }

    #[test]
    fn missing_and_malformed_links_are_told_apart() {
        assert_eq!(follow(&json!({}), "self"), Err(LinkProblem::Missing { rel: "self" }));
        assert_eq!(follow(&json!({"_links": {"self": "x"}}), "self"), Err(LinkProblem::Missing { rel: "self" }));
        for href in ["https://", &format!("/{}", "x".repeat(LONGEST))] {
            let document = json!({"_links": {"self": {"href": href}}});
            assert_eq!(follow(&document, "self"), Err(LinkProblem::Malformed { rel: "self" }));
        }
    }

    #[test]
    fn of_several_links_under_one_relation_the_first_counts() {
        let document = json!({"_links": {"self": [{"href": "/users/1"}, {"href": "/users/2"}], "next": []}});
        assert_eq!(follow(&document, "self").unwrap(), "https://api.foxycart.com/users/1");
        assert_eq!(follow(&document, "next"), Err(LinkProblem::Missing { rel: "next" }));
    }

    #[test]
    fn a_templated_query_is_replaced_by_ours_and_values_are_encoded() {
        let document = json!({"_links": {"e": {"href": "/reporting/email_exists{?email}", "templated": true}}});
        let uri = Links::of(&document).uri("e", &ApiOrigins::production()).unwrap();
        assert_eq!(
            uri.with_query("email", "a+b&c@example.com").as_str(),
            "https://api.foxycart.com/reporting/email_exists?email=a%2Bb%26c%40example.com"
        );
    }

    #[test]
    fn the_address_of_a_resource_is_kept_without_a_query() {
        let links = Links::of(&json!({"_links": {"self": {"href": "/users/1?email=ada@people.example#x"}}}));
        assert_eq!(links.own(&ApiOrigins::production()).unwrap().as_str(), "https://api.foxycart.com/users/1");
    }

    #[test]
    fn a_kept_address_of_a_simulator_is_its_path_at_the_present_one() {
        let kept = |text: &str, home: &str| {
            ResourceUri::kept(text, &ApiOrigins::explicit(home).unwrap()).map(|uri| uri.to_string()).ok()
        };
        let now = "http://127.0.0.1:8787";
        assert_eq!(kept("http://127.0.0.1:1234/stores/1", now).as_deref(), Some("http://127.0.0.1:8787/stores/1"));
        for foreign in [
            "https://evil.example/stores/1",
            "http://u:p@127.0.0.1:1/",
            "/stores/1",
            "http://127.0.0.1:1//evil.example/",
        ] {
            assert!(kept(foreign, now).is_none_or(|uri| uri.starts_with("http://127.0.0.1:8787/")), "{foreign}");
        }
        assert_eq!(kept("/stores/1", now), None);
        assert_eq!(kept("http://127.0.0.1:1234/stores/1", "https://api.foxycart.com"), None);
        assert_eq!(kept("blob:http://127.0.0.1:8787/stores/1", now), None);
    }

    #[test]
    fn a_kept_address_is_checked_again() {
        let origins = ApiOrigins::sandbox();
        assert!(ResourceUri::parse("https://api-sandbox.foxycart.com/users/1", &origins).is_ok());
        assert!(ResourceUri::parse("https://api.foxycart.com/users/1", &origins).is_err());
    }
}
