//! Tells the broker what became of its deliveries: at once if nothing is being sent, else with all that gathers
//! meanwhile.

use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
    types::DeliveryTag,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::tags::{Frame, Settlement, Tags};

/// How many are settled at once at most, so that none waits for more than that.
const GATHERED_MAX: usize = 1024;

/// Settles the deliveries of one channel. It is the only one that does: a frame that acknowledges several deliveries
/// relies on what was sent before it.
pub(super) struct Acks {
    waiting: mpsc::UnboundedSender<Waiting>,
    /// Ends with this value: a connection that is dying may never answer.
    _sending: JoinSet<()>,
}

struct Waiting {
    tag: DeliveryTag,
    settlement: Settlement,
    sent: oneshot::Sender<()>,
}

impl Acks {
    /// For a channel on which nothing was delivered yet.
    pub(super) fn of(channel: Channel) -> Self {
        let (waiting, gathering) = mpsc::unbounded_channel();
        let mut sending = JoinSet::new();
        sending.spawn(send(channel, gathering));
        Self { waiting, _sending: sending }
    }

    /// Settles a delivery, even where the caller stops waiting. Answers whether that was handed to the connection.
    pub(super) async fn settle(&self, tag: DeliveryTag, settlement: Settlement) -> bool {
        let (sent, is_sent) = oneshot::channel();
        // It fails only once the channel has, which the answer tells.
        drop(self.waiting.send(Waiting { tag, settlement, sent }));
        is_sent.await.is_ok()
    }
}

/// Sends until the channel fails.
async fn send(channel: Channel, mut gathering: mpsc::UnboundedReceiver<Waiting>) {
    let (mut tags, mut gathered) = (Tags::default(), Vec::new());
    while gathering.recv_many(&mut gathered, GATHERED_MAX).await > 0 {
        for frame in tags.settle(gathered.iter().map(|waiting| (waiting.tag, waiting.settlement))) {
            let ack = |tag, multiple| channel.basic_ack(tag, BasicAckOptions { multiple });
            let sent = match frame {
                Frame::Ack(tag) => ack(tag, false).await,
                Frame::AckThrough(tag) => ack(tag, true).await,
                Frame::GiveBack(tag) => {
                    let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    channel.basic_nack(tag, requeue).await
                }
            };
            if sent.is_err() {
                // What waits hears of it as this ends.
                return;
            }
        }
        for waiting in gathered.drain(..) {
            // A caller that no longer waits has logged that.
            let _ = waiting.sent.send(());
        }
    }
}
