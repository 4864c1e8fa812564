//! Where events go: straight into the ledger, or to the broker.

use anyhow::Context as _;
use foxden_intake::{Admitted, AmqpSettings, Door, Publisher, SignupEvent};
use foxden_ledger::Source;

use crate::{key_check, settings::Settings, wiring};

/// So many events go into the ledger in one transaction.
const LEDGER_BATCH: usize = 500;
/// So many are sent to the broker before their confirms are waited for.
const BROKER_BATCH: usize = 1000;

/// An open way for events.
pub(super) enum Destination {
    Ledger(Door),
    Broker(Box<Publisher>),
}

/// What came of one event.
pub(super) enum Answer {
    Submitted,
    Known,
    Corrected,
    /// Not taken, and why.
    Refused(String),
}

impl Destination {
    /// The ledger, with keys that fit it.
    pub(super) async fn ledger(settings: Settings) -> anyhow::Result<Self> {
        let ledger = wiring::ledger(&settings).await?;
        wiring::warn_of_risks(&ledger).await?;
        let custody = wiring::custody(settings.keys)?;
        key_check::check(&ledger, &custody, None).await?;
        Ok(Self::Ledger(Door::new(ledger, custody, Source::Submit)))
    }

    /// How many events it takes at once.
    pub(super) const fn batch(&self) -> usize {
        match self {
            Self::Ledger(_) => LEDGER_BATCH,
            Self::Broker(_) => BROKER_BATCH,
        }
    }

    /// Submits events, each with its text; the answers are in their order. All are committed, or confirmed, by then.
    pub(super) async fn take(&self, texts: &[&[u8]], events: &[SignupEvent]) -> anyhow::Result<Vec<Answer>> {
        match self {
            Self::Ledger(door) => {
                let admitted = door.admit_queued(events).await.context("the ledger did not take the next events")?;
                Ok(admitted.iter().zip(events).map(|(admitted, event)| answer(admitted, event)).collect())
            }
            Self::Broker(publisher) => {
                let signups = events.iter().map(|event| &event.signup_id).zip(texts.iter().copied());
                publisher.publish_signups(signups).await.context("the broker did not take the next events")?;
                Ok(events.iter().map(|_| Answer::Submitted).collect())
            }
        }
    }

    /// Takes leave.
    pub(super) async fn close(self) {
        if let Self::Broker(publisher) = self {
            publisher.close().await;
        }
    }
}

/// Connects to the broker.
pub(super) async fn broker(amqp: &AmqpSettings) -> anyhow::Result<Publisher> {
    let publisher = Publisher::connect(amqp).await;
    publisher.with_context(|| format!("could not reach the broker at {}", amqp.url.display()))
}

fn answer(admitted: &Admitted, event: &SignupEvent) -> Answer {
    match admitted {
        Admitted::Queued | Admitted::Leased(_) => Answer::Submitted,
        Admitted::Duplicate(_) => Answer::Known,
        Admitted::Corrected(_) => Answer::Corrected,
        Admitted::Conflict(_, why) => {
            Answer::Refused(format!("signup {} is known with other content, which stays: {why}", event.signup_id))
        }
        Admitted::Damaged(error) => Answer::Refused(format!("signup {} is known, but {error}", event.signup_id)),
    }
}
