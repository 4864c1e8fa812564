//! Publishing so that one knows: mandatory, persistent, confirmed.

use std::{collections::HashSet, pin::pin, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionStatus, options::BasicPublishOptions,
    types::ShortString,
};
use tokio::{sync::Mutex, time::timeout};

use super::broker_error::BrokerError;

/// AMQP's delivery mode for messages that survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// For all confirms of one round. A quorum queue that has lost its majority confirms nothing. Time in which the broker
/// says that it takes nothing does not count.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

const DOING: &str = "publishing";

/// A message to be published.
pub(super) struct Message {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

/// What became of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in every queue it belongs to, on disk.
    Confirmed,
    /// It belongs to no queue.
    Unroutable,
    /// A queue refused it.
    Refused,
}

/// A channel that publishes in rounds: one after the other, each waiting for all of its confirms.
///
/// The broker confirms an unroutable message as well, after returning it, and the library hands a returned message to
/// whichever confirm it resolves next: with several under way that may be another one's. So a returned message is told
/// by its id, and rounds never overlap.
pub(super) struct ConfirmedChannel {
    channel: Channel,
    connection: ConnectionStatus,
    round: Mutex<()>,
}

impl ConfirmedChannel {
    /// Takes a channel in confirm mode, which nobody else publishes on.
    pub(super) fn new(channel: Channel, connection: &Connection) -> Self {
        Self { channel, connection: connection.status().clone(), round: Mutex::new(()) }
    }

    /// Publishes and waits for the fate of each, in the order of the input. Several in one round need message ids of
    /// their own.
    ///
    /// # Errors
    /// When the fate of any is unknown; this channel is of no further use then.
    pub(super) async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Fate>, BrokerError> {
        let _alone = self.round.lock().await;
        let mut round = pin!(self.round_of(messages));
        loop {
            match timeout(CONFIRM_TIMEOUT, &mut round).await {
                Ok(fates) => return fates,
                // Short of memory or disk. To connect anew would change nothing; should it go away, its heartbeat tells.
                Err(_) if self.connection.blocked() => {}
                Err(_) => return Err(BrokerError::TimedOut { doing: DOING, within: CONFIRM_TIMEOUT }),
            }
        }
    }

    async fn round_of(&self, messages: Vec<Message>) -> Result<Vec<Fate>, BrokerError> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let mut pending = Vec::with_capacity(messages.len());
        for message in messages {
            let id = message.properties.message_id().clone();
            let properties = message.properties.with_delivery_mode(PERSISTENT);
            let confirm = self
                .channel
                .basic_publish(message.exchange, message.routing_key, options, &message.body, properties)
                .await
                .map_err(BrokerError::failed(DOING))?;
            pending.push((id, confirm));
        }
        let mut answers = Vec::with_capacity(pending.len());
        let mut returned = HashSet::new();
        for (id, confirm) in pending {
            let answer = confirm.await.map_err(BrokerError::failed(DOING))?;
            let refused = !matches!(answer, Confirmation::Ack(_));
            if let Some(message) = answer.take_message() {
                returned.insert(message.properties.message_id().clone());
            }
            answers.push((id, refused));
        }
        let fate = |(id, refused)| match (returned.contains(&id), refused) {
            (true, _) => Fate::Unroutable,
            (false, true) => Fate::Refused,
            (false, false) => Fate::Confirmed,
        };
        Ok(answers.into_iter().map(fate).collect())
    }
}
