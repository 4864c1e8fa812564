//! What a signup costs from end to end, in time, CPU and memory: the program in a process of its own, the simulator in
//! another, PostgreSQL and RabbitMQ with what reaches the disk. Other workers can be measured beside it.
//! `docs/performance.md` says how to run it and what its figures mean.

mod broker;
mod database;
mod figures;
mod measure;
mod process;
#[expect(dead_code, clippy::unwrap_used, reason = "the tests' own, which can do more than move a server away")]
#[path = "../../../../tests/servers/relay.rs"]
mod relay;
mod rows;
mod simulator;
mod tls;
mod worker;

use std::path::{Path, PathBuf};

use clap::Parser;

use database::Server;
use figures::{COLUMNS, Figures};
use measure::Bench;
use rows::{LedgerPlace, ROWS, Row};
use worker::Kind;

/// Measures what provisioning costs. Needs the servers that `scripts/services.sh with` starts.
#[derive(Parser)]
struct Args {
    /// Which rows; without any, all but the long ones.
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// How often each is measured; the table has medians.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Which workers, such as foxden,node; without it, all there are.
    #[arg(long, value_delimiter = ',')]
    workers: Vec<String>,
    /// Another build of foxden to measure in turns with this one, such as an earlier release's program.
    #[arg(long, value_name = "PROGRAM")]
    beside: Option<PathBuf>,
    /// Show the statements that cost PostgreSQL most; it runs with `FOXDEN_SERVICES_STATEMENTS=on`.
    #[arg(long)]
    statements: bool,
    /// A setting for foxden. May be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is wanted")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, latency, rest @ ..] = arguments.as_slice()
        && first == simulator::ARGUMENT
    {
        return simulator::simulate(latency, rest.first().map(Path::new));
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().expect("threads start");
    runtime.block_on(run(args));
}

#[expect(clippy::disallowed_methods, reason = "the one place where a benchmark reads which servers and peers it has")]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

fn server(variable: &str) -> String {
    environment(variable).unwrap_or_else(|| panic!("{variable} is not set: use `make bench`"))
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "notes beside the figures")]
fn note(line: &str) {
    eprintln!("provisioning: {line}");
}

async fn run(args: Args) {
    let rows = wanted_rows(&args.rows);
    let kinds = wanted_kinds(&args.workers, args.beside);
    let services = environment("FOXDEN_SERVICES_DIR");
    let broker_pid = services.and_then(|dir| process::pid_in(&Path::new(&dir).join("rabbitmq/pid")));
    let server_url = server("DATABASE_URL");
    let mut bench = Bench {
        server: Server::join(&server_url).await,
        broker_url: server("AMQP_URL"),
        broker_pid,
        settings: args.set,
        shows_statements: args.statements,
        measured: 0,
    };
    let mut medians = Vec::new();
    for row in rows {
        note(&format!("{}: {}", row.name, row.about));
        let can = |kind: &&Kind| kind.keeps_a_ledger() || row.ledger == LedgerPlace::Postgres;
        let kinds: Vec<&Kind> = kinds.iter().filter(can).collect();
        let mut found = vec![Vec::new(); kinds.len()];
        // In turns, so that whatever else the machine does meets all of them.
        for run in 1..=args.repeats {
            for (kind, found) in kinds.iter().zip(&mut found) {
                let figures = bench.measure(row, kind).await;
                say(&figures.json(row, kind.name(), run).to_string());
                found.push(figures);
            }
        }
        medians.extend(kinds.iter().zip(&found).map(|(kind, found)| (row, kind.name(), Figures::medians(found))));
    }
    say(&table(&medians));
}

fn wanted_rows(names: &[String]) -> Vec<&'static Row> {
    if names.is_empty() {
        return ROWS.iter().filter(|row| !row.is_extra).collect();
    }
    let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    let find = |name: &String| {
        let row = ROWS.iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("there is no row {name}, but {}", known.join(", ")))
    };
    names.iter().map(find).collect()
}

/// foxden, and the peers in the directory that `PEERS` names; those that can't run are reported.
fn wanted_kinds(names: &[String], beside: Option<PathBuf>) -> Vec<Kind> {
    let mut kinds = vec![Kind::Foxden, Kind::Telling];
    kinds.extend(beside.map(Kind::Beside));
    if let Some(dir) = environment("PEERS") {
        let (peers, lacking) = Kind::peers(&PathBuf::from(dir));
        lacking.iter().for_each(|why| note(&format!("SKIPPED {why}")));
        kinds.extend(peers);
    }
    let is_wanted = |kind: &Kind| names.is_empty() || names.iter().any(|name| name == kind.name());
    for name in names.iter().filter(|name| !kinds.iter().any(|kind| kind.name() == name.as_str())) {
        note(&format!("SKIPPED {name}: there is no such worker here; PEERS names a directory with others"));
    }
    kinds.into_iter().filter(is_wanted).collect()
}

/// For people, in Markdown: a line for each row and worker, and only columns with something in them.
fn table(medians: &[(&Row, &str, Figures)]) -> String {
    let is_there = |name: &str| medians.iter().any(|(_, _, figures)| figures.get(name).is_some());
    let columns: Vec<_> = COLUMNS.iter().filter(|column| is_there(column.name)).collect();
    let headings = ["row", "worker"].into_iter().chain(columns.iter().map(|column| column.heading));
    let rule = ["---", "---"].into_iter().chain(columns.iter().map(|_| "---:"));
    let mut lines = vec![headings.map(str::to_owned).collect::<Vec<_>>(), rule.map(str::to_owned).collect()];
    for (row, worker, figures) in medians {
        let cells = columns.iter().map(|column| {
            let value = figures.get(column.name);
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.*}", column.decimals))
        });
        lines.push([row.name, worker].into_iter().map(str::to_owned).chain(cells).collect());
    }
    lines.iter().map(|cells| format!("| {} |\n", cells.join(" | "))).collect()
}
