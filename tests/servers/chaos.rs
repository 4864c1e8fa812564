//! Chaos: workers are killed at random moments, servers restarted under them, their connections cut or silenced and
//! their disks filled, while the simulator fails in every way that a network and a busy server can. Afterwards
//! promises 1 and 2 must hold row for row: no signup is lost, no effect is doubled, and what lost its token says so.
//!
//! `make test` runs the short form, `make chaos` the long one. The seed is printed; `FOXDEN_TEST_SEED` repeats its
//! decisions, though not how the machine took them.

mod crew;
mod figures;
mod phases;
mod reckoning;
mod storm;
mod takeovers;

use std::time::{Duration, Instant, SystemTime};

use foxden_ledger::{Filter, Ledger, Provisioning, State};
use foxy_sim::FaultScript;

use self::{
    crew::Crew,
    reckoning::Reckoning,
    storm::{World, signup_id},
};
use super::{
    dice::Dice, evidence::evidence, own_servers::OwnServers, parent_app::ParentApp, relay::Relay, small_disk::SmallDisk,
};
use crate::support::{Place, number, seed};

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
    /// How often all connections to a server are cut.
    cuts: usize,
    /// How often the ways to servers fall silent.
    silences: usize,
    /// How often the disk fills up.
    fulls: usize,
}

/// Where the ledger is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    /// In PostgreSQL.
    Server,
    /// In an SQLite file, which all workers share, on the disk that fills up.
    File,
}

/// The disk's size in MiB: many times what a long storm writes.
const DISK_MIB: u32 = 256;

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

/// Now, in milliseconds since the epoch.
fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since_epoch.as_millis()).unwrap()
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
    let (mut moved_at, mut progressed_at, mut before) = (Instant::now(), Instant::now(), usize::MAX);
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
        // Contended names cost calls, so a large storm takes its time; a standstill does not.
        let left = moving + unsettled.0 as usize;
        if left < before {
            (before, progressed_at) = (left, Instant::now());
        }
        assert!(
            progressed_at.elapsed() < Duration::from_secs(120),
            "{moving} of {} signups still move; (queued, in escrow, in the outbox): {unsettled:?}",
            rows.len(),
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn rows(ledger: &Ledger) -> Vec<Provisioning> {
    ledger.list(&Filter { limit: 1_000_000, ..Filter::default() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_and_restarted_servers_lose_nothing_and_double_nothing() {
    storm_over(Home::Server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_on_a_file_whose_disk_fills_up_lose_nothing_and_double_nothing() {
    storm_over(Home::File).await;
}

/// Servers, a place on them with its settings, and a disk where one may be mounted.
async fn world(home: Home, dice: &mut Dice, seed: u64) -> (OwnServers, Place, Option<SmallDisk>, ParentApp) {
    let servers = if home == Home::Server { OwnServers::up().await } else { OwnServers::up_broker().await };
    // The simulator takes 0 for "any".
    let config = foxy_sim::Config { seed: seed.max(1), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    let disk = SmallDisk::mount(&place.path("disk"), DISK_MIB);
    let broker = servers.url("AMQP_URL");
    let parent = match home {
        Home::Server => ParentApp::join_at(&mut place, &servers.url("DATABASE_URL"), &broker).await,
        Home::File => {
            place.set("FOXDEN_DATABASE_URL", &format!("sqlite:{}", place.path("disk/ledger.db").display()));
            ParentApp::join_broker(&mut place, &broker).await
        }
    };
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_CONCURRENCY", "4");
    place.set("FOXDEN_LISTING_LAG", "1s");
    place.set("FOXDEN_KEEP_USER_TOKENS", &dice.happens(70).to_string());
    (servers, place, disk, parent)
}

async fn storm_over(home: Home) {
    let seed = seed();
    let size = Size {
        signups: number("FOXDEN_TEST_CHAOS_SIGNUPS", 150),
        kills: number("FOXDEN_TEST_CHAOS_KILLS", 6),
        outages: number("FOXDEN_TEST_CHAOS_OUTAGES", 1),
        cuts: number("FOXDEN_TEST_CHAOS_CUTS", 4),
        silences: number("FOXDEN_TEST_CHAOS_SILENCES", 1),
        fulls: number("FOXDEN_TEST_CHAOS_FULL_DISKS", 1),
    };
    let started = Instant::now();
    say(&format!("FOXDEN_TEST_SEED={seed}"));
    let mut dice = Dice::seeded(seed);
    let (servers, mut place, disk, mut parent) = world(home, &mut dice, seed).await;
    if home == Home::File && disk.is_none() {
        return;
    }
    place.dir.disable_cleanup(true);
    let _trail = Trail { seed, logs: place.dir.path().to_owned() };
    let keeps_user_tokens = place.settings["FOXDEN_KEEP_USER_TOKENS"] == "true";
    // Slow enough that a kill meets calls under way.
    place.sim.set_latency("100..500".parse().unwrap());
    let mut ways = vec![("rabbitmq", "FOXDEN_AMQP_URL", Relay::to(&servers.url("AMQP_URL")).await)];
    if home == Home::Server {
        ways.push(("postgres", "FOXDEN_DATABASE_URL", Relay::to(&servers.url("DATABASE_URL")).await));
    }
    // The test itself looks at both without a detour.
    let settings =
        ways.iter().map(|(_, variable, relay)| (*variable, relay.through(&place.settings[*variable]))).collect();
    let mut crew = Crew::start(&place, WORKERS, settings);
    crew.all_up(&place).await;

    place.sim.set_faults(faults());
    let relays: Vec<_> = ways.iter().map(|(server, _, relay)| (*server, relay)).collect();
    let world = World { place: &place, servers: &servers, relays: &relays, disk: disk.as_ref() };
    let storm = storm::rage(&size, &mut dice, &world, &mut parent, &mut crew).await;
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
    let attempts = evidence(&place).await;
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
        shared: 0,
        keeps_user_tokens,
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

    if storm.cuts.iter().map(|cut| cut.connections).sum::<usize>() == 0 && size.cuts > 0 {
        reckoning.wrong.push("the cuts met no connection".to_owned());
    }
    if storm.silences.iter().map(|silence| silence.connections).sum::<usize>() == 0 && size.silences > 0 {
        reckoning.wrong.push("the silences met no connection".to_owned());
    }

    figures::tell(&size, &storm, &crew, &reckoning);
    // The short form shares its machine with other tests, and has few kills.
    let late = takeovers::late_in_the_calm(&storm, &crew, &reckoning);
    if late > 0 && size.kills >= takeovers::ENOUGH_KILLS {
        reckoning.wrong.push(format!("{late} calls were taken over later than within the lease and 5 s"));
    }
    say(&format!("{} requests, {raged:.0?} of storm, {:.0?} in all", place.sim.total_requests(), started.elapsed()));
    let wrong = &reckoning.wrong;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    place.dir.disable_cleanup(false);
}
