//! A dead letter as it is found in the dead-letter queue, whoever put it there.

use std::{collections::BTreeMap, fmt};

use foxden_ledger::SignupId;
use lapin::{
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{
    dead_letter::{AT_HEADER, EXCHANGE_HEADER, MISTAKES_HEADER, REASON_HEADER, ROUTING_KEY_HEADER, SIGNUP_ID_HEADER},
    header::{as_json, rfc3339, text_in, text_of},
    incoming,
};
use crate::event::Mistake;

/// Set by RabbitMQ on what it dead-letters by itself (RabbitMQ docs: Dead Letter Exchanges).
const BROKERS_REASON_HEADER: &str = "x-first-death-reason";
/// The broker's account of where a message was dead-lettered, the latest first (the same page).
const BROKERS_ACCOUNT_HEADER: &str = "x-death";

/// How much of a digest makes a handle: short enough to be typed, and far more than a queue has messages.
const HANDLE_BYTES: usize = 6;
const REASON_MAX: usize = 40;

/// A dead letter, as far as it may be shown: its body is personal data and stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it for as long as it lies there. Made of what was written on it, never of its body; letters that nothing
    /// tells apart share one.
    pub handle: String,
    /// The signup, where it could be read.
    pub signup_id: Option<String>,
    /// Why it is there: foxden's word, the broker's own (`delivery_limit`, `rejected`, `expired`), or `unknown`.
    pub reason: String,
    /// What is wrong with it, one mistake a line; where foxden did not put it here, only what is wrong with it as AMQP.
    pub mistakes: String,
    /// Since when: RFC 3339, UTC.
    pub at: Option<String>,
    /// Who put it there.
    pub put_by: PutBy,
    /// The exchange it had been published to.
    pub exchange: Option<String>,
    /// The routing key it had been published under.
    pub routing_key: Option<String>,
    /// The size of its body.
    pub bytes: usize,
}

/// Who put a message into the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutBy {
    /// foxden, with a reason of its own.
    Foxden,
    /// The broker, which says why in headers of its own.
    Broker,
    /// Somebody else, who has written no reason on it.
    Unknown,
}

/// A dead letter with all that belongs to it.
#[derive(Clone)]
pub struct OpenLetter {
    /// What may be shown.
    pub letter: DeadLetter,
    /// The message id that its sender gave it.
    pub message_id: Option<String>,
    /// The media type that its sender named.
    pub content_type: Option<String>,
    /// Every header, as JSON.
    pub headers: BTreeMap<String, Value>,
    /// The body, as it came: personal data.
    pub body: Vec<u8>,
}

/// The body stays out of it.
impl fmt::Debug for OpenLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenLetter").field("letter", &self.letter).finish_non_exhaustive()
    }
}

impl PutBy {
    /// The word for it, for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foxden => "foxden",
            Self::Broker => "broker",
            Self::Unknown => "unknown",
        }
    }
}

impl DeadLetter {
    /// Reads what is written on a message. Anybody can publish to the queue, so nothing is taken for granted: what is not
    /// of the form that foxden writes counts as not written.
    pub(super) fn of(delivery: &Delivery) -> Self {
        let headers = delivery.properties.headers().as_ref();
        let foxdens = |name| headers.and_then(|headers| text_in(headers, name));
        let account = headers.and_then(brokers_account);
        let brokers = |name| account.and_then(|account| text_in(account, name));
        let (own_reason, brokers_reason) =
            (foxdens(REASON_HEADER), foxdens(BROKERS_REASON_HEADER).or_else(|| brokers("reason")));
        let put_by = match (&own_reason, &brokers_reason) {
            (Some(_), _) => PutBy::Foxden,
            (None, Some(_)) => PutBy::Broker,
            (None, None) => PutBy::Unknown,
        };
        let at = match put_by {
            PutBy::Foxden => foxdens(AT_HEADER).and_then(|text| in_utc(&text)),
            PutBy::Broker => account.and_then(time_of),
            PutBy::Unknown => None,
        };
        let (exchange, routing_key) = match put_by {
            PutBy::Broker => (brokers("exchange"), account.and_then(first_routing_key)),
            PutBy::Foxden | PutBy::Unknown => (foxdens(EXCHANGE_HEADER), foxdens(ROUTING_KEY_HEADER)),
        };
        let reason = own_reason.or(brokers_reason).filter(|text| is_word(text));
        let signup_id = match put_by {
            PutBy::Foxden => foxdens(SIGNUP_ID_HEADER).filter(|text| SignupId::parse(text).is_ok()),
            // Nobody has looked into it yet.
            PutBy::Broker | PutBy::Unknown => incoming::signup_id(delivery),
        };
        let mistakes = match put_by {
            PutBy::Foxden => foxdens(MISTAKES_HEADER).unwrap_or_default(),
            // It may be what kept it from being taken.
            PutBy::Broker | PutBy::Unknown => lines(&incoming::flaws(delivery).mistakes()),
        };
        let mut letter = Self {
            handle: String::new(),
            signup_id,
            reason: reason.unwrap_or_else(|| "unknown".to_owned()),
            mistakes,
            at,
            put_by,
            exchange,
            routing_key,
            bytes: delivery.data.len(),
        };
        letter.handle = letter.make_handle(delivery);
        letter
    }

    fn make_handle(&self, delivery: &Delivery) -> String {
        let message_id = delivery.properties.message_id().as_ref().map(|id| id.as_str().to_owned());
        let timestamp = delivery.properties.timestamp().map(|at| at.to_string());
        let mut digest = Sha256::new();
        let (reason, bytes) = (Some(self.reason.clone()), Some(self.bytes.to_string()));
        let parts =
            [&message_id, &timestamp, &self.signup_id, &reason, &self.at, &self.exchange, &self.routing_key, &bytes];
        for part in parts {
            let text = part.as_deref().unwrap_or_default();
            // With its length, so that no two lists of parts look the same.
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        digest.finalize()[..HANDLE_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl OpenLetter {
    pub(super) fn of(delivery: &Delivery) -> Self {
        let properties = &delivery.properties;
        Self {
            letter: DeadLetter::of(delivery),
            message_id: properties.message_id().as_ref().map(|id| id.as_str().to_owned()),
            content_type: properties.content_type().as_ref().map(|kind| kind.as_str().to_owned()),
            headers: properties
                .headers()
                .iter()
                .flatten()
                .map(|(name, value)| (name.as_str().to_owned(), as_json(value)))
                .collect(),
            body: delivery.data.clone(),
        }
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}

fn brokers_account(headers: &FieldTable) -> Option<&FieldTable> {
    match headers.inner().get(BROKERS_ACCOUNT_HEADER)? {
        AMQPValue::FieldArray(list) => match list.as_slice().first()? {
            AMQPValue::FieldTable(account) => Some(account),
            _ => None,
        },
        _ => None,
    }
}

fn time_of(account: &FieldTable) -> Option<String> {
    match account.inner().get("time")? {
        AMQPValue::Timestamp(seconds) => rfc3339(*seconds),
        _ => None,
    }
}

fn in_utc(text: &str) -> Option<String> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC).format(&Rfc3339).ok()
}

fn first_routing_key(account: &FieldTable) -> Option<String> {
    match account.inner().get("routing-keys")? {
        AMQPValue::FieldArray(keys) => text_of(keys.as_slice().first()?),
        _ => None,
    }
}

fn is_word(text: &str) -> bool {
    (1..=REASON_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use lapin::{
        BasicProperties,
        message::Delivery,
        types::{AMQPValue, FieldTable},
    };
    use serde_json::json;

    use super::{DeadLetter, OpenLetter, PutBy};
    use crate::testing;

    fn text(value: &str) -> AMQPValue {
        AMQPValue::LongString(value.into())
    }

    fn found(headers: Vec<(&str, AMQPValue)>) -> Delivery {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert(name.into(), value);
        }
        let mut delivery = Delivery::mock(1, "dead".into(), "dead".into(), false, testing::body("s-1", "Ada"));
        delivery.properties = BasicProperties::default().with_headers(table);
        delivery
    }

    fn death() -> AMQPValue {
        let mut account = FieldTable::default();
        account.insert("reason".into(), text("delivery_limit"));
        account.insert("time".into(), AMQPValue::Timestamp(1_795_305_600));
        account.insert("exchange".into(), text("foxden"));
        account.insert("routing-keys".into(), AMQPValue::FieldArray(vec![text("signup")].into()));
        AMQPValue::FieldArray(vec![AMQPValue::FieldTable(account)].into())
    }

    #[test]
    fn what_the_broker_put_aside_is_told_by_the_brokers_account() {
        let letter = DeadLetter::of(&found(vec![("x-death", death())]));
        assert_eq!((letter.put_by, letter.reason.as_str()), (PutBy::Broker, "delivery_limit"));
        assert_eq!(letter.at.as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!((letter.exchange.as_deref(), letter.routing_key.as_deref()), (Some("foxden"), Some("signup")));
        assert_eq!(letter.signup_id.as_deref(), Some("s-1"), "it can be read from the body");
    }

    #[test]
    fn what_was_written_on_it_in_another_form_than_foxdens_counts_as_not_written() {
        let letter = DeadLetter::of(&found(vec![
            ("x-foxden-reason", text("jane@example.com")),
            ("x-foxden-signup-id", text("Jane Doe")),
            ("x-foxden-at", text("yesterday")),
        ]));
        assert_eq!((letter.reason.as_str(), letter.signup_id, letter.at), ("unknown", None, None));
    }

    #[test]
    fn a_letter_without_any_reason_is_listed_as_such() {
        let letter = DeadLetter::of(&found(vec![]));
        assert_eq!((letter.put_by, letter.reason.as_str()), (PutBy::Unknown, "unknown"));
        assert_eq!(letter.mistakes, "");
    }

    #[test]
    fn a_handle_is_the_same_each_time_and_another_for_another_letter() {
        let at = |time: &str| found(vec![("x-foxden-reason", text("invalid")), ("x-foxden-at", text(time))]);
        let (one, other) = (at("2026-11-22T00:00:00.1Z"), at("2026-11-22T00:00:00.2Z"));
        assert_eq!(DeadLetter::of(&one).handle, DeadLetter::of(&one).handle);
        assert_ne!(DeadLetter::of(&one).handle, DeadLetter::of(&other).handle);
        let mut delivered_again = at("2026-11-22T00:00:00.1Z");
        let mut headers = delivered_again.properties.headers().clone().unwrap();
        headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(7));
        delivered_again.properties = BasicProperties::default().with_headers(headers);
        assert_eq!(DeadLetter::of(&one).handle, DeadLetter::of(&delivered_again).handle);
    }

    #[test]
    fn a_handle_tells_nothing_of_the_body() {
        let letter = |name: &str| {
            let mut delivery = found(vec![("x-foxden-reason", text("invalid"))]);
            delivery.data = testing::body("s-1", name);
            DeadLetter::of(&delivery).handle
        };
        assert_eq!(letter("Ada"), letter("Eve"));
    }

    #[test]
    fn an_open_letter_has_every_header_and_keeps_its_body_out_of_debug() {
        let open = OpenLetter::of(&found(vec![("x-death", death()), ("tries", AMQPValue::LongInt(3))]));
        assert_eq!(open.headers["tries"], json!(3));
        assert_eq!(open.headers["x-death"][0]["routing-keys"], json!(["signup"]));
        assert!(!format!("{open:?}").contains("Lovelace"));
    }
}
