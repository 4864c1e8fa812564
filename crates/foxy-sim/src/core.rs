//! What all requests share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::allows::Allows;
use crate::config::{CaptchaPolicy, Latency};
use crate::dice::Dice;
use crate::faults::{Faults, Verdict};
use crate::journal::Entry;
use crate::records::Records;
use crate::resource::Resource;
use crate::routes::{GrantType, Route};

/// What all requests share.
pub(crate) struct Core {
    /// The API home without a trailing slash; every link starts with it.
    pub(crate) base: String,
    /// How long a new access token lives.
    pub(crate) access_token_lifetime: Duration,
    /// How long a new authorization code can be exchanged.
    pub(crate) code_lifetime: Duration,
    /// Which creations demand an hCaptcha code.
    pub(crate) captcha: CaptchaPolicy,
    /// The one code that they take; `None`: any.
    pub(crate) captcha_code: Option<String>,
    /// What is allowed of the things that Foxy's documentation leaves open.
    pub(crate) allows: Allows,
    /// Clients, users, stores and tokens.
    pub(crate) records: Mutex<Records>,
    /// The fault script at work.
    pub(crate) faults: Mutex<Faults>,
    /// The latency, and the dice for it.
    pub(crate) latency: Mutex<(Latency, Dice)>,
    /// Requests by route name.
    pub(crate) counts: Mutex<BTreeMap<String, u64>>,
    /// Token requests by grant type; they are among the requests, too.
    pub(crate) token_counts: Mutex<BTreeMap<GrantType, u64>>,
    /// Connections accepted.
    pub(crate) connections: AtomicU64,
    /// Turns true when the simulator stops.
    pub(crate) stopping: watch::Sender<bool>,
}

/// Locks, whether or not another holder panicked: one failed request must not end the simulator.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Counts a request and asks the fault script about it.
    pub(crate) fn receive(&self, route: Option<Route>, grant_type: Option<GrantType>) -> Verdict {
        let name = route.map_or_else(|| "(no route)".to_owned(), Route::name);
        *lock(&self.counts).entry(name).or_default() += 1;
        if let Some(grant_type) = grant_type {
            *lock(&self.token_counts).entry(grant_type).or_default() += 1;
        }
        lock(&self.faults).judge(route, grant_type)
    }

    /// The waiting times before and after the work.
    pub(crate) fn delays(&self) -> (Duration, Duration) {
        let (latency, dice) = &mut *lock(&self.latency);
        if latency.max.is_zero() {
            return (Duration::ZERO, Duration::ZERO);
        }
        let half = dice.between(latency.min, latency.max) / 2;
        (half, half)
    }

    /// Lets time pass. `false`: the simulator stopped meanwhile, and what was to follow must not happen.
    pub(crate) async fn pause(&self, duration: Duration) -> bool {
        let mut stopping = self.stopping.subscribe();
        if *stopping.borrow() {
            return false;
        }
        if duration.is_zero() {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => true,
            _ = stopping.wait_for(|stopping| *stopping) => false,
        }
    }

    /// Books that the answer with this resource's token has left.
    pub(crate) fn book_answered(&self, resource: Resource) {
        // Best effort, as documented: a full disk has already been told to whoever creates next.
        let _ = lock(&self.records).commit(Entry::Answered(resource));
    }
}
