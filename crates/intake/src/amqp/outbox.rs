//! Emptying the outbox, by one worker at a time: each signup's events in order, one signup's trouble no other's.

use std::{collections::HashMap, time::Duration};

use foxden_ledger::{Ledger, LedgerError, LedgerWatch, Look, Looked, OutcomeKind, Waiting, WorkerId};
use lapin::types::ShortString;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    broker_error::BrokerError,
    cloud_event,
    confirmed::{ConfirmedChannel, Fate, Limits},
    outcomes::AddressCheck,
    tenure::{GivenBack, Tenure},
    unread::Unread,
    walk::Walk,
};
use crate::pace::Pace;

/// How many events at most are on their way at once, and marked at once. They may come again after a worker was killed.
/// A batch waits for two disks, the broker's and the database's, whatever its size.
const BATCH_MAX: usize = 64;
/// Batches grow by one event each time this number of them was sent.
const GROWS_AFTER: usize = 4;
/// For the confirms of one batch. Less than the right to publish lasts, so that a silent broker costs it.
const CONFIRMS_WITHIN: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where events of unknown kinds wait, another worker gets the chance to be of the release that knows them: a publisher
/// gives its right back after so long at first, then ever more rarely, and leaves others so much time to take it.
const UNKNOWN_KEPT: Duration = Duration::from_secs(10);
const UNKNOWN_KEPT_MAX: Duration = Duration::from_secs(300);
const STANDS_BACK: Duration = Duration::from_secs(1);

/// The outbox as its publisher sees it, over all its connections.
pub(super) struct Outbox {
    ledger: Ledger,
    exchange: ShortString,
    watch: LedgerWatch,
    /// How long a kind of event that was turned down rests at first.
    rest: Duration,
    addresses: AddressCheck,
    tenure: Tenure,
    /// How long the right is kept next time that unknown kinds wait.
    unknown_kept: Duration,
    stands_back_until: Option<Instant>,
    /// How many batches were sent since the right to publish was taken.
    batches: usize,
    /// Confirmed by the broker and not yet marked in the ledger.
    confirmed: Vec<i64>,
    /// Kinds of events that were turned down. Which queue gets an event follows from its kind, which is its routing key.
    turned_down: HashMap<OutcomeKind, Resting>,
    unread: Unread,
    walk: Walk,
}

/// A kind of event that rests before it is tried again.
struct Resting {
    until: Instant,
    pace: Pace,
}

impl Outbox {
    /// The outbox for a release that knows these kinds.
    pub(super) fn new(
        ledger: Ledger,
        watch: LedgerWatch,
        exchange: ShortString,
        rest: Duration,
        worker: WorkerId,
        known: Vec<OutcomeKind>,
        addresses: AddressCheck,
    ) -> Self {
        let tenure = Tenure::new(ledger.clone(), worker);
        let (unread, walk) = (Unread::new(known), Walk::new());
        let (unknown_kept, stands_back_until) = (UNKNOWN_KEPT, None);
        let (confirmed, turned_down) = (Vec::new(), HashMap::new());
        Self {
            ledger,
            exchange,
            watch,
            rest,
            addresses,
            tenure,
            unknown_kept,
            stands_back_until,
            batches: 0,
            confirmed,
            turned_down,
            unread,
            walk,
        }
    }

    /// Whether this worker is the one that publishes.
    pub(super) fn is_ours(&self) -> bool {
        self.tenure.since().is_some()
    }

    /// Publishes until nothing is left that can be published now, if this worker is the one to publish, or can be.
    ///
    /// # Errors
    /// When it is unknown what became of some events: they are sent again, under the same ids.
    pub(super) async fn flush(&mut self, channel: &ConfirmedChannel) -> Result<(), BrokerError> {
        if !self.confirmed.is_empty() && !self.mark().await {
            return Ok(());
        }
        if self.stands_back_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let was_ours = self.is_ours();
        let taken = self.tenure.take().await;
        if self.answered(taken) != Some(true) {
            return Ok(());
        }
        if !was_ours {
            self.walk = Walk::new();
            self.batches = 0;
        }
        self.pass(channel).await
    }

    /// Publishes what is left and gives the right to publish back. Events that other workers committed while this one had
    /// it, and left to it, are not forgotten.
    ///
    /// # Errors
    /// As [`Outbox::flush`].
    pub(super) async fn finish(&mut self, channel: &ConfirmedChannel) -> Result<(), BrokerError> {
        self.stands_back_until = None;
        loop {
            self.walk.look_at_everything();
            self.flush(channel).await?;
            if !self.is_ours() {
                return Ok(());
            }
            self.tenure.give_back(GivenBack::Stopping).await;
            if self.look(0).await.is_none_or(|looked| looked.ready.is_empty()) {
                return Ok(());
            }
        }
    }

    /// Gives the right to publish back, if it is still held: since the worker stops, or since the broker can't be reached.
    pub(super) async fn give_up(&mut self, stops: bool) {
        if !self.confirmed.is_empty() {
            self.mark().await;
        }
        self.tenure.give_back(if stops { GivenBack::Stopping } else { GivenBack::BrokerLost }).await;
    }

    /// Looks at what waits, part by part, and sends what may be sent.
    async fn pass(&mut self, channel: &ConfirmedChannel) -> Result<(), BrokerError> {
        let (mut after, is_full) = self.walk.begin(self.turned_down.values().map(|resting| resting.until));
        if is_full {
            self.unread.pass_begins();
        }
        loop {
            let Some(looked) = self.look(after).await else { return Ok(()) };
            self.unread.passed_over(looked.passed_over);
            let mut again = self.unread.damaged(looked.damaged);
            let mut left = looked.ready.as_slice();
            while !left.is_empty() {
                let (batch, later) = left.split_at(batch_size(self.batches).min(left.len()));
                left = later;
                match self.send(channel, batch).await? {
                    Some(progress) => again |= progress,
                    None => return Ok(()),
                }
                self.batches = self.batches.saturating_add(1);
            }
            match looked.more_after {
                // What waited behind what was sent may go now.
                _ if again => {}
                Some(next) => {
                    after = next;
                    self.walk.goes_on();
                }
                None => {
                    self.walk.ends(looked.last);
                    break;
                }
            }
        }
        if channel.is_open() {
            let renewed = self.tenure.renew().await;
            self.answered(renewed);
        }
        if is_full {
            self.make_way().await;
        }
        Ok(())
    }

    /// Lets another worker publish for once, if a pass over everything has met kinds that this release doesn't know.
    async fn make_way(&mut self) {
        if !self.unread.pass_ends() {
            self.unknown_kept = UNKNOWN_KEPT;
        } else if self.tenure.since().is_some_and(|since| since.elapsed() >= self.unknown_kept) {
            self.tenure.give_back(GivenBack::UnknownKinds).await;
            self.stands_back_until = Some(Instant::now() + STANDS_BACK);
            self.unknown_kept = (self.unknown_kept * 2).min(UNKNOWN_KEPT_MAX);
        }
    }

    async fn look(&self, after: i64) -> Option<Looked> {
        let kinds = self.unread.known().iter().copied().filter(|kind| !self.rests(*kind)).collect();
        let set_aside = self.unread.set_aside.clone();
        self.answered(self.ledger.next_events(Look { after, kinds, set_aside }).await)
    }

    fn rests(&self, kind: OutcomeKind) -> bool {
        self.turned_down.get(&kind).is_some_and(|resting| resting.until > Instant::now())
    }

    /// Sends one batch and marks what was confirmed. Answers whether anything was; or nothing, if no more may be sent now.
    async fn send(&mut self, channel: &ConfirmedChannel, batch: &[Waiting]) -> Result<Option<bool>, BrokerError> {
        let batch: Vec<&Waiting> = batch.iter().filter(|waiting| !self.rests(waiting.event.kind)).collect();
        if batch.is_empty() {
            return Ok(Some(false));
        }
        // The fence, as close to the sending as can be: whoever was frozen and comes back stops here.
        let is_ours = self.tenure.is_ours().await;
        if self.answered(is_ours) != Some(true) {
            return Ok(None);
        }
        let Some(until) = self.tenure.until() else { return Ok(None) };
        let messages =
            batch.iter().map(|waiting| cloud_event::message(&self.exchange, &self.checked(waiting))).collect();
        let limits = Limits { confirms_within: CONFIRMS_WITHIN, send_until: Some(until) };
        let (fates, ended) = channel.publish_within(messages, limits, &mut self.tenure).await;
        let mut is_answered = false;
        for (waiting, fate) in batch.into_iter().zip(fates) {
            if let Some(fate) = fate {
                is_answered = true;
                self.take_note(waiting, fate);
            }
        }
        let progress = !self.confirmed.is_empty();
        let marked = !is_answered || self.mark().await;
        ended?;
        Ok((marked && is_answered).then_some(progress))
    }

    /// The event with such addresses only as are Foxy's: a database that others can write to may hold any.
    fn checked(&self, waiting: &Waiting) -> Waiting {
        let mut waiting = waiting.clone();
        let data = &mut waiting.event.data;
        for (field, address) in [("user_uri", &mut data.user_uri), ("store_uri", &mut data.store_uri)] {
            let Some(text) = address.take() else { continue };
            *address = (self.addresses)(&text);
            if address.is_none() {
                let signup_id = &data.signup_id;
                warn!(
                    event = "outcome.address_withheld",
                    signup_id, field, "an address in the ledger is not one of this Foxy's, so it was not published"
                );
            }
        }
        waiting
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
                self.walk.look_at_everything();
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
        let marked = self.tenure.published(self.confirmed.clone()).await;
        let is_marked = self.answered(marked).is_some();
        if is_marked {
            self.confirmed.clear();
        }
        is_marked
    }

    /// The ledger's answer, if it gave one.
    fn answered<T>(&self, answer: Result<T, LedgerError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.watch.is_up();
                Some(answer)
            }
            Err(error) => {
                self.watch.is_down(&error);
                None
            }
        }
    }
}

/// How many events the next batch may have. It grows slowly from one, so that workers that are killed again and again
/// in the backlog that they take over repeat few events.
fn batch_size(batches: usize) -> usize {
    (1 + batches / GROWS_AFTER).min(BATCH_MAX)
}

#[cfg(test)]
mod tests {
    use super::{BATCH_MAX, batch_size};

    #[test]
    fn batches_grow_from_one_event_to_the_largest() {
        let sizes: Vec<_> = (0..9).map(batch_size).collect();
        assert_eq!(sizes, [1, 1, 1, 1, 2, 2, 2, 2, 3]);
        assert_eq!((batch_size(251), batch_size(252), batch_size(usize::MAX)), (63, BATCH_MAX, BATCH_MAX));
    }
}
