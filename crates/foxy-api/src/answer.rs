//! An answer as it came off the wire, and why one can't be made sense of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::body::Body;
use crate::struck::Struck;
use crate::wiped::Wiped;
use crate::{Cause, Methods};

/// A status with what came with it. Whether the body is whole is for the reader to decide on.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// `Retry-After`, capped.
    pub(crate) retry_after: Option<Duration>,
    /// The `error` of a `WWW-Authenticate: Bearer` challenge (RFC 6750 section 3).
    pub(crate) challenge: Option<String>,
    /// `Allow`.
    pub(crate) allow: Option<Methods>,
    /// `Location`, unchecked.
    pub(crate) location: Option<String>,
    /// The body, or what there is of it.
    pub(crate) body: Body,
    /// What it may repeat, and no error, evidence or address may.
    pub(crate) struck: Struck,
}

/// Why an answer is of no use. Never quotes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OddAnswer {
    #[error("no answer came")]
    None,
    #[error("Foxy answered with status {0}")]
    Status(u16),
    #[error("the answer's body is not a JSON object")]
    NotJson,
    #[error("the answer's body is larger than 1 MiB")]
    TooLarge,
    #[error("the answer has no usable {0}")]
    Lacks(&'static str),
    #[error("the listing ended before all of it was seen")]
    ListingCutShort,
    #[error("the listing has more pages than anyone has stores")]
    ListingEndless,
}

impl OddAnswer {
    /// As an error's source.
    pub(crate) fn cause(self) -> Cause {
        Arc::new(self)
    }
}

/// What Foxy calls a client's secret.
pub(crate) const CLIENT_SECRET: &str = "client_secret";

impl Answer {
    /// The body as a JSON object, if it is a whole one, without the secrets that went out with the call: what is read
    /// out of it may be kept and shown. Only a client's secret in its own place stays as it is, which
    /// [`Document`](crate::Document) keeps apart: struck, it would pass for another one.
    pub(crate) fn json(&self) -> Option<Value> {
        let mut document = self.body.json()?;
        let secret = document.get_mut(CLIENT_SECRET).map(Value::take);
        self.struck.strike_document(&mut document);
        if let Some(secret) = secret {
            document[CLIENT_SECRET] = secret;
        }
        Some(document)
    }

    /// The JSON object that the body begins with, as it is, for what can't be asked for again. Its links are without
    /// the secrets that went out with the call: they become addresses.
    pub(crate) fn creation(&self) -> Option<Wiped> {
        let mut document = self.body.first_object()?;
        if let Some(links) = document.get_mut("_links") {
            self.struck.strike_document(links);
        }
        Some(document)
    }

    /// Whether the request has succeeded (2xx). Which success it is depends on proxies and gateways as well.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The `error` parameter of a `WWW-Authenticate` header. Codes only, so a simple search will do.
pub(crate) fn challenge_error(header: &str) -> Option<String> {
    let (_, rest) = header.split_once("error=")?;
    let code = rest.trim_start_matches('"').split(['"', ',', ' ']).next()?;
    (!code.is_empty()).then(|| code.to_owned())
}

#[cfg(any(test, feature = "fuzzing"))]
impl Answer {
    /// With this body, and without any header that is read.
    pub(crate) fn bare(status: u16, body: Body) -> Self {
        Self {
            status,
            retry_after: None,
            challenge: None,
            allow: None,
            location: None,
            body,
            struck: Struck::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_code_of_a_challenge_is_read() {
        let header =
            r#"Bearer realm="Service", error="invalid_token", error_description="The access token has expired""#;
        assert_eq!(challenge_error(header).as_deref(), Some("invalid_token"));
        assert_eq!(challenge_error("Bearer error=insufficient_scope, scope=x").as_deref(), Some("insufficient_scope"));
        assert_eq!(challenge_error(r#"Bearer realm="Service""#), None);
    }
}
