//! A message that can't be taken, put aside with the reason written on it.
//!
//! foxden publishes it to the dead exchange itself and acknowledges the original once that is confirmed. The broker's own
//! dead-lettering (`basic.reject`) could not say why.

use foxden_ledger::SignupId;
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{confirmed::Message, guard::FLAWS_HEADER, names::Names};
use crate::{
    correction::Contradiction,
    dead_reason::DeadReason,
    event::{EventError, Mistake},
};

/// Why the message is here: a [`DeadReason`].
pub(super) const REASON_HEADER: &str = "x-foxden-reason";
/// What is wrong with it: one line per mistake, with paths and without values, at most 4 KiB.
pub(super) const MISTAKES_HEADER: &str = "x-foxden-mistakes";
/// When it was put here: RFC 3339, UTC.
pub(super) const AT_HEADER: &str = "x-foxden-at";
/// The exchange it was published to.
pub(super) const EXCHANGE_HEADER: &str = "x-foxden-exchange";
/// The routing key it was published under.
pub(super) const ROUTING_KEY_HEADER: &str = "x-foxden-routing-key";
/// The signup id, where it could be read.
pub(super) const SIGNUP_ID_HEADER: &str = "x-foxden-signup-id";
/// The user and the reply address that the sender had set as properties.
const USER_HEADER: &str = "x-foxden-user-id";
const REPLY_TO_HEADER: &str = "x-foxden-reply-to";
/// How many of the sender's headers were too large to keep.
const LEFT_OUT_HEADER: &str = "x-foxden-headers-left-out";

/// Whether a header is one that foxden writes on dead letters.
pub(super) fn is_foxdens(header: &str) -> bool {
    header.starts_with("x-foxden-")
}

const MISTAKES_MAX: usize = 4 * 1024;

/// How much of the sender's headers is kept. A message's headers must fit into one frame (128 KiB by default), with ours;
/// else the broker ends the connection, and one message would do so again and again.
const HEADERS_MAX: u32 = 64 * 1024;
/// For our own headers, and for the properties.
const OURS_MAX: u32 = 16 * 1024;

/// Frames must be at least as large where that is ours to say.
pub(super) const FRAME_MAX_LEAST: u32 = HEADERS_MAX + OURS_MAX;

/// Headers that are not kept: two that tell the broker where else to route a message, whereas a dead letter has one
/// place to go; the broker's own count of deliveries, which starts over in the dead queue; and flaws, which are among
/// the mistakes.
const NOT_KEPT: [&str; 4] = ["CC", "BCC", "x-delivery-count", FLAWS_HEADER];

/// Why a message is put aside. None of it repeats a value of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grounds {
    /// The word for it.
    pub(super) reason: DeadReason,
    /// What is wrong.
    pub(super) mistakes: Vec<Mistake>,
    /// The signup, where it could be read.
    pub(super) signup_id: Option<String>,
}

impl Grounds {
    /// The event is not one.
    pub(super) fn of_event(error: &EventError) -> Self {
        Self { reason: error.reason(), mistakes: error.mistakes.clone(), signup_id: error.signup_id.clone() }
    }

    /// The signup id is taken, by other content that this may not replace.
    pub(super) fn conflict(id: &SignupId, why: Contradiction) -> Self {
        let problem = format!("was accepted before, with other content, which this can't replace: {why}");
        Self::of_signup(id, DeadReason::Conflict, problem)
    }

    /// The ledger has a row for it that can't be read, so that nothing can be said about a repeat.
    pub(super) fn damaged_row(id: &SignupId) -> Self {
        let problem = "was accepted before, and its row in the ledger can't be read by this release".to_owned();
        Self::of_signup(id, DeadReason::LedgerRowDamaged, problem)
    }

    fn of_signup(id: &SignupId, reason: DeadReason, problem: String) -> Self {
        Self {
            reason,
            mistakes: vec![Mistake { path: "signup_id".to_owned(), problem }],
            signup_id: Some(id.to_string()),
        }
    }

    /// The mistakes in one text.
    pub(super) fn mistakes(&self, between: &str) -> String {
        self.mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join(between)
    }
}

/// The dead letter: body, properties and headers as they came, and what we have to say in headers of our own. The
/// broker may allow smaller frames than we ask for; then fewer headers are kept.
pub(super) fn dead_letter(delivery: &Delivery, grounds: &Grounds, names: &Names, frame_max: u32) -> Message {
    let mut headers = FieldTable::default();
    let room = frame_max.saturating_sub(OURS_MAX).min(HEADERS_MAX);
    let left_out = keep(delivery.properties.headers().as_ref(), room as usize, &mut headers);
    let mut say = |name: &str, text: &str| {
        headers.insert(name.into(), AMQPValue::LongString(text.into()));
    };
    say(REASON_HEADER, grounds.reason.as_str());
    say(MISTAKES_HEADER, shortened(&grounds.mistakes("\n"), MISTAKES_MAX.min(frame_max as usize / 4)));
    say(AT_HEADER, &OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default());
    say(EXCHANGE_HEADER, delivery.exchange.as_str());
    say(ROUTING_KEY_HEADER, delivery.routing_key.as_str());
    if let Some(id) = &grounds.signup_id {
        say(SIGNUP_ID_HEADER, id);
    }
    if let Some(user) = delivery.properties.user_id() {
        say(USER_HEADER, user.as_str());
    }
    if let Some(address) = delivery.properties.reply_to() {
        say(REPLY_TO_HEADER, address.as_str());
    }
    if left_out > 0 {
        say(LEFT_OUT_HEADER, &left_out.to_string());
    }
    Message {
        exchange: names.dead_exchange.clone(),
        routing_key: names.dead_queue.clone(),
        properties: without_instructions(&delivery.properties).with_headers(headers),
        body: delivery.data.clone(),
    }
}

/// The properties that describe a message, without those that make the broker act:
/// `expiration` would delete the dead letter, `user_id` and a direct `reply_to` of another connection are refused by the
/// broker, which then closes the channel.
pub(super) fn without_instructions(from: &BasicProperties) -> BasicProperties {
    let mut kept = BasicProperties::default();
    let text = |value: &Option<ShortString>| value.clone();
    if let Some(value) = text(from.content_type()) {
        kept = kept.with_content_type(value);
    }
    if let Some(value) = text(from.content_encoding()) {
        kept = kept.with_content_encoding(value);
    }
    if let Some(value) = text(from.correlation_id()) {
        kept = kept.with_correlation_id(value);
    }
    if let Some(value) = text(from.message_id()) {
        kept = kept.with_message_id(value);
    }
    if let Some(value) = text(from.kind()) {
        kept = kept.with_type(value);
    }
    if let Some(value) = text(from.app_id()) {
        kept = kept.with_app_id(value);
    }
    if let Some(value) = *from.timestamp() {
        kept = kept.with_timestamp(value);
    }
    kept
}

/// Copies the sender's headers as far as there is room; answers how many had none.
fn keep(original: Option<&FieldTable>, mut room: usize, kept: &mut FieldTable) -> usize {
    let mut left_out = 0;
    for (name, value) in original.into_iter().flatten().filter(|(name, _)| !NOT_KEPT.contains(&name.as_str())) {
        let size = name.as_str().len() + weight(value);
        if size <= room {
            room -= size;
            kept.insert(name.clone(), value.clone());
        } else {
            left_out += 1;
        }
    }
    left_out
}

/// About how many bytes a value takes on the wire; rather too many than too few. It nests no deeper than the guard
/// lets it.
fn weight(value: &AMQPValue) -> usize {
    const FIXED: usize = 10;
    FIXED
        + match value {
            AMQPValue::LongString(text) => text.len(),
            AMQPValue::ShortString(text) => text.as_str().len(),
            AMQPValue::ByteArray(bytes) => bytes.len(),
            AMQPValue::FieldArray(list) => list.as_slice().iter().map(weight).sum(),
            AMQPValue::FieldTable(table) => {
                table.into_iter().map(|(name, value)| name.as_str().len() + weight(value)).sum()
            }
            _ => 0,
        }
}

/// The beginning of a text, cut between characters.
fn shortened(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use lapin::{
        BasicProperties,
        message::Delivery,
        types::{AMQPValue, FieldTable},
    };

    use super::{Grounds, HEADERS_MAX, dead_letter, shortened};
    use crate::{
        amqp::{guard::FRAME_MAX, names::Names},
        dead_reason::DeadReason,
        event::Mistake,
        testing,
    };

    fn names() -> Names {
        Names::of(&testing::settings("amqp://localhost", "t")).unwrap()
    }

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    fn delivery(headers: FieldTable) -> Delivery {
        let mut delivery = Delivery::mock(1, "shop".into(), "signup.eu".into(), false, b"{".to_vec());
        delivery.properties = BasicProperties::default()
            .with_headers(headers)
            .with_message_id("m-1".into())
            .with_expiration("1000".into())
            .with_user_id("parent".into());
        delivery
    }

    fn grounds() -> Grounds {
        let mistake = Mistake { path: "event".to_owned(), problem: "is not valid JSON".to_owned() };
        Grounds { reason: DeadReason::Unreadable, mistakes: vec![mistake], signup_id: None }
    }

    #[test]
    fn a_dead_letter_keeps_body_and_headers_and_says_why_it_is_there() {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), text("00-1"));
        headers.insert("CC".into(), AMQPValue::FieldArray(vec![text("elsewhere")].into()));
        let letter = dead_letter(&delivery(headers), &grounds(), &names(), FRAME_MAX);
        let kept = letter.properties.headers().as_ref().unwrap().inner();
        assert_eq!(letter.body, b"{");
        assert_eq!(kept["traceparent"], text("00-1"));
        assert_eq!(kept["x-foxden-reason"], text("unreadable"));
        assert_eq!(kept["x-foxden-mistakes"], text("event is not valid JSON"));
        assert_eq!((&kept["x-foxden-exchange"], &kept["x-foxden-routing-key"]), (&text("shop"), &text("signup.eu")));
        assert!(!kept.contains_key("CC"), "it would be routed elsewhere too");
    }

    #[test]
    fn a_dead_letter_does_not_expire_and_claims_no_other_user() {
        let properties = dead_letter(&delivery(FieldTable::default()), &grounds(), &names(), FRAME_MAX).properties;
        assert_eq!((properties.expiration(), properties.user_id()), (&None, &None));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
        assert_eq!(properties.headers().as_ref().unwrap().inner()["x-foxden-user-id"], text("parent"));
    }

    #[test]
    fn headers_too_large_for_a_frame_are_left_out_and_counted() {
        let mut headers = FieldTable::default();
        headers.insert("a".into(), text(&"x".repeat(HEADERS_MAX as usize)));
        headers.insert("b".into(), text("small"));
        let letter = dead_letter(&delivery(headers), &grounds(), &names(), FRAME_MAX);
        let kept = letter.properties.headers().as_ref().unwrap().inner();
        assert!(!kept.contains_key("a"));
        assert_eq!((&kept["b"], &kept["x-foxden-headers-left-out"]), (&text("small"), &text("1")));
    }

    #[test]
    fn where_the_broker_allows_small_frames_a_dead_letter_keeps_fewer_headers() {
        let mut headers = FieldTable::default();
        headers.insert("a".into(), text(&"x".repeat(10_000)));
        let kept = |frame_max| {
            let letter = dead_letter(&delivery(headers.clone()), &grounds(), &names(), frame_max);
            letter.properties.headers().as_ref().unwrap().contains_key("a")
        };
        assert_eq!([8_192, 24_000, 32_000].map(kept), [false, false, true]);
    }

    #[test]
    fn a_long_list_of_mistakes_is_cut_between_characters() {
        assert_eq!(shortened("aé", 2), "a");
        assert_eq!(shortened("aé", 9), "aé");
    }
}
