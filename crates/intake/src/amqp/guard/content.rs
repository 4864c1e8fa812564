//! Methods and content headers (AMQP 0-9-1, sections 2.3.5 and 4.2.6).

use super::{
    bytes::Bytes,
    fields::{short_string, table},
    flaw::{FLAWS_HEADER, Flaw, Flaws},
};

/// What a method or a list of properties consists of.
#[derive(Clone, Copy)]
enum Part {
    /// This many bytes of any value.
    Fixed(usize),
    Short(Flaw),
    Table,
    Long,
}

/// The properties in the order in which they stand, the first under the highest bit of the flags.
const PROPERTIES: [Part; 14] = [
    Part::Short(Flaw::ContentType),
    Part::Short(Flaw::ContentEncoding),
    Part::Table,
    Part::Fixed(1),
    Part::Fixed(1),
    Part::Short(Flaw::CorrelationId),
    Part::Short(Flaw::ReplyTo),
    Part::Short(Flaw::Expiration),
    Part::Short(Flaw::MessageId),
    Part::Fixed(8),
    Part::Short(Flaw::Type),
    Part::Short(Flaw::UserId),
    Part::Short(Flaw::AppId),
    Part::Short(Flaw::ClusterId),
];
/// Where the headers stand in that order.
const HEADERS: usize = 2;
/// Class, weight and the size of the body stand before the flags.
const BEFORE_FLAGS: usize = 12;

/// The parts of a method, for those that repeat a text which others wrote, or a table. Of the others the broker makes
/// all that is in them.
const fn parts(class: u16, method: u16) -> Option<&'static [Part]> {
    use Part::{Fixed, Long, Short, Table};
    // A text that belongs to no message has no flaw of its own.
    const TEXT: Part = Short(Flaw::Properties);
    Some(match (class, method) {
        // connection.start
        (10, 10) => &[Fixed(2), Table, Long, Long],
        // connection.close and channel.close: RabbitMQ cuts a long text at a byte, if need be within a character.
        (10, 50) | (20, 40) => &[Fixed(2), TEXT, Fixed(4)],
        // connection.blocked
        (10, 60) => &[TEXT],
        // basic.return
        (60, 50) => &[Fixed(2), TEXT, Short(Flaw::Exchange), Short(Flaw::RoutingKey)],
        // basic.deliver
        (60, 60) => &[TEXT, Fixed(9), Short(Flaw::Exchange), Short(Flaw::RoutingKey)],
        // basic.get-ok
        (60, 71) => &[Fixed(9), Short(Flaw::Exchange), Short(Flaw::RoutingKey), Fixed(4)],
        _ => return None,
    })
}

/// The `frame_max` that the broker offers, if this is its offer; 0 is no limit.
pub(super) fn offered_frame_max(payload: &[u8]) -> Option<u32> {
    let mut input = Bytes::new(payload);
    // connection.tune
    let is_offer = (input.u16()?, input.u16()?) == (10, 30);
    input.take(2)?;
    input.u32().filter(|_| is_offer)
}

/// A method as the library can take it, if it couldn't. The flaws are those of the message that follows.
pub(super) fn mended_method(payload: &[u8], flaws: &mut Flaws) -> Option<Vec<u8>> {
    let mut input = Bytes::new(payload);
    let parts = parts(input.u16()?, input.u16()?)?;
    let mut out = payload[..4].to_vec();
    for part in parts {
        copy(*part, &mut input, &mut out, flaws)?;
    }
    (!flaws.is_empty() && input.is_empty()).then_some(out)
}

/// A content header as the library can take it, if it couldn't, or if its method has had flaws. It has this size at
/// most: without the headers it fits into any frame, since the smallest `frame_max` is 4096.
pub(super) fn mended_header(payload: &[u8], mut flaws: Flaws, limit: usize) -> Option<Vec<u8>> {
    let mut input = Bytes::new(payload);
    let start = input.take(BEFORE_FLAGS)?;
    let flags = input.u16()?;
    let known = u16::MAX << (16 - PROPERTIES.len());
    let mut kept = Properties::default();
    for (at, part) in PROPERTIES.into_iter().enumerate().filter(|(at, _)| flags & bit(*at) != 0) {
        let out = kept.part(at);
        let before = out.len();
        if copy(part, &mut input, out, &mut flaws).is_none() {
            out.truncate(before);
            flaws.add(Flaw::Properties);
            break;
        }
        kept.flags |= bit(at);
    }
    if flags & !known != 0 || !input.is_empty() {
        flaws.add(Flaw::Properties);
    }
    if flaws.is_empty() && payload.len() <= limit {
        return None;
    }
    let mended = kept.with_flaws(start, &flaws);
    if !flaws.is_empty() && mended.len() <= limit {
        return Some(mended);
    }
    kept.headers.clear();
    flaws.add(Flaw::HeaderSize);
    Some(kept.with_flaws(start, &flaws))
}

const fn bit(at: usize) -> u16 {
    1 << (15 - at)
}

/// Copies a part; nothing, if its end is missing.
fn copy(part: Part, input: &mut Bytes<'_>, out: &mut Vec<u8>, flaws: &mut Flaws) -> Option<()> {
    match part {
        Part::Fixed(count) => out.extend_from_slice(input.take(count)?),
        Part::Short(flaw) => short_string(input.short()?, flaw, out, flaws),
        Part::Table => table(input.long()?, out, flaws),
        Part::Long => {
            let text = input.long()?;
            out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
            out.extend_from_slice(text);
        }
    }
    Some(())
}

/// Properties that are kept, those before and after the headers as they are written.
#[derive(Default)]
struct Properties {
    flags: u16,
    before: Vec<u8>,
    /// With the length before them, if there are any.
    headers: Vec<u8>,
    after: Vec<u8>,
}

impl Properties {
    const fn part(&mut self, at: usize) -> &mut Vec<u8> {
        match at {
            HEADERS => &mut self.headers,
            0..HEADERS => &mut self.before,
            _ => &mut self.after,
        }
    }

    /// The whole content header, with the flaws as its last header, so that it is the one that counts.
    fn with_flaws(&self, start: &[u8], flaws: &Flaws) -> Vec<u8> {
        let mut headers = self.headers.get(4..).unwrap_or_default().to_vec();
        let words = flaws.words();
        headers.push(u8::try_from(FLAWS_HEADER.len()).unwrap_or(u8::MAX));
        headers.extend_from_slice(FLAWS_HEADER.as_bytes());
        headers.push(b'S');
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        headers.extend_from_slice(&length(words.as_bytes()));
        headers.extend_from_slice(words.as_bytes());
        let flags = (self.flags | bit(HEADERS)).to_be_bytes();
        [start, &flags, &self.before, &length(&headers), &headers, &self.after].concat()
    }
}
