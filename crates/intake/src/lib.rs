#![doc = include_str!("../README.md")]

mod amqp;
mod correction;
mod door;
mod event;
mod pace;
#[cfg(test)]
mod testing;

pub use amqp::{
    AmqpSettings, AmqpUrl, AmqpUrlError, BrokerCause, BrokerError, ConsumerParts, DeadLetter, DeadQueue, HandOver,
    IntakeError, PublishError, Publisher, PublisherParts, Requeued, consume, declare, publish_outcomes,
};
pub use correction::Contradiction;
pub use door::{AdmitError, Admitted, Door};
pub use event::{BODY_MAX, EVENT_VERSION, EventError, Mistake, SignupEvent};
