//! The broker, seen from the parent app: signups are published, and who takes them is counted.

use std::time::{Duration, SystemTime};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm,
    options::{
        BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use serde_json::json;
use tokio::time::Instant;

/// How many are on their way to the broker at once.
const WINDOW: usize = 1_000;
const PERSISTENT: u8 = 2;

/// A connection, and the names of one measurement's queues and exchanges.
pub(crate) struct Broker {
    connection: Connection,
    channel: Channel,
    pub(crate) url: String,
    pub(crate) mark: String,
}

/// Where signups are published to.
pub(crate) struct Route {
    pub(crate) exchange: String,
    pub(crate) key: String,
}

pub(crate) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    since_epoch.as_millis().try_into().expect("it is before the year 292,000,000")
}

pub(crate) fn signup_id(number: usize) -> String {
    format!("s{number:06}")
}

fn event(number: usize) -> Vec<u8> {
    json!({
        "version": 1,
        "signup_id": signup_id(number),
        "user": {"first_name": "Ada", "last_name": "Lovelace", "email": format!("ada{number}@customers.example")},
        "store": {
            "name": format!("Engines {number}"), "domain": format!("engines-{number}"),
            "url": "https://engines.example", "email": "shop@engines.example",
            "country": "US", "region": "MN", "postal_code": "55401",
        },
    })
    .to_string()
    .into_bytes()
}

impl Broker {
    pub(crate) async fn join(url: &str, mark: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
        Self { connection, channel, url: url.to_owned(), mark: mark.to_owned() }
    }

    /// The queue that signups are taken from.
    pub(crate) fn queue(&self) -> String {
        format!("{}.queue", self.mark)
    }

    /// foxden's names, by the roles that its settings give them.
    pub(crate) fn names(&self) -> [(&'static str, String); 6] {
        ["EXCHANGE", "QUEUE", "DEAD_EXCHANGE", "DEAD_QUEUE", "OUTCOME_EXCHANGE", "OUTCOME_QUEUE"]
            .map(|role| (role, format!("{}.{}", self.mark, role.to_lowercase())))
    }

    /// Declares a plain durable queue.
    pub(crate) async fn declare_plain(&self) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel
            .queue_declare(self.queue().into(), options, FieldTable::default())
            .await
            .expect("the broker takes a durable queue");
    }

    /// How many consume signups.
    pub(crate) async fn consumers(&self) -> usize {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(self.queue().into(), options, FieldTable::default());
        queue.await.expect("the queue is there").consumer_count() as usize
    }

    async fn send(&self, route: &Route, number: usize) -> PublisherConfirm {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let (exchange, key) = (route.exchange.as_str().into(), route.key.as_str().into());
        let event = event(number);
        let sent = self.channel.basic_publish(exchange, key, options, &event, properties);
        sent.await.expect("the connection lasts")
    }

    /// Publishes that many signups, and waits until the broker has them.
    pub(crate) async fn publish(&self, route: &Route, signups: usize) {
        let numbers: Vec<usize> = (0..signups).collect();
        for window in numbers.chunks(WINDOW) {
            let mut confirms = Vec::with_capacity(window.len());
            for number in window {
                confirms.push(self.send(route, *number).await);
            }
            for confirm in confirms {
                taken(confirm).await;
            }
        }
    }

    /// Publishes signups at even distances. Answers when each was published, in milliseconds since 1970.
    pub(crate) async fn publish_evenly(&self, route: &Route, signups: usize, a_second: u32) -> Vec<i64> {
        let distance = Duration::from_secs(1) / a_second;
        let (mut due, mut published, mut confirms) = (Instant::now(), Vec::new(), Vec::new());
        for number in 0..signups {
            tokio::time::sleep_until(due).await;
            due += distance;
            published.push(now_ms());
            confirms.push(self.send(route, number).await);
        }
        for confirm in confirms {
            taken(confirm).await;
        }
        published
    }

    /// Removes what the measurement has made there.
    pub(crate) async fn leave(self) {
        for (role, name) in self.names() {
            if role.ends_with("EXCHANGE") {
                drop(self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await);
            } else {
                drop(self.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await);
            }
        }
        drop(self.connection.close(200, "bye".into()).await);
    }
}

async fn taken(confirm: PublisherConfirm) {
    let confirm = confirm.await.expect("the connection lasts");
    assert!(confirm.is_ack() && confirm.take_message().is_none(), "a signup was not taken");
}
