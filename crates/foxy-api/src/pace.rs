//! The pace: how many requests are sent in what time, and until when none is.
//!
//! A call waits for its turn once, before it begins, and what it needs on the way (a token, a link, a second sending) is
//! not held up: those that come later wait the longer for it. So waiting never eats into the time of a call that has
//! begun, and over time no more requests are sent than the rate allows. Calls wait in two [lines](Line).

mod lines;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub use lines::Line;
use lines::{Lines, Ticket};

/// How many requests a client sends at most, whatever for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests per second, from 0.001 to 1,000,000.
    pub per_second: f64,
    /// How many may be sent at once after a rest, at least 1.
    pub burst: u32,
}

/// The slowest that Foxy's own word makes us, as a part of the rate that was set.
const FLOOR: u32 = 16;

/// After so many good answers in a row the rate goes up by a step.
const ANSWERS_A_STEP: u32 = 10;

/// A step up, as a part of the rate that was set.
const STEP: f64 = 0.1;

/// All requests of one client pass here.
#[derive(Debug)]
pub(crate) struct Pace {
    /// From one request to the next at full speed; zero without a limit.
    full_speed: Duration,
    burst: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// From one request to the next as of now.
    interval: Duration,
    /// When the burst is whole again, if nothing more is sent.
    rested_at: Instant,
    /// Nothing is sent before this.
    held_until: Instant,
    /// How often Foxy has asked us to slow down.
    slowings: u64,
    lines: Lines,
    /// Whether waiting is over for good.
    is_closed: bool,
    /// Good answers since the last step.
    good: u32,
    is_slow: bool,
}

/// The right to send one request.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn {
    /// How often we had been slowed down when it was given out.
    slowings: u64,
}

/// A place in a line; given up when dropped.
struct Waiting<'a> {
    pace: &'a Pace,
    ticket: Ticket,
}

/// The turn would come only after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLate(pub(crate) Duration);

impl Rate {
    /// Whether it can be kept.
    pub(crate) fn is_sound(&self) -> bool {
        (0.001..=1_000_000.0).contains(&self.per_second) && self.burst > 0
    }
}

impl Pace {
    /// At this rate. Without one nothing waits, unless Foxy asks for it.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        let full_speed = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(rate.per_second.recip()));
        let now = Instant::now();
        let state = State {
            interval: full_speed,
            rested_at: now,
            held_until: now,
            slowings: 0,
            lines: Lines::default(),
            is_closed: false,
            good: 0,
            is_slow: false,
        };
        let burst = rate.map_or(1, |rate| rate.burst);
        Self { full_speed, burst, state: Mutex::new(state) }
    }

    /// Waits in `line` for a turn. Refuses as soon as it is known that it would come after `latest`; one that can be had
    /// at once is given even then.
    pub(crate) async fn turn(&self, line: Line, latest: Instant) -> Result<Turn, TooLate> {
        let waiting = {
            let mut state = self.lock();
            let now = Instant::now();
            let at = state.turn_at(state.lines.behind(line), self.burst, now);
            if at <= now && state.lines.are_empty() {
                return Ok(state.give(now));
            }
            if at > latest || state.is_closed {
                return Err(TooLate(at - now));
            }
            Waiting { pace: self, ticket: state.lines.join(line) }
        };
        loop {
            let until = {
                let mut state = self.lock();
                let now = Instant::now();
                let ahead = state.lines.ahead_of(&waiting.ticket);
                let at = state.turn_at(ahead, self.burst, now);
                if ahead == 0 && at <= now {
                    state.lines.serve(&waiting.ticket);
                    return Ok(state.give(now));
                }
                if at > latest.max(now) || state.is_closed {
                    return Err(TooLate(at - now));
                }
                // The one ahead wakes the next when it leaves; until then only a turn that comes too late is of interest.
                if ahead == 0 { Some(at) } else { Some(latest).filter(|latest| *latest > now) }
            };
            let woken = waiting.ticket.woken();
            match until {
                Some(until) => tokio::select! { () = sleep_until(until) => {}, () = woken => {} },
                None => woken.await,
            }
        }
    }

    /// The right to send a request that belongs to a call under way, at once and at the cost of later ones; refused only
    /// while nothing may be sent. With the call's own turn nothing is charged again.
    pub(crate) fn pass(&self, turn: Option<Turn>) -> Result<Turn, TooLate> {
        let mut state = self.lock();
        let now = Instant::now();
        let held = state.held_until.saturating_duration_since(now);
        if !held.is_zero() {
            return Err(TooLate(held));
        }
        Ok(turn.unwrap_or_else(|| state.give(now)))
    }

    /// Foxy asks us to slow down: half the rate from here on, and nothing at all for as long as it says.
    pub(crate) fn slow_down(&self, turn: &Turn, wait: Option<Duration>) {
        let mut state = self.lock();
        let now = Instant::now();
        let held_until = now + wait.unwrap_or_default();
        // Requests that were under way together are told together, which is one word and not many.
        let is_new = turn.slowings == state.slowings;
        if !is_new && held_until <= state.held_until {
            return;
        }
        if is_new {
            state.slowings += 1;
            state.interval = (state.interval * 2).min(self.full_speed * FLOOR);
            state.is_slow = true;
        }
        state.good = 0;
        state.held_until = state.held_until.max(held_until);
        // There is no burst at the end, and some of those that wait would now come too late.
        state.rested_at = state.held_until.max(now) + state.interval * self.burst;
        state.lines.wake_all();
        let hold_s = state.held_until.saturating_duration_since(now).as_secs_f64();
        let per_second = (!state.interval.is_zero()).then(|| state.interval.as_secs_f64().recip());
        drop(state);
        // Without a rate and without a wait there is nothing that is slower now.
        if is_new && (hold_s > 0.0 || per_second.is_some()) {
            tracing::warn!(
                event = "foxy.slowed",
                hold_s,
                per_second,
                "Foxy asks us to slow down; all calls of this worker wait, and then go on more slowly"
            );
        }
    }

    /// Foxy has answered as it should.
    pub(crate) fn answered(&self) {
        let mut state = self.lock();
        if !state.is_slow {
            return;
        }
        state.good += 1;
        if state.good < ANSWERS_A_STEP {
            return;
        }
        state.good = 0;
        if !state.interval.is_zero() {
            let faster = state.interval.as_secs_f64().recip() + STEP * self.full_speed.as_secs_f64().recip();
            let mut faster = Duration::from_secs_f64(faster.recip()).max(self.full_speed);
            // To the microsecond: the steps are fractions that may miss the mark by a hair.
            if faster - self.full_speed < Duration::from_micros(1) {
                faster = self.full_speed;
            }
            state.speed_up(faster, self.burst, Instant::now());
            state.lines.wake_first();
        }
        if state.interval == self.full_speed {
            state.is_slow = false;
            drop(state);
            tracing::info!(event = "foxy.full_speed", "calls are sent at their full rate again");
        }
    }

    /// From here on nobody waits any more: a turn is to be had at once or not at all.
    pub(crate) fn stop_waiting(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.lines.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change is left half-made by a panic: nothing in between can.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When a request may be sent that lets this many others go first.
    fn turn_at(&self, ahead: u32, burst: u32, now: Instant) -> Instant {
        // A burst is borrowed from the rest before it.
        let borrowed = self.interval * (burst - 1);
        let in_line = (self.rested_at.max(now) + self.interval * ahead).checked_sub(borrowed).unwrap_or(now);
        in_line.max(self.held_until).max(now)
    }

    fn give(&mut self, now: Instant) -> Turn {
        self.charge(now);
        Turn { slowings: self.slowings }
    }

    fn charge(&mut self, now: Instant) {
        self.rested_at = self.rested_at.max(now) + self.interval;
    }

    /// A shorter interval from here on. What is spent of the burst is so many requests, and not so much time: left as it
    /// is, the next request would come later than without the step.
    fn speed_up(&mut self, interval: Duration, burst: u32, now: Instant) {
        let slower = std::mem::replace(&mut self.interval, interval);
        let owed = self.rested_at.saturating_duration_since(now);
        let spent = owed.min(slower * (burst - 1));
        self.rested_at = now + (owed - spent) + spent.mul_f64(interval.as_secs_f64() / slower.as_secs_f64());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pace.lock().lines.leave(&self.ticket);
    }
}

#[cfg(test)]
mod tests;
