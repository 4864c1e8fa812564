//! What the tests of this crate share.

use std::{sync::Arc, time::Duration};

use foxden_custody::Custody;
use foxden_ledger::{Ledger, Provisioning, Source, WorkerId};
use foxden_vault::{KeyRing, generate_key};
use serde_json::json;

use crate::{Admitted, AmqpSettings, AmqpUrl, Door, SignupEvent, Tls, Topology};

/// A migrated ledger in memory.
pub(crate) async fn ledger() -> Ledger {
    let ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    ledger
}

/// A door with a key of its own.
pub(crate) fn door_to(ledger: &Ledger) -> Door {
    let ring = KeyRing::parse(&generate_key("test").unwrap()).unwrap();
    Door::new(ledger.clone(), Custody::new(Arc::new(ring), "test"), Source::Amqp)
}

/// A door to a ledger of its own.
pub(crate) async fn door() -> Door {
    door_to(&ledger().await)
}

/// The body of a valid event.
pub(crate) fn body(signup_id: &str, first_name: &str) -> Vec<u8> {
    let event = json!({
        "version": 1,
        "signup_id": signup_id,
        "user": { "first_name": first_name, "last_name": "Lovelace", "email": "ada@example.com" },
        "store": {
            "name": "Engines", "url": "https://engines.example", "email": "shop@engines.example",
            "country": "DE", "region": "Berlin", "postal_code": "10115"
        }
    });
    event.to_string().into_bytes()
}

/// A valid event.
pub(crate) fn event(signup_id: &str, first_name: &str) -> SignupEvent {
    SignupEvent::parse(&body(signup_id, first_name)).unwrap()
}

/// An event's provisioning, as it stands when it was accepted by a worker.
pub(crate) async fn leased(event: &SignupEvent) -> Provisioning {
    let (door, worker) = (door().await, WorkerId::new());
    let sealed = door.seal(event).unwrap();
    match door.admit_leased(event, &sealed, &worker, Duration::from_secs(60)).await.unwrap() {
        Admitted::Leased(claimed) => claimed.provisioning,
        other => panic!("not leased: {other:?}"),
    }
}

/// Settings with names of their own for each prefix.
pub(crate) fn settings(url: &str, prefix: &str) -> AmqpSettings {
    AmqpSettings {
        url: AmqpUrl::parse(url).unwrap(),
        exchange: prefix.to_owned(),
        queue: format!("{prefix}.signups"),
        routing_key: "signup".to_owned(),
        dead_exchange: format!("{prefix}.dead"),
        dead_queue: format!("{prefix}.signups.dead"),
        outcome_exchange: Some(format!("{prefix}.outcomes")),
        outcome_queue: Some(format!("{prefix}.outcomes")),
        tell_duplicates: false,
        topology: Topology::Declare,
        tls: Tls::default(),
        give_up_after: None,
    }
}
