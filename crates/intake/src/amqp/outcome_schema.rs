//! The outcome events as JSON Schema (draft 2020-12), one for each kind.

use foxden_ledger::{GrantReason, OutcomeData, OutcomeKind, ParkedReason, State, Wanted};
use serde_json::{Map, Value, json};

use super::cloud_event::{SOURCE, event_type, word};
use crate::{dead_reason::DeadReason, event::DIALECT};

/// Every kind's schema with the name of its file.
pub(crate) fn schemas() -> Vec<(String, Value)> {
    OutcomeKind::ALL.iter().map(|kind| (format!("outcome.{}.v1.schema.json", word(*kind)), schema(*kind))).collect()
}

/// Further members may come with any release: a reader ignores what it does not know.
fn schema(kind: OutcomeKind) -> Value {
    json!({
        "$schema": DIALECT,
        "title": format!("Outcome event: {}, version 1", word(kind)),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1 },
            "source": { "const": SOURCE },
            "type": { "const": event_type(kind) },
            "subject": { "description": "The signup id.", "type": "string", "minLength": 1 },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "data": data(kind),
        },
    })
}

fn data(kind: OutcomeKind) -> Value {
    // Exhaustive, so that a new member asks what the schema says of it.
    let OutcomeData {
        signup_id: _,
        user_id: _,
        user_uri: _,
        store_uri: _,
        store_domain: _,
        state: _,
        reason: _,
        advice: _,
        action: _,
        grant_id: _,
        wanted: _,
        expires_at: _,
        mistakes: _,
    } = none();
    let text = || json!({ "type": "string", "minLength": 1 });
    let mut properties = Map::new();
    for name in ["signup_id", "user_id", "user_uri", "store_uri", "store_domain"] {
        properties.insert(name.to_owned(), text());
    }
    let told: &[&str] = match kind {
        OutcomeKind::Provisioned => &["user_uri", "store_uri", "store_domain"],
        OutcomeKind::Parked => &["reason", "advice"],
        OutcomeKind::Resumed => &[],
        OutcomeKind::Cancelled => &["reason"],
        OutcomeKind::Rejected => &["reason", "mistakes"],
        OutcomeKind::Duplicate => &["state"],
        OutcomeKind::GrantRequested => &["grant_id", "reason", "wanted", "expires_at", "action"],
        OutcomeKind::GrantExpired => &["grant_id", "reason", "wanted", "expires_at"],
    };
    // Not enumerations: a later release may have another word.
    let one_of = |words: Vec<&str>| json!({ "type": "string", "minLength": 1, "examples": words });
    match kind {
        OutcomeKind::Parked | OutcomeKind::Duplicate => {
            let reasons = ParkedReason::ALL.iter().map(|reason| reason.as_str()).collect();
            properties.insert("reason".to_owned(), one_of(reasons));
            properties.insert("advice".to_owned(), text());
            if kind == OutcomeKind::Parked {
                properties.insert("action".to_owned(), one_of(vec!["authorize"]));
            }
        }
        OutcomeKind::Rejected => {
            properties.insert("reason".to_owned(), one_of(DeadReason::ALL.map(DeadReason::as_str).to_vec()));
            let mistake = json!({
                "type": "object",
                "required": ["path", "problem"],
                "properties": { "path": text(), "problem": text() },
            });
            properties.insert("mistakes".to_owned(), json!({ "type": "array", "items": mistake }));
        }
        OutcomeKind::Cancelled => drop(properties.insert("reason".to_owned(), text())),
        OutcomeKind::GrantRequested | OutcomeKind::GrantExpired => {
            properties.insert("grant_id".to_owned(), text());
            let reasons = GrantReason::ALL.iter().map(|reason| reason.as_str()).collect();
            properties.insert("reason".to_owned(), one_of(reasons));
            properties.insert("wanted".to_owned(), one_of(Wanted::ALL.iter().map(|wanted| wanted.as_str()).collect()));
            properties.insert("expires_at".to_owned(), json!({ "type": "string", "format": "date-time" }));
            if kind == OutcomeKind::GrantRequested {
                properties.insert("action".to_owned(), one_of(vec!["authorize"]));
            }
        }
        OutcomeKind::Provisioned | OutcomeKind::Resumed => {}
    }
    if kind == OutcomeKind::Duplicate {
        let open = State::ALL.iter().filter(|state| **state != State::Closed).map(|state| state.as_str());
        properties.insert("state".to_owned(), one_of(open.chain(["provisioned", "cancelled"]).collect()));
    }
    let required: Vec<_> = ["signup_id"].iter().chain(told).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn none() -> OutcomeData {
    OutcomeData { signup_id: "s-1".to_owned(), ..OutcomeData::default() }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, ToldMistake, Waiting};
    use serde_json::Value;

    use super::{none, schema};
    use crate::{amqp::cloud_event::message, dead_reason::DeadReason, schema_check::problems};

    fn published(kind: OutcomeKind, data: OutcomeData) -> Value {
        let waiting = Waiting { seq: 1, event_id: "e-1".to_owned(), at_ms: 1, event: OutcomeEvent { kind, data } };
        serde_json::from_slice(&message(&"out".into(), &waiting).body).unwrap()
    }

    #[test]
    fn what_is_published_is_what_the_schema_of_its_kind_says() {
        let made = || OutcomeData {
            user_id: Some("u-1".to_owned()),
            user_uri: Some("https://api.foxycart.com/users/1".to_owned()),
            store_uri: Some("https://api.foxycart.com/stores/1".to_owned()),
            store_domain: Some("engines".to_owned()),
            ..none()
        };
        let reason = ParkedReason::ALL[0];
        let parked = OutcomeData {
            reason: Some(reason.as_str().to_owned()),
            advice: Some(reason.advice().to_owned()),
            ..none()
        };
        let cancelled = OutcomeData { reason: Some("asked for by mistake".to_owned()), ..made() };
        let rejected = OutcomeData {
            reason: Some(DeadReason::Invalid.as_str().to_owned()),
            mistakes: vec![ToldMistake { path: "store.country".to_owned(), problem: "is required".to_owned() }],
            ..none()
        };
        let duplicate = OutcomeData { state: Some("parked".to_owned()), ..parked.clone() };
        let expired = OutcomeData {
            reason: Some("recover".to_owned()),
            grant_id: Some("0193".to_owned()),
            wanted: Some("store".to_owned()),
            expires_at: Some("2026-11-22T00:00:00Z".to_owned()),
            ..made()
        };
        let requested = OutcomeData { action: Some("authorize".to_owned()), ..expired.clone() };
        let examples = [
            (OutcomeKind::Provisioned, made()),
            (OutcomeKind::Parked, parked),
            (OutcomeKind::Resumed, none()),
            (OutcomeKind::Cancelled, cancelled),
            (OutcomeKind::Rejected, rejected),
            (OutcomeKind::Duplicate, duplicate),
            (OutcomeKind::GrantRequested, requested),
            (OutcomeKind::GrantExpired, expired),
        ];
        assert_eq!(examples.each_ref().map(|(kind, _)| *kind).as_slice(), OutcomeKind::ALL);
        for (kind, data) in examples {
            let event = published(kind, data);
            assert_eq!(problems(&schema(kind), &event), [] as [String; 0], "{event}");
            let described = schema(kind)["properties"]["data"]["properties"].as_object().unwrap().clone();
            assert!(event["data"].as_object().unwrap().keys().all(|name| described.contains_key(name)), "{event}");
        }
        assert_ne!(problems(&schema(OutcomeKind::Parked), &published(OutcomeKind::Parked, none())), [] as [String; 0]);
    }
}
