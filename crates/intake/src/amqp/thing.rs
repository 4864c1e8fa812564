//! What foxden looks for at the broker: each exchange and queue by its role and its name.

use std::fmt;

use lapin::types::ShortString;

/// What an exchange or a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Exchange,
    Queue,
    DeadExchange,
    DeadQueue,
    OutcomeExchange,
    OutcomeQueue,
}

impl Role {
    /// As it is called in the documents.
    const fn words(self) -> &'static str {
        match self {
            Self::Exchange => "signup exchange",
            Self::Queue => "signup queue",
            Self::DeadExchange => "dead exchange",
            Self::DeadQueue => "dead queue",
            Self::OutcomeExchange => "outcome exchange",
            Self::OutcomeQueue => "outcome queue",
        }
    }

    /// The variable that holds its name.
    pub(super) const fn setting(self) -> &'static str {
        match self {
            Self::Exchange => "FOXDEN_AMQP_EXCHANGE",
            Self::Queue => "FOXDEN_AMQP_QUEUE",
            Self::DeadExchange => "FOXDEN_AMQP_DEAD_EXCHANGE",
            Self::DeadQueue => "FOXDEN_AMQP_DEAD_QUEUE",
            Self::OutcomeExchange => "FOXDEN_AMQP_OUTCOME_EXCHANGE",
            Self::OutcomeQueue => "FOXDEN_AMQP_OUTCOME_QUEUE",
        }
    }

    /// Whether it holds messages.
    pub(super) const fn is_queue(self) -> bool {
        matches!(self, Self::Queue | Self::DeadQueue | Self::OutcomeQueue)
    }
}

/// An exchange or a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) role: Role,
    pub(super) name: ShortString,
}

impl Thing {
    pub(super) fn new(role: Role, name: &ShortString) -> Self {
        Self { role, name: name.clone() }
    }
}

/// Role and name: `signup queue foxden.signups`.
impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.words(), self.name)
    }
}
