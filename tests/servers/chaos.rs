//! Chaos: workers are killed at random moments and servers restarted under them, while the simulator fails in every way
//! that a network and a busy server can. Afterwards promises 1 and 2 must hold row for row: no signup is lost, no effect
//! is doubled, and what lost its token says so.
//!
//! `make test` runs the short form, `make chaos` the long one. The seed is printed; `FOXDEN_TEST_SEED` repeats its
//! decisions, though not how the machine took them.

mod crew;
mod dice;
mod own_servers;
mod reckoning;
mod storm;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use foxden_ledger::{Filter, Ledger, Provisioning, State};
use foxy_sim::FaultScript;

use self::{
    crew::Crew,
    dice::Dice,
    own_servers::OwnServers,
    reckoning::{Evidence, Reckoning},
    storm::signup_id,
};
use super::parent_app::ParentApp;
use crate::support::{Place, given};

const WORKERS: usize = 3;

/// A few percent of all creates go wrong in each way; the lookups that follow fail too.
const CREATE_FAULTS: [&str; 12] = [
    "reset_after_work 1.5%",
    "reset_before_work 1.5%",
    "status 500 1.5%",
    "gateway_html(502) 1.5%",
    "status_after_work(500) 1%",
    "rate_limited(1) 2%",
    "stall_before_work(500ms) 1%",
    "stall_after_work(3s) 0.5%",
    "cut_body 1%",
    "garbage 0.5%",
    "no_token 1%",
    "late_work(1500ms) 1.5%",
];
const READ_FAULTS: &str = "GET /: status 503 3%; POST /token: status 500 2%; POST /token: reset_after_work 2%; \
    GET /reporting/email_exists: status 500 5%; GET /reporting/email_exists: reset_before_work 5%; \
    GET /users/{id}/stores: gateway_html(502) 5%; GET /users/{id}/stores: cut_body 5%; \
    GET /reporting/store_domain_exists: status 500 5%; GET /reporting/store_domain_exists: garbage 5%";

/// Longer than any late work takes.
const LATE_WORK_IS_DONE: Duration = Duration::from_secs(2);

/// How large a storm.
struct Size {
    signups: usize,
    kills: usize,
    /// Of each server.
    outages: usize,
}

/// Says where to look, should the test fail.
struct Trail {
    seed: u64,
    logs: std::path::PathBuf,
}

impl Drop for Trail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("FOXDEN_TEST_SEED={}; the workers' logs are in {}", self.seed, self.logs.display()));
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("chaos: {line}");
}

fn number<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    let parsed = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number"));
    given(variable).map_or(otherwise, parsed)
}

/// The faults of the storm.
fn faults() -> FaultScript {
    let of = |route: &str| CREATE_FAULTS.map(|fault| format!("{route}: {fault}")).join("; ");
    format!("{}; {}; {READ_FAULTS}", of("POST /users"), of("POST /stores")).parse().unwrap()
}

/// Waits until nothing moves: every published signup is provisioned or parked, no token waits in an escrow, no outcome
/// in the outbox, no event in the queue. Where signups are missing it waits for them no longer than for a few leases, and
/// leaves it to the reckoning to say which.
async fn at_rest(place: &Place, parent: &ParentApp, crew: &mut Crew, signups: usize) {
    let ledger = place.ledger().await;
    let started = Instant::now();
    let mut moved_at = Instant::now();
    loop {
        crew.tend(place);
        let unsettled =
            (parent.waiting(place, "QUEUE").await, crew.in_escrow(place), ledger.count_waiting_events().await.unwrap());
        let rows = rows(&ledger).await;
        let moving = rows.iter().filter(|row| !matches!(row.state, State::Closed | State::Parked)).count();
        if unsettled != (0, 0, 0) || moving > 0 {
            moved_at = Instant::now();
        } else if rows.len() == signups || moved_at.elapsed() > Duration::from_secs(30) {
            ledger.close().await.unwrap();
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "{moving} of {} signups still move; (queued, in escrow, in the outbox): {unsettled:?}",
            rows.len(),
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn rows(ledger: &Ledger) -> Vec<Provisioning> {
    ledger.list(&Filter { limit: 1_000_000, ..Filter::default() }).await.unwrap()
}

/// Log lines with these event names are counted, over all boots.
const COUNTED: [&str; 6] = [
    "signup.duplicate",
    "lease.lost",
    "escrow.kept",
    "escrow.drained",
    "provisioning.abandoned",
    "ledger.recorded_late",
];

/// Counts the workers' log lines.
///
/// # Panics
/// When one of them tells of a panic.
fn logged(place: &Place) -> BTreeMap<&'static str, usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in std::fs::read_dir(place.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "log") {
            let log = std::fs::read_to_string(&path).unwrap();
            assert!(!log.contains("panicked"), "a worker panicked: {}", path.display());
            for name in COUNTED {
                *counts.entry(name).or_default() += log.matches(&format!("\"event\":\"{name}\"")).count();
            }
        }
    }
    counts
}

/// Says what it came to.
fn figures(reckoning: &Reckoning<'_>, crew: &Crew) {
    let count = |what: &dyn Fn(&Evidence) -> bool| reckoning.attempts.iter().filter(|attempt| what(attempt)).count();
    let ended = |outcome: &str| count(&|attempt| attempt.outcome == outcome);
    let expired = count(&|attempt| attempt.kind == "expired");
    let mut parked: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reckoning.rows.iter().filter_map(|row| row.parked_reason) {
        *parked.entry(reason.as_str()).or_default() += 1;
    }
    let closed = reckoning.rows.iter().filter(|row| row.state == State::Closed).count();
    let took = reckoning.takeovers();
    let [median, longest] = [took.get(took.len() / 2), took.last()].map(|ms| ms.copied().unwrap_or_default());
    say(&format!("{} boots killed at work, {} starts without a database", crew.killed.len(), crew.stillborn));
    say(&format!(
        "from kill to takeover: median {median} ms, longest {longest} ms; calls that expired without a kill: {}",
        expired - took.len(),
    ));
    say(&format!(
        "{} unknown outcomes, {expired} of them for want of their worker; lookups: present {}, absent {}, token held {}, \
         unclear {}",
        ended("unknown"),
        ended("present"),
        ended("absent"),
        ended("token_held"),
        ended("unclear"),
    ));
    say(&format!("{closed} provisioned, parked {parked:?}; {} lost, {} doubled", reckoning.lost, reckoning.doubled));
    let (told, repeats, resumed) = (reckoning.outcomes.len(), reckoning.repeated_outcomes, reckoning.resumed);
    say(&format!("{told} outcome events, {repeats} of them repeats, {resumed} resumed; {:?}", logged(reckoning.place)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_and_restarted_servers_lose_nothing_and_double_nothing() {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("FOXDEN_TEST_SEED", u64::from(since_epoch.subsec_nanos()));
    let size = Size {
        signups: number("FOXDEN_TEST_CHAOS_SIGNUPS", 150),
        kills: number("FOXDEN_TEST_CHAOS_KILLS", 6),
        outages: number("FOXDEN_TEST_CHAOS_OUTAGES", 1),
    };
    let started = Instant::now();
    say(&format!("FOXDEN_TEST_SEED={seed}"));
    let mut dice = Dice::seeded(seed);
    let servers = OwnServers::up().await;
    // The simulator takes 0 for "any".
    let config = foxy_sim::Config { seed: seed.max(1), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    place.dir.disable_cleanup(true);
    let _trail = Trail { seed, logs: place.dir.path().to_owned() };
    let mut parent = ParentApp::join_at(&mut place, &servers.url("DATABASE_URL"), &servers.url("AMQP_URL")).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_CONCURRENCY", "4");
    place.set("FOXDEN_LISTING_LAG", "1s");
    // Slow enough that a kill meets calls under way.
    place.sim.set_latency("100..500".parse().unwrap());
    let mut crew = Crew::start(&place, WORKERS);
    crew.all_up(&place).await;

    place.sim.set_faults(faults());
    let storm = storm::rage(&size, &mut dice, &place, &mut parent, &mut crew, &servers).await;
    let raged = started.elapsed();
    place.sim.set_faults(FaultScript::default());
    let calm = Instant::now();
    parent.rejoin().await;
    crew.all_up(&place).await;
    at_rest(&place, &parent, &mut crew, size.signups).await;
    tokio::time::sleep(LATE_WORK_IS_DONE.saturating_sub(calm.elapsed())).await;
    crew.stop().await;

    // Read after the stop, when nobody is left who could change anything.
    let ledger = place.ledger().await;
    let rows = rows(&ledger).await;
    ledger.close().await.unwrap();
    let attempts = reckoning::evidence(&place).await;
    let published: Vec<String> = (0..size.signups).map(signup_id).collect();
    let mut reckoning = Reckoning {
        place: &place,
        published: &published,
        rows: &rows,
        attempts: &attempts,
        killed: &crew.killed,
        books: &place.sim.books(),
        outcomes: &parent.take_all(&place, "OUTCOME_QUEUE").await,
        wrong: Vec::new(),
        lost: 0,
        doubled: 0,
        repeated_outcomes: 0,
        resumed: 0,
    };
    reckoning.reckon().await;
    for queue in ["QUEUE", "DEAD_QUEUE"] {
        let left = parent.waiting(&place, queue).await;
        if left > 0 {
            reckoning.wrong.push(format!("{left} messages are left in {queue}"));
        }
    }

    figures(&reckoning, &crew);
    say(&format!(
        "{} signups, {} messages sent, {} outages: {:?}",
        size.signups,
        storm.sent,
        storm.outages.len(),
        storm.outages
    ));
    say(&format!("{} requests, {raged:.0?} of storm, {:.0?} in all", place.sim.total_requests(), started.elapsed()));
    let wrong = &reckoning.wrong;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    place.dir.disable_cleanup(false);
}
