//! Codes that a browser brings back: what they are exchanged with, and what became of one.

use std::sync::Arc;
use std::time::Duration;

use foxden_vault::AuthorizationCode;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::http::{Failure, Fate};
use crate::oauth::Grant;
use crate::wire::unavailable;
use crate::{Cause, Granted, ReadError, SetupFault, TokenScope};

/// A code that a browser has brought back, with what was asked for.
#[derive(Debug, Clone)]
pub struct BroughtCode<'a> {
    /// Opens what was granted, once.
    pub code: AuthorizationCode,
    /// The client that has asked; Foxy takes the code from no other.
    pub client_id: &'a str,
    /// Where the browser was sent back to, if the request for authorization named it (RFC 6749 section 4.1.3).
    pub redirect_uri: Option<&'a str>,
    /// What was asked for, with or without further words.
    pub scope: TokenScope,
}

/// Why a code brought no token. Whatever it was, the code is not sent a second time.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExchangeError {
    /// It never left, so it is as good as it was.
    #[error("the code was not sent to Foxy")]
    NotSent {
        /// What it needed first, or the way to Foxy.
        source: ReadError,
    },
    /// Foxy refused, and the code opened nothing.
    #[error("Foxy refused to exchange the code")]
    Refused(#[source] CodeRefusal),
    /// The code is used up, and opened something else than was asked for. What came with it was not used.
    #[error("Foxy granted something else than was asked for")]
    OtherGrant(#[source] SetupFault),
    /// No answer, or one that can't be read: the code may be used up, and a token made that no one has.
    #[error("whether Foxy has exchanged the code is not known")]
    InDoubt {
        /// What was seen.
        source: Cause,
    },
}

/// How Foxy refused a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefusal {
    /// The code itself (RFC 6749 section 5.2: `invalid_grant`).
    #[error("the code is unknown, expired, used before, another client's, or was sent elsewhere")]
    Code,
    /// A fault of the setup: the next code would meet it, too.
    #[error(transparent)]
    SetupFault(SetupFault),
    /// Status 429.
    #[error("Foxy asks us to slow down")]
    RateLimited {
        /// How long Foxy asks to wait; at most an hour.
        retry_after: Option<Duration>,
    },
    /// Another 4xx, without a reason that we know.
    #[error("Foxy answered with status {0}")]
    Status(u16),
}

/// Says what the one sending of a code came to. Statuses mean what they mean for creates (see `outcome`).
pub(crate) fn judge(
    grant: &Grant,
    exchange: Result<Answer, Failure>,
    since: Instant,
) -> Result<Granted, ExchangeError> {
    let answer = exchange.map_err(|failure| match failure.fate {
        Fate::NotSent(_) | Fate::HeldBack(_) => ExchangeError::NotSent { source: unavailable(failure) },
        Fate::TimedOut | Fate::ConnectionLost | Fate::KeptConnectionLost => in_doubt(unavailable(failure)),
    })?;
    let error = match grant.read(&answer, since) {
        Ok((granted, _)) => return Ok(granted),
        Err(error) => error,
    };
    Err(match answer.status {
        200..=299 => match error {
            ReadError::SetupFault(fault) => ExchangeError::OtherGrant(fault),
            unreadable => in_doubt(unreadable),
        },
        408 | 409 => in_doubt(error),
        status @ 400..=499 => ExchangeError::Refused(refusal(status, error)),
        _ => in_doubt(error),
    })
}

fn refusal(status: u16, error: ReadError) -> CodeRefusal {
    match error {
        ReadError::Revoked => CodeRefusal::Code,
        ReadError::SetupFault(fault) => CodeRefusal::SetupFault(fault),
        ReadError::RateLimited { retry_after } => CodeRefusal::RateLimited { retry_after },
        ReadError::HeldBack { .. }
        | ReadError::Unavailable { .. }
        | ReadError::NotKept { .. }
        | ReadError::Unreadable { .. } => CodeRefusal::Status(status),
    }
}

/// The reason underneath alone: the error itself would say that trying again is safe.
fn in_doubt(error: ReadError) -> ExchangeError {
    let source = match error {
        ReadError::Unavailable { source, .. } | ReadError::NotKept { source } | ReadError::Unreadable { source } => {
            source
        }
        other => Arc::new(other),
    };
    ExchangeError::InDoubt { source }
}
