#![doc = include_str!("../README.md")]

mod amqp;
#[cfg(test)]
mod contract_files;
mod correction;
mod dead_reason;
mod door;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod pace;
#[cfg(test)]
mod schema_check;
#[cfg(test)]
mod testing;

pub use amqp::{
    AddressCheck, AmqpSettings, AmqpUrl, AmqpUrlError, BrokerCause, BrokerError, ConsumerParts, DeadLetter, DeadQueue,
    HandOver, IntakeError, Interrupted, OpenLetter, PublishError, Publisher, PublisherParts, PutBy, Refusal, Requeued,
    Room, Tls, TlsError, Topology, consume, declare, publish_outcomes,
};
pub use correction::Contradiction;
pub use dead_reason::DeadReason;
pub use door::{AdmitError, Admitted, Door};
pub use event::{BODY_MAX, EVENT_VERSION, EventError, Mistake, SIGNUP_TYPE, SignupEvent};
