//! The event contract and the AMQP side: topology, consumer, dead letters, outcome publisher.
