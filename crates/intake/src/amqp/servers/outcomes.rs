//! The outcome publisher.

use std::{sync::Arc, time::Duration};

use foxden_ledger::{
    Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, LedgerWatch, Next, OutcomeData,
    OutcomeEvent, OutcomeKind, Recorded, Step, WorkerId,
};
use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Bench, broker_url, soon},
    tap::Tap,
};
use crate::{Admitted, AmqpUrl, IntakeError, PublisherParts, amqp::outcomes::publish_known, testing};

const LEASE: Duration = Duration::from_secs(90);

struct Publishing {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), IntakeError>>,
}

impl Publishing {
    fn start(bench: &Bench) -> Self {
        Self::start_knowing(bench, OutcomeKind::ALL)
    }

    /// One of a release that knows these kinds.
    fn start_knowing(bench: &Bench, known: &[OutcomeKind]) -> Self {
        let shutdown = CancellationToken::new();
        let parts = PublisherParts {
            settings: bench.settings.clone(),
            ledger: bench.ledger.clone(),
            ledger_watch: LedgerWatch::default(),
            worker: WorkerId::new(),
            poll: Duration::from_millis(50),
            rest: Duration::from_millis(50),
            addresses: Arc::new(|text| Some(text.to_owned())),
            wake: Arc::new(Notify::new()),
        };
        let task = tokio::spawn(publish_known(parts, known.to_vec(), shutdown.clone()));
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
            outcome: AttemptOutcome::NoEffect,
            http_status: None,
            logref: None,
            note: None,
        },
        credential: None,
        facts: Facts::default(),
        refused_token: None,
        shared_user: None,
        next: Next::InFlight { step: Step::User, lease: LEASE },
        event: Some(OutcomeEvent { kind, data }),
    }
}

/// Declares a queue of the test's own and binds it to the outcomes of these kinds. It goes with its connection.
async fn listen(bench: &Bench, keys: &[&str]) -> String {
    let exchange = bench.settings.outcome_exchange.as_deref().unwrap();
    let queue = format!("{exchange}.heard");
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    for key in keys {
        let exchange = exchange.into();
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
async fn a_backlog_is_published_ahead_of_its_confirms_in_batches_that_grow_from_one() {
    const EVENTS: usize = 120;
    let mut bench = Bench::new().await;
    let (tap, url) = Tap::to(&broker_url()).await;
    bench.settings.url = AmqpUrl::parse(&url).unwrap();
    listen(&bench, &["#"]).await;
    for n in 0..EVENTS {
        let data = OutcomeData { signup_id: format!("s-{n}"), ..OutcomeData::default() };
        bench.ledger.tell(format!("e-{n}"), OutcomeEvent { kind: OutcomeKind::Rejected, data }).await.unwrap();
    }
    let publishing = Publishing::start(&bench);
    nothing_waits(&bench).await;
    publishing.stop().await;
    let batches = tap.batches();
    assert_eq!(batches[..9], [1, 1, 1, 1, 2, 2, 2, 2, 3]);
    assert_eq!(batches.iter().sum::<usize>(), EVENTS, "each came once");
    bench.tidy_up().await;
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

/// What waits, as rows of the outbox that belong to no provisioning.
async fn tell(bench: &Bench, numbers: std::ops::Range<usize>, kind: OutcomeKind) {
    for number in numbers {
        let data = OutcomeData { signup_id: format!("s-{number}"), ..OutcomeData::default() };
        bench.ledger.tell(format!("e-{number}"), OutcomeEvent { kind, data }).await.unwrap();
    }
}

/// How many messages a queue got, which no one takes from it.
async fn count(bench: &Bench, queue: &str) -> u32 {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count()
}

#[tokio::test]
async fn of_several_publishers_one_sends_each_event_once_and_the_next_takes_over_when_it_stops() {
    let bench = Bench::new().await;
    let queue = listen(&bench, &["#"]).await;
    tell(&bench, 0..150, OutcomeKind::Rejected).await;
    let mut crew: Vec<Publishing> = (0..3).map(|_| Publishing::start(&bench)).collect();
    nothing_waits(&bench).await;
    tell(&bench, 150..300, OutcomeKind::Rejected).await;
    nothing_waits(&bench).await;
    while let Some(publishing) = crew.pop() {
        publishing.stop().await;
        let sent = 300 + 20 * (3 - crew.len());
        if !crew.is_empty() {
            tell(&bench, sent - 20..sent, OutcomeKind::Rejected).await;
            nothing_waits(&bench).await;
            assert_eq!(usize::try_from(count(&bench, &queue).await).unwrap(), sent);
        }
    }
    bench.tidy_up().await;
}

#[tokio::test]
async fn events_of_an_unknown_kind_wait_and_hold_up_no_other_signup() {
    use OutcomeKind::{Duplicate, Parked, Provisioned};
    let bench = Bench::new().await;
    let queue = listen(&bench, &["#"]).await;
    for n in 0..120 {
        commit(&bench, &format!("unknown-{n}"), &[Duplicate]).await;
    }
    commit(&bench, "s-1", &[Parked, Duplicate, Provisioned]).await;
    let knows_less = Publishing::start_knowing(&bench, &[Parked, Provisioned]);
    assert_eq!(heard(&bench, &queue).await, ("s-1".to_owned(), "signup.parked".to_owned()));
    soon(async {
        while bench.ledger.count_waiting_events().await.unwrap() > 122 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    commit(&bench, "s-2", &[Provisioned]).await;
    assert_eq!(heard(&bench, &queue).await.0, "s-2", "what is new is still sent");
    knows_less.stop().await;

    let knows_all = Publishing::start(&bench);
    nothing_waits(&bench).await;
    let mut of_s1 = Vec::new();
    for _ in 0..122 {
        let (subject, key) = heard(&bench, &queue).await;
        if subject == "s-1" {
            of_s1.push(key);
        }
    }
    assert_eq!(of_s1, ["signup.duplicate", "signup.provisioned"], "in order, also behind what was unknown");
    knows_all.stop().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_publisher_that_meets_unknown_kinds_makes_way_for_one_that_knows_them() {
    use OutcomeKind::{Duplicate, Provisioned};
    let bench = Bench::new().await;
    let queue = listen(&bench, &["#"]).await;
    let knows_less = Publishing::start_knowing(&bench, &[Provisioned]);
    commit(&bench, "s-1", &[Provisioned]).await;
    assert_eq!(heard(&bench, &queue).await.0, "s-1");
    let knows_all = Publishing::start(&bench);
    commit(&bench, "s-2", &[Duplicate]).await;
    assert_eq!(heard(&bench, &queue).await.0, "s-2");
    for publishing in [knows_less, knows_all] {
        publishing.stop().await;
    }
    bench.tidy_up().await;
}
