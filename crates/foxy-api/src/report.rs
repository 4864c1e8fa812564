//! What became of a create call: the one question every caller asks, answered in types.

use std::time::Duration;

use crate::{Cause, FoxyError, RejectionKind, ResourceUri, SetupFault};

/// What became of a create call, and what there is to show for it.
#[derive(Debug)]
pub struct Report<T> {
    /// What the call came to. The only part to decide by.
    pub outcome: Outcome<T>,
    /// What was seen, for the record.
    pub evidence: Evidence,
}

/// What a create call came to, by what may have happened at Foxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It exists, and its token is in hand.
    Done(T),
    /// Nothing was created. The same call may be sent again once the reason is gone.
    NoEffect(NoEffect),
    /// Foxy understood and refused. The same call would be refused again.
    Rejected(Rejection),
    /// It may or may not exist. Look it up; never send the call again on a guess.
    Unknown(Doubt),
    /// It exists, but its token did not reach us, and can't be asked for again.
    TokenLost(TokenLoss),
}

/// Why nothing was created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEffect {
    /// The call never left.
    #[error("the call was not sent: {0}")]
    NotSent(NotSent),
    /// Status 429, of the call itself or of what it needed first.
    #[error("Foxy asks us to slow down")]
    RateLimited {
        /// How long Foxy asks to wait; at most an hour.
        retry_after: Option<Duration>,
    },
    /// Our own pace, set by [`Rate`](crate::Rate) or by Foxy's `Retry-After` to any call, leaves this one too little time.
    #[error("the call was not sent: the rate of calls allows it only in {} s", wait.as_secs_f64().ceil())]
    HeldBack {
        /// When it would have been its turn.
        wait: Duration,
    },
    /// A fault of the set-up, which every other call will meet as well.
    #[error("{0}")]
    SetupFault(SetupFault),
    /// The link answered 404 or 410; one of the home document's, also after it had been discovered anew.
    #[error("the link leads nowhere")]
    LinksChanged,
    /// The user's refresh token was refused (`invalid_grant`): revoked, or not of this client.
    #[error("the user's refresh token was refused")]
    TokenRefused,
    /// A token or a link that the call needs could not be had: Foxy was not reached, answered 5xx or something
    /// unreadable.
    #[error("Foxy is not available")]
    Unavailable {
        /// How long Foxy asks to wait; at most an hour.
        retry_after: Option<Duration>,
    },
    /// Foxy refused with a 4xx, but its reasons were cut off or damaged in transit. Sending again brings them.
    #[error("Foxy refused with status {status}, and its reasons did not arrive")]
    ReasonsLost {
        /// The status of the refusal.
        status: u16,
    },
}

/// Why a call never left. Claimed only if the request's body was never handed to a connection, whatever the error said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotSent {
    /// The time given for the call was over before a byte of it was sent.
    #[error("its time was over before it could be")]
    DeadlinePassed,
    /// The host's name could not be resolved.
    #[error("the API's host name could not be resolved")]
    NameNotResolved,
    /// Nothing listens there.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// No connection within the connect timeout.
    #[error("connecting took too long")]
    ConnectTimedOut,
    /// No TLS session: certificate refused, or no common protocol.
    #[error("no TLS session could be made")]
    Tls,
    /// Another failure while connecting, or a connection that ended before anything was sent on it.
    #[error("no connection could be made")]
    ConnectFailed,
    /// The request could not be built.
    #[error("the request could not be built")]
    RequestInvalid,
    /// When its turn came, the caller did not want it any more.
    #[error("it was withdrawn before its turn came")]
    Withdrawn,
}

/// A refusal with Foxy's reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The reasons, sorted by what can be done about them.
    pub kind: RejectionKind,
    /// The answer's status.
    pub status: u16,
    /// Foxy's words.
    pub errors: Vec<FoxyError>,
}

/// Why we can't say whether anything was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Doubt {
    /// Sent, and no answer within the time given.
    #[error("no answer in time")]
    TimedOut,
    /// Sent, and the connection ended before an answer.
    #[error("the connection was lost before an answer")]
    ConnectionLost,
    /// Sent on a connection that was kept from an earlier call, which ended before an answer. The server may have
    /// closed it before the request came.
    #[error("a kept connection was lost before an answer; it may have been closed before the request came")]
    KeptConnectionLost,
    /// An answer that says neither yes nor no: 408, 409, 5xx, or a success other than 201 that brings no token.
    #[error("an answer of status {0}, which says neither yes nor no")]
    Status(u16),
    /// A redirect (3xx). Not followed: it could lead a token away.
    #[error("a redirect, which is not followed")]
    Redirected,
}

/// How a token was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenLoss {
    /// The answer's body broke off: connection lost, or time over.
    #[error("the answer broke off")]
    BodyCut,
    /// The answer's body is not a JSON object.
    #[error("the answer can't be read")]
    BodyUnreadable,
    /// The answer's body is larger than 1 MiB.
    #[error("the answer is larger than 1 MiB")]
    BodyTooLarge,
    /// The answer has no refresh token.
    #[error("the answer has no token")]
    NoToken,
}

/// What was seen of a create call. Holds neither secrets nor personal data.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The status that the create call was last answered with; `None` if it was not sent or not answered.
    pub http_status: Option<u16>,
    /// Foxy's reference for its own log, from the answer's first error.
    pub logref: Option<String>,
    /// From the call of our function to its end, preparations included.
    pub elapsed: Duration,
    /// Where a 201 says the new resource is, even if its token was lost. `None` if it names no trusted address.
    pub resource: Option<ResourceUri>,
    /// The error underneath, for a log's chain of reasons.
    pub cause: Option<Cause>,
}

impl<T> Outcome<T> {
    /// Turns what was created into something else; every other outcome stays as it is.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(created) => Outcome::Done(f(created)),
            Self::NoEffect(reason) => Outcome::NoEffect(reason),
            Self::Rejected(rejection) => Outcome::Rejected(rejection),
            Self::Unknown(doubt) => Outcome::Unknown(doubt),
            Self::TokenLost(loss) => Outcome::TokenLost(loss),
        }
    }
}

impl<T> Report<T> {
    /// Turns what was created into something else, with the same evidence.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Report<U> {
        Report { outcome: self.outcome.map(f), evidence: self.evidence }
    }
}
