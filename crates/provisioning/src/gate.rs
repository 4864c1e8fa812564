//! The gate: closed while every call would meet the same fault of the set-up, so that signups wait instead of failing.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use foxy_api::SetupFault;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{calls::Calls, schedule::Schedule};

/// How long a gate stays closed, unless told otherwise: doubled each time it closes again without a success in between.
const PAUSE: Schedule = Schedule::new(Duration::from_secs(5), Duration::from_secs(300));

/// Whether calls to Foxy may be sent. Cheap to clone; all clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate {
    open: watch::Sender<bool>,
    closings: Arc<Mutex<u32>>,
    pause: Schedule,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(PAUSE)
    }
}

impl Gate {
    /// An open gate that, once closed, stays so for as long as this schedule says.
    pub fn new(pause: Schedule) -> Self {
        Self { open: watch::Sender::new(true), closings: Arc::default(), pause }
    }

    /// Whether calls may be sent now.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// To wait until calls may be sent, or to follow the gate.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// Stops all calls until a person has mended the set-up. Logged once, however many calls met the fault.
    pub fn close(&self, fault: &SetupFault) {
        let was_open = self.open.send_replace(false);
        if was_open {
            *self.lock() += 1;
            tracing::error!(
                event = "foxy.paused",
                fault = %fault,
                "calls to Foxy are paused: this fault is of the set-up, so every call would meet it. \
                 No signup is lost; mend it, and work goes on by itself",
            );
        }
    }

    /// A create call succeeded: the next fault is a new one.
    pub fn succeeded(&self) {
        *self.lock() = 0;
    }

    /// Opens the gate again once a harmless read succeeds, looking ever more rarely. Ends with `stop`.
    ///
    /// A read may succeed where a create call is still refused (a captcha, say). Then the gate closes again, and stays
    /// closed for longer.
    pub async fn keep(&self, foxy: &impl Calls, stop: &CancellationToken) {
        let mut watch = self.watch();
        loop {
            let closed = async {
                // The sender lives in `self`, so waiting can't fail.
                drop(watch.wait_for(|open| !open).await);
            };
            if stop.run_until_cancelled(closed).await.is_none() {
                return;
            }
            let closings = *self.lock();
            if stop.run_until_cancelled(tokio::time::sleep(self.pause.wait(closings.saturating_sub(1)))).await.is_none()
            {
                return;
            }
            match stop.run_until_cancelled(foxy.probe()).await {
                None => return,
                Some(Ok(())) => {
                    tracing::info!(event = "foxy.resumed", "calls to Foxy are sent again");
                    self.open.send_replace(true);
                }
                Some(Err(error)) => {
                    *self.lock() += 1;
                    tracing::debug!(event = "foxy.still_paused", error = %error, "the set-up is not mended yet");
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u32> {
        // A count can't be left half-changed.
        self.closings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
