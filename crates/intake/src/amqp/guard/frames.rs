//! Frames (AMQP 0-9-1, section 4.2.3), out of bytes as they come.

use std::{collections::HashMap, fmt, io};

use super::{
    content::{mended_header, mended_method, offered_frame_max},
    flaw::Flaws,
};

/// The largest frame there may be, RabbitMQ's own default: only as many bytes are held at most.
pub(in crate::amqp) const FRAME_MAX: u32 = 131_072;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
/// Type, channel and size.
const START: usize = 7;
/// After the payload.
const END: usize = 1;

/// Hands on frames, mended where the library couldn't take them.
pub(super) struct Frames {
    /// The largest that the library takes. A broker sends headers in one frame, whatever was agreed.
    frame_max: u32,
    /// The beginning of a method or a content header, until all of it is here.
    held: Vec<u8>,
    /// How many bytes of another frame are still to come.
    passing: usize,
    /// Whether these are no frames that we know. They are left to the library, which says so.
    is_foreign: bool,
    /// What was wrong with a method, until the content header of its message comes on its channel.
    of_methods: HashMap<u16, Flaws>,
}

/// A method or a content header that is larger than any frame may be.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::amqp) struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker sent a frame larger than {FRAME_MAX} bytes")
    }
}

impl std::error::Error for TooLarge {}

impl Frames {
    /// Frames for a library that asks for this `frame_max`.
    pub(super) fn new(frame_max: u32) -> Self {
        Self {
            frame_max: frame_max.min(FRAME_MAX),
            held: Vec::new(),
            passing: 0,
            is_foreign: false,
            of_methods: HashMap::new(),
        }
    }

    /// Takes what has come, and appends what is to be handed on.
    pub(super) fn take(&mut self, mut came: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !came.is_empty() {
            if self.is_foreign {
                out.extend_from_slice(came);
                return Ok(());
            }
            if self.passing > 0 {
                let (passed, rest) = came.split_at(self.passing.min(came.len()));
                out.extend_from_slice(passed);
                self.passing -= passed.len();
                came = rest;
                continue;
            }
            came = self.hold(came, START);
            let Some((kind, channel, size)) = start(&self.held) else { return Ok(()) };
            match kind {
                METHOD | HEADER => {
                    let whole = START + size + END;
                    if whole > FRAME_MAX as usize {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, TooLarge));
                    }
                    came = self.hold(came, whole);
                    if self.held.len() == whole {
                        self.hand_on(kind, channel, out);
                        self.held.clear();
                    }
                }
                BODY | HEARTBEAT => {
                    out.append(&mut self.held);
                    self.passing = size + END;
                }
                _ => {
                    out.append(&mut self.held);
                    self.is_foreign = true;
                }
            }
        }
        Ok(())
    }

    /// What has come and not been handed on, at the end of the stream.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }

    /// Holds bytes until there are as many; the rest is returned.
    fn hold<'a>(&mut self, came: &'a [u8], count: usize) -> &'a [u8] {
        let (held, rest) = came.split_at(count.saturating_sub(self.held.len()).min(came.len()));
        self.held.extend_from_slice(held);
        rest
    }

    /// Hands on the whole frame that is held.
    fn hand_on(&mut self, kind: u8, channel: u16, out: &mut Vec<u8>) {
        let payload = &self.held[START..self.held.len() - END];
        let mended = if kind == METHOD {
            let mut flaws = Flaws::default();
            if let Some(offered @ 1..) = offered_frame_max(payload) {
                self.frame_max = self.frame_max.min(offered);
            }
            let mended = mended_method(payload, &mut flaws);
            if flaws.is_empty() {
                self.of_methods.remove(&channel);
            } else {
                self.of_methods.insert(channel, flaws);
            }
            mended
        } else {
            let limit = (self.frame_max as usize).saturating_sub(START + END);
            mended_header(payload, self.of_methods.remove(&channel).unwrap_or_default(), limit)
        };
        let Some(mended) = mended else {
            out.extend_from_slice(&self.held);
            return;
        };
        out.extend_from_slice(&self.held[..3]);
        out.extend_from_slice(&u32::try_from(mended.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&mended);
        out.extend_from_slice(&self.held[self.held.len() - END..]);
    }
}

/// Type, channel and size, once they are here.
fn start(held: &[u8]) -> Option<(u8, u16, usize)> {
    let [kind, c0, c1, s0, s1, s2, s3] = *held.first_chunk::<START>()?;
    let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).ok()?;
    Some((kind, u16::from_be_bytes([c0, c1]), size))
}
