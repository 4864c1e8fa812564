//! A delivery as a signup event: the AMQP side of how an event may be wrapped (CloudEvents, AMQP protocol binding).

use lapin::{message::Delivery, types::FieldTable};

use super::{guard::Flaws, header::text_of};
use crate::event::{Attribute, Attributes, EventError, Mistake, SignupEvent};

/// Before the name of an attribute in a header: the binding's own prefix, and the one for what can't carry a colon
/// (CloudEvents, AMQP protocol binding, section 3.1.3.1).
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];

/// Reads and checks a delivery. One that came with flaws is refused, however good its body: its publisher's texts are
/// in another encoding, and its headers are not all there.
pub(super) fn event(delivery: &Delivery) -> Result<SignupEvent, EventError> {
    let flaws = flaws(delivery);
    let read = read(delivery);
    if flaws.is_empty() {
        return read;
    }
    Err(EventError::of_message(flaws.mistakes(), id_in(read)))
}

/// What was wrong with a delivery as AMQP.
pub(super) fn flaws(delivery: &Delivery) -> Flaws {
    delivery.properties.headers().as_ref().map(Flaws::in_headers).unwrap_or_default()
}

fn read(delivery: &Delivery) -> Result<SignupEvent, EventError> {
    let properties = &delivery.properties;
    let content_type = properties.content_type().as_ref().map(|kind| kind.as_str());
    if let Some(encoding) = compressed(delivery) {
        let problem = format!("is {encoding}, which is not read; send the body as it is");
        let mistake = Mistake { path: "properties.content_encoding".to_owned(), problem };
        return Err(EventError::of_message(vec![mistake], None));
    }
    let attributes = properties.headers().as_ref().map(attributes).unwrap_or_default();
    SignupEvent::parse_message(content_type, &attributes, &delivery.data)
}

/// How the body is compressed, as far as its sender says so. Others, such as `utf-8`, are names of no compression,
/// and many libraries write them.
fn compressed(delivery: &Delivery) -> Option<&'static str> {
    const KNOWN: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "lzma"];
    let encoding = delivery.properties.content_encoding().as_ref()?;
    KNOWN.into_iter().find(|known| encoding.as_str().trim().eq_ignore_ascii_case(known))
}

/// The signup id of a delivery, where it can be read.
pub(super) fn signup_id(delivery: &Delivery) -> Option<String> {
    id_in(event(delivery))
}

fn id_in(read: Result<SignupEvent, EventError>) -> Option<String> {
    match read {
        Ok(event) => Some(event.signup_id.to_string()),
        Err(error) => error.signup_id,
    }
}

fn attributes(headers: &FieldTable) -> Attributes {
    let mut attributes = Attributes::new();
    for (header, value) in headers {
        let Some(name) = PREFIXES.iter().find_map(|prefix| header.as_str().strip_prefix(prefix)) else { continue };
        let given = text_of(value).map_or(Attribute::Unusable, Attribute::Text);
        attributes
            .entry(name.to_owned())
            .and_modify(|known| {
                if *known != given {
                    *known = Attribute::Unusable;
                }
            })
            .or_insert(given);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use lapin::{
        BasicProperties,
        message::Delivery,
        types::{AMQPValue, FieldTable},
    };
    use serde_json::{Value, json};

    use super::event;
    use crate::{BODY_MAX, SIGNUP_TYPE, testing};

    fn delivery(content_type: Option<&str>, headers: &[(&str, &str)], body: Vec<u8>) -> Delivery {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let mut delivery = Delivery::mock(1, "foxden".into(), "signup".into(), false, body);
        delivery.properties = BasicProperties::default().with_headers(table);
        if let Some(kind) = content_type {
            delivery.properties = delivery.properties.with_content_type(kind.into());
        }
        delivery
    }

    fn data() -> Value {
        serde_json::from_slice(&testing::body("s-1", "Ada")).unwrap()
    }

    fn cloud_event() -> Value {
        json!({"specversion": "1.0", "type": SIGNUP_TYPE, "id": "e-1", "source": "/shop", "data": data(),
            "time": "2026-11-22T00:00:00Z", "datacontenttype": "application/json", "ourextension": 1})
    }

    /// What a structured CloudEvent comes to: `ok`, or its reason and mistakes.
    fn structured(change: impl FnOnce(&mut Value)) -> String {
        let mut wrapped = cloud_event();
        change(&mut wrapped);
        told(&delivery(Some("application/cloudevents+json; charset=UTF-8"), &[], wrapped.to_string().into_bytes()))
    }

    fn binary(headers: &[(&str, &str)]) -> String {
        told(&delivery(Some("application/json"), headers, testing::body("s-1", "Ada")))
    }

    fn told(delivery: &Delivery) -> String {
        match event(delivery) {
            Ok(event) => format!("ok {}", event.signup_id),
            Err(error) => format!("{}: {error}", error.reason()),
        }
    }

    #[test]
    fn a_plain_event_names_json_or_nothing() {
        for kind in [None, Some(""), Some("application/json"), Some("Application/JSON; charset=utf-8")] {
            assert_eq!(told(&delivery(kind, &[("traceparent", "00-1")], testing::body("s-1", "Ada"))), "ok s-1");
        }
        for kind in
            ["text/plain", "application/cloudevents-batch+json", "application/cloudevents+avro", "application/xml"]
        {
            assert_eq!(
                told(&delivery(Some(kind), &[], testing::body("s-1", "Ada"))),
                "unknown_content_type: content_type must be application/json or application/cloudevents+json, or left out"
            );
        }
    }

    #[test]
    fn a_structured_cloudevent_has_the_signup_event_in_its_data() {
        assert_eq!(structured(|_| {}), "ok s-1");
        assert_eq!(structured(|event| drop(event.as_object_mut().unwrap().remove("time"))), "ok s-1");
        let plain = event(&delivery(None, &[], testing::body("s-1", "Ada"))).unwrap();
        let wrapped = delivery(Some("application/cloudevents+json"), &[], cloud_event().to_string().into_bytes());
        assert!(event(&wrapped).unwrap() == plain, "the same event, however it came");
    }

    #[test]
    fn a_binary_cloudevent_has_its_attributes_in_headers_of_either_prefix() {
        let under = |prefix: &str| {
            let headers = [("specversion", "1.0"), ("type", SIGNUP_TYPE), ("id", "e-1"), ("source", "/shop")]
                .map(|(name, value)| (format!("{prefix}{name}"), value));
            binary(&headers.each_ref().map(|(name, value)| (name.as_str(), *value)))
        };
        assert_eq!(under("cloudEvents:"), "ok s-1");
        assert_eq!(under("cloudEvents_"), "ok s-1");
    }

    #[test]
    fn a_compressed_body_is_named_as_such() {
        let encoded = |encoding: &str| {
            let mut delivery = delivery(None, &[], testing::body("s-1", "Ada"));
            delivery.properties = delivery.properties.with_content_encoding(encoding.into());
            told(&delivery)
        };
        assert_eq!(
            encoded("GZIP"),
            "unreadable: properties.content_encoding is gzip, which is not read; send the body as it is"
        );
        for encoding in ["", "utf-8", "identity", "8bit"] {
            assert_eq!(encoded(encoding), "ok s-1");
        }
    }

    #[test]
    fn another_specversion_type_or_content_type_has_a_reason_of_its_own() {
        for (name, value, told) in [
            ("specversion", json!("0.3"), "unknown_specversion: specversion must be 1.0"),
            ("specversion", json!(1.0), "unknown_specversion: specversion must be 1.0"),
            (
                "type",
                json!("com.foxden.signup.requested.v2"),
                "unknown_type: type must be com.foxden.signup.requested.v1",
            ),
            (
                "datacontenttype",
                json!("text/xml"),
                "unknown_content_type: datacontenttype must be application/json, or left out",
            ),
        ] {
            assert_eq!(structured(|event| event[name] = value), told);
        }
        let headers = [("cloudEvents:specversion", "0.3"), ("cloudEvents:type", SIGNUP_TYPE)];
        assert_eq!(binary(&headers), "unknown_specversion: specversion must be 1.0");
        let headers = [("cloudEvents:specversion", "1.0"), ("cloudEvents_type", "other")];
        assert_eq!(binary(&headers), "unknown_type: type must be com.foxden.signup.requested.v1");
    }

    #[test]
    fn mistakes_of_the_envelope_and_of_the_event_are_told_together() {
        let told = structured(|event| {
            event.as_object_mut().unwrap().remove("id");
            event["source"] = json!("");
            event["data"]["user"]["email"] = json!("x");
        });
        assert_eq!(
            told,
            "invalid: id is required in a CloudEvent\nsource must be one text that is not empty\n\
             user.email must be one plain email address"
        );
        assert_eq!(
            binary(&[("cloudEvents:id", "e-1"), ("cloudEvents_id", "e-2"), ("cloudEvents:source", "/s")]),
            "invalid: specversion is required in a CloudEvent; it is 1.0\n\
             type is required in a CloudEvent; it is com.foxden.signup.requested.v1\n\
             id must be one text that is not empty"
        );
    }

    #[test]
    fn the_data_of_a_cloudevent_is_an_object_and_not_base64() {
        assert_eq!(structured(|event| event["data"] = Value::Null), "invalid: data is required");
        assert_eq!(structured(|event| event["data"] = json!("{}")), "invalid: event must be an object");
        assert_eq!(
            structured(|event| event["data_base64"] = json!("e30=")),
            "invalid: data_base64 is not read; give the signup event as an object in data"
        );
        let list = delivery(Some("application/cloudevents+json"), &[], b"[]".to_vec());
        assert_eq!(told(&list), "invalid: event must be an object");
    }

    #[test]
    fn limits_hold_for_the_wrapped_form_as_a_whole() {
        let large = structured(|event| event["ourextension"] = json!("x".repeat(BODY_MAX)));
        assert!(large.starts_with("unreadable: event has ") && large.ends_with("at most 65536 are read"), "{large}");
        let deep = structured(|event| event["ourextension"] = json!([[[[[[[[1]]]]]]]]));
        assert_eq!(deep, "unreadable: event nests deeper than 8 levels");
    }

    #[test]
    fn a_cloudevent_that_is_wrong_still_tells_which_signup_it_was() {
        let mut wrapped = cloud_event();
        wrapped["data"]["user"] = Value::Null;
        let error = event(&delivery(Some("application/cloudevents+json"), &[], wrapped.to_string().into_bytes()));
        assert_eq!(error.unwrap_err().signup_id.as_deref(), Some("s-1"));
    }
}
