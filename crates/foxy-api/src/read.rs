//! Reads (GETs and token requests): why one fails, and what its answer means.

use std::time::Duration;

use serde_json::Value;

use crate::answer::{Answer, OddAnswer};
use crate::body::Body;
use crate::oauth::OAuthError;
use crate::{Cause, LinkProblem, NoEffect, SetupFault, errors, reasons};

/// Why something could not be read from Foxy, or a token not be had. Nothing was changed by trying, so trying again is
/// safe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// A fault of the set-up; trying again won't help until a person has mended it.
    #[error(transparent)]
    SetupFault(#[from] SetupFault),
    /// Status 429.
    #[error("Foxy asks us to slow down")]
    RateLimited {
        /// How long Foxy asks to wait; at most an hour.
        retry_after: Option<Duration>,
    },
    /// Not sent: our own pace, set by [`Rate`](crate::Rate) or by Foxy's `Retry-After` to any call, would have kept it
    /// waiting for longer than it may take.
    #[error("not sent: the rate of calls allows it only in {} s", wait.as_secs_f64().ceil())]
    HeldBack {
        /// When it would have been its turn.
        wait: Duration,
    },
    /// Not reached, no answer in time, an answer that broke off, 408 or 5xx. Will pass.
    #[error("Foxy is not available")]
    Unavailable {
        /// How long Foxy asks to wait; at most an hour.
        retry_after: Option<Duration>,
        /// What was seen.
        source: Cause,
    },
    /// The refresh token, or the code, was refused (RFC 6749 section 5.2: `invalid_grant`): revoked, expired, used
    /// before, or another client's.
    #[error("Foxy refuses the refresh token or the code; its user has to grant access again")]
    Revoked,
    /// Foxy has answered, or may have answered, another refresh token, and the [keeper](crate::TokenKeeper) could not
    /// keep it or say what is kept. The access token that came with it is not used.
    #[error("another refresh token came or may have come, and the place where it is kept does not answer")]
    NotKept {
        /// What the keeper reported.
        source: Cause,
    },
    /// An answer that fits nothing we know: a redirect, an unexpected status, a body that can't be read.
    #[error("Foxy's answer could not be made sense of")]
    Unreadable {
        /// What was seen.
        source: Cause,
    },
}

/// Why a token could not be had: the same conditions as for a read.
pub type TokenError = ReadError;

impl ReadError {
    /// Whether every other call will fail alike until a person has mended the set-up.
    pub fn is_setup_fault(&self) -> bool {
        matches!(self, Self::SetupFault(_))
    }

    /// How long Foxy, or our own pace, asks to wait, if they do.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::HeldBack { wait } => Some(*wait),
            Self::SetupFault(_) | Self::Revoked | Self::NotKept { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// An answer that can't be made sense of.
    pub(crate) fn odd(odd: OddAnswer) -> Self {
        Self::Unreadable { source: odd.cause() }
    }

    /// What this means for a create call that needed the thing read, and was therefore not sent.
    pub(crate) fn into_no_effect(self) -> (NoEffect, Option<Cause>) {
        match self {
            Self::SetupFault(fault) => (NoEffect::SetupFault(fault), None),
            Self::RateLimited { retry_after } => (NoEffect::RateLimited { retry_after }, None),
            Self::HeldBack { wait } => (NoEffect::HeldBack { wait }, None),
            Self::Unavailable { retry_after, source } => (NoEffect::Unavailable { retry_after }, Some(source)),
            Self::Revoked => (NoEffect::TokenRefused, None),
            Self::NotKept { source } | Self::Unreadable { source } => {
                (NoEffect::Unavailable { retry_after: None }, Some(source))
            }
        }
    }
}

impl From<LinkProblem> for ReadError {
    fn from(problem: LinkProblem) -> Self {
        Self::SetupFault(problem.into())
    }
}

/// What the answer to a GET comes to.
#[derive(Debug)]
pub(crate) enum Reading {
    /// The document asked for.
    Document(Value),
    /// 404 or 410; `absent` if Foxy says in words that what was asked about does not exist.
    Gone {
        /// Which of the two.
        status: u16,
        /// Whether Foxy's words say so.
        absent: bool,
    },
    /// 401: the access token is refused. Worth one more try with a fresh one.
    StaleToken,
    /// Anything else.
    Failed(ReadError),
}

/// Sorts the answer to a GET.
pub(crate) fn judge(answer: &Answer) -> Reading {
    let status = answer.status;
    if status == 200 {
        return match (answer.json(), &answer.body) {
            (Some(document), _) => Reading::Document(document),
            (None, Body::Cut { cause, .. }) => {
                Reading::Failed(ReadError::Unavailable { retry_after: None, source: cause.clone() })
            }
            (None, Body::Whole(_)) => Reading::Failed(ReadError::odd(OddAnswer::NotJson)),
            (None, Body::TooLarge) => Reading::Failed(ReadError::odd(OddAnswer::TooLarge)),
        };
    }
    let body = answer.body.json().unwrap_or_default();
    match (status, OAuthError::of(&body, answer.challenge.as_deref())) {
        (401, Some(OAuthError::InvalidClient)) => Reading::Failed(SetupFault::InvalidClient.into()),
        (401 | 403, Some(OAuthError::InsufficientScope)) => Reading::Failed(SetupFault::InsufficientScope.into()),
        (401, _) => Reading::StaleToken,
        (403, _) => Reading::Failed(SetupFault::Forbidden.into()),
        (404 | 410, _) => Reading::Gone { status, absent: errors::say_absent(&reasons::of(answer)) },
        _ => Reading::Failed(refusal(answer)),
    }
}

/// What the statuses mean that mean the same for a GET and for a token request.
pub(crate) fn refusal(answer: &Answer) -> ReadError {
    let source = OddAnswer::Status(answer.status).cause();
    match answer.status {
        429 => ReadError::RateLimited { retry_after: answer.retry_after },
        408 | 500..=599 => ReadError::Unavailable { retry_after: answer.retry_after, source },
        _ => ReadError::Unreadable { source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let body = Body::Whole(body.as_bytes().to_vec().into());
        Answer { retry_after: Some(Duration::from_secs(7)), ..Answer::bare(status, body) }
    }

    fn word(reading: &Reading) -> String {
        match reading {
            Reading::Document(_) => "document".into(),
            Reading::Gone { absent, .. } => format!("gone absent={absent}"),
            Reading::StaleToken => "stale token".into(),
            Reading::Failed(ReadError::SetupFault(fault)) => format!("{fault:?}"),
            Reading::Failed(ReadError::RateLimited { retry_after }) => format!("rate limited {retry_after:?}"),
            Reading::Failed(ReadError::Unavailable { retry_after, .. }) => format!("unavailable {retry_after:?}"),
            Reading::Failed(ReadError::HeldBack { wait }) => format!("held back {wait:?}"),
            Reading::Failed(ReadError::Revoked) => "revoked".into(),
            Reading::Failed(ReadError::NotKept { source }) => format!("not kept: {source}"),
            Reading::Failed(ReadError::Unreadable { source }) => format!("unreadable: {source}"),
        }
    }

    #[test]
    fn every_answer_to_a_read_has_one_meaning() {
        let absent = r#"{"_embedded":{"fx:errors":[{"logref":"id-1","message":"This user was not found"}]}}"#;
        for (status, body, expected) in [
            (200, r#"{"_links":{}}"#, "document"),
            (200, "<html>", "unreadable: the answer's body is not a JSON object"),
            (200, "[1]", "unreadable: the answer's body is not a JSON object"),
            (201, "{}", "unreadable: Foxy answered with status 201"),
            (302, "", "unreadable: Foxy answered with status 302"),
            (401, r#"{"error":"invalid_token"}"#, "stale token"),
            (401, "", "stale token"),
            (401, r#"{"error":"invalid_client"}"#, "InvalidClient"),
            (401, r#"{"error":"insufficient_scope"}"#, "InsufficientScope"),
            (403, "", "Forbidden"),
            (403, r#"{"error":"insufficient_scope"}"#, "InsufficientScope"),
            (404, absent, "gone absent=true"),
            (404, "<html>", "gone absent=false"),
            (404, "<p>This user was not found</p>", "gone absent=false"),
            (404, r#"{"title":"Not Found","detail":"This user was not found"}"#, "gone absent=true"),
            (410, "", "gone absent=false"),
            (408, "", "unavailable Some(7s)"),
            (429, "", "rate limited Some(7s)"),
            (503, "<html>", "unavailable Some(7s)"),
            (418, "", "unreadable: Foxy answered with status 418"),
        ] {
            assert_eq!(word(&judge(&answer(status, body))), expected, "{status} {body}");
        }
    }

    #[test]
    fn only_some_conditions_name_a_wait_and_only_one_is_a_fault_of_the_set_up() {
        let limited = ReadError::RateLimited { retry_after: Some(Duration::from_secs(3)) };
        assert_eq!((limited.retry_after(), limited.is_setup_fault()), (Some(Duration::from_secs(3)), false));
        let fault = ReadError::from(SetupFault::Forbidden);
        assert_eq!((fault.retry_after(), fault.is_setup_fault()), (None, true));
    }
}
