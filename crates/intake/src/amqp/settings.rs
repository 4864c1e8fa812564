//! What the AMQP side must be told.

use super::broker_url::AmqpUrl;

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
    /// The exchange to which outcome events are published.
    pub outcome_exchange: String,
    /// A queue for all outcome events; none where the parent app declares its own.
    pub outcome_queue: Option<String>,
    /// Whether an event that came again is answered with an outcome event.
    pub tell_duplicates: bool,
}
