//! Following the links of documents that are kept.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::link::Links;
use crate::single_flight::SingleFlight;
use crate::{ApiOrigins, LinkProblem, ReadError, ResourceUri};

/// A link from a kept document.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Where it leads.
    pub(crate) uri: ResourceUri,
    /// The document's edition, to be forgotten should the link lead nowhere.
    pub(crate) edition: u64,
}

/// Follows a link of a kept document, which is discovered first if it is not kept, and discovered again if what is kept
/// lacks the link: the answer to a creation brings some links only. A document without a usable link is not kept: once
/// Foxy has mended it, no restart should be needed.
pub(crate) async fn follow<F: Future<Output = Result<Links, ReadError>>>(
    documents: &SingleFlight<Links>,
    rel: &'static str,
    origins: &ApiOrigins,
    discover: impl Fn() -> F,
) -> Result<Followed, ReadError> {
    loop {
        let discovered = AtomicBool::new(false);
        let discover = || {
            discovered.store(true, Ordering::Relaxed);
            discover()
        };
        let links = documents.get(|_| true, discover).await?;
        let problem = match links.value.uri(rel, origins) {
            Ok(uri) => return Ok(Followed { uri, edition: links.edition }),
            Err(problem) => problem,
        };
        documents.forget(links.edition).await;
        if discovered.load(Ordering::Relaxed) || !matches!(problem, LinkProblem::Missing { .. }) {
            return Err(problem.into());
        }
    }
}
