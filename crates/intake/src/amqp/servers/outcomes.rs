//! The outcome publisher.

use std::{sync::Arc, time::Duration};

use foxden_ledger::{
    Attempt, AttemptId, AttemptKind, Claimed, Entry, Facts, LedgerWatch, Next, OutcomeData, OutcomeEvent, OutcomeKind,
    Recorded, Step, WorkerId,
};
use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, soon};
use crate::{Admitted, IntakeError, PublisherParts, publish_outcomes, testing};

const LEASE: Duration = Duration::from_secs(90);

struct Publishing {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), IntakeError>>,
}

impl Publishing {
    fn start(bench: &Bench) -> Self {
        let shutdown = CancellationToken::new();
        let parts = PublisherParts {
            settings: bench.settings.clone(),
            ledger: bench.ledger.clone(),
            ledger_watch: LedgerWatch::default(),
            poll: Duration::from_millis(50),
            wake: Arc::new(Notify::new()),
        };
        let task = tokio::spawn(publish_outcomes(parts, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        soon(self.task).await.unwrap().unwrap();
    }
}

/// Commits outcome events of one signup, in this order.
async fn commit(bench: &Bench, signup_id: &str, kinds: &[OutcomeKind]) {
    let event = testing::event(signup_id, "Ada");
    let Admitted::Leased(claimed) =
        bench.door.admit_leased(&event, &bench.door.seal(&event).unwrap(), &WorkerId::new(), LEASE).await.unwrap()
    else {
        panic!("{signup_id} is not new")
    };
    for kind in kinds {
        let entry = entry(&claimed, *kind);
        assert!(matches!(bench.ledger.record(entry).await.unwrap(), Recorded::Written(_)));
    }
}

fn entry(claimed: &Claimed, kind: OutcomeKind) -> Entry {
    let data = OutcomeData { signup_id: claimed.provisioning.signup_id.to_string(), ..OutcomeData::default() };
    Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: Step::User,
            intent: 1,
            natural_key: None,
            took: Duration::ZERO,
            outcome: "no_effect",
            http_status: None,
            logref: None,
            note: None,
        },
        credential: None,
        facts: Facts::default(),
        shared_user: None,
        next: Next::InFlight { step: Step::User, lease: LEASE },
        event: Some(OutcomeEvent { kind, data }),
    }
}

/// Declares a queue of the test's own and binds it to the outcomes of these kinds. It goes with its connection.
async fn listen(bench: &Bench, keys: &[&str]) -> String {
    let queue = format!("{}.heard", bench.settings.outcome_exchange);
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    for key in keys {
        let exchange = bench.settings.outcome_exchange.as_str().into();
        let options = QueueBindOptions::default();
        bench
            .channel
            .queue_bind(queue.as_str().into(), exchange, (*key).into(), options, FieldTable::default())
            .await
            .unwrap();
    }
    queue
}

/// The next outcome in the queue: its subject and what it tells.
async fn heard(bench: &Bench, queue: &str) -> (String, String) {
    let delivery = bench.next_in(queue).await;
    let event: Value = serde_json::from_slice(&delivery.data).unwrap();
    assert_eq!(delivery.properties.content_type().as_ref().unwrap().as_str(), "application/cloudevents+json");
    assert_eq!(delivery.properties.delivery_mode(), &Some(2));
    assert_eq!(delivery.properties.message_id().as_ref().unwrap().as_str(), event["id"]);
    (event["subject"].as_str().unwrap().to_owned(), delivery.routing_key.to_string())
}

async fn nothing_waits(bench: &Bench) {
    soon(async {
        while bench.ledger.count_waiting_events().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn outcomes_are_published_in_order_per_signup_and_marked() {
    use OutcomeKind::{Parked, Provisioned, Resumed};
    let bench = Bench::new().await;
    let queue = listen(&bench, &["#"]).await;
    for n in 0..60 {
        commit(&bench, &format!("s-{n}"), &[Parked, Resumed, Provisioned]).await;
    }
    let publishing = Publishing::start(&bench);
    let mut told: Vec<Vec<String>> = vec![Vec::new(); 60];
    for _ in 0..180 {
        let (subject, key) = heard(&bench, &queue).await;
        told[subject[2..].parse::<usize>().unwrap()].push(key);
    }
    assert!(told.iter().all(|keys| *keys == ["signup.parked", "signup.resumed", "signup.provisioned"]), "{told:?}");
    nothing_waits(&bench).await;
    publishing.stop().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn an_unroutable_outcome_waits_for_a_queue_and_holds_up_no_other_signup() {
    use OutcomeKind::{Parked, Provisioned};
    let bench = Bench::new().await;
    let queue = listen(&bench, &["signup.provisioned"]).await;
    // More than a round of them in front.
    for n in 0..120 {
        commit(&bench, &format!("stuck-{n}"), &[Parked]).await;
    }
    commit(&bench, "s-1", &[Parked, Provisioned]).await;
    commit(&bench, "s-2", &[Provisioned]).await;
    let publishing = Publishing::start(&bench);
    assert_eq!(heard(&bench, &queue).await, ("s-2".to_owned(), "signup.provisioned".to_owned()));
    soon(async {
        while bench.ledger.count_waiting_events().await.unwrap() > 122 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(bench.ledger.count_waiting_events().await.unwrap(), 122);

    listen(&bench, &["signup.parked"]).await;
    let mut told = Vec::new();
    for _ in 0..122 {
        told.push(heard(&bench, &queue).await);
    }
    let of_s1: Vec<_> = told.iter().filter(|(subject, _)| subject == "s-1").map(|(_, key)| key.as_str()).collect();
    assert_eq!(of_s1, ["signup.parked", "signup.provisioned"]);
    nothing_waits(&bench).await;
    publishing.stop().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn what_waits_when_the_publisher_is_stopped_is_still_sent() {
    let bench = Bench::new().await;
    let queue = listen(&bench, &["#"]).await;
    let publishing = Publishing::start(&bench);
    commit(&bench, "s-1", &[OutcomeKind::Parked]).await;
    heard(&bench, &queue).await;
    nothing_waits(&bench).await;
    commit(&bench, "s-2", &[OutcomeKind::Parked]).await;
    publishing.stop().await;
    assert_eq!(heard(&bench, &queue).await.0, "s-2");
    assert_eq!(bench.ledger.count_waiting_events().await.unwrap(), 0);
    bench.tidy_up().await;
}
