//! The outcome publisher: from the ledger's outbox to the broker.

use std::{pin::pin, sync::Arc, time::Duration};

use foxden_ledger::{Ledger, LedgerWatch, OutcomeKind, WorkerId};
use lapin::{Channel, Connection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    broker_error::{BrokerError, IntakeError},
    confirmed::ConfirmedChannel,
    connection,
    names::Names,
    outage::Outage,
    outbox::Outbox,
    settings::AmqpSettings,
    topology,
};

/// For all that still waits when the publisher is asked to stop. What is left is sent after the next start.
const LAST_ROUNDS: Duration = Duration::from_secs(5);

/// Checks an address of Foxy's that was kept.
pub type AddressCheck = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the publisher works with.
#[derive(Clone)]
pub struct PublisherParts {
    /// The broker.
    pub settings: AmqpSettings,
    /// Whose outbox it is.
    pub ledger: Ledger,
    /// Told whether the ledger answers.
    pub ledger_watch: LedgerWatch,
    /// This boot.
    pub worker: WorkerId,
    /// How often the outbox is looked at unasked, for other workers' events, and by the workers that don't publish, whether
    /// the one that does is still there.
    pub poll: Duration,
    /// How long a kind of event that no queue takes rests at first.
    pub rest: Duration,
    /// What a kept address is published as; `None` if it is not to be trusted.
    pub addresses: AddressCheck,
    /// Rung when an event was committed here, so that it need not wait for the next look.
    pub wake: Arc<Notify>,
}

/// Publishes outcome events until `shutdown`, over as many connections as it takes. At least once, under stable ids, and
/// in order per signup. Of several workers one publishes at a time (decision 0028); the others keep their connections open
/// and stand by.
///
/// Cancel `shutdown` after the work that writes events has ended: what waits then is still sent, for up to 5 s.
///
/// # Errors
/// For settings that can't work or have no exchange for outcome events, and when the broker was there and refused for
/// too long.
pub async fn publish_outcomes(parts: PublisherParts, shutdown: CancellationToken) -> Result<(), IntakeError> {
    publish_known(parts, OutcomeKind::ALL.to_vec(), shutdown).await
}

/// The same for a release that knows these kinds of events.
pub(super) async fn publish_known(
    parts: PublisherParts,
    known: Vec<OutcomeKind>,
    shutdown: CancellationToken,
) -> Result<(), IntakeError> {
    let names = Names::of(&parts.settings)?;
    let Some(exchange) = names.outcome_exchange.clone() else { return Err(IntakeError::NoOutcomeExchange) };
    let (ledger, watch) = (parts.ledger.clone(), parts.ledger_watch.clone());
    let addresses = Arc::clone(&parts.addresses);
    let mut outbox = Outbox::new(ledger, watch, exchange, parts.rest, parts.worker.clone(), known, addresses);
    let mut outage = Outage::new("outcomes", &parts.settings);
    loop {
        let opened = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            opened = open(&parts.settings, &names) => opened,
        };
        match opened {
            Ok((connection, channel)) => {
                outage.is_up();
                let channel = ConfirmedChannel::new(channel, &connection);
                let ended = publish(&mut outbox, &channel, &parts, &shutdown).await;
                // First, since a broker that is silent does not answer our leave either.
                outbox.give_up(ended.is_ok()).await;
                connection::close(connection).await;
                match ended {
                    Ok(()) => return Ok(()),
                    Err(error) => outage.is_lost(&error),
                }
            }
            Err(error) => outage.is_still_down(&error),
        }
        if !outage.pause(&shutdown).await? {
            return Ok(());
        }
    }
}

async fn open(settings: &AmqpSettings, names: &Names) -> Result<(Connection, Channel), BrokerError> {
    let connection = connection::connect(settings, "outcomes").await?;
    let set_up = connection::in_time(async {
        topology::see_to_all(&connection::channel(&connection).await?, names, settings.topology).await?;
        connection::confirming_channel(&connection).await
    });
    match set_up.await {
        Ok(channel) => Ok((connection, channel)),
        Err(error) => {
            connection::close(connection).await;
            Err(error)
        }
    }
}

/// Publishes over one connection until told to stop, or the connection fails.
async fn publish(
    outbox: &mut Outbox,
    channel: &ConfirmedChannel,
    parts: &PublisherParts,
    shutdown: &CancellationToken,
) -> Result<(), BrokerError> {
    let mut time_is_over = pin!(async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_ROUNDS).await;
    });
    loop {
        // With nothing to send, only this tells that the broker has gone.
        if !channel.is_open() {
            return Err(BrokerError::Gone);
        }
        tokio::select! {
            biased;
            // A round that has begun is carried on after a stop: the fate of what was sent should be known.
            flushed = outbox.flush(channel) => flushed?,
            () = &mut time_is_over => return Ok(()),
        }
        let is_ours = outbox.is_ours();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = parts.wake.notified(), if is_ours => {}
            () = tokio::time::sleep(parts.poll) => {}
        }
    }
    tokio::select! {
        biased;
        finished = outbox.finish(channel) => finished,
        () = &mut time_is_over => Ok(()),
    }
}
