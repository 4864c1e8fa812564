//! What can go wrong with the broker, by what the caller does about it.

use std::{fmt, time::Duration};

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError},
};

use super::refusal::{Asked, Refusal};

/// A conversation with the broker that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The broker or the connection to it failed.
    #[error("{doing} failed")]
    Failed {
        /// What we were doing.
        doing: &'static str,
        /// What the library reported.
        #[source]
        cause: BrokerCause,
    },
    /// The broker is there and says no, or is not to be trusted.
    #[error("{0}")]
    Refused(Refusal),
    /// No answer in time.
    #[error("{doing} had no answer within {within:?}")]
    TimedOut {
        /// What we were doing.
        doing: &'static str,
        /// How long we waited.
        within: Duration,
    },
    /// The broker ended our subscription: most often the queue was deleted.
    #[error("the broker ended the subscription to the queue; was the queue deleted?")]
    Unsubscribed,
    /// The connection ended while nothing was being asked of it.
    #[error("the connection to the broker ended")]
    Gone,
    /// A dead letter found no queue, or the broker refused it; its message was not acknowledged.
    #[error("a message could not be put into the dead-letter queue; it stays in its own")]
    DeadLetterRefused,
}

/// What the AMQP library reported, kept as a value. Its text holds what the broker said and no part of any message.
pub struct BrokerCause {
    error: Error,
    /// Whether there was no connection yet.
    is_first: bool,
}

impl BrokerError {
    pub(super) fn failed(doing: &'static str) -> impl FnOnce(Error) -> Self {
        Self::answering(Asked::Other(doing))
    }

    /// The broker's no to what it was asked for, in words; or what else went wrong.
    pub(super) fn answering(asked: Asked) -> impl FnOnce(Error) -> Self {
        move |error| match Refusal::in_error(&error, asked) {
            Ok(refusal) => Self::Refused(refusal),
            Err(asked) => {
                let is_first = matches!(asked, Asked::Connection { .. });
                Self::Failed { doing: asked.doing(), cause: BrokerCause { error, is_first } }
            }
        }
    }

    /// Whether the broker is there and said no: wrong credentials, missing permission, a queue that exists with other
    /// arguments. Trying again helps only after somebody changed something.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// The error with its cause in one line, for a log.
    pub(super) fn in_full(&self) -> String {
        match self {
            Self::Failed { cause, .. } => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for BrokerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.kind() {
            // These may show bytes of frames, and a frame may be part of a message.
            ErrorKind::ParsingError(_) if self.is_first => {
                f.write_str("the answer is no AMQP frame; is it a port for TLS (amqps://)?")
            }
            ErrorKind::ParsingError(_) => f.write_str("the broker sent bytes that are no AMQP frame"),
            ErrorKind::ProtocolError(said) if *said.kind() == AMQPErrorKind::Hard(AMQPHardError::FRAMEERROR) => {
                write!(f, "a frame was larger than agreed, or damaged (frame_max): {}", said.get_message())
            }
            ErrorKind::SerialisationError(_) => f.write_str("a frame could not be written"),
            ErrorKind::AuthProviderError(_) => f.write_str("the credentials could not be presented"),
            _ => self.error.fmt(f),
        }
    }
}

/// As `Display`: the library's own `Debug` is not for logs.
impl fmt::Debug for BrokerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerCause({self})")
    }
}

impl std::error::Error for BrokerCause {}

/// Why the AMQP side can't be run. A broker that is away is none of these: it is waited out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// A name that AMQP can't carry.
    #[error("the name of the {role} is empty, longer than 255 bytes or has control characters")]
    Name {
        /// What it is the name of.
        role: &'static str,
    },
    /// One name in two roles.
    #[error("two exchanges or two queues have the same name; each needs its own")]
    NamesClash,
    /// Outcome events are off, so there is nowhere to publish them to.
    #[error("there is no exchange for outcome events")]
    NoOutcomeExchange,
    /// The broker was there and refused for as long as the settings allow; the log has told why.
    #[error("the broker has refused for {} s without a break", .refused_for.as_secs())]
    GaveUp {
        /// For which part of the worker.
        role: &'static str,
        /// How long.
        refused_for: Duration,
    },
}

/// A message that is not known to be in a queue. It may be published again: a repeat is recognized by its signup id.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The settings name something that can't be.
    #[error("the AMQP settings are not usable")]
    Settings(#[from] IntakeError),
    /// The broker or the connection to it failed, so nothing was confirmed.
    #[error("the broker did not confirm")]
    Broker(#[from] BrokerError),
    /// The broker knows no queue for it and returned it.
    #[error("no queue is bound to the exchange for this routing key; the broker returned the message")]
    Unroutable,
    /// The broker refused it.
    #[error("the broker refused the message; is the queue full?")]
    Refused,
}

impl PublishError {
    /// Whether the broker is away, or went away: trying again later may be all that is needed.
    pub fn is_broker_away(&self) -> bool {
        matches!(self, Self::Broker(error) if !error.is_refusal())
    }

    /// Whether the broker is there and says no: another try helps only after somebody changed something.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Broker(error) if error.is_refusal())
    }
}
