//! Looking through a user's stores, every page of them.

use std::collections::HashSet;

use serde_json::Value;

use crate::access::{Access, Found};
use crate::answer::OddAnswer;
use crate::link::Links;
use crate::wire::Wire;
use crate::{ApiOrigins, LinkProblem, ReadError, ResourceUri, document};

/// More pages than any user has. A server whose pages never end must not keep us for ever.
const MOST_PAGES: usize = 1000;

/// Whether a store was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSearch {
    /// It is the user's.
    Found {
        /// The store's address.
        uri: ResourceUri,
    },
    /// The listing is complete, and does not have it.
    Absent,
}

/// A store as a listing names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedStore {
    /// The store's address.
    pub uri: ResourceUri,
    /// The store's domain.
    pub domain: String,
}

/// An entry of a listing; its address may be of no use.
type Entry = (String, Result<ResourceUri, LinkProblem>);

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct Page {
    stores: Vec<Entry>,
    total: Option<u64>,
    next: Option<ResourceUri>,
}

/// Looks for a domain. Absence is claimed only of a listing that was seen whole.
pub(crate) async fn find_store(wire: &Wire, user: &Access, domain: &str) -> Result<StoreSearch, ReadError> {
    let mut found = None;
    walk(wire, user, |(name, uri)| {
        let wanted = name.eq_ignore_ascii_case(domain);
        if wanted {
            found = Some(uri);
        }
        wanted
    })
    .await?;
    found.map_or(Ok(StoreSearch::Absent), |uri| Ok(StoreSearch::Found { uri: uri? }))
}

/// Reads the whole listing.
pub(crate) async fn all_stores(wire: &Wire, user: &Access) -> Result<Vec<ListedStore>, ReadError> {
    let mut entries = Vec::new();
    walk(wire, user, |entry| {
        entries.push(entry);
        false
    })
    .await?;
    entries.into_iter().map(|(domain, uri)| Ok(ListedStore { uri: uri?, domain })).collect()
}

/// Shows one store after the other, until `enough` says so or the listing was seen whole.
async fn walk(wire: &Wire, user: &Access, mut enough: impl FnMut(Entry) -> bool) -> Result<(), ReadError> {
    let (first, document) = user.linked(wire, "fx:stores").await?;
    let mut page = Page::read(&document, &first, wire.origins())?;
    let mut seen_pages = HashSet::from([first]);
    let mut seen_entries = 0;
    loop {
        let entries = page.stores.len() as u64;
        seen_entries += entries;
        if page.stores.into_iter().any(&mut enough) {
            return Ok(());
        }
        // Foxy's last page may link itself, or the page after the end, as its next.
        let next = page.next.filter(|next| entries > 0 && !seen_pages.contains(next));
        let Some(next) = next else {
            let whole = page.total.is_none_or(|total| seen_entries >= total);
            return if whole { Ok(()) } else { Err(ReadError::odd(OddAnswer::ListingCutShort)) };
        };
        if seen_pages.len() >= MOST_PAGES {
            return Err(ReadError::odd(OddAnswer::ListingEndless));
        }
        let turn = wire.turn_to_read().await?;
        let document = match user.read(wire, &next, Some(turn)).await? {
            Found::Document(document) => document,
            Found::Gone { status, .. } => return Err(ReadError::odd(OddAnswer::Status(status))),
        };
        page = Page::read(&document, &next, wire.origins())?;
        seen_pages.insert(next);
    }
}

impl Page {
    /// Reads the page that was asked for at `asked`.
    pub(crate) fn read(document: &Value, asked: &ResourceUri, origins: &ApiOrigins) -> Result<Self, ReadError> {
        let total = document.get("total_items").and_then(number);
        let entries = match document::embedded(document, "fx:stores") {
            Some(entries) => entries,
            // A page without entries may leave them out, if it is one: absence is claimed of nothing else. How many there
            // are to be in all is compared by the caller.
            None if is_listing(document, asked, origins) => &[],
            None => return Err(ReadError::odd(OddAnswer::Lacks("list of stores"))),
        };
        let mut stores = Vec::with_capacity(entries.len());
        for entry in entries {
            // An entry that can't be read might be the wanted one, so it is not passed over.
            let domain = entry.get("store_domain").and_then(Value::as_str);
            let domain = domain.ok_or_else(|| ReadError::odd(OddAnswer::Lacks("store_domain")))?.to_owned();
            stores.push((domain, Links::of(entry).own(origins)));
        }
        let next = match Links::of(document).uri("next", origins) {
            Ok(next) => Some(next),
            Err(LinkProblem::Missing { .. }) => None,
            Err(problem) => return Err(problem.into()),
        };
        Ok(Self { stores, total, next })
    }
}

/// Whether a document without stores is an empty list of them: it counts, it embeds, or it calls itself what was asked for.
fn is_listing(document: &Value, asked: &ResourceUri, origins: &ApiOrigins) -> bool {
    let counts = ["total_items", "returned_items"].iter().any(|name| document.get(name).and_then(number).is_some());
    let embeds = document.get("_embedded").is_some_and(|embedded| embedded.get("fx:stores").is_none());
    let own = Links::of(document).uri("self", origins);
    counts || embeds || own.is_ok_and(|own| own.url().path() == asked.url().path())
}

#[cfg(any(test, feature = "fuzzing"))]
impl Page {
    /// Every address that came out of the page.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &ResourceUri> {
        self.stores.iter().filter_map(|(_, uri)| uri.as_ref().ok()).chain(&self.next)
    }
}

/// A count, which some of Foxy's documents write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
