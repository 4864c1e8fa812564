//! The parent app's side of the broker.

use std::time::Duration;

use foxden_ledger::{Ledger, ProvisioningId};
use futures::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
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
        Self::join_broker(place, broker).await
    }

    /// Exchanges and queues of the test's own; the ledger stays the place's.
    pub(super) async fn join_broker(place: &mut Place, broker: &str) -> Self {
        let mark = ProvisioningId::new().as_str().replace('-', "");
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

    /// Publishes a message of this media type, with these headers.
    pub(super) async fn publish_as(&self, content_type: &str, headers: &[(&str, &str)], body: &[u8]) {
        let properties = with_headers(headers).with_content_type(content_type.into());
        assert!(self.send(&self.exchange, "signup", properties, body).await.unwrap(), "the broker did not route it");
    }

    /// Puts a message straight into one of the place's queues.
    pub(super) async fn publish_to_queue(&self, place: &Place, queue: &str, headers: &[(&str, &str)], body: &[u8]) {
        let queue = place.settings[&format!("FOXDEN_AMQP_{queue}")].as_str();
        assert!(self.send("", queue, with_headers(headers), body).await.unwrap(), "there is no such queue");
    }

    /// Takes a message from one of the place's queues and keeps it, neither acknowledged nor given back, until the channel
    /// that is answered is dropped.
    pub(super) async fn hold(&self, place: &Place, queue: &str) -> Channel {
        let queue = place.settings[&format!("FOXDEN_AMQP_{queue}")].as_str();
        let channel = self._connection.create_channel().await.unwrap();
        channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap().expect("a message");
        channel
    }

    /// Takes the signup queue off its exchange, and binds a listener's queue to all that comes there. Answers its name.
    pub(super) async fn bind_a_listener_instead(&self, place: &Place) -> String {
        let queue = place.settings["FOXDEN_AMQP_QUEUE"].as_str();
        let (listener, exchange) = (format!("{}.listener", self.exchange), self.exchange.as_str());
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default);
        self.channel.queue_declare(listener.as_str().into(), options, none()).await.unwrap();
        let bind = QueueBindOptions::default();
        self.channel.queue_bind(listener.as_str().into(), exchange.into(), "#".into(), bind, none()).await.unwrap();
        self.channel.queue_unbind(queue.into(), exchange.into(), "signup".into(), none()).await.unwrap();
        listener
    }

    /// Answers whether the broker has confirmed and routed it.
    async fn try_publish(&self, body: &[u8]) -> Result<bool, lapin::Error> {
        let properties = with_headers(&[]).with_content_type("application/json".into());
        self.send(&self.exchange, "signup", properties, body).await
    }

    async fn send(
        &self,
        exchange: &str,
        routing_key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> Result<bool, lapin::Error> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, routing_key) = (exchange.into(), routing_key.into());
        let confirm = self.channel.basic_publish(exchange, routing_key, options, body, properties).await?.await?;
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
        self.waiting_in(place.settings[&format!("FOXDEN_AMQP_{queue}")].as_str()).await
    }

    /// How many messages wait in the queue of this name.
    pub(super) async fn waiting_in(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until a queue is empty.
    pub(super) async fn until_empty(&self, place: &Place, queue: &str) {
        self.until_waiting(place, queue, 0).await;
    }

    /// Waits until so many messages wait in a queue.
    pub(super) async fn until_waiting(&self, place: &Place, queue: &str, count: u32) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.waiting(place, queue).await != count {
            assert!(tokio::time::Instant::now() < deadline, "{queue} does not come to {count} messages");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Properties of a message that outlives the broker's restart.
fn with_headers(headers: &[(&str, &str)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), AMQPValue::LongString((*value).into()));
    }
    BasicProperties::default().with_delivery_mode(2).with_headers(table)
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
