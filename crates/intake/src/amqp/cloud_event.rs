//! Outcome events as they stand on the wire: CloudEvents 1.0, structured JSON, over AMQP.

use foxden_ledger::{OutcomeData, OutcomeKind, Waiting};
use lapin::{BasicProperties, types::ShortString};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::confirmed::Message;

/// CloudEvents, JSON format, section 3: the media type of the structured mode.
const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Where the events come from, as CloudEvents' `source`.
pub(super) const SOURCE: &str = "/foxden";

/// The envelope (CloudEvents 1.0, section "Context Attributes"). `source` and `id` together identify an event.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a OutcomeData,
}

/// The last part of an outcome's routing key and type. These words are a contract of their own, so they are written here
/// and don't follow a renaming elsewhere.
pub(super) const fn word(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Provisioned => "provisioned",
        OutcomeKind::Parked => "parked",
        OutcomeKind::Resumed => "resumed",
        OutcomeKind::Cancelled => "cancelled",
        OutcomeKind::Rejected => "rejected",
        OutcomeKind::Duplicate => "duplicate",
        OutcomeKind::GrantRequested => "grant_requested",
        OutcomeKind::GrantExpired => "grant_expired",
    }
}

/// The routing key of an outcome: `signup.provisioned` and so on.
pub(super) fn routing_key(kind: OutcomeKind) -> String {
    format!("signup.{}", word(kind))
}

/// The type of an outcome: `com.foxden.signup.provisioned.v1` and so on.
pub(super) fn event_type(kind: OutcomeKind) -> String {
    format!("com.foxden.signup.{}.v1", word(kind))
}

/// The message for an event of the outbox.
pub(super) fn message(exchange: &ShortString, waiting: &Waiting) -> Message {
    let kind = waiting.event.kind;
    let event_type = event_type(kind);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(waiting.at_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let event = CloudEvent {
        specversion: "1.0",
        id: &waiting.event_id,
        source: SOURCE,
        kind: &event_type,
        subject: &waiting.event.data.signup_id,
        time: at.format(&Rfc3339).expect("a time within years 0 to 9999 is formatted, and others were replaced"),
        datacontenttype: "application/json",
        data: &waiting.event.data,
    };
    let properties = BasicProperties::default()
        .with_content_type(MEDIA_TYPE.into())
        .with_message_id(waiting.event_id.as_str().into())
        .with_type(event_type.as_str().into())
        .with_correlation_id(waiting.event.data.signup_id.as_str().into())
        .with_app_id("foxden".into())
        .with_timestamp(u64::try_from(at.unix_timestamp()).unwrap_or_default());
    Message {
        exchange: exchange.clone(),
        routing_key: routing_key(kind).into(),
        properties,
        body: serde_json::to_vec(&event)
            .expect("an event holds only strings and lists of them, which always serialize"),
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{OutcomeData, OutcomeEvent, OutcomeKind, Waiting};
    use serde_json::{Value, json};

    use super::message;

    #[test]
    fn an_outcome_is_a_cloudevent_with_a_stable_id() {
        let data = OutcomeData {
            signup_id: "s-1".to_owned(),
            store_uri: Some("https://api.foxycart.com/stores/1".to_owned()),
            store_domain: Some("engines".to_owned()),
            ..OutcomeData::default()
        };
        let event = OutcomeEvent { kind: OutcomeKind::Provisioned, data };
        let message =
            message(&"out".into(), &Waiting { seq: 7, event_id: "e-1".to_owned(), at_ms: 1_795_305_600_250, event });
        assert_eq!(message.routing_key.as_str(), "signup.provisioned");
        assert_eq!(message.properties.message_id().as_ref().unwrap().as_str(), "e-1");
        assert_eq!(
            serde_json::from_slice::<Value>(&message.body).unwrap(),
            json!({
                "specversion": "1.0",
                "id": "e-1",
                "source": "/foxden",
                "type": "com.foxden.signup.provisioned.v1",
                "subject": "s-1",
                "time": "2026-11-22T00:00:00.25Z",
                "datacontenttype": "application/json",
                "data": {
                    "signup_id": "s-1", "store_uri": "https://api.foxycart.com/stores/1", "store_domain": "engines"
                }
            })
        );
    }
}
