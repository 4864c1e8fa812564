//! What happens to one message: judged, then settled.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use foxden_ledger::{Claimed, LedgerError, Provisioning, SignupId};
use futures::FutureExt;
use lapin::message::Delivery;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    acks::Acks,
    broker_error::BrokerError,
    confirmed::{ConfirmedChannel, Fate},
    consumer::{ConsumerParts, HOLD_MAX},
    dead_letter::{Grounds, dead_letter},
    incoming,
    names::Names,
    settings::Topology,
    shelf::Shelf,
    tags::Settlement,
};
use crate::{
    door::{AdmitError, Admitted},
    pace::Pace,
};

/// How a ledger that does not answer is asked again.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// For handing an acknowledgement to a connection that still looks alive.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead letter is waited for at least so long, however late it is.
const PUT_ASIDE_MIN: Duration = Duration::from_secs(60);
/// For the confirm of a dead letter that was sent before the consumer stops. Less than the consumer waits for its desk.
const LAST_CONFIRM: Duration = Duration::from_secs(5);
/// Before a message whose handling panicked is given back, so that it does not come round at once.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Handles messages, many at a time, over one connection.
pub(super) struct Desk {
    pub(super) parts: ConsumerParts,
    pub(super) names: Names,
    /// Where messages are settled.
    pub(super) acks: Acks,
    /// Where dead letters go: a channel of their own, since an error there must not end the consumer's.
    pub(super) dead: ConfirmedChannel,
    /// Ends the waiting for the ledger, not what is being committed.
    pub(super) stop: CancellationToken,
    /// Says that the connection is gone, and with it any use of an acknowledgement.
    pub(super) gone: CancellationToken,
    /// Largest frame on the connection for dead letters.
    pub(super) frame_max: u32,
    /// What waits for the dead queue.
    pub(super) shelf: Shelf,
}

/// What a message is.
enum Verdict {
    /// A new signup, committed; ours, unless it was queued for any worker.
    Accepted { signup_id: SignupId, claimed: Option<Box<Claimed>> },
    /// One that is known.
    Duplicate(Box<Provisioning>),
    /// Other content for one that was parked.
    Corrected(Box<Provisioning>),
    /// One that can't be taken.
    Dead(Grounds),
    /// Not known yet: the ledger did not answer.
    Held,
}

/// How the handling of a message ended, as far as the consumer must know.
pub(super) enum Settled {
    /// Done with, one way or the other.
    Done,
    /// Still the broker's: the ledger did not answer in time.
    Held,
    /// Still the broker's: its dead letter was not confirmed.
    Failed(BrokerError),
}

/// What came of putting a message aside.
enum Put {
    /// It is in the dead queue.
    Aside,
    /// The dead queue takes nothing, and it was held for long enough.
    Nowhere,
    /// A blocked broker did not answer in time.
    Held,
    /// It is not known what became of it.
    Failed(BrokerError),
}

impl Desk {
    /// Handles one message. Whatever happens in here, the consumer goes on.
    pub(super) async fn handle(self: Arc<Self>, delivery: Delivery, permit: OwnedSemaphorePermit) -> Settled {
        let work = async {
            // One time for all of it: the broker takes back what is held too long (`consumer_timeout`).
            let until = Instant::now() + HOLD_MAX;
            self.judge_and_settle(&delivery, permit, until).await
        };
        if let Ok(settled) = AssertUnwindSafe(work).catch_unwind().await {
            return settled;
        }
        // The panic may have had to do with this very message, so its content stays out of this line. Given back, it
        // comes again, to us or to another release, until the queue's delivery limit puts it aside.
        error!(event = "signup.handler_panicked", "handling a message failed by a fault of foxden; it is given back");
        tokio::time::sleep(AFTER_PANIC).await;
        self.give_back(&delivery).await;
        Settled::Done
    }

    async fn judge_and_settle(&self, delivery: &Delivery, permit: OwnedSemaphorePermit, until: Instant) -> Settled {
        let grounds = match self.judge(delivery, until).await {
            Verdict::Dead(grounds) => grounds,
            verdict => {
                let verdict = self.tell_of_standing(verdict, until).await;
                return self.settle(delivery, verdict, permit).await;
            }
        };
        // An outcome event reports it, so it waits for the ledger.
        if grounds.signup_id.is_some() && !self.answered(until, || self.parts.door.takes_outcomes()).await {
            return Settled::Held;
        }
        // A dead queue that is slow to take it must not keep signups waiting for room.
        drop(permit);
        match self.put_aside(delivery, &grounds, until).await {
            Put::Aside if !self.tell_of_rejection(delivery, &grounds, until).await => Settled::Held,
            Put::Aside => {
                self.acknowledge(delivery, Settlement::PutAside).await;
                Settled::Done
            }
            Put::Nowhere => {
                // What it is may have changed meanwhile, so it is judged again when it comes.
                self.give_back(delivery).await;
                Settled::Done
            }
            Put::Held => Settled::Held,
            Put::Failed(error) => Settled::Failed(error),
        }
    }

    /// Gives a message back, so that it comes again.
    async fn give_back(&self, delivery: &Delivery) {
        tokio::select! {
            _ = self.acks.settle(delivery.delivery_tag, Settlement::GivenBack) => {}
            () = self.gone.cancelled() => {}
        }
    }

    async fn judge(&self, delivery: &Delivery, until: Instant) -> Verdict {
        let event = match incoming::event(delivery) {
            Ok(event) => event,
            Err(error) if !incoming::flaws(delivery).is_empty() => {
                error!(
                    event = "signup.malformed",
                    signup_id = error.signup_id,
                    mistakes = error.to_string().replace('\n', "; "),
                    routing_key = delivery.routing_key.as_str(),
                    "a message is not as AMQP says, so it is put aside; whatever publishes such messages must be mended"
                );
                return Verdict::Dead(Grounds::of_event(&error));
            }
            Err(error) => return Verdict::Dead(Grounds::of_event(&error)),
        };
        // Sealed once, so that a commit whose answer was lost is recognized.
        let mut sealed = None;
        let mut pace = Pace::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            let admitted = match sealed.take().map_or_else(|| self.parts.door.seal(&event), Ok) {
                Ok(signup) => {
                    let signup = sealed.insert(signup);
                    self.parts.door.admit_leased(&event, signup, &self.parts.worker, self.parts.lease).await
                }
                Err(error) => Err(error.into()),
            };
            match admitted {
                Ok(admitted) => {
                    self.parts.ledger_watch.is_up();
                    return match admitted {
                        Admitted::Leased(claimed) => {
                            Verdict::Accepted { signup_id: event.signup_id, claimed: Some(claimed) }
                        }
                        Admitted::Queued => Verdict::Accepted { signup_id: event.signup_id, claimed: None },
                        Admitted::Duplicate(row) => Verdict::Duplicate(row),
                        Admitted::Corrected(row) => Verdict::Corrected(row),
                        Admitted::Conflict(row, why) => Verdict::Dead(Grounds::conflict(&row.signup_id, why)),
                        Admitted::Damaged(_) => Verdict::Dead(Grounds::damaged_row(&event.signup_id)),
                    };
                }
                // The ledger answered, and no repetition will make this row readable.
                Err(AdmitError::Ledger(LedgerError::Damaged { .. })) => {
                    return Verdict::Dead(Grounds::damaged_row(&event.signup_id));
                }
                Err(AdmitError::Ledger(error)) => self.parts.ledger_watch.is_down(&error),
                Err(AdmitError::Seal(error)) => self.parts.ledger_watch.is_down(&error),
            }
            if !self.wait(until, &mut pace).await {
                return Verdict::Held;
            }
        }
    }

    /// Waits before the ledger is asked again. `false`: it has been asked for long enough.
    async fn wait(&self, until: Instant, pace: &mut Pace) -> bool {
        self.pause(until, pace.pause()).await
    }

    async fn pause(&self, until: Instant, pause: Duration) -> bool {
        if Instant::now() >= until {
            return false;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Commits that a message was put aside, before it is settled: what is cut off in between comes again, and a
    /// rejection that was committed is known by its id. Not before it is aside, since until then it may become
    /// another thing: what was a conflict is a correction once its signup is parked. `false`: the ledger did not
    /// answer.
    async fn tell_of_rejection(&self, delivery: &Delivery, grounds: &Grounds, until: Instant) -> bool {
        let Grounds { reason, mistakes, signup_id: Some(signup_id) } = grounds else { return true };
        if self.parts.settings.outcome_exchange.is_none() {
            return true;
        }
        let (event_id, event) = self.parts.door.rejection(signup_id, *reason, mistakes, &delivery.data);
        self.committed(until, || self.parts.door.tell(event_id.clone(), event.clone())).await
    }

    /// Commits how a duplicate stands, where that is asked for.
    async fn tell_of_standing(&self, verdict: Verdict, until: Instant) -> Verdict {
        match &verdict {
            Verdict::Duplicate(row) if self.parts.settings.answers_duplicates() => {
                let told = self.committed(until, || self.parts.door.tell_standing(&row.id)).await;
                if told { verdict } else { Verdict::Held }
            }
            _ => verdict,
        }
    }

    /// Commits an outcome event, however long the ledger takes to answer within the time there is.
    async fn committed<F: Future<Output = Result<(), LedgerError>>>(
        &self,
        until: Instant,
        tell: impl Fn() -> F,
    ) -> bool {
        let committed = self.answered(until, tell).await;
        if committed {
            self.parts.outbox_filled.notify_one();
        }
        committed
    }

    async fn answered<F: Future<Output = Result<(), LedgerError>>>(&self, until: Instant, ask: impl Fn() -> F) -> bool {
        let mut pace = Pace::new(FIRST_RETRY, LONGEST_RETRY);
        loop {
            match ask().await {
                Ok(()) => {
                    self.parts.ledger_watch.is_up();
                    return true;
                }
                Err(error) => self.parts.ledger_watch.is_down(&error),
            }
            if !self.wait(until, &mut pace).await {
                return false;
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict, permit: OwnedSemaphorePermit) -> Settled {
        match verdict {
            Verdict::Accepted { signup_id, claimed } => {
                let redelivered = delivery.redelivered;
                info!(event = "signup.accepted", %signup_id, source = "amqp", redelivered, "accepted a signup");
                // Before the acknowledgement, which may have to wait for a slow connection while the lease runs.
                if let Some(claimed) = claimed {
                    (self.parts.hand_over)(*claimed, permit);
                }
                self.acknowledge(delivery, Settlement::Acknowledged).await;
                Settled::Done
            }
            Verdict::Duplicate(row) => {
                let (signup_id, state, step) = (&row.signup_id, row.state.as_str(), row.step.as_str());
                info!(event = "signup.duplicate", %signup_id, state, step, "a signup that is known came again");
                self.acknowledge(delivery, Settlement::Acknowledged).await;
                Settled::Done
            }
            Verdict::Corrected(row) => {
                let (signup_id, state, step) = (&row.signup_id, row.state.as_str(), row.step.as_str());
                info!(event = "signup.corrected", %signup_id, state, step, source = "amqp", "a parked signup was corrected");
                self.acknowledge(delivery, Settlement::Acknowledged).await;
                Settled::Done
            }
            Verdict::Dead(_) | Verdict::Held => Settled::Held,
        }
    }

    /// Publishes the dead letter until it is confirmed. A dead queue that takes nothing is asked again and again, by
    /// one message at a time; the others wait, and nothing else does.
    async fn put_aside(&self, delivery: &Delivery, grounds: &Grounds, until: Instant) -> Put {
        let until = until.max(Instant::now() + PUT_ASIDE_MIN);
        let _place = self.shelf.place();
        loop {
            let mut turn = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Put::Nowhere,
                turn = timeout_at(until, self.shelf.turn()) => match turn {
                    Ok(turn) => turn,
                    Err(_) => return Put::Nowhere,
                },
            };
            let letter = dead_letter(delivery, grounds, &self.names, self.frame_max);
            let published = tokio::select! {
                biased;
                published = timeout_at(until, self.dead.publish(vec![letter])) => published,
                // Not confirmed, it is not acknowledged either, and comes again.
                () = self.last_confirm() => return Put::Held,
            };
            let Ok(published) = published else { return Put::Held };
            let fate = match published.map(|fates| fates.first().copied()) {
                Ok(Some(fate)) => fate,
                Ok(None) => return Put::Failed(BrokerError::DeadLetterRefused),
                Err(error) => return Put::Failed(error),
            };
            match fate {
                Fate::Confirmed => {
                    turn.is_taken();
                    warn!(
                        event = "signup.dead_lettered",
                        signup_id = grounds.signup_id,
                        reason = grounds.reason.as_str(),
                        mistakes = grounds.mistakes("; "),
                        dead_queue = self.names.dead_queue.as_str(),
                        "a message can't be taken and was put into the dead-letter queue"
                    );
                    return Put::Aside;
                }
                // To connect again declares what is missing.
                Fate::Unroutable if self.parts.settings.topology == Topology::Declare => {
                    return Put::Failed(BrokerError::DeadLetterRefused);
                }
                Fate::Unroutable | Fate::Refused => {
                    if turn.is_refused() {
                        error!(
                            event = "signup.dead_letter_refused",
                            signup_id = grounds.signup_id,
                            reason = grounds.reason.as_str(),
                            dead_queue = self.names.dead_queue.as_str(),
                            waiting = self.shelf.waiting(),
                            "the dead-letter queue takes no messages; they wait in the signup queue. Is it full, or not bound?"
                        );
                    }
                    if !self.pause(until, turn.pause()).await {
                        return Put::Nowhere;
                    }
                }
            }
        }
    }

    /// Until the time for a last confirm is over, which begins when the consumer stops.
    async fn last_confirm(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(LAST_CONFIRM).await;
    }

    /// Lets the broker forget a message. Where that fails the connection is gone, and the broker delivers it again.
    async fn acknowledge(&self, delivery: &Delivery, settlement: Settlement) {
        let acknowledged = tokio::select! {
            biased;
            sent = self.acks.settle(delivery.delivery_tag, settlement) => sent,
            // One that is under way while its connection dies may never be answered by the library.
            () = self.gone.cancelled() => false,
            () = tokio::time::sleep(ACK_TIMEOUT) => false,
        };
        if !acknowledged {
            info!(event = "signup.ack_failed", "a message could not be acknowledged in time; it will come again");
        }
    }
}
