//! Checks what the broker sends before the AMQP library reads it.
//!
//! A broker passes on message properties as their publisher wrote them. Two kinds of them the library can't take:
//! headers that nest deeply overflow its stack, which aborts the process, and a short string that isn't UTF-8 ends
//! the connection. Neither can be caught afterwards, and both come again with every delivery (decision 0033).
//!
//! So the stream that the library reads from is ours. It copies bytes, except for methods and content headers: those
//! are parsed without recursion, and those that the library couldn't take are mended. What was wrong with a message
//! is written into a header of its own, and the message is put aside for it.

mod bytes;
mod content;
mod fields;
mod flaw;
mod frames;
mod kit;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use flaw::{FLAWS_HEADER, Flaws};
pub(super) use frames::FRAME_MAX;
pub(super) use kit::connect;
