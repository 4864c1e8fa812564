//! The consumer: from the broker's queue into the ledger.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use foxden_ledger::{Claimed, LedgerWatch, WorkerId};
use futures::{
    StreamExt,
    stream::{Peekable, SelectAll, select_all},
};
use lapin::{
    Channel, ChannelStatus, Connection, ConnectionStatus, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    acks::Acks,
    broker_error::{BrokerError, IntakeError},
    confirmed::ConfirmedChannel,
    connection,
    desk::{Desk, Settled},
    names::Names,
    outage::Outage,
    refusal::Asked,
    settings::AmqpSettings,
    shelf::Shelf,
    thing::{Role, Thing},
    topology,
};
use crate::{door::Door, pace::Pace};

/// How long messages are held that can't be taken, for want of the ledger or of room. RabbitMQ ends the channel of a
/// consumer that keeps one for 30 minutes (`consumer_timeout`); we give them back long before, and fetch them again when
/// there is room.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(10 * 60);

/// For what is being committed when the consumer stops. The ledger's own limit for a connection is 5 s.
const DRAIN_MAX: Duration = Duration::from_secs(10);
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// How many times the prefetch may be in this process, while messages wait for the dead queue.
const SUBSCRIPTIONS_MAX: usize = 32;
/// How often a consumer without room looks whether its connection is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits for room for one provisioning; nothing, if there will never be any again.
pub type Room = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>> + Send + Sync>;

/// Takes a leased provisioning, and the permit that is to be dropped when it is no longer in work. It must not block.
pub type HandOver = Arc<dyn Fn(Claimed, OwnedSemaphorePermit) + Send + Sync>;

/// What the consumer works with.
#[derive(Clone)]
pub struct ConsumerParts {
    /// The broker.
    pub settings: AmqpSettings,
    /// The ledger's door.
    pub door: Door,
    /// Told whether the ledger answers.
    pub ledger_watch: LedgerWatch,
    /// Whose leases they are.
    pub worker: WorkerId,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Bounds the provisionings in work in this process. A permit is taken before a message is.
    pub room: Room,
    /// Where accepted provisionings go.
    pub hand_over: HandOver,
    /// Rung when an outcome event was committed here, so that its publisher need not find it by looking.
    pub outbox_filled: Arc<Notify>,
    /// How many messages the broker sends ahead; at least 1.
    pub prefetch: u16,
    /// Whether work may be taken. While it says no, messages wait at the broker.
    pub ready: watch::Receiver<bool>,
}

/// Why a session ended.
enum Ended {
    /// As asked.
    Stopped,
    /// Messages could not be taken for so long that they were given back.
    Held,
    /// The broker is gone.
    Lost(BrokerError),
}

/// Consumes until `shutdown`, over as many connections as it takes; a broker that is away is waited for.
///
/// Each message is checked, admitted to the ledger, handed over and acknowledged, in that order. On `shutdown` nothing
/// more is taken, what is being committed is finished, and what was prefetched goes back to the queue. It ends as well once
/// there can never be room again: `room` says so, or `ready` was left closed by a sender that is gone.
///
/// # Errors
/// For settings that can't work, and when the broker was there and refused for too long.
pub async fn consume(parts: ConsumerParts, shutdown: CancellationToken) -> Result<(), IntakeError> {
    let names = Names::of(&parts.settings)?;
    let mut outage = Outage::new("consumer", &parts.settings);
    while !shutdown.is_cancelled() {
        let opening = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            opened = Session::open(&parts, &names) => opened,
        };
        match opening {
            Ok(session) => {
                outage.is_up();
                match session.run(&shutdown).await {
                    Ended::Stopped => break,
                    Ended::Held => wait_for_room(&parts, &shutdown).await,
                    Ended::Lost(error) => outage.is_lost(&error),
                }
            }
            Err(error) => outage.is_still_down(&error),
        }
        if !outage.pause(&shutdown).await? {
            break;
        }
    }
    Ok(())
}

/// One connection with all that hangs on it.
struct Session {
    connection: Connection,
    /// Where dead letters go out. A broker that is short of memory or disk stops reading from a connection that publishes;
    /// on the consumer's own, no message could be acknowledged any more.
    publishing: Connection,
    channel: Channel,
    /// Each has a prefetch of its own.
    tags: Vec<ShortString>,
    messages: Peekable<SelectAll<Consumer>>,
    desk: Arc<Desk>,
}

impl Session {
    async fn open(parts: &ConsumerParts, names: &Names) -> Result<Self, BrokerError> {
        let connection = connection::connect(&parts.settings, "consumer").await?;
        let publishing = match connection::connect(&parts.settings, "dead letters").await {
            Ok(publishing) => publishing,
            Err(error) => {
                connection::close(connection).await;
                return Err(error);
            }
        };
        let opened = connection::in_time(Self::set_up(&connection, &publishing, parts, names)).await;
        let (channel, consumer, dead) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                connection::close(connection).await;
                connection::close(publishing).await;
                return Err(error);
            }
        };
        let frame_max = publishing.configuration().frame_max();
        let desk = Desk {
            parts: parts.clone(),
            names: names.clone(),
            acks: Acks::of(channel.clone()),
            dead: ConfirmedChannel::new(dead, &publishing),
            stop: CancellationToken::new(),
            gone: CancellationToken::new(),
            // 0 is no limit.
            frame_max: if frame_max == 0 { u32::MAX } else { frame_max },
            shelf: Shelf::new(),
        };
        let (tags, messages) = (vec![consumer.tag()], select_all([consumer]).peekable());
        Ok(Self { connection, publishing, channel, tags, messages, desk: Arc::new(desk) })
    }

    async fn set_up(
        connection: &Connection,
        publishing: &Connection,
        parts: &ConsumerParts,
        names: &Names,
    ) -> Result<(Channel, Consumer, Channel), BrokerError> {
        topology::see_to_all(&connection::channel(connection).await?, names, parts.settings.topology).await?;
        let dead = connection::confirming_channel(publishing).await?;
        let channel = connection::channel(connection).await?;
        // 0 would mean no limit: the whole backlog in our memory.
        channel
            .basic_qos(parts.prefetch.max(1), BasicQosOptions::default())
            .await
            .map_err(BrokerError::failed("limiting the prefetch"))?;
        let consumer = subscribe(&channel, &names.queue).await?;
        Ok((channel, consumer, dead))
    }

    /// Sees that messages which wait for the dead queue leave half of the prefetch to the others: the broker grants
    /// each subscription as much. An existing one's can't be raised.
    async fn make_room(&mut self) -> Result<(), BrokerError> {
        let prefetch = usize::from(self.desk.parts.prefetch.max(1));
        while self.tags.len() < SUBSCRIPTIONS_MAX && 2 * self.desk.shelf.waiting() >= prefetch * self.tags.len() {
            let consumer = connection::in_time(subscribe(&self.channel, &self.desk.names.queue)).await?;
            self.tags.push(consumer.tag());
            self.messages.get_mut().push(consumer);
        }
        Ok(())
    }

    /// Takes messages until something ends it, then leaves in good order.
    async fn run(mut self, shutdown: &CancellationToken) -> Ended {
        let mut handling = JoinSet::new();
        let ended = self.take_messages(shutdown, &mut handling).await;
        if matches!(ended, Ended::Lost(_)) {
            self.desk.gone.cancel();
        } else {
            // No further deliveries; those that came already go back when the connection ends.
            for tag in &self.tags {
                let cancel = self.channel.basic_cancel(tag.clone(), BasicCancelOptions::default());
                if timeout(CANCEL_TIMEOUT, cancel).await.is_err() {
                    break;
                }
            }
        }
        self.desk.stop.cancel();
        let drain = async { while handling.join_next().await.is_some() {} };
        if timeout(DRAIN_MAX, drain).await.is_err() {
            let left = handling.len();
            warn!(
                event = "intake.drain_timeout",
                left, "messages were still being handled; the broker delivers them again"
            );
        }
        connection::close(self.connection).await;
        connection::close(self.publishing).await;
        ended
    }

    async fn take_messages(&mut self, shutdown: &CancellationToken, handling: &mut JoinSet<Settled>) -> Ended {
        let mut on_the_shelf = self.desk.shelf.changes();
        let mut gone = pin!(gone(self.connection.status().clone(), self.channel.status().clone()));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ended::Stopped,
                Some(settled) = handling.join_next(), if !handling.is_empty() => match settled {
                    Ok(Settled::Held) => return Ended::Held,
                    Ok(Settled::Failed(error)) => return Ended::Lost(error),
                    // A task that did not end by itself was ended by the runtime, which is going down.
                    Ok(Settled::Done) | Err(_) => {}
                },
                Ok(()) = on_the_shelf.changed() => {
                    if let Err(error) = self.make_room().await {
                        return Ended::Lost(error);
                    }
                }
                taken = take(&mut self.messages, &self.desk.parts) => match taken {
                    Ok((delivery, permit)) => {
                        handling.spawn(self.desk.clone().handle(delivery, permit));
                    }
                    Err(ended) => return ended,
                },
                // After the messages, whose end tells why.
                () = &mut gone => return Ended::Lost(BrokerError::Gone),
            }
        }
    }
}

async fn subscribe(channel: &Channel, queue: &ShortString) -> Result<Consumer, BrokerError> {
    channel
        .basic_consume(queue.clone(), "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .map_err(BrokerError::answering(Asked::Subscribed(Thing::new(Role::Queue, queue))))
}

/// Waits for the end of the connection, or of the channel. While there is no room, nobody listens for messages, and so
/// nobody would hear of it.
async fn gone(connection: ConnectionStatus, channel: ChannelStatus) {
    while connection.connected() && channel.connected() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits for a message, then for room, then takes both. Dropping it half-way loses neither.
///
/// A message must be there before a permit is taken: an idle consumer that held one would keep due work of the ledger
/// waiting, with a capacity of 1 for ever.
async fn take(
    messages: &mut Peekable<SelectAll<Consumer>>,
    parts: &ConsumerParts,
) -> Result<(Delivery, OwnedSemaphorePermit), Ended> {
    let lost = |end: Option<Result<Delivery, lapin::Error>>| match end {
        Some(Err(error)) => Ended::Lost(BrokerError::failed("consuming")(error)),
        Some(Ok(_)) | None => Ended::Lost(BrokerError::Unsubscribed),
    };
    let arrived = matches!(Pin::new(&mut *messages).peek().await, Some(Ok(_)));
    if !arrived {
        return Err(lost(messages.next().await));
    }
    let permit = match timeout(HOLD_MAX, room(parts)).await {
        Ok(Some(permit)) => permit,
        Ok(None) => return Err(Ended::Stopped),
        Err(_) => return Err(Ended::Held),
    };
    match messages.next().await {
        Some(Ok(delivery)) => Ok((delivery, permit)),
        end => Err(lost(end)),
    }
}

/// Waits until work may be taken, then takes a permit. Nothing, if there will never be room again.
async fn room(parts: &ConsumerParts) -> Option<OwnedSemaphorePermit> {
    let mut ready = parts.ready.clone();
    loop {
        if ready.wait_for(|open| *open).await.is_err() {
            // Whoever opened and closed the gate is gone, and left it closed.
            return None;
        }
        let permit = (parts.room)().await?;
        // It may have closed while there was no room.
        if *ready.borrow() {
            return Some(permit);
        }
    }
}

/// Waits, holding no message, until messages can be taken again.
async fn wait_for_room(parts: &ConsumerParts, shutdown: &CancellationToken) {
    warn!(event = "intake.paused", "messages can't be taken; they wait at the broker");
    let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(30));
    let again = async {
        while room(parts).await.is_some() {
            match parts.door.ledger_answers().await {
                Ok(()) => return,
                Err(error) => parts.ledger_watch.is_down(&error),
            }
            tokio::time::sleep(pace.pause()).await;
        }
        // Never again; only the shutdown ends this.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = again => {
            parts.ledger_watch.is_up();
            info!(event = "intake.resumed", "messages are taken again");
        }
    }
}
