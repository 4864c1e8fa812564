//! The gate: closed while calls to Foxy are of no use, so that signups wait instead of failing.
//!
//! Two things close it, each by itself and each with log lines of its own: a fault of the set-up, which every call would
//! meet (`foxy.paused`), and an outage of Foxy (`foxy.down`, see [`breaker`]). While it is closed no call is sent,
//! nothing is claimed and nothing is taken from the broker; a harmless read finds out when that is over.

mod breaker;
mod keeper;
mod suspicion;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foxy_api::SetupFault;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::schedule::Schedule;
use breaker::{Breaker, Recovered, Standing};
use suspicion::{Suspicion, Verdict};

/// When a gate closes, and how often it looks whether it may open.
#[derive(Debug, Clone, Copy)]
pub struct GateSettings {
    /// How long to wait between looks at a fault of the set-up. A person has to mend it.
    pub pause: Schedule,
    /// How long to wait between looks for a Foxy that is down. It comes back by itself.
    pub look: Schedule,
    /// Consecutive outages after which Foxy is considered down; 0 disables the breaker.
    pub failures: u32,
}

impl Default for GateSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            pause: Schedule::new(seconds(5), seconds(300)),
            look: Schedule::new(seconds(1), seconds(60)),
            failures: 5,
        }
    }
}

/// Whether calls to Foxy may be sent. Cheap to clone; all clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: GateSettings,
    open: watch::Sender<bool>,
    /// Whether something new may be begun, too.
    open_for_new: watch::Sender<bool>,
    state: Mutex<State>,
    /// Notified whenever the state has changed.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    is_paused: bool,
    of_client: Suspicion,
    of_users: Suspicion,
    /// A harmless call is to show whether a fault is of the set-up.
    is_in_question: bool,
    /// How often it was closed for the set-up, or found unmended, since something was made.
    pauses: u32,
    /// Nothing is claimed before this: the rate of calls would hold it back anyway.
    held_until: Option<Instant>,
    /// The same for what has not begun: those wait in a line of their own.
    new_held_until: Option<Instant>,
}

/// What the end of a call says of Foxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It answers.
    Answered,
    /// It can't be reached, or is ill.
    Outage,
    /// Nothing.
    None,
}

/// By what right a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// The client's own.
    Client,
    /// A user's.
    User,
}

/// Why a call may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// A fault of the set-up.
    Paused,
    /// Foxy is down.
    Down,
}

/// The right to send one create call.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Gate,
    is_trial: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GateSettings::default())
    }
}

impl Gate {
    /// An open gate.
    pub fn new(settings: GateSettings) -> Self {
        let state = State {
            breaker: Breaker::new(settings.failures),
            is_paused: false,
            of_client: Suspicion::default(),
            of_users: Suspicion::default(),
            is_in_question: false,
            pauses: 0,
            held_until: None,
            new_held_until: None,
        };
        let shared = Shared {
            settings,
            open: watch::Sender::new(true),
            open_for_new: watch::Sender::new(true),
            state: Mutex::new(state),
            changed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether work may be claimed now.
    pub fn is_open(&self) -> bool {
        *self.shared.open.borrow()
    }

    /// Whether something that has not begun may be claimed, too.
    pub(crate) fn may_begin(&self) -> bool {
        *self.shared.open_for_new.borrow()
    }

    /// To wait until work may be claimed, or to follow the gate.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.shared.open.subscribe()
    }

    /// To wait until something new may be begun.
    pub fn watch_for_new(&self) -> watch::Receiver<bool> {
        self.shared.open_for_new.subscribe()
    }

    /// How it stands, in a word for the log.
    pub fn standing(&self) -> &'static str {
        let state = self.lock();
        match state.breaker.standing() {
            _ if state.is_paused => "paused",
            Standing::Down => "down",
            Standing::Trying => "trying",
            Standing::Up if state.held_until.or(state.new_held_until).is_some() => "held",
            Standing::Up => "open",
        }
    }

    /// Whether the end of a call says something of its signup, and not only of an outage or a set-up at fault.
    pub(crate) fn is_up(&self) -> bool {
        let state = self.lock();
        !state.is_paused && state.breaker.standing() == Standing::Up
    }

    /// The right to send a create call. After an outage one is tried at a time, and the others wait for what comes of it.
    pub(crate) async fn pass(&self) -> Result<Pass, Closed> {
        loop {
            // Before the state is looked at, so that no change in between is missed.
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                state.is_closed()?;
                match state.breaker.standing() {
                    Standing::Up => return Ok(Pass { gate: self.clone(), is_trial: false }),
                    _ if state.breaker.take_trial() => return Ok(Pass { gate: self.clone(), is_trial: true }),
                    _ => {}
                }
            }
            changed.await;
        }
    }

    /// Whether a create that has a pass may still be sent: it may have waited for its turn while the gate was closed.
    pub(crate) fn still_lets(&self, pass: &Pass) -> Result<(), Closed> {
        let state = self.lock();
        state.is_closed()?;
        match state.breaker.standing() {
            Standing::Trying if !pass.is_trial => Err(Closed::Down),
            _ => Ok(()),
        }
    }

    /// Whether a lookup may be sent. It only reads, so none waits for a trial.
    pub(crate) fn may_look(&self) -> Result<(), Closed> {
        self.lock().is_closed()
    }

    /// A call or a lookup has ended: what it says of Foxy, a fault of the set-up that every call would meet, and how it
    /// ended in words.
    pub(crate) fn saw(&self, pass: Option<Pass>, sign: Sign, fault: Option<&SetupFault>, how: Option<&str>) {
        let is_trial = pass.as_ref().is_some_and(|pass| pass.is_trial);
        let now = Instant::now();
        let mut state = self.lock();
        match sign {
            Sign::Answered if pass.is_none() => state.breaker.lookup_answered(),
            Sign::Answered => say_recovered(state.breaker.answered(is_trial, now)),
            Sign::Outage => {
                let how = how.unwrap_or("no answer");
                let opened = match &pass {
                    None => state.breaker.lookup_failed(how, now),
                    Some(_) => state.breaker.failed(is_trial, how, now),
                };
                if opened {
                    tracing::warn!(
                        event = "foxy.down",
                        failures = state.breaker.failures(),
                        last = how,
                        "Foxy is down: no call is sent until it answers again. No signup is lost, and work continues by \
                         itself",
                    );
                }
            }
            Sign::None => {}
        }
        if let Some(fault) = fault {
            state.pause(fault);
        }
        self.publish(&mut state);
        drop(state);
        // Gives back a trial that nothing has come of.
        drop(pass);
    }

    /// A call for this signup, or user, has met a fault that may be its alone: it pauses calls once enough others have met it
    /// too, or a harmless call does.
    pub(crate) fn suspect(&self, right: Right, fault: &SetupFault, whose: &str) {
        let mut state = self.lock();
        match state.suspicion(right).met(fault, whose) {
            Verdict::Known => {}
            Verdict::Look => state.is_in_question = true,
            Verdict::OfAll => state.pause(fault),
        }
        self.publish(&mut state);
    }

    /// A create with this right was answered.
    pub(crate) fn right_is_good(&self, right: Right) {
        self.lock().suspicion(right).is_disproved();
    }

    /// Something was made: the next fault of the set-up is a new one.
    pub(crate) fn succeeded(&self) {
        self.lock().pauses = 0;
    }

    /// Nothing is to be claimed for so long.
    pub(crate) fn hold(&self, wait: Duration) {
        let mut state = self.lock();
        state.held_until = state.held_until.max(Some(Instant::now() + wait));
        self.publish(&mut state);
    }

    /// Nothing new is to be begun for so long.
    pub(crate) fn hold_new(&self, wait: Duration) {
        let mut state = self.lock();
        state.new_held_until = state.new_held_until.max(Some(Instant::now() + wait));
        self.publish(&mut state);
    }

    /// Lets everybody know how the state is now.
    fn publish(&self, state: &mut State) {
        let open = state.is_closed().is_ok() && state.held_until.is_none();
        let open_for_new = open && state.new_held_until.is_none();
        self.shared.open.send_if_modified(|is_open| std::mem::replace(is_open, open) != open);
        self.shared.open_for_new.send_if_modified(|is_open| std::mem::replace(is_open, open_for_new) != open_for_new);
        self.shared.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic can come between the parts of a change.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_closed(&self) -> Result<(), Closed> {
        match self.breaker.standing() {
            _ if self.is_paused => Err(Closed::Paused),
            Standing::Down => Err(Closed::Down),
            Standing::Up | Standing::Trying => Ok(()),
        }
    }

    fn suspicion(&mut self, right: Right) -> &mut Suspicion {
        match right {
            Right::Client => &mut self.of_client,
            Right::User => &mut self.of_users,
        }
    }

    /// Stops all calls until a person has mended the set-up. Logged once, however many calls meet the fault.
    fn pause(&mut self, fault: &SetupFault) {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.pauses = self.pauses.saturating_add(1);
            tracing::error!(
                event = "foxy.paused",
                fault = %fault,
                "calls to Foxy are paused: this fault is of the set-up, so every call would meet it. \
                 No signup is lost; mend it, and work continues by itself",
            );
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_trial {
            let mut state = self.gate.lock();
            state.breaker.give_trial_back(Instant::now());
            self.gate.publish(&mut state);
        }
    }
}

fn say_recovered(over: Option<Recovered>) {
    if let Some(Recovered { lasted, failures, last }) = over {
        let down_s = lasted.as_secs();
        tracing::info!(event = "foxy.up", down_s, failures, last, "Foxy answers again");
    }
}

#[cfg(test)]
mod tests;
