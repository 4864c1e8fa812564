//! Against a real broker, whose URL is in `AMQP_URL`. Each test has exchanges and queues of its own.

mod acknowledging;
mod bench;
mod consuming;
mod dead_letters;
mod dead_queue_full;
mod outcomes;
mod tap;
mod telling;
mod topology;
