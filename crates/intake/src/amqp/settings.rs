//! What the AMQP side must be told.

use std::time::Duration;

use super::{broker_url::AmqpUrl, tls::Tls};

/// What is done about exchanges, queues and bindings at each connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topology {
    /// They are declared: made where they are missing, refused where they exist otherwise.
    #[default]
    Declare,
    /// Exchanges and queues are looked for and taken as they are. Nothing is made, so the user needs no permission to
    /// configure. Arguments and bindings can't be seen that way.
    Check,
}

/// Where the broker is, and what things are called there.
#[derive(Debug, Clone)]
pub struct AmqpSettings {
    /// The broker.
    pub url: AmqpUrl,
    /// The exchange to which signup events are published.
    pub exchange: String,
    /// The queue of signup events.
    pub queue: String,
    /// The routing key of signup events.
    pub routing_key: String,
    /// The exchange of messages that can't be taken.
    pub dead_exchange: String,
    /// The queue of messages that can't be taken.
    pub dead_queue: String,
    /// The exchange to which outcome events are published; none where the parent app wants to hear of none.
    pub outcome_exchange: Option<String>,
    /// A queue for all outcome events; none where the parent app declares its own. Needs the exchange.
    pub outcome_queue: Option<String>,
    /// Whether an event that came again is answered with an outcome event.
    pub tell_duplicates: bool,
    /// Whether all of these are declared or only looked for.
    pub topology: Topology,
    /// Whom to trust, and what to show, where the URL asks for TLS.
    pub tls: Tls,
    /// How long a worker puts up with a broker that is there and refuses, without a break; `None`: for ever.
    pub give_up_after: Option<Duration>,
}

impl AmqpSettings {
    /// Whether a duplicate is answered: it takes an outcome event.
    pub(super) const fn answers_duplicates(&self) -> bool {
        self.tell_duplicates && self.outcome_exchange.is_some()
    }
}
