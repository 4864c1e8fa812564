//! Looking through a user's stores, every page of them.

use std::collections::HashSet;

use serde_json::Value;

use crate::access::{Access, Found, Wire};
use crate::answer::OddAnswer;
use crate::link::Links;
use crate::{LinkProblem, ReadError, ResourceUri};

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

/// One page: how many entries it has, and the address of the wanted store if it is among them.
struct Page {
    entries: u64,
    total: Option<u64>,
    wanted: Option<ResourceUri>,
    next: Option<ResourceUri>,
}

/// Reads pages until the store is found or the listing ends. Absence is claimed only of a listing that was seen whole.
pub(crate) async fn find_store(wire: &Wire, user: &Access, domain: &str) -> Result<StoreSearch, ReadError> {
    let (first, document) = first_page(wire, user).await?;
    let mut page = Page::read(&document, domain, wire)?;
    let mut seen_pages = HashSet::from([first]);
    let mut seen_entries = page.entries;
    loop {
        if let Some(uri) = page.wanted {
            return Ok(StoreSearch::Found { uri });
        }
        // Foxy's last page may link itself, or the page after the end, as its next.
        let next = page.next.filter(|next| page.entries > 0 && !seen_pages.contains(next));
        let Some(next) = next else {
            let whole = page.total.is_none_or(|total| seen_entries >= total);
            return if whole { Ok(StoreSearch::Absent) } else { Err(ReadError::odd(OddAnswer::ListingCutShort)) };
        };
        if seen_pages.len() >= MOST_PAGES {
            return Err(ReadError::odd(OddAnswer::ListingEndless));
        }
        let document = match user.read(wire, &next).await? {
            Found::Document(document) => document,
            Found::Gone { status, .. } => return Err(ReadError::odd(OddAnswer::Status(status))),
        };
        page = Page::read(&document, domain, wire)?;
        seen_entries += page.entries;
        seen_pages.insert(next);
    }
}

/// The listing's first page; its link is discovered anew, once, should it have moved.
async fn first_page(wire: &Wire, user: &Access) -> Result<(ResourceUri, Value), ReadError> {
    let mut last = 404;
    for _ in 0..2 {
        let link = user.follow(wire, "fx:stores").await?;
        match user.read(wire, &link.uri).await? {
            Found::Document(document) => return Ok((link.uri, document)),
            Found::Gone { status, .. } => last = status,
        }
        user.forget_home(link.edition).await;
    }
    Err(ReadError::odd(OddAnswer::Status(last)))
}

impl Page {
    fn read(document: &Value, domain: &str, wire: &Wire) -> Result<Self, ReadError> {
        let total = document.get("total_items").and_then(number);
        let entries = match document.pointer("/_embedded/fx:stores") {
            Some(Value::Array(entries)) => entries.as_slice(),
            // A page without entries may leave the array out, but only if it says that there are none.
            None if total == Some(0) || document.get("returned_items").and_then(number) == Some(0) => &[],
            Some(_) | None => return Err(ReadError::odd(OddAnswer::Lacks("list of stores"))),
        };
        let mut wanted = None;
        for entry in entries {
            // An entry that can't be read might be the wanted one, so it is not passed over.
            let name = entry.get("store_domain").and_then(Value::as_str);
            let name = name.ok_or_else(|| ReadError::odd(OddAnswer::Lacks("store_domain")))?;
            if name.eq_ignore_ascii_case(domain) {
                wanted = Some(Links::of(entry).uri("self", wire.origins())?);
            }
        }
        let next = match Links::of(document).uri("next", wire.origins()) {
            Ok(next) => Some(next),
            Err(LinkProblem::Missing { .. }) => None,
            Err(problem) => return Err(problem.into()),
        };
        Ok(Self { entries: entries.len() as u64, total, wanted, next })
    }
}

/// A count, which some of Foxy's documents write as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
