//! Messages that wait for a dead-letter queue that takes nothing.

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::Instant,
};

use crate::pace::Pace;

/// How a dead queue that takes nothing is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often it is reported while it lasts.
const REMIND_AFTER: Duration = Duration::from_secs(60);

/// Lets one message at a time try the dead queue, and counts those that wait for it.
pub(super) struct Shelf {
    state: Mutex<State>,
    standing: watch::Sender<Standing>,
}

/// How things stand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    waiting: usize,
    /// Whether the dead queue has taken nothing when it was last tried.
    is_refusing: bool,
}

struct State {
    pace: Pace,
    reported: Option<Instant>,
}

/// The right to try.
pub(super) struct Turn<'a>(MutexGuard<'a, State>, &'a watch::Sender<Standing>);

/// A message's place among those that wait.
pub(super) struct Place<'a>(&'a watch::Sender<Standing>);

impl Shelf {
    pub(super) fn new() -> Self {
        let state = State { pace: Pace::new(FIRST_PAUSE, LONGEST_PAUSE), reported: None };
        Self { state: Mutex::new(state), standing: watch::Sender::default() }
    }

    /// Waits for the right to try, in the order of coming.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn(self.state.lock().await, &self.standing)
    }

    /// Counts a message until the place is dropped.
    pub(super) fn place(&self) -> Place<'_> {
        self.standing.send_modify(|standing| standing.waiting += 1);
        Place(&self.standing)
    }

    /// How many wait for a dead queue that takes nothing.
    pub(super) fn waiting(&self) -> usize {
        let standing = *self.standing.borrow();
        if standing.is_refusing { standing.waiting } else { 0 }
    }

    /// Says when that changes.
    pub(super) fn changes(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}

impl Turn<'_> {
    /// The dead queue takes messages: the next one need not wait.
    pub(super) fn is_taken(&mut self) {
        self.0.pace.reset();
        self.0.reported = None;
        self.1.send_modify(|standing| standing.is_refusing = false);
    }

    /// How long to keep the turn before the next one tries.
    pub(super) fn pause(&mut self) -> Duration {
        self.0.pace.pause()
    }

    /// It takes none. Answers whether that is to be reported.
    pub(super) fn is_refused(&mut self) -> bool {
        self.1.send_modify(|standing| standing.is_refusing = true);
        let is_due = self.0.reported.is_none_or(|at| at.elapsed() >= REMIND_AFTER);
        if is_due {
            self.0.reported = Some(Instant::now());
        }
        is_due
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|standing| standing.waiting -= 1);
    }
}
