//! Telling of an outage: once when it begins, now and then while it lasts, once when it is over.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    broker_error::{BrokerError, IntakeError},
    settings::AmqpSettings,
};
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
    give_up_after: Option<Duration>,
    pace: Pace,
    up_since: Option<Instant>,
    down_since: Option<Instant>,
    refused_since: Option<Instant>,
    told_away: Option<Instant>,
    told_refused: Option<Instant>,
}

impl Outage {
    /// Nothing tried yet.
    pub(super) fn new(role: &'static str, settings: &AmqpSettings) -> Self {
        Self {
            role,
            broker: settings.url.display(),
            give_up_after: settings.give_up_after,
            pace: Pace::new(FIRST_PAUSE, LONGEST_PAUSE),
            up_since: None,
            down_since: None,
            refused_since: None,
            told_away: None,
            told_refused: None,
        }
    }

    /// Connected, and all is there.
    pub(super) fn is_up(&mut self) {
        let down_s = self.down_since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        (self.told_away, self.told_refused) = (None, None);
        self.up_since = Some(Instant::now());
        info!(event = "broker.connected", role = self.role, broker = self.broker, down_s, "connected to the broker");
    }

    /// It was up and is no more.
    pub(super) fn is_lost(&mut self, why: &BrokerError) {
        self.is_over();
        self.down_since = Some(Instant::now());
        if self.is_refused(why) {
            return;
        }
        self.told_away = Some(Instant::now());
        let (role, broker, error) = (self.role, &self.broker, why.in_full());
        warn!(event = "broker.lost", role, broker, error, "lost the broker; reconnecting");
    }

    /// The connection has ended, in whichever way. A good one breaks a row of refusals; one that was refused at once after
    /// connecting, as where it may not publish, was none.
    fn is_over(&mut self) {
        if self.up_since.take().is_some_and(|since| since.elapsed() >= GOOD_AFTER) {
            self.pace.reset();
            self.refused_since = None;
        }
    }

    /// It could not be reached, or would not have us.
    pub(super) fn is_still_down(&mut self, why: &BrokerError) {
        let since = *self.down_since.get_or_insert_with(Instant::now);
        if self.is_refused(why) || !is_due(&mut self.told_away) {
            return;
        }
        let (role, broker, error) = (self.role, &self.broker, why.in_full());
        let down_s = since.elapsed().as_secs_f64();
        warn!(event = "broker.unreachable", role, broker, down_s, error, "can't reach the broker; trying on");
    }

    /// Takes note of a refusal. Anything else ends a row of them: a broker that restarts may refuse for moments.
    fn is_refused(&mut self, why: &BrokerError) -> bool {
        if !why.is_refusal() {
            self.refused_since = None;
            return false;
        }
        self.refused_since.get_or_insert_with(Instant::now);
        if is_due(&mut self.told_refused) {
            let (role, broker, error) = (self.role, &self.broker, why.in_full());
            error!(
                event = "broker.refused",
                role, broker, error, "the broker is there, but there is no working with it"
            );
        }
        true
    }

    /// Waits for the next try. Answers false if it is time to stop instead.
    ///
    /// # Errors
    /// When the broker has refused for as long as the settings allow.
    pub(super) async fn pause(&mut self, shutdown: &CancellationToken) -> Result<bool, IntakeError> {
        // One that was given back, since messages could not be taken, is told by nobody else.
        self.is_over();
        let mut pause = self.pace.pause();
        if let (Some(since), Some(limit)) = (self.refused_since, self.give_up_after) {
            let refused_for = since.elapsed();
            if refused_for >= limit {
                return Err(IntakeError::GaveUp { role: self.role, refused_for });
            }
            // One last look when the time is over.
            pause = pause.min(limit - refused_for);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(false),
            () = tokio::time::sleep(pause) => Ok(true),
        }
    }
}

/// Whether a kind of trouble is to be told of now; if so, takes note of it.
fn is_due(told: &mut Option<Instant>) -> bool {
    let is_due = told.is_none_or(|at| at.elapsed() >= REMIND_AFTER);
    if is_due {
        *told = Some(Instant::now());
    }
    is_due
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::{
        ErrorKind,
        protocol::{AMQPError, AMQPErrorKind, AMQPSoftError},
    };
    use tokio::time::{Instant, advance};
    use tokio_util::sync::CancellationToken;

    use super::Outage;
    use crate::{AmqpSettings, BrokerError, IntakeError, testing};

    const LIMIT: Duration = Duration::from_secs(300);

    fn outage(give_up_after: Option<Duration>) -> Outage {
        Outage::new("consumer", &AmqpSettings { give_up_after, ..testing::settings("amqp://mq.example", "t") })
    }

    fn refusal() -> BrokerError {
        let said = AMQPError::new(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED), "no".into());
        BrokerError::failed("consuming")(ErrorKind::ProtocolError(said).into())
    }

    /// Tries over and over, for so long; answers when it gave up.
    async fn refused_for(outage: &mut Outage, time: Duration) -> Option<Duration> {
        let (started, shutdown) = (Instant::now(), CancellationToken::new());
        while started.elapsed() < time {
            outage.is_still_down(&refusal());
            match outage.pause(&shutdown).await {
                Ok(true) => {}
                Ok(false) => unreachable!("nobody has asked to stop"),
                Err(IntakeError::GaveUp { refused_for, .. }) => return Some(refused_for),
                Err(error) => panic!("{error}"),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_refuses_without_a_break_is_given_up_when_the_time_is_over() {
        assert_eq!(refused_for(&mut outage(Some(LIMIT)), 2 * LIMIT).await, Some(LIMIT));
        assert_eq!(refused_for(&mut outage(None), 100 * LIMIT).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_was_away_in_between_is_not_given_up() {
        let mut outage = outage(Some(LIMIT));
        for _ in 0..10 {
            assert_eq!(refused_for(&mut outage, LIMIT / 2).await, None);
            outage.is_still_down(&BrokerError::Gone);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_refused_as_soon_as_it_is_used_breaks_no_row_of_refusals() {
        let (mut outage, shutdown) = (outage(Some(LIMIT)), CancellationToken::new());
        let started = Instant::now();
        loop {
            outage.is_up();
            outage.is_lost(&refusal());
            if outage.pause(&shutdown).await.is_err() {
                assert_eq!(started.elapsed(), LIMIT);
                break;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_lasted_breaks_a_row_of_refusals() {
        let (mut outage, shutdown) = (outage(Some(LIMIT)), CancellationToken::new());
        for _ in 0..10 {
            assert_eq!(refused_for(&mut outage, LIMIT / 2).await, None);
            outage.is_up();
            advance(Duration::from_secs(60)).await;
            outage.is_lost(&refusal());
            assert_eq!(outage.pause(&shutdown).await, Ok(true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_connection_that_was_given_back_breaks_a_row_of_refusals_too() {
        let (mut outage, shutdown) = (outage(Some(LIMIT)), CancellationToken::new());
        outage.is_still_down(&refusal());
        assert_eq!(outage.pause(&shutdown).await, Ok(true));
        outage.is_up();
        advance(2 * LIMIT).await;
        // As after `Ended::Held`: nothing was lost.
        assert_eq!(outage.pause(&shutdown).await, Ok(true));
    }
}
