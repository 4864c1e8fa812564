//! Publishing so that one knows: mandatory, persistent, confirmed.

use std::{
    collections::{HashSet, VecDeque},
    pin::pin,
    time::Duration,
};

use futures::FutureExt as _;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionStatus, PublisherConfirm,
    options::BasicPublishOptions, types::ShortString,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::broker_error::BrokerError;

/// AMQP's delivery mode for messages that survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// For all confirms of one round. A quorum queue that has lost its majority confirms nothing. Time in which the broker
/// says that it takes nothing does not count.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a round that waits looks whether the broker takes messages at all.
const TICK: Duration = Duration::from_secs(1);

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

/// How far a round may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For the confirms.
    pub(super) confirms_within: Duration,
    /// From then on nothing more is sent.
    pub(super) send_until: Option<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { confirms_within: CONFIRM_TIMEOUT, send_until: None }
    }
}

/// Who acts while the broker says that it takes nothing.
pub(super) trait WhileBlocked {
    /// Called about every second of it.
    fn still_blocked(&mut self) -> impl Future<Output = ()> + Send;
}

/// No one.
impl WhileBlocked for () {
    async fn still_blocked(&mut self) {}
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

    /// Whether the connection is open, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.connection.connected() && self.channel.status().connected()
    }

    /// Publishes and waits for the fate of each, in the order of the input. Several in one round need message ids of
    /// their own.
    ///
    /// # Errors
    /// When the fate of any is unknown; this channel is of no further use then.
    pub(super) async fn publish(&self, messages: Vec<Message>) -> Result<Vec<Fate>, BrokerError> {
        let (fates, ended) = self.publish_within(messages, Limits::default(), &mut ()).await;
        ended?;
        // With no limit to sending, all were sent; with no error, all were answered.
        Ok(fates.into_iter().flatten().collect())
    }

    /// The same within limits. Answers the fates that are known, however it ended: a message without one was not sent, or
    /// it is not known what became of it. After an error this channel is of no further use.
    pub(super) async fn publish_within(
        &self,
        messages: Vec<Message>,
        limits: Limits,
        while_blocked: &mut impl WhileBlocked,
    ) -> (Vec<Option<Fate>>, Result<(), BrokerError>) {
        let _alone = self.round.lock().await;
        let mut round = Round::of(&messages);
        let ended = {
            let mut sending = pin!(round.run(&self.channel, messages, limits.send_until));
            let mut waits_since = Instant::now();
            loop {
                match timeout(TICK, &mut sending).await {
                    Ok(ended) => break ended,
                    // Short of memory or disk. To connect again would change nothing; should it go away, its heartbeat
                    // tells.
                    Err(_) if self.connection.blocked() => {
                        while_blocked.still_blocked().await;
                        waits_since = Instant::now();
                    }
                    Err(_) if waits_since.elapsed() < limits.confirms_within => {}
                    Err(_) => break Err(BrokerError::TimedOut { doing: DOING, within: limits.confirms_within }),
                }
            }
        };
        (round.fates(), ended)
    }
}

/// One round, of which something is known wherever it is cut off.
struct Round {
    ids: Vec<Option<ShortString>>,
    /// Sent and not yet answered, in order.
    pending: VecDeque<PublisherConfirm>,
    /// The answers so far, in order: whether it was refused.
    answers: Vec<Option<bool>>,
    returned: HashSet<Option<ShortString>>,
}

impl Round {
    fn of(messages: &[Message]) -> Self {
        let ids = messages.iter().map(|message| message.properties.message_id().clone()).collect();
        Self { ids, pending: VecDeque::new(), answers: Vec::new(), returned: HashSet::new() }
    }

    async fn run(
        &mut self,
        channel: &Channel,
        messages: Vec<Message>,
        send_until: Option<Instant>,
    ) -> Result<(), BrokerError> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        for message in messages {
            if send_until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let properties = message.properties.with_delivery_mode(PERSISTENT);
            let confirm = channel
                .basic_publish(message.exchange, message.routing_key, options, &message.body, properties)
                .await
                .map_err(BrokerError::failed(DOING))?;
            self.pending.push_back(confirm);
        }
        while let Some(next) = self.pending.front_mut() {
            let answer = next.await;
            self.pending.pop_front();
            self.take(answer).map_err(BrokerError::failed(DOING))?;
        }
        Ok(())
    }

    fn take(&mut self, answer: lapin::Result<Confirmation>) -> lapin::Result<()> {
        let answer = answer.inspect_err(|_| self.answers.push(None))?;
        self.answers.push(Some(!matches!(answer, Confirmation::Ack(_))));
        if let Some(message) = answer.take_message() {
            self.returned.insert(message.properties.message_id().clone());
        }
        Ok(())
    }

    /// What is known. All answers that have come are read first, in whichever order: one may carry what was returned for
    /// an earlier one.
    fn fates(mut self) -> Vec<Option<Fate>> {
        while let Some(confirm) = self.pending.pop_front() {
            match confirm.now_or_never() {
                Some(answer) => drop(self.take(answer)),
                None => self.answers.push(None),
            }
        }
        self.answers.resize(self.ids.len(), None);
        let fate = |(id, answer): (_, Option<bool>)| {
            Some(match (self.returned.contains(id), answer?) {
                (true, _) => Fate::Unroutable,
                (false, true) => Fate::Refused,
                (false, false) => Fate::Confirmed,
            })
        };
        self.ids.iter().zip(self.answers.iter().copied()).map(fate).collect()
    }
}
