//! Outcome events, from their commit until the broker has them.

pub(crate) mod next_events;
pub(crate) mod outbox;
pub(crate) mod publishing;
