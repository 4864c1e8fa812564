//! Looking into the dead-letter queue, giving messages another chance, and dropping them.

use std::time::Duration;

use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    broker_error::{BrokerError, PublishError},
    confirmed::{ConfirmedChannel, Fate, Message},
    connection,
    dead_letter::{is_foxdens, without_instructions},
    found::{DeadLetter, OpenLetter},
    names::Names,
    settings::AmqpSettings,
    topology,
};

/// What RabbitMQ writes of a message's past begins so; one that is given another chance starts without.
const BROKERS_HEADERS: [&str; 4] = ["x-death", "x-first-death-", "x-last-death-", "x-delivery-count"];

/// For each exchange with the broker.
const ANSWER: Duration = Duration::from_secs(30);

/// What giving dead letters another chance came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requeued {
    /// Moved back to the signup queue.
    pub moved: usize,
    /// Looked at and left.
    pub left: usize,
}

/// Why a command on dead letters ended before it had seen all of them.
#[derive(Debug, thiserror::Error)]
#[error("{done} of the chosen dead letters were done by then; the others are where they were")]
pub struct Interrupted {
    /// How many had been moved or removed.
    pub done: usize,
    /// What has stopped it.
    #[source]
    pub error: PublishError,
}

/// A connection to the dead-letter queue, for a person's command.
pub struct DeadQueue {
    connection: Connection,
    names: Names,
}

impl DeadQueue {
    /// Connects and sees to the topology, so that an unused broker has an empty queue to look into.
    ///
    /// # Errors
    /// When the broker can't be reached, or refuses.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, PublishError> {
        let names = Names::of(settings)?;
        let connection = connection::connect(settings, "dead queue").await?;
        let declared = connection::in_time(async {
            topology::see_to_all(&connection::channel(&connection).await?, &names, settings.topology).await
        });
        match declared.await {
            Ok(()) => Ok(Self { connection, names }),
            Err(error) => {
                connection::close(connection).await;
                Err(error.into())
            }
        }
    }

    /// The oldest of the chosen dead letters, so many at most. They are put back within moments; two people looking at
    /// once don't see all of them.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn list(
        &self,
        limit: usize,
        choose: impl Fn(&DeadLetter) -> bool,
    ) -> Result<Vec<DeadLetter>, PublishError> {
        let mut walk = self.walk().await?;
        let mut letters = Vec::new();
        while letters.len() < limit
            && let Some((letter, _)) = walk.next().await?
        {
            if choose(&letter) {
                letters.push(letter);
            }
        }
        walk.end().await?;
        Ok(letters)
    }

    /// The dead letters under a handle, with all that belongs to them: one, or several that nothing tells apart.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn open(&self, handle: &str) -> Result<Vec<OpenLetter>, PublishError> {
        let mut walk = self.walk().await?;
        let mut letters = Vec::new();
        while let Some((letter, delivery)) = walk.next().await? {
            if letter.handle == handle {
                letters.push(OpenLetter::of(&delivery));
            }
        }
        walk.end().await?;
        Ok(letters)
    }

    /// Moves the chosen dead letters back to the signup queue, each confirmed there before it is removed here: ended in
    /// between, a message is in both queues, and recognized as a duplicate. What is still wrong with them brings them
    /// back, behind those that are looked at now.
    ///
    /// # Errors
    /// When the broker does not answer, or takes one no more; that one and the rest stay where they are.
    pub async fn requeue(&self, choose: impl FnMut(&DeadLetter) -> bool) -> Result<Requeued, Interrupted> {
        let mut requeued = Requeued { moved: 0, left: 0 };
        match self.requeue_into(choose, &mut requeued).await {
            Ok(()) => Ok(requeued),
            Err(error) => Err(Interrupted { done: requeued.moved, error }),
        }
    }

    async fn requeue_into(
        &self,
        mut choose: impl FnMut(&DeadLetter) -> bool,
        requeued: &mut Requeued,
    ) -> Result<(), PublishError> {
        let publishing = ConfirmedChannel::new(
            answered("opening a channel", connection::confirming_channel(&self.connection)).await?,
            &self.connection,
        );
        let mut walk = self.walk().await?;
        while let Some((letter, delivery)) = walk.next().await? {
            if !choose(&letter) {
                requeued.left += 1;
                continue;
            }
            let fates =
                answered("publishing a dead letter", publishing.publish(vec![self.another_chance(&delivery)])).await?;
            match fates.first() {
                Some(Fate::Confirmed) => {}
                Some(Fate::Unroutable) => return Err(PublishError::Unroutable),
                Some(Fate::Refused) | None => return Err(PublishError::Refused),
            }
            remove(&delivery).await?;
            info!(
                event = "dead_letter.requeued",
                signup_id = letter.signup_id,
                handle = letter.handle,
                reason = letter.reason,
                queue = self.names.queue.as_str(),
                "a dead letter is in the signup queue again"
            );
            requeued.moved += 1;
        }
        Ok(walk.end().await?)
    }

    /// Removes the chosen dead letters for good, and answers how many. Each is told in the log before it is gone, so
    /// that none goes without a trace; after an error some that were told may still be there.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn drop_for_good(&self, choose: impl FnMut(&DeadLetter) -> bool) -> Result<usize, Interrupted> {
        let mut dropped = 0;
        match self.drop_counting(choose, &mut dropped).await {
            Ok(()) => Ok(dropped),
            Err(error) => Err(Interrupted { done: dropped, error }),
        }
    }

    async fn drop_counting(
        &self,
        mut choose: impl FnMut(&DeadLetter) -> bool,
        dropped: &mut usize,
    ) -> Result<(), PublishError> {
        let mut walk = self.walk().await?;
        while let Some((letter, delivery)) = walk.next().await? {
            if choose(&letter) {
                warn!(
                    event = "dead_letter.dropped",
                    signup_id = letter.signup_id,
                    handle = letter.handle,
                    reason = letter.reason,
                    "a dead letter is removed for good, at a person's request"
                );
                remove(&delivery).await?;
                *dropped += 1;
            }
        }
        Ok(walk.end().await?)
    }

    /// Closes the connection in good order.
    pub async fn close(self) {
        connection::close(self.connection).await;
    }

    /// Begins a walk over what is in the queue now.
    async fn walk(&self) -> Result<Walk, BrokerError> {
        let channel = answered("opening a channel", connection::channel(&self.connection)).await?;
        Ok(Walk { channel, queue: self.names.dead_queue.clone(), left: None })
    }

    /// The message as its sender had published it, for the signup queue itself: by the default exchange, which knows
    /// each queue under its name. The signup exchange would give it to all who listen there, and to the signup queue
    /// only if that is bound.
    fn another_chance(&self, delivery: &Delivery) -> Message {
        let mut headers = FieldTable::default();
        for (name, value) in delivery.properties.headers().iter().flatten() {
            let text = name.as_str();
            if !is_foxdens(text) && !BROKERS_HEADERS.iter().any(|prefix| text.starts_with(prefix)) {
                headers.insert(name.clone(), value.clone());
            }
        }
        Message {
            exchange: ShortString::default(),
            routing_key: self.names.queue.clone(),
            properties: without_instructions(&delivery.properties).with_headers(headers),
            body: delivery.data.clone(),
        }
    }
}

/// One look at each message that was in the queue when the walk began.
///
/// What is fetched stays the walk's until it ends; so the same message can't come twice. The number of messages behind
/// the first one bounds the walk, since what comes meanwhile, and what was given another chance and failed again, lies
/// behind. (It comes with the first one: the number that a passive declaration tells may be of a moment before, when
/// another walk had not put back what it held.) What others hold just now is not seen.
struct Walk {
    channel: Channel,
    queue: ShortString,
    /// Known once the first message is here.
    left: Option<u32>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<(DeadLetter, Delivery)>, BrokerError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        const DOING: &str = "fetching a dead letter";
        let got = self.channel.basic_get(self.queue.clone(), BasicGetOptions::default());
        let got = answered(DOING, async { got.await.map_err(BrokerError::failed(DOING)) }).await?;
        self.left = match (&got, self.left) {
            (None, _) => Some(0),
            (Some(_), Some(left)) => Some(left - 1),
            (Some(first), None) => Some(first.message_count),
        };
        Ok(got.map(|message| (DeadLetter::of(&message.delivery), message.delivery)))
    }

    /// Puts back what was fetched and not removed, and ends the channel. To end the channel would do, but a little
    /// later: a walk that begins at once would miss what this one held.
    async fn end(self) -> Result<(), BrokerError> {
        const DOING: &str = "putting dead letters back";
        let all = BasicNackOptions { multiple: true, requeue: true };
        let put_back = async {
            self.channel.basic_nack(0, all).await?;
            self.channel.close(200, "done".into()).await
        };
        answered(DOING, async { put_back.await.map_err(BrokerError::failed(DOING)) }).await
    }
}

async fn remove(delivery: &Delivery) -> Result<(), BrokerError> {
    const DOING: &str = "removing a dead letter";
    let ack = delivery.ack(BasicAckOptions::default());
    answered(DOING, async { ack.await.map(drop).map_err(BrokerError::failed(DOING)) }).await
}

/// Bounds one exchange with the broker: what is under way while its connection dies may never be answered by the
/// library, and a person waits for it.
async fn answered<T>(
    doing: &'static str,
    exchange: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    timeout(ANSWER, exchange).await.unwrap_or(Err(BrokerError::TimedOut { doing, within: ANSWER }))
}
