//! The broker's side: topology, consumer, dead letters, outcome publisher. The only place that knows the AMQP library.
//!
//! Reconnecting is done here and not by the library: a new connection, new channels, the topology declared again. What
//! was in work over a lost connection is delivered again and recognized by the ledger.

mod acks;
mod broker_error;
mod broker_url;
mod cloud_event;
mod confirmed;
mod connection;
mod consumer;
mod dead_letter;
mod dead_queue;
mod desk;
mod distrust;
mod found;
mod guard;
mod header;
mod incoming;
mod names;
mod outage;
mod outbox;
#[cfg(test)]
mod outcome_schema;
mod outcomes;
mod publisher;
mod refusal;
#[cfg(test)]
mod servers;
mod settings;
mod shelf;
mod tags;
mod tenure;
mod thing;
mod tls;
mod topology;
mod unread;
mod walk;

pub use broker_error::{BrokerCause, BrokerError, IntakeError, PublishError};
pub use broker_url::{AmqpUrl, AmqpUrlError};
pub use consumer::{ConsumerParts, HandOver, Room, consume};
pub use dead_queue::{DeadQueue, Interrupted, Requeued};
pub use found::{DeadLetter, OpenLetter, PutBy};
#[cfg(test)]
pub(crate) use outcome_schema::schemas as outcome_schemas;
pub use outcomes::{AddressCheck, PublisherParts, publish_outcomes};
pub use publisher::Publisher;
pub use refusal::Refusal;
pub use settings::{AmqpSettings, Topology};
pub use tls::{Tls, TlsError};
pub use topology::declare;
