//! Emptying the outbox in rounds: each signup's events in order, one signup's trouble no other's.

use std::{collections::HashMap, time::Duration};

use foxden_ledger::{Ledger, LedgerWatch, OutcomeKind, Waiting};
use lapin::types::ShortString;
use tokio::time::Instant;
use tracing::{error, info};

use super::{
    broker_error::BrokerError,
    cloud_event,
    confirmed::{ConfirmedChannel, Fate},
};
use crate::pace::Pace;

/// How many events are on their way at once.
const ROUND: u64 = 100;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The outbox as its publisher sees it, over all its connections.
pub(super) struct Outbox {
    ledger: Ledger,
    exchange: ShortString,
    watch: LedgerWatch,
    /// How long a kind of event that was turned down rests at first.
    rest: Duration,
    /// Confirmed by the broker and not yet marked in the ledger.
    confirmed: Vec<i64>,
    /// Kinds of events that were turned down. Which queue gets an event follows from its kind, which is its routing key.
    turned_down: HashMap<OutcomeKind, Resting>,
}

/// A kind of event that rests before it is tried again.
struct Resting {
    until: Instant,
    pace: Pace,
}

impl Outbox {
    pub(super) fn new(ledger: Ledger, watch: LedgerWatch, exchange: ShortString, rest: Duration) -> Self {
        Self { ledger, exchange, watch, rest, confirmed: Vec::new(), turned_down: HashMap::new() }
    }

    /// Publishes until nothing is left that can be published now.
    ///
    /// # Errors
    /// When it is unknown what became of some events: they are sent again, under the same ids.
    pub(super) async fn flush(&mut self, channel: &ConfirmedChannel) -> Result<(), BrokerError> {
        while self.round(channel).await? {}
        Ok(())
    }

    /// One round. Answers whether another may find something to do.
    async fn round(&mut self, channel: &ConfirmedChannel) -> Result<bool, BrokerError> {
        if !self.mark().await {
            return Ok(false);
        }
        let now = Instant::now();
        let resting = self.turned_down.iter().filter(|(_, resting)| resting.until > now).map(|(kind, _)| *kind);
        let ready = match self.ledger.next_events(ROUND, &resting.collect::<Vec<_>>()).await {
            Ok(ready) => ready,
            Err(error) => {
                self.watch.is_down(&error);
                return Ok(false);
            }
        };
        self.watch.is_up();
        if ready.is_empty() {
            return Ok(false);
        }
        let messages = ready.iter().map(|event| cloud_event::message(&self.exchange, event)).collect();
        let fates = channel.publish(messages).await?;
        for (event, fate) in ready.iter().zip(fates) {
            self.take_note(event, fate);
        }
        let progress = !self.confirmed.is_empty();
        Ok(self.mark().await && progress)
    }

    fn take_note(&mut self, sent: &Waiting, fate: Fate) {
        let kind = sent.event.kind;
        let (signup_id, outcome) = (&sent.event.data.signup_id, kind.as_str());
        if fate == Fate::Confirmed {
            self.confirmed.push(sent.seq);
            let event_id = &sent.event_id;
            info!(event = "outcome.published", signup_id, outcome, event_id, "told the parent app of an outcome");
            if self.turned_down.remove(&kind).is_some() {
                info!(event = "outcome.taken_again", outcome, "outcome events of this kind are taken again");
            }
            return;
        }
        let mut first = false;
        let resting = self.turned_down.entry(kind).or_insert_with(|| {
            first = true;
            Resting { until: Instant::now(), pace: Pace::new(self.rest, LONGEST_PAUSE) }
        });
        // Several of one kind were on their way together; that is one try.
        if resting.until <= Instant::now() {
            resting.until = Instant::now() + resting.pace.pause();
        }
        if !first {
            return;
        }
        let (routing_key, exchange) = (cloud_event::routing_key(kind), self.exchange.as_str());
        if fate == Fate::Unroutable {
            error!(
                event = "outcome.unroutable",
                signup_id,
                outcome,
                exchange,
                routing_key,
                "no queue takes this outcome event, so it waits in the outbox; bind a queue to the exchange for this key"
            );
        } else {
            error!(
                event = "outcome.refused",
                signup_id,
                outcome,
                exchange,
                routing_key,
                "a queue refused this outcome event, so it waits in the outbox; is the queue full?"
            );
        }
    }

    /// Marks what was confirmed. Answers whether that is done; until it is, nothing else is sent, since these would be
    /// sent again.
    async fn mark(&mut self) -> bool {
        if self.confirmed.is_empty() {
            return true;
        }
        match self.ledger.mark_published(self.confirmed.clone()).await {
            Ok(()) => {
                self.watch.is_up();
                self.confirmed.clear();
                true
            }
            Err(error) => {
                self.watch.is_down(&error);
                false
            }
        }
    }
}
