//! The worker: takes what is due, runs it under permits, keeps leases, and sweeps up after workers that vanished.

use std::{sync::Arc, time::Duration};

use foxden_custody::Escrow;
use foxden_ledger::{Claimed, GrantState, Ledger, LedgerWatch};
use foxy_api::Foxy;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    calls::Calls, capacity::Capacity, gate::Gate, leases::Leases, outcome::grant_expired_event, policy::LEASE_MARGIN,
    runner::Runner,
};

/// How often the escrow is looked into.
const ESCROW_PAUSE: Duration = Duration::from_secs(5);

/// How often grants are looked for whose time is over: people have days for them.
const EXPIRY_PAUSE: Duration = Duration::from_secs(30);

/// Runs what it is handed and what it claims, each provisioning under a permit of the shared capacity.
#[derive(Clone)]
pub struct Worker<F = Foxy> {
    ledger: Ledger,
    watch: LedgerWatch,
    runner: Runner<F>,
    leases: Leases,
    gate: Gate,
    capacity: Capacity,
    tasks: TaskTracker,
    /// Rung when a sweep has made something due.
    swept: Arc<Notify>,
}

impl<F: Calls> Worker<F> {
    /// A worker for at most as many provisionings at a time as `capacity` has room for.
    pub fn new(
        ledger: Ledger,
        watch: LedgerWatch,
        runner: Runner<F>,
        leases: Leases,
        gate: Gate,
        capacity: Capacity,
    ) -> Self {
        Self { ledger, watch, runner, leases, gate, capacity, tasks: TaskTracker::new(), swept: Arc::default() }
    }

    /// Runs one provisioning in the background; the permit comes back when it has ended, a panic included.
    pub fn hand_over(&self, claimed: Claimed, permit: OwnedSemaphorePermit) {
        let runner = self.runner.clone();
        self.tasks.spawn(async move {
            runner.run(claimed).await;
            drop(permit);
        });
    }

    /// Claims what is due and runs it, until `stop`. With nothing due it looks again after `poll`.
    pub async fn work_off(&self, poll: Duration, stop: &CancellationToken) {
        let mut gate = self.gate.watch();
        loop {
            let open = async {
                // The sender lives in `self.gate`, so waiting can't fail.
                drop(gate.wait_for(|open| *open).await);
            };
            if stop.run_until_cancelled(open).await.is_none() {
                return;
            }
            let Some(Some(mut permits)) = stop.run_until_cancelled(self.capacity.for_due()).await else {
                return;
            };
            // It may have closed while there was no room.
            if !self.gate.is_open() {
                continue;
            }
            let wanted = permits.len();
            let places = self.capacity.places(wanted, self.gate.may_begin());
            let claimed = self.ledger.claim_places(self.leases.owner(), places, self.leases.length()).await;
            let taken = match claimed {
                Ok(claims) => {
                    for error in claims.damaged {
                        tracing::error!(
                            event = "ledger.row_damaged",
                            error = %error,
                            "a row that is due can't be read and is left alone; was it written by a later release?",
                        );
                    }
                    let claimed = claims.claimed;
                    self.watch.is_up();
                    let taken = claimed.len();
                    for (claimed, permit) in claimed.into_iter().zip(permits.drain(..)) {
                        self.hand_over(claimed, permit);
                    }
                    taken
                }
                Err(error) => {
                    self.watch.is_down(&error);
                    0
                }
            };
            self.capacity.claimed(taken, wanted);
            drop(permits);
            let pause = async {
                tokio::select! { () = tokio::time::sleep(poll) => {}, () = self.swept.notified() => {} }
            };
            if taken < wanted && stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Moves calls whose worker vanished to `unknown`, and ends grants that no one completed, until `stop`.
    pub async fn sweep(&self, lookup_after: Duration, stop: &CancellationToken) {
        // Often enough that what a killed worker left is taken over soon after its lease has expired.
        let pause = (self.leases.length() / 10).clamp(Duration::from_millis(100), Duration::from_secs(2));
        // Its call has ended by this much before its lease did, and that is time in which it need not be waited for.
        let lookup_after = lookup_after.saturating_sub(LEASE_MARGIN);
        let mut expires_next = Instant::now();
        // At once when it starts: what it left itself, or others before it, may have waited for someone to come.
        loop {
            match self.ledger.sweep(lookup_after).await {
                Ok(swept) => {
                    self.watch.is_up();
                    if !swept.is_empty() {
                        self.swept.notify_one();
                    }
                    for row in swept {
                        tracing::warn!(
                            event = "lease.expired",
                            signup_id = row.signup_id,
                            attempt = row.intent,
                            step = %row.step,
                            "its worker vanished with a call announced; the call is looked up",
                        );
                    }
                }
                Err(error) => self.watch.is_down(&error),
            }
            // After a page there may be another.
            if expires_next <= Instant::now() && !self.expire_grants().await {
                expires_next = Instant::now() + EXPIRY_PAUSE;
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Ends a page of the grants that no one completed in time. `false`: there were none, or the ledger doesn't answer.
    async fn expire_grants(&self) -> bool {
        let tells = self.runner.policy.outcome_events;
        match self.ledger.expire_grants(tells.then_some(grant_expired_event)).await {
            Ok(ended) => {
                for overdue in &ended {
                    let (signup_id, grant) = (overdue.signup_id.as_str(), overdue.grant.id.as_str());
                    let reason = overdue.grant.reason.as_str();
                    if overdue.grant.state == GrantState::Expired {
                        tracing::warn!(
                            event = "grant.expired",
                            signup_id,
                            grant,
                            reason,
                            "no one granted access in time; the signup stands where it stood",
                        );
                    } else {
                        tracing::info!(
                            event = "grant.withdrawn",
                            signup_id,
                            grant,
                            reason,
                            "no one granted access in time, and no one need: the signup has come to its end",
                        );
                    }
                }
                if tells && !ended.is_empty() {
                    self.runner.outbox_filled.notify_one();
                }
                !ended.is_empty()
            }
            Err(error) => {
                self.watch.is_down(&error);
                false
            }
        }
    }

    /// Moves what is in the escrow into the ledger, now and whenever there is something, until `stop`.
    pub async fn drain_escrow(&self, escrow: &Escrow, stop: &CancellationToken) {
        let mut failing = false;
        loop {
            match escrow.drain(&self.ledger, &self.runner.custody).await {
                Ok(drained) => {
                    failing = false;
                    if drained > 0 {
                        tracing::info!(event = "escrow.drained", drained, "tokens were moved into the ledger");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(
                            event = "escrow.not_drained",
                            error = &error as &dyn std::error::Error,
                            "tokens in the escrow could not be moved into the ledger; trying again",
                        );
                    }
                }
            }
            if stop.run_until_cancelled(tokio::time::sleep(ESCROW_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    /// How many provisionings are under way.
    pub fn under_way(&self) -> usize {
        self.tasks.len()
    }

    /// How many tokens neither the ledger nor the escrow has taken yet: they end with this process.
    pub fn tokens_in_memory(&self) -> usize {
        self.runner.in_memory.count()
    }

    /// Waits for what is under way to end, and for refreshes of tokens whose callers are gone: an answer to one may
    /// hold the only living token. `false`: the time was over first.
    pub async fn drain(&self, grace: Duration) -> bool {
        self.tasks.close();
        self.runner.refreshes.close();
        let ended = async {
            self.tasks.wait().await;
            self.runner.refreshes.wait().await;
        };
        tokio::time::timeout(grace, ended).await.is_ok()
    }
}
