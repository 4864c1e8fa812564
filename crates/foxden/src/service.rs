//! The worker as a whole: everything that runs side by side while foxden works, and how it ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use foxden_custody::{Custody, Escrow};
use foxden_intake::{AmqpSettings, ConsumerParts, Door, IntakeError, PublisherParts, consume, publish_outcomes};
use foxden_ledger::{FoxyClient, GrantCount, GrantState, Ledger, LedgerWatch, Source, State, WorkerId};
use foxden_provisioning::{Capacity, Gate, GateSettings, Leases, Parts, Policy, Runner, Worker};
use foxy_api::Foxy;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{addresses::Addresses, history::History, serving::Serving, settings::WorkerSettings};

/// What a worker is made of.
pub(crate) struct Service {
    pub(crate) ledger: Ledger,
    pub(crate) escrow: Escrow,
    pub(crate) custody: Custody,
    pub(crate) foxy: Foxy,
    pub(crate) policy: Policy,
    pub(crate) gate: GateSettings,
    pub(crate) settings: WorkerSettings,
    /// The client that creates, and at which Foxy.
    pub(crate) client: FoxyClient,
    /// How long to live with a database that answers nothing; `None`: without end.
    pub(crate) ledger_give_up_after: Option<Duration>,
    /// The broker, if there is one.
    pub(crate) amqp: Option<AmqpSettings>,
    /// The pages for grants, if it serves them.
    pub(crate) serving: Option<Serving>,
    /// This boot.
    pub(crate) worker: WorkerId,
}

/// How often the publisher looks for other workers' outcome events: the parent app waits for them. It costs the database
/// one look at an index.
const OUTBOX_POLL: Duration = Duration::from_millis(250);

/// How long outcome events that no queue takes rest at first.
const OUTBOX_REST: Duration = Duration::from_secs(5);

/// For the outbox, which is emptied for 5 s, and then for giving back the right to publish, and closing connections.
const RESTING_GRACE: Duration = Duration::from_secs(10);

impl Service {
    /// Works until `stop`, then lets what is under way end.
    pub(crate) async fn run(self, stop: CancellationToken) -> Ended {
        let Self { ledger, escrow, custody, foxy, policy, gate, settings, client, .. } = self;
        let Self { ledger_give_up_after, amqp, serving, worker, .. } = self;
        let lookup_delay = policy.lookup_delay;
        let gate = Gate::new(gate);
        let leases = Leases::new(ledger.clone(), worker.clone(), settings.lease);
        let outbox_filled = Arc::new(Notify::new());
        let capacity = Capacity::new(settings.concurrency);
        let runner = Runner::new(Parts {
            ledger: ledger.clone(),
            custody: custody.clone(),
            escrow: escrow.clone(),
            foxy: foxy.clone(),
            policy,
            leases: leases.clone(),
            gate: gate.clone(),
            outbox_filled: outbox_filled.clone(),
            stop: stop.clone(),
        })
        .creating_as(client);
        // One for all parts, so that an outage is told once.
        let watch = LedgerWatch::default();
        let workers =
            Worker::new(ledger.clone(), watch.clone(), runner, leases.clone(), gate.clone(), capacity.clone());

        // What takes new work ends with `stop`; what work under way rests on ends with `end`.
        let (taking, resting) = (Roles::new(&stop), Roles::new(&stop));
        let broker = BrokerSide { stop: stop.clone(), gave_up: Arc::default() };
        let end = CancellationToken::new();
        resting.start("leases", {
            let end = end.clone();
            async move { leases.keep(&end).await }
        });
        resting.start("escrow", {
            let (workers, end) = (workers.clone(), end.clone());
            async move { workers.drain_escrow(&escrow, &end).await }
        });
        taking.start("gate", {
            let (gate, foxy, stop) = (gate.clone(), foxy.clone(), stop.clone());
            async move { gate.keep(&foxy, &stop).await }
        });
        taking.start("due work", {
            let (workers, stop) = (workers.clone(), stop.clone());
            async move { workers.work_off(settings.poll_interval, &stop).await }
        });
        taking.start("sweeper", {
            let (workers, stop) = (workers.clone(), stop.clone());
            async move { workers.sweep(lookup_delay, &stop).await }
        });
        let ledger_is_silent = Arc::new(AtomicBool::new(false));
        if let Some(after) = ledger_give_up_after {
            let silence = Silence { ledger: ledger.clone(), workers: workers.clone(), after };
            let (stop, is_silent) = (stop.clone(), ledger_is_silent.clone());
            taking.start("silence", async move {
                if silence.comes(&stop).await {
                    is_silent.store(true, Ordering::Relaxed);
                    stop.cancel();
                }
            });
        }
        taking.start("heartbeat", {
            let (ledger, workers, gate, stop) = (ledger.clone(), workers.clone(), gate.clone(), stop.clone());
            async move { Pulse { ledger, workers, gate, every: settings.heartbeat }.beat(&stop).await }
        });
        taking.start("history", {
            let (history, stop) = (History { ledger: ledger.clone(), keep: settings.keep_history }, stop.clone());
            async move { history.keep_short(&stop).await }
        });
        if let Some(serving) = serving {
            taking.start("pages", serving.until(stop.clone()));
        }
        if let Some(amqp) = amqp {
            let publisher = worker.clone();
            let addresses = Addresses::at(foxy.origins());
            let consumer = ConsumerParts {
                settings: amqp.clone(),
                door: Door::new(ledger.clone(), custody, Source::Amqp),
                ledger_watch: watch.clone(),
                worker,
                lease: settings.lease,
                room: Arc::new(move || {
                    let capacity = capacity.clone();
                    Box::pin(async move { capacity.for_arrival().await })
                }),
                hand_over: {
                    let workers = workers.clone();
                    Arc::new(move |claimed, permit| workers.hand_over(claimed, permit))
                },
                outbox_filled: outbox_filled.clone(),
                prefetch: u16::try_from(settings.concurrency).unwrap_or(u16::MAX),
                ready: gate.watch_for_new(),
            };
            let consuming = consume(consumer, stop.clone());
            taking.start("consumer", broker.clone().say_if_failed("broker.consumer_ended", consuming));
            if amqp.outcome_exchange.is_some() {
                let publisher = PublisherParts {
                    settings: amqp,
                    ledger,
                    ledger_watch: watch,
                    worker: publisher,
                    poll: OUTBOX_POLL,
                    rest: OUTBOX_REST,
                    addresses: Arc::new(move |text| addresses.checked(text)),
                    wake: outbox_filled,
                };
                let publishing = publish_outcomes(publisher, end.clone());
                resting.start("publisher", broker.clone().say_if_failed("broker.publisher_ended", publishing));
            }
        }

        // Best effort: not awaited, never retried. Without it the first signups wait three more requests.
        tokio::spawn({
            let (foxy, stop) = (foxy.clone(), stop.clone());
            async move { stop.run_until_cancelled(foxy.prepare()).await }
        });

        stop.cancelled().await;
        // What waits for its turn was not sent, and is left to whoever comes next.
        foxy.stop_waiting();
        let started = Instant::now();
        let left = || settings.shutdown_grace.saturating_sub(started.elapsed());
        let quiet = taking.ended(left()).await;
        let drained = workers.drain(left()).await;
        end.cancel();
        // The outbox keeps what could not be sent.
        resting.ended(RESTING_GRACE).await;
        if taking.is_broken() || resting.is_broken() {
            Ended::Broken
        } else if broker.gave_up.load(Ordering::Relaxed) {
            Ended::BrokerRefuses
        } else if ledger_is_silent.load(Ordering::Relaxed) {
            Ended::LedgerSilent
        } else if quiet && drained {
            Ended::InOrder
        } else {
            Ended::Early
        }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it was told, with nothing left under way.
    InOrder,
    /// As it was told, with something left under way.
    Early,
    /// By itself, since one of its parts had ended.
    Broken,
    /// By itself, since the broker was there and refused for too long.
    BrokerRefuses,
    /// By itself, since the database answered nothing for too long.
    LedgerSilent,
}

/// Finds out that the ledger's database answers nothing at all. A server that refuses, or is starting, is waited for: that is
/// an answer. Where there is none, the way from this process may be dead, and another process may find one.
struct Silence {
    ledger: Ledger,
    workers: Worker,
    after: Duration,
}

impl Silence {
    /// Waits for it. `false`: the worker stops for another reason.
    async fn comes(self, stop: &CancellationToken) -> bool {
        let mut said = false;
        while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
            let Some(silent_for) = self.ledger.silent_for().filter(|silent_for| *silent_for >= self.after) else {
                continue;
            };
            if self.ledger.answers().await {
                continue;
            }
            let (silent_s, in_memory) = (silent_for.as_secs(), self.workers.tokens_in_memory());
            if in_memory == 0 {
                tracing::error!(
                    event = "ledger.given_up",
                    silent_s,
                    "the database answers nothing, not even a new connection; stopping, so that another start may find a way"
                );
                return true;
            }
            if !std::mem::replace(&mut said, true) {
                tracing::error!(
                    event = "ledger.silent",
                    silent_s,
                    in_memory,
                    "the database answers nothing, and tokens are in memory only; not stopping: free the escrow's disk"
                );
            }
        }
        false
    }
}

/// Parts of the worker that run until they are told to stop. One that ends before that takes the worker with it: a worker
/// that lives on without renewing, claiming or sweeping would look healthy and do nothing.
struct Roles {
    tasks: TaskTracker,
    stop: CancellationToken,
    broken: Arc<AtomicBool>,
}

impl Roles {
    fn new(stop: &CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), stop: stop.clone(), broken: Arc::default() }
    }

    fn start(&self, name: &'static str, role: impl Future<Output = ()> + Send + 'static) {
        let (stop, broken) = (self.stop.clone(), self.broken.clone());
        // A task of its own, so that its panic is seen here as its end.
        let role = tokio::spawn(role);
        self.tasks.spawn(async move {
            let ended = role.await;
            if ended.is_err() || !stop.is_cancelled() {
                broken.store(true, Ordering::Relaxed);
                tracing::error!(
                    event = "worker.part_ended",
                    part = name,
                    "a part of the worker has ended by itself; stopping"
                );
                stop.cancel();
            }
        });
    }

    /// Waits for all of them. `false`: the time was over first.
    async fn ended(&self, within: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// What the parts that need the broker have in common.
#[derive(Clone)]
struct BrokerSide {
    stop: CancellationToken,
    gave_up: Arc<AtomicBool>,
}

impl BrokerSide {
    /// The broker's side ends only with the worker; if it does not, a person must know. Where the broker has refused for
    /// too long, the worker ends in good order, and its supervisor notices.
    async fn say_if_failed(self, event: &'static str, side: impl Future<Output = Result<(), IntakeError>>) {
        match side.await {
            Ok(()) => {}
            Err(IntakeError::GaveUp { role, refused_for }) => {
                let refused_s = refused_for.as_secs();
                tracing::error!(
                    event = "broker.given_up",
                    role,
                    refused_s,
                    "the broker has refused all the time; stopping, so that somebody looks at it"
                );
                self.gave_up.store(true, Ordering::Relaxed);
                self.stop.cancel();
            }
            Err(error) => {
                tracing::error!(
                    event,
                    error = &error as &dyn std::error::Error,
                    "restart the worker once this is mended"
                );
            }
        }
    }
}

/// The heartbeat: silence and slowness are both visible from the log alone.
struct Pulse {
    ledger: Ledger,
    workers: Worker,
    gate: Gate,
    every: Duration,
}

impl Pulse {
    async fn beat(self, stop: &CancellationToken) {
        let started = Instant::now();
        while stop.run_until_cancelled(tokio::time::sleep(self.every)).await.is_some() {
            match self.measure().await {
                Ok(Measured { counts, cancelled, oldest_open_ms, outbox, grants }) => {
                    let [due, in_flight, unknown, parked, closed] = counts;
                    let [grants_open, grants_unconfirmed] = grants;
                    tracing::info!(
                        event = "worker.heartbeat",
                        up_s = started.elapsed().as_secs(),
                        under_way = self.workers.under_way(),
                        due,
                        in_flight,
                        unknown,
                        parked,
                        closed,
                        cancelled,
                        oldest_open_ms,
                        outbox,
                        grants_open,
                        grants_unconfirmed,
                        calls_paused = !self.gate.is_open(),
                        gate = self.gate.standing(),
                        "at work",
                    );
                }
                Err(error) => {
                    tracing::warn!(event = "worker.heartbeat", error = %error, under_way = self.workers.under_way(), "at work, but the ledger can't be counted");
                }
            }
        }
    }

    async fn measure(&self) -> Result<Measured, foxden_ledger::LedgerError> {
        let standings = self.ledger.standings().await?;
        let mut counts = [0; 5];
        for (count, state) in counts.iter_mut().zip(State::ALL) {
            *count = standings.iter().filter(|s| s.state == *state).map(|s| s.count).sum();
        }
        let now = self.ledger.now_ms().await?;
        let moving = |state| !matches!(state, State::Parked | State::Closed);
        let oldest_open_ms = standings.iter().filter(|s| moving(s.state)).map(|s| (now - s.oldest_ms).max(0)).max();
        let cancelled = standings.iter().filter(|s| s.is_cancelled()).map(|s| s.count).sum();
        let outbox = self.ledger.count_waiting_events().await?;
        let grants = self.ledger.count_grants().await?;
        let grants = [GrantState::Open, GrantState::Unconfirmed].map(|state| GrantCount::in_state(&grants, state));
        Ok(Measured { counts, cancelled, oldest_open_ms, outbox, grants })
    }
}

/// What the ledger says of itself.
struct Measured {
    /// By state, in the order of the states.
    counts: [u64; 5],
    /// Of the closed ones.
    cancelled: u64,
    /// The age of the oldest signup that is neither parked nor closed.
    oldest_open_ms: Option<i64>,
    /// The events that wait.
    outbox: u64,
    /// The grants that wait for a person, and those that wait to be confirmed.
    grants: [u64; 2],
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::Roles;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_part_that_ends_by_itself_takes_the_worker_with_it() {
        let panics: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async { panic!("a fault of ours") });
        for ends_by_itself in [panics, Box::pin(async {})] {
            let stop = CancellationToken::new();
            let roles = Roles::new(&stop);
            roles.start("lasting", stop.clone().cancelled_owned());
            roles.start("ending", ends_by_itself);
            tokio::time::timeout(PATIENCE, stop.cancelled()).await.unwrap();
            assert!(roles.ended(PATIENCE).await && roles.is_broken());
        }
    }

    #[tokio::test]
    async fn parts_that_end_when_told_break_nothing() {
        let stop = CancellationToken::new();
        let roles = Roles::new(&stop);
        roles.start("lasting", stop.clone().cancelled_owned());
        stop.cancel();
        assert!(roles.ended(PATIENCE).await && !roles.is_broken());
    }
}
