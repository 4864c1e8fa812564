//! The parent app's side of the broker.

use std::time::Duration;

use foxden_ledger::{Ledger, ProvisioningId};
use futures::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde_json::Value;

use crate::support::{PATIENCE, Place, server};

/// How long one exchange with the broker may take before it counts as lost.
const ANSWER: Duration = Duration::from_secs(5);

/// A broker connection as a parent app has one, and the names of one test's exchanges and queues.
pub(super) struct ParentApp {
    channel: Channel,
    _connection: Connection,
    broker: String,
    exchange: String,
}

/// A message that was taken from a queue.
pub(super) struct Taken {
    pub(super) body: Vec<u8>,
    pub(super) headers: FieldTable,
}

impl ParentApp {
    /// A database, exchanges and queues of the test's own; the place's settings name them.
    pub(super) async fn join(place: &mut Place) -> Self {
        Self::join_at(place, &server("DATABASE_URL"), &server("AMQP_URL")).await
    }

    /// The same on servers other than those that the tests share.
    pub(super) async fn join_at(place: &mut Place, database: &str, broker: &str) -> Self {
        let mark = ProvisioningId::new().as_str().replace('-', "");
        let ledger = Ledger::create_database(database, &format!("end_to_end_{mark}")).await.unwrap();
        ledger.close().await.unwrap();
        let mut url = url::Url::parse(database).unwrap();
        url.set_path(&format!("end_to_end_{mark}"));
        place.set("FOXDEN_DATABASE_URL", url.as_str());
        place.set("FOXDEN_AMQP_URL", broker);
        for (variable, name) in [
            ("EXCHANGE", "signups"),
            ("QUEUE", "signups"),
            ("DEAD_EXCHANGE", "dead"),
            ("DEAD_QUEUE", "dead"),
            ("OUTCOME_EXCHANGE", "outcomes"),
            ("OUTCOME_QUEUE", "outcomes"),
        ] {
            place.set(&format!("FOXDEN_AMQP_{variable}"), &format!("{mark}.{name}"));
        }
        let (connection, channel) = connect(broker).await.unwrap();
        Self { channel, _connection: connection, broker: broker.to_owned(), exchange: format!("{mark}.signups") }
    }

    /// Publishes a signup event, and waits for the broker's confirm.
    pub(super) async fn publish(&self, body: &[u8]) {
        assert!(self.try_publish(body).await.unwrap(), "the broker did not route it");
    }

    /// Answers whether the broker has confirmed and routed it.
    async fn try_publish(&self, body: &[u8]) -> Result<bool, lapin::Error> {
        let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = self.exchange.as_str().into();
        let confirm = self.channel.basic_publish(exchange, "signup".into(), options, body, properties).await?.await?;
        Ok(confirm.is_ack() && confirm.take_message().is_none())
    }

    /// Publishes until the broker has confirmed, over as many connections as that takes: what a parent app owes. Answers
    /// how many times it was sent.
    pub(super) async fn publish_surely(&mut self, body: &[u8]) -> usize {
        let mut sent = 1;
        loop {
            // One that is under way while its connection dies may never be answered by the library.
            let confirmed = tokio::time::timeout(ANSWER, self.try_publish(body)).await;
            if let Ok(Ok(true)) = confirmed {
                return sent;
            }
            self.rejoin().await;
            sent += 1;
        }
    }

    /// Connects anew, however long the broker takes to come back.
    pub(super) async fn rejoin(&mut self) {
        let started = tokio::time::Instant::now();
        loop {
            if let Ok(Ok((connection, channel))) = tokio::time::timeout(ANSWER, connect(&self.broker)).await {
                (self._connection, self.channel) = (connection, channel);
                return;
            }
            assert!(started.elapsed() < PATIENCE, "the broker does not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes all messages that are in one of the place's queues now, in order.
    pub(super) async fn take_all(&self, place: &Place, queue: &str) -> Vec<Taken> {
        let count = self.waiting(place, queue).await;
        self.take(place, queue, count as usize).await
    }

    /// Takes messages from one of the place's queues, so many, in order.
    pub(super) async fn take(&self, place: &Place, queue: &str, count: usize) -> Vec<Taken> {
        let queue = place.settings[&format!("FOXDEN_AMQP_{queue}")].as_str();
        let (tag, options) = (format!("take-{queue}-{count}"), BasicConsumeOptions::default());
        let mut consumer = self
            .channel
            .basic_consume(queue.into(), tag.as_str().into(), options, FieldTable::default())
            .await
            .unwrap();
        let mut taken = Vec::new();
        while taken.len() < count {
            let delivery = tokio::time::timeout(PATIENCE, consumer.next()).await.expect("a message").unwrap().unwrap();
            delivery.ack(BasicAckOptions::default()).await.unwrap();
            let headers = delivery.properties.headers().clone().unwrap_or_default();
            taken.push(Taken { body: delivery.data.clone(), headers });
        }
        self.channel.basic_cancel(tag.as_str().into(), lapin::options::BasicCancelOptions::default()).await.unwrap();
        taken
    }

    /// How many messages wait in one of the place's queues.
    pub(super) async fn waiting(&self, place: &Place, queue: &str) -> u32 {
        let queue = place.settings[&format!("FOXDEN_AMQP_{queue}")].as_str();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until a queue is empty.
    pub(super) async fn until_empty(&self, place: &Place, queue: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.waiting(place, queue).await > 0 {
            assert!(tokio::time::Instant::now() < deadline, "{queue} is not taken up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn connect(broker: &str) -> Result<(Connection, Channel), lapin::Error> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

impl Taken {
    pub(super) fn header(&self, name: &str) -> String {
        let value = self.headers.inner().get(name).unwrap_or_else(|| panic!("no header {name}"));
        value.as_long_string().unwrap_or_else(|| panic!("{name} is no text: {value:?}")).to_string()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
