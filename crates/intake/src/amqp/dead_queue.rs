//! Looking into the dead-letter queue, and giving messages another chance.

use lapin::{
    BasicProperties, Channel, Connection,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::{
    broker_error::{BrokerError, PublishError},
    confirmed::{ConfirmedChannel, Fate, Message},
    connection,
    dead_letter::{AT_HEADER, MISTAKES_HEADER, REASON_HEADER, SIGNUP_ID_HEADER, is_foxdens, without_instructions},
    names::Names,
    settings::AmqpSettings,
    topology,
};

/// Set by RabbitMQ on what it dead-letters by itself (RabbitMQ docs: Dead Letter Exchanges).
const BROKERS_REASON_HEADER: &str = "x-first-death-reason";
/// What RabbitMQ writes of a message's past begins so; one that is given another chance starts without.
const BROKERS_HEADERS: [&str; 4] = ["x-death", "x-first-death-", "x-last-death-", "x-delivery-count"];

/// A dead letter, as far as it may be shown: its body is personal data and stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The signup, where it could be read.
    pub signup_id: Option<String>,
    /// Why it is there: foxden's word, or the broker's own (`delivery_limit`, `rejected`, `expired`).
    pub reason: String,
    /// What is wrong with it, one mistake a line; empty where the broker put it aside by itself.
    pub mistakes: String,
    /// When foxden put it aside: RFC 3339.
    pub at: Option<String>,
    /// The size of its body.
    pub bytes: usize,
}

/// What giving dead letters another chance came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requeued {
    /// Moved back to the signup queue.
    pub moved: usize,
    /// Looked at and left.
    pub left: usize,
}

/// A connection to the dead-letter queue, for a person's command.
pub struct DeadQueue {
    connection: Connection,
    names: Names,
}

impl DeadQueue {
    /// Connects and declares the topology, so that an unused broker has an empty queue to look into.
    ///
    /// # Errors
    /// When the broker can't be reached, or refuses.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, PublishError> {
        let names = Names::of(settings)?;
        let connection = connection::connect(&settings.url, "dead letters").await?;
        let declared = connection::in_time(async {
            topology::declare_all(&connection::channel(&connection).await?, &names).await
        });
        match declared.await {
            Ok(()) => Ok(Self { connection, names }),
            Err(error) => {
                connection::close(connection).await;
                Err(error.into())
            }
        }
    }

    /// The oldest dead letters. They are put back within moments; two people looking at once don't see all of them.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, PublishError> {
        let requeued_on_close = connection::channel(&self.connection).await?;
        let mut letters = Vec::new();
        for _ in 0..self.count(&requeued_on_close, limit).await? {
            let Some(delivery) = self.next(&requeued_on_close).await? else { break };
            letters.push(DeadLetter::of(&delivery));
        }
        close(&requeued_on_close).await?;
        Ok(letters)
    }

    /// Moves the chosen ones among the oldest dead letters back to the signup queue, each confirmed there before it is
    /// removed here. What is still wrong with them brings them back, behind those that are looked at now.
    ///
    /// # Errors
    /// When the broker does not answer, or takes one no more; that one and the rest stay where they are.
    pub async fn requeue(&self, limit: usize, choose: impl Fn(&DeadLetter) -> bool) -> Result<Requeued, PublishError> {
        let requeued_on_close = connection::channel(&self.connection).await?;
        let publishing = ConfirmedChannel::new(connection::confirming_channel(&self.connection).await?);
        let mut requeued = Requeued { moved: 0, left: 0 };
        for _ in 0..self.count(&requeued_on_close, limit).await? {
            let Some(delivery) = self.next(&requeued_on_close).await? else { break };
            if !choose(&DeadLetter::of(&delivery)) {
                requeued.left += 1;
                continue;
            }
            let fates = publishing.publish(vec![self.another_chance(&delivery)]).await?;
            match fates.first() {
                Some(Fate::Confirmed) => {}
                Some(Fate::Unroutable) => return Err(PublishError::Unroutable),
                Some(Fate::Refused) | None => return Err(PublishError::Refused),
            }
            delivery.ack(BasicAckOptions::default()).await.map_err(BrokerError::failed("removing a dead letter"))?;
            requeued.moved += 1;
        }
        close(&requeued_on_close).await?;
        Ok(requeued)
    }

    /// Closes the connection in good order.
    pub async fn close(self) {
        connection::close(self.connection).await;
    }

    /// How many there are now. What comes back while we look is behind these, and is not looked at twice.
    async fn count(&self, channel: &Channel, limit: usize) -> Result<usize, BrokerError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel
            .queue_declare(self.names.dead_queue.clone(), options, FieldTable::default())
            .await
            .map_err(BrokerError::failed("counting the dead letters"))?;
        Ok(usize::try_from(queue.message_count()).unwrap_or(usize::MAX).min(limit))
    }

    async fn next(&self, channel: &Channel) -> Result<Option<Delivery>, BrokerError> {
        let got = channel
            .basic_get(self.names.dead_queue.clone(), BasicGetOptions::default())
            .await
            .map_err(BrokerError::failed("fetching a dead letter"))?;
        Ok(got.map(|message| message.delivery))
    }

    /// The message as its sender had published it, under the routing key that leads to the signup queue.
    fn another_chance(&self, delivery: &Delivery) -> Message {
        let mut headers = FieldTable::default();
        for (name, value) in delivery.properties.headers().iter().flatten() {
            let text = name.as_str();
            if !is_foxdens(text) && !BROKERS_HEADERS.iter().any(|prefix| text.starts_with(prefix)) {
                headers.insert(name.clone(), value.clone());
            }
        }
        Message {
            exchange: self.names.exchange.clone(),
            routing_key: self.names.routing_key.clone(),
            properties: without_instructions(&delivery.properties).with_headers(headers),
            body: delivery.data.clone(),
        }
    }
}

impl DeadLetter {
    fn of(delivery: &Delivery) -> Self {
        let text = |name| header(&delivery.properties, name);
        Self {
            signup_id: text(SIGNUP_ID_HEADER),
            reason: text(REASON_HEADER).or_else(|| text(BROKERS_REASON_HEADER)).unwrap_or_else(|| "unknown".to_owned()),
            mistakes: text(MISTAKES_HEADER).unwrap_or_default(),
            at: text(AT_HEADER),
            bytes: delivery.data.len(),
        }
    }
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Ends a channel. What was fetched on it and not removed is in the queue again within moments.
async fn close(channel: &Channel) -> Result<(), BrokerError> {
    channel.close(200, "done".into()).await.map_err(BrokerError::failed("putting dead letters back"))
}
