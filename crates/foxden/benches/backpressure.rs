//! A backlog stays at the broker: 100,000 signups wait, Foxy is slow, and the worker's memory stays flat: `make bench`.
//! Needs the servers that `scripts/services.sh with` starts.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use serde_json::json;

const SIGNUPS: usize = 100_000;
/// How many are on their way to the broker at once.
const WINDOW: usize = 1_000;
/// The worker's `FOXDEN_CONCURRENCY`, and with it how many messages the broker sends ahead.
const CONCURRENCY: usize = 16;
/// How long Foxy takes for each answer: a signup needs two.
const FOXY_TAKES: &str = "2s";
const MEASURED_FOR: Duration = Duration::from_secs(30);

/// Ends with the benchmark, however that ends.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Worker {
    /// Its resident memory now and at its highest, in KiB.
    fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("the worker runs, on Linux");
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
            line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its servers")]
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: use `make bench`"))
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
fn say(line: &str) {
    println!("backpressure: {line}");
}

fn event(number: usize) -> Vec<u8> {
    json!({
        "version": 1,
        "signup_id": format!("s{number:06}"),
        "user": {"first_name": "Ada", "last_name": "Lovelace", "email": format!("ada{number}@customers.example")},
        "store": {
            "name": format!("Engines {number}"), "url": "https://engines.example", "email": "shop@engines.example",
            "country": "US", "region": "MN", "postal_code": "55401",
        },
    })
    .to_string()
    .into_bytes()
}

/// Runs the program with these settings.
fn foxden(argument: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foxden"));
    command.arg(argument).env_clear().envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

async fn publish(broker: &str, exchange: &str) {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    for first in (0..SIGNUPS).step_by(WINDOW) {
        let mut confirms = Vec::with_capacity(WINDOW);
        for number in first..first + WINDOW {
            let (body, properties) = (event(number), BasicProperties::default().with_delivery_mode(2));
            let sent = channel.basic_publish(exchange.into(), "signup".into(), options, &body, properties);
            confirms.push(sent.await.expect("the connection lasts"));
        }
        for confirm in confirms {
            let confirm = confirm.await.expect("the connection lasts");
            assert!(confirm.is_ack() && confirm.take_message().is_none(), "a signup was not taken");
        }
    }
    connection.close(200, "bye".into()).await.expect("an orderly end");
}

/// How many messages of a queue wait, and how many are sent ahead and not acknowledged.
fn standing(queue: &str) -> (usize, usize) {
    let said = Command::new(told("FOXDEN_SERVICES"))
        .args(["ctl", &told("FOXDEN_SERVICES_DIR"), "-q", "list_queues", "--no-table-headers"])
        .args(["name", "messages_ready", "messages_unacknowledged"])
        .output()
        .expect("rabbitmqctl runs");
    let said = String::from_utf8(said.stdout).expect("rabbitmqctl speaks UTF-8");
    let line = said.lines().find_map(|line| line.strip_prefix(&format!("{queue}\t"))).expect("the queue is there");
    let (ready, unacked) = line.split_once('\t').expect("two numbers");
    (ready.parse().expect("a number"), unacked.parse().expect("a number"))
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a place for the ledger");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (broker, key) = (told("AMQP_URL"), foxden_vault::generate_key("bench").expect("random bytes"));
    let (ledger, books, escrow) = (format!("sqlite:{}", at("ledger.db")), at("books"), at("escrow"));
    let (concurrency, mark) = (CONCURRENCY.to_string(), "backpressure");
    let queue = format!("{mark}.signups");
    let names = ["EXCHANGE", "QUEUE", "DEAD_EXCHANGE", "DEAD_QUEUE", "OUTCOME_EXCHANGE", "OUTCOME_QUEUE"]
        .map(|role| (format!("FOXDEN_AMQP_{role}"), format!("{mark}.{}", role.to_lowercase())));
    let mut settings = vec![
        ("FOXDEN_FOXY_API", "simulator"),
        ("FOXDEN_SIMULATOR_BOOKS", &books),
        ("FOXDEN_SIMULATOR_LATENCY", FOXY_TAKES),
        ("FOXDEN_DATABASE_URL", &ledger),
        ("FOXDEN_ESCROW_DIR", &escrow),
        ("FOXDEN_KEYS", &key),
        ("FOXDEN_CONCURRENCY", &concurrency),
        ("FOXDEN_LOG", "warn"),
        ("FOXDEN_AMQP_URL", &broker),
    ];
    settings.extend(names.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    settings.push(("FOXDEN_AMQP_QUEUE", &queue));

    // Looking at the dead letters is the least that declares all there is.
    let declared = foxden("dead", &settings).arg("list").stdout(Stdio::null()).status().expect("foxden runs");
    assert!(declared.success());
    let started = Instant::now();
    publish(&broker, &format!("{mark}.exchange")).await;
    say(&format!("{SIGNUPS} signups published and confirmed in {:.1} s", started.elapsed().as_secs_f64()));

    let worker = Worker(foxden("worker", &settings).stdout(Stdio::null()).spawn().expect("foxden runs"));
    while standing(&queue).1 == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (before, _) = worker.memory();
    let mut most_unacked = 0;
    let started = Instant::now();
    while started.elapsed() < MEASURED_FOR {
        let (ready, unacked) = standing(&queue);
        let (now, _) = worker.memory();
        assert!(unacked <= CONCURRENCY, "{unacked} messages were sent ahead");
        most_unacked = most_unacked.max(unacked);
        say(&format!(
            "after {:>4.1} s: {ready} ready, {unacked} unacknowledged, {now} KiB",
            started.elapsed().as_secs_f64()
        ));
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let (after, peak) = worker.memory();
    say(&format!("memory of the worker: {before} KiB before, {after} KiB after, {peak} KiB at its highest"));
    say(&format!("at most {most_unacked} messages unacknowledged; {CONCURRENCY} may be"));
}
