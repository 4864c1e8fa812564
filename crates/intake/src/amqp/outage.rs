//! Telling of an outage: once when it begins, now and then while it lasts, once when it is over.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::broker_error::BrokerError;
use crate::pace::Pace;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one: the next loss is a new matter, and is answered at once.
const GOOD_AFTER: Duration = Duration::from_secs(30);
/// How often a lasting outage is told of again.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// How one connection to the broker fares, and when to try again.
pub(super) struct Outage {
    role: &'static str,
    broker: String,
    pace: Pace,
    up_since: Option<Instant>,
    down_since: Option<Instant>,
    told_at: Option<Instant>,
}

impl Outage {
    /// Nothing tried yet. `broker` is what may be shown of its address.
    pub(super) fn new(role: &'static str, broker: String) -> Self {
        let pace = Pace::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { role, broker, pace, up_since: None, down_since: None, told_at: None }
    }

    /// Connected, and all is declared.
    pub(super) fn is_up(&mut self) {
        let down_s = self.down_since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.told_at = None;
        self.up_since = Some(Instant::now());
        info!(event = "broker.connected", role = self.role, broker = self.broker, down_s, "connected to the broker");
    }

    /// It was up and is no more.
    pub(super) fn is_lost(&mut self, why: &BrokerError) {
        if self.up_since.take().is_some_and(|since| since.elapsed() >= GOOD_AFTER) {
            self.pace.reset();
        }
        self.down_since = Some(Instant::now());
        self.told_at = Some(Instant::now());
        let error = why.in_full();
        if why.is_refusal() {
            self.refused(&error);
        } else {
            warn!(
                event = "broker.lost",
                role = self.role,
                broker = self.broker,
                error,
                "lost the broker; reconnecting"
            );
        }
    }

    /// It could not be reached, or would not have us.
    pub(super) fn is_still_down(&mut self, why: &BrokerError) {
        let since = *self.down_since.get_or_insert_with(Instant::now);
        if self.told_at.is_some_and(|told| told.elapsed() < REMIND_AFTER) {
            return;
        }
        self.told_at = Some(Instant::now());
        let error = why.in_full();
        if why.is_refusal() {
            self.refused(&error);
        } else {
            let down_s = since.elapsed().as_secs_f64();
            let (role, broker) = (self.role, &self.broker);
            warn!(event = "broker.unreachable", role, broker, down_s, error, "can't reach the broker; trying on");
        }
    }

    fn refused(&self, error: &str) {
        error!(
            event = "broker.refused",
            role = self.role,
            broker = self.broker,
            error,
            "the broker is there and refuses; check credentials, permissions, and queues that exist with other arguments"
        );
    }

    /// Waits for the next try. Answers false if it is time to stop instead.
    pub(super) async fn pause(&mut self, shutdown: &CancellationToken) -> bool {
        let pause = self.pace.pause();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}
