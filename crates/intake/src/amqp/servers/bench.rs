//! What these tests share: a ledger, names of their own, and an eye on the broker.

use std::{future::Future, sync::Arc, time::Duration};

use foxden_ledger::{Claimed, Ledger, LedgerWatch, SignupId, WorkerId};
use lapin::{
    BasicProperties, Channel, Connection,
    message::Delivery,
    options::{BasicGetOptions, BasicPublishOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{AmqpSettings, ConsumerParts, Door, IntakeError, Publisher, amqp::connection, consume, testing};

/// Far beyond what anything here takes, so that only what never happens runs into it.
const NEVER: Duration = Duration::from_secs(30);

/// The broker's URL.
#[expect(clippy::disallowed_methods, reason = "tests against servers learn from the environment where these are")]
pub(super) fn broker_url() -> String {
    std::env::var("AMQP_URL")
        .expect("AMQP_URL is not set; run these tests with `scripts/services.sh with -- cargo test`")
}

/// One test's surroundings.
pub(super) struct Bench {
    pub(super) settings: AmqpSettings,
    /// How many messages a consumer has sent ahead.
    pub(super) prefetch: u16,
    pub(super) ledger: Ledger,
    pub(super) door: Door,
    pub(super) publisher: Publisher,
    pub(super) channel: Channel,
    connection: Connection,
}

/// A consumer at work, and what it hands over.
pub(super) struct Running {
    pub(super) handed_over: mpsc::UnboundedReceiver<(Claimed, OwnedSemaphorePermit)>,
    pub(super) capacity: Arc<Semaphore>,
    pub(super) ready: watch::Sender<bool>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), IntakeError>>,
}

/// Waits for what must happen.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(NEVER, what).await.expect("it did not happen")
}

impl Bench {
    pub(super) async fn new() -> Self {
        let mut settings = testing::settings(&broker_url(), &format!("test.{}", Uuid::new_v4()));
        // Each test binds what it wants to see.
        settings.outcome_queue = None;
        Self::with_settings(settings).await
    }

    pub(super) async fn with_settings(settings: AmqpSettings) -> Self {
        let ledger = testing::ledger().await;
        let publisher = Publisher::connect(&settings).await.unwrap();
        let connection = connection::connect(&settings, "test").await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { door: testing::door_to(&ledger), settings, prefetch: 10, ledger, publisher, channel, connection }
    }

    /// Starts a consumer with room for `capacity` provisionings.
    pub(super) fn consume(&self, capacity: usize) -> Running {
        self.consume_with(capacity, |_| {})
    }

    /// The same, with something done to each provisioning that is handed over.
    pub(super) fn consume_with(&self, capacity: usize, first: impl Fn(&Claimed) + Send + Sync + 'static) -> Running {
        let (sender, handed_over) = mpsc::unbounded_channel();
        let (capacity, shutdown) = (Arc::new(Semaphore::new(capacity)), CancellationToken::new());
        let (ready, ready_receiver) = watch::channel(true);
        let parts = ConsumerParts {
            settings: self.settings.clone(),
            door: self.door.clone(),
            ledger_watch: LedgerWatch::default(),
            worker: WorkerId::new(),
            lease: Duration::from_secs(90),
            room: {
                let capacity = capacity.clone();
                Arc::new(move || {
                    let permit = capacity.clone().acquire_owned();
                    Box::pin(async move { permit.await.ok() })
                })
            },
            hand_over: Arc::new(move |claimed, permit| {
                first(&claimed);
                drop(sender.send((claimed, permit)));
            }),
            outbox_filled: Arc::default(),
            prefetch: self.prefetch,
            ready: ready_receiver,
        };
        let task = tokio::spawn(consume(parts, shutdown.clone()));
        Running { handed_over, capacity, ready, shutdown, task }
    }

    /// Publishes an event as the parent app would.
    pub(super) async fn publish(&self, signup_id: &str, first_name: &str) {
        let body = testing::body(signup_id, first_name);
        self.publisher.publish_signup(&SignupId::parse(signup_id).unwrap(), &body).await.unwrap();
    }

    /// Publishes any bytes, under a header of the sender's.
    pub(super) async fn publish_raw(&self, body: &[u8]) {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString("00-1".into()));
        let properties = BasicProperties::default().with_headers(headers);
        let (exchange, key) = (self.settings.exchange.as_str().into(), self.settings.routing_key.as_str().into());
        self.channel.basic_publish(exchange, key, BasicPublishOptions::default(), body, properties).await.unwrap();
    }

    /// The next message of a queue, taken off it.
    pub(super) async fn next_in(&self, queue: &str) -> Delivery {
        soon(async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(got) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                    return got.delivery;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    /// Waits until the signup queue holds so many messages and has so many consumers.
    pub(super) async fn queue_settles_at(&self, messages: u32, consumers: u32) {
        soon(async {
            while self.standing(&self.settings.queue).await != (messages, consumers) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Waits until no message waits in the signup queue.
    pub(super) async fn queue_settles_without_messages(&self) {
        soon(async {
            while self.standing(&self.settings.queue).await.0 > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Waits until the dead-letter queue holds so many messages.
    pub(super) async fn dead_queue_holds(&self, messages: u32) {
        soon(async {
            while self.standing(&self.settings.dead_queue).await.0 != messages {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// How many messages wait in a queue, and how many consumers it has.
    pub(super) async fn standing(&self, queue: &str) -> (u32, u32) {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        (queue.message_count(), queue.consumer_count())
    }

    /// Leaves the broker as it was.
    pub(super) async fn tidy_up(self) {
        let AmqpSettings { queue, dead_queue, exchange, dead_exchange, outcome_exchange, .. } = self.settings;
        for queue in [queue, dead_queue] {
            self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
        }
        for exchange in [exchange, dead_exchange].into_iter().chain(outcome_exchange) {
            self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
        }
        self.publisher.close().await;
        connection::close(self.connection).await;
    }
}

impl Running {
    /// The next provisioning that is handed over.
    pub(super) async fn next(&mut self) -> (Claimed, OwnedSemaphorePermit) {
        soon(self.handed_over.recv()).await.expect("the consumer has ended")
    }

    /// Stops the consumer; what was handed over and not looked at is returned.
    pub(super) async fn stop(mut self) -> Vec<String> {
        self.shutdown.cancel();
        soon(self.task).await.unwrap().unwrap();
        let mut left = Vec::new();
        while let Ok((claimed, _)) = self.handed_over.try_recv() {
            left.push(claimed.provisioning.signup_id.to_string());
        }
        left
    }
}

/// A text header of a message.
pub(super) fn header(delivery: &Delivery, name: &str) -> String {
    match delivery.properties.headers().as_ref().and_then(|headers| headers.inner().get(&ShortString::from(name))) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name} is {other:?}"),
    }
}
