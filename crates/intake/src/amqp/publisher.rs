//! Publishing signup events, for `foxden submit` over AMQP and for trying things out.

use lapin::{BasicProperties, Connection, types::ShortString};

use foxden_ledger::SignupId;

use super::{
    broker_error::PublishError,
    confirmed::{ConfirmedChannel, Fate, Message},
    connection,
    names::Names,
    settings::{AmqpSettings, Topology},
    topology,
};

/// A connection for publishing signup events. What it says is published is in the queue, on disk.
pub struct Publisher {
    connection: Connection,
    channel: ConfirmedChannel,
    target: Target,
}

/// Where events are sent, so that they come to the signup queue.
enum Target {
    /// The signup exchange, as the parent app does. The queue is bound to it, since we have just seen to that.
    Exchange { exchange: ShortString, routing_key: ShortString },
    /// The queue itself, by the default exchange. A binding that somebody else sees to can't be looked at; and if
    /// another queue is bound, the broker confirms just as well what the signup queue never gets.
    Queue(ShortString),
}

impl Publisher {
    /// Connects and sees to the topology, so that events find a queue before the first worker has run.
    ///
    /// # Errors
    /// When the broker can't be reached, or refuses.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, PublishError> {
        let names = Names::of(settings)?;
        let connection = connection::connect(settings, "publisher").await?;
        let set_up = connection::in_time(async {
            topology::see_to_all(&connection::channel(&connection).await?, &names, settings.topology).await?;
            connection::confirming_channel(&connection).await
        });
        match set_up.await {
            Ok(channel) => {
                let target = match settings.topology {
                    Topology::Declare => Target::Exchange { exchange: names.exchange, routing_key: names.routing_key },
                    Topology::Check => Target::Queue(names.queue),
                };
                Ok(Self { channel: ConfirmedChannel::new(channel, &connection), connection, target })
            }
            Err(error) => {
                connection::close(connection).await;
                Err(error.into())
            }
        }
    }

    /// Where events are sent, in words: another place is another text.
    pub fn sends_to(&self) -> String {
        match &self.target {
            Target::Exchange { exchange, routing_key } => format!("exchange {exchange}, routing key {routing_key}"),
            Target::Queue(queue) => format!("queue {queue}"),
        }
    }

    /// Publishes one event, as it is; the worker checks it. The signup id becomes the message id.
    ///
    /// # Errors
    /// When it is not known to be in the queue. Publishing it again does no harm: a repeat is recognized.
    pub async fn publish_signup(&self, signup_id: &SignupId, body: &[u8]) -> Result<(), PublishError> {
        self.publish_signups([(signup_id, body)]).await
    }

    /// Publishes many events at once, and waits until all of them are confirmed. They are sent in their order.
    ///
    /// # Errors
    /// When any is not known to be in the queue. The others may be; publishing all again does no harm.
    pub async fn publish_signups<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a SignupId, &'a [u8])>,
    ) -> Result<(), PublishError> {
        let (exchange, routing_key) = match &self.target {
            Target::Exchange { exchange, routing_key } => (exchange.clone(), routing_key.clone()),
            Target::Queue(queue) => (ShortString::default(), queue.clone()),
        };
        let message = |(signup_id, body): (&SignupId, &[u8])| Message {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            properties: BasicProperties::default()
                .with_content_type("application/json".into())
                .with_message_id(signup_id.as_str().into())
                .with_app_id("foxden".into()),
            body: body.to_vec(),
        };
        let messages = events.into_iter().map(message).collect();
        for fate in self.channel.publish(messages).await? {
            match fate {
                Fate::Confirmed => {}
                Fate::Unroutable => return Err(PublishError::Unroutable),
                Fate::Refused => return Err(PublishError::Refused),
            }
        }
        Ok(())
    }

    /// Closes the connection in good order.
    pub async fn close(self) {
        connection::close(self.connection).await;
    }
}
