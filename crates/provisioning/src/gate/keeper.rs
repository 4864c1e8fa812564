//! Opening the gate again.

use std::{fmt::Display, time::Duration};

use foxy_api::ReadError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Gate, Standing, State, say_recovered};
use crate::calls::Calls;

/// How long to wait, after Foxy has answered a look, for a call to be tried: longer than any retry waits (the default
/// of `FOXDEN_RETRY_MAX`, and half as much again). Meanwhile no call is held up.
const TRIAL_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What is to be done next, and when.
enum Next {
    /// Nothing until something changes.
    Rest,
    /// A look, after so long.
    Look(Duration),
    /// No call came to be tried.
    EndTrial(Instant),
    /// The rate allows calls again.
    Release(Instant),
}

impl Gate {
    /// Opens the gate again once a harmless read succeeds, with pauses that grow. Ends with `stop`.
    ///
    /// A read may succeed where a create call is still refused (a captcha, say) or unanswered. Then the gate closes
    /// again, and stays closed for longer.
    pub async fn keep(&self, foxy: &impl Calls, stop: &CancellationToken) {
        // Cancelled at its awaits only, none of which leaves anything half-done.
        stop.run_until_cancelled(async {
            loop {
                self.keep_once(foxy).await;
            }
        })
        .await;
    }

    async fn keep_once(&self, foxy: &impl Calls) {
        let changed = self.shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let next = self.next();
        match next {
            Next::Rest => changed.await,
            Next::Look(wait) => {
                tokio::time::sleep(wait).await;
                let seen = foxy.probe().await;
                self.looked(seen);
            }
            Next::EndTrial(at) | Next::Release(at) => {
                // What has changed may be something else to wait for.
                tokio::select! { () = sleep_until(at) => self.time_is_over(), () = changed => {} }
            }
        }
    }

    fn next(&self) -> Next {
        let settings = &self.shared.settings;
        let state = self.lock();
        if state.breaker.standing() == Standing::Down {
            return Next::Look(settings.look.wait(state.breaker.looks()));
        }
        if state.is_paused {
            return Next::Look(settings.pause.wait(state.pauses.saturating_sub(1)));
        }
        if state.is_in_question {
            return Next::Look(Duration::ZERO);
        }
        let held_until = [state.held_until, state.new_held_until].into_iter().flatten().min();
        match (held_until, state.breaker.trial_due_since()) {
            (Some(until), _) => Next::Release(until),
            (None, Some(since)) => Next::EndTrial(since + TRIAL_PATIENCE),
            (None, None) => Next::Rest,
        }
    }

    pub(super) fn looked(&self, seen: Result<(), ReadError>) {
        let now = Instant::now();
        let mut state = self.lock();
        state.is_in_question = false;
        match seen {
            Ok(()) => {
                state.resume();
                state.breaker.saw_foxy(now);
            }
            // Foxy is there, and says what is wrong.
            Err(ReadError::SetupFault(fault)) => {
                say_recovered(state.breaker.recover(now));
                state.still_paused(&fault);
                state.pause(&fault);
            }
            // It is our own rate, or Foxy's word on it, that kept us from looking. The next look is no later for it.
            Err(ReadError::HeldBack { .. } | ReadError::RateLimited { .. }) => {}
            Err(error) => {
                state.still_paused(&error);
                if state.breaker.standing() == Standing::Down {
                    tracing::debug!(event = "foxy.still_down", error = %error, "Foxy does not answer yet");
                }
                state.breaker.saw_nobody();
            }
        }
        self.publish(&mut state);
    }

    pub(super) fn time_is_over(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.held_until.is_some() || state.new_held_until.is_some() {
            state.held_until = state.held_until.filter(|until| *until > now);
            state.new_held_until = state.new_held_until.filter(|until| *until > now);
            // While new work was held back, no call could come to be tried.
            state.breaker.expect_trial(now);
        } else if state.breaker.trial_due_since().is_some_and(|since| since + TRIAL_PATIENCE <= now) {
            say_recovered(state.breaker.recover(now));
        }
        self.publish(&mut state);
    }
}

impl State {
    /// A look at a set-up that was at fault has not found it mended.
    fn still_paused(&mut self, error: &dyn Display) {
        if self.is_paused {
            self.pauses = self.pauses.saturating_add(1);
            tracing::debug!(event = "foxy.still_paused", error = %error, "the set-up is not mended yet");
        }
    }

    /// Ends a pause, if there is one.
    fn resume(&mut self) {
        if std::mem::replace(&mut self.is_paused, false) {
            tracing::info!(event = "foxy.resumed", "calls to Foxy are sent again");
        }
    }
}
