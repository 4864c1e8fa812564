//! `foxden demo`: the main job, with everything around it played here.

mod customers;

use std::{
    ffi::OsStr,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use foxden_intake::{Door, SignupEvent};
use foxden_ledger::{DatabaseUrl, Filter, Ledger, Source, State, WorkerId};
use foxy_sim::{FaultRule, Simulator};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::status;
use crate::{
    belonging,
    exit::Exit,
    output,
    service::Service,
    settings::{Latency, Need, Needs, Settings, Sources},
    telemetry::{self, Output},
    terminal::{Paint, Painter},
    wiring,
};

pub(crate) const HELP: &str = "\
Nothing is needed for it and nothing real is made: Foxy is simulated in this process, the ledger is an SQLite file. What
it leaves in DIR can be looked at with the other commands; it tells which.

Examples:
  foxden demo
  foxden demo --signups 500 --json
  foxden demo --fault 'POST /stores: reset_after_work every 7'   # Foxy loses answers; see what foxden does";

/// `foxden demo …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many signups
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    signups: u32,
    /// Where to put the ledger and the simulator's books; what an earlier demo left there is replaced, and nothing else
    #[arg(long, value_name = "DIR", default_value = "demo")]
    dir: PathBuf,
    /// How long the simulated Foxy takes to answer, such as 50ms or 20ms..80ms
    #[arg(long, value_name = "TIME", default_value = "20ms..80ms", value_parser = Latency::parse)]
    latency: Latency,
    /// Let the simulated Foxy fail; crates/foxy-sim/README.md lists how. Can be given several times
    #[arg(long, value_name = "RULE")]
    fault: Vec<FaultRule>,
    /// Print one JSON object instead of a progress bar and a table
    #[arg(long)]
    json: bool,
}

/// What the demo leaves behind, by name, below its directory.
const FILES: [&str; 6] = [SETTINGS, KEYS, "ledger.db", "ledger.db-wal", "ledger.db-shm", "foxy-books.jsonl"];
const SETTINGS: &str = "foxden.toml";
const KEYS: &str = "keys";
/// What the settings of every demo begin with, those of earlier releases included.
const MARK: &str = "# Left by `foxden demo`: ";
/// What a demo calls its key.
const KEY: &str = "demo";
/// A directory; the demo's ledger is never away, so it stays empty.
const ESCROW: &str = "escrow";
/// The table shows so many signups; the rest is counted.
const ROWS: usize = 25;
/// Signups are submitted in batches, like `foxden submit` does.
const BATCH: usize = 500;

pub(crate) async fn run(options: Options) -> anyhow::Result<Exit> {
    let place = prepare(&options.dir)?;
    let sources = Sources::of_file(&place.join(SETTINGS));
    let needs = Needs { foxy: Need::Required, keys: Need::Required, ..Needs::default() };
    let settings = Settings::parse(&sources, needs)?;
    telemetry::init(&settings.telemetry, Output::Stderr)?;

    let ledger = wiring::ledger(&settings).await?;
    let side = belonging::foxy_of(&ledger, &settings.database, &settings.foxy).await?;
    let client = side.as_client()?;
    let Some(simulator) = side.simulator else { bail!("the demo's own settings do not name the simulator") };
    simulator.set_latency(foxy_sim::Latency { min: options.latency.min, max: options.latency.max });
    options.fault.iter().for_each(|rule| simulator.add_fault(rule.clone()));
    let policy = wiring::policy(&settings, false);
    let custody = wiring::custody(settings.keys)?;

    let started = Instant::now();
    let stop = CancellationToken::new();
    let service = Service {
        ledger: ledger.clone(),
        escrow: wiring::escrow(&settings.worker)?,
        custody: custody.clone(),
        client,
        foxy: side.foxy,
        policy,
        gate: wiring::gate(&settings.foxy),
        settings: settings.worker,
        ledger_give_up_after: None,
        amqp: None,
        serving: None,
        worker: WorkerId::new(),
    };
    let worker = tokio::spawn(service.run(stop.clone()));
    let accepted = submit(&Door::new(ledger.clone(), custody, Source::Demo), options.signups).await?;
    let progress = progress_bar(accepted, options.json);
    let (provisioned, parked) = watch(&ledger, accepted, &progress).await?;
    progress.finish_and_clear();
    let elapsed = started.elapsed();
    stop.cancel();
    worker.await.context("the worker panicked")?;

    let books = simulator.books();
    if options.json {
        output::say_json(&json!({
            "accepted": accepted,
            "provisioned": provisioned,
            "parked": parked,
            "users_created": books.users.len(),
            "stores_created": books.stores.len(),
            "foxy_requests": simulator.total_requests(),
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }));
    } else {
        tell(&ledger, &simulator, &place, elapsed, accepted, provisioned).await?;
    }
    simulator.shutdown().await;
    ledger.close().await?;
    Ok(Exit::Done)
}

/// Makes the directory with fresh settings and a fresh key. Refuses one that holds anything but an earlier demo.
fn prepare(dir: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let place = dir.canonicalize().with_context(|| format!("could not find {}", dir.display()))?;
    for entry in fs::read_dir(&place).with_context(|| format!("could not read {}", dir.display()))? {
        let name = entry?.file_name();
        if !is_of_a_demo(&place, &name) {
            bail!("{} holds {:?}, which no demo left there; choose another --dir", dir.display(), name);
        }
    }
    let gone = |removed: io::Result<()>, path: &Path| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not replace {}", path.display()))
        }
        _ => Ok(()),
    };
    gone(fs::remove_dir(place.join(ESCROW)), &place.join(ESCROW))?;
    // The settings go last: by them the next demo knows what a killed one has left.
    for name in FILES.iter().filter(|name| **name != SETTINGS).chain([&SETTINGS]) {
        let file = place.join(name);
        gone(fs::remove_file(&file), &file)?;
    }
    let key = foxden_vault::generate_key(KEY).context("could not make a key")?;
    write_private(&place.join(KEYS), key.as_bytes())?;
    write_private(&place.join(SETTINGS), demo_settings(&place).as_bytes())?;
    Ok(place)
}

/// Whether an earlier demo made this. Its name alone doesn't say so: a real worker's files may have the same.
/// Settings and keys carry a mark of their own; the rest belongs to the settings beside it.
fn is_of_a_demo(place: &Path, name: &OsStr) -> bool {
    let begins_with = |name: &str, mark: &str| {
        let path = place.join(name);
        // Not what a link leads to.
        let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
        is_file && fs::read(path).is_ok_and(|content| content.starts_with(mark.as_bytes()))
    };
    let has_settings = || begins_with(SETTINGS, MARK);
    if name == KEYS {
        begins_with(KEYS, &format!("{KEY}:"))
    } else {
        FILES.iter().chain([&ESCROW]).any(|known| name == *known) && has_settings()
    }
}

/// Settings under which the other commands find what the demo left.
fn demo_settings(place: &Path) -> String {
    // A JSON string is a TOML basic string too: both escape quotes, backslashes and control characters alike.
    let path = |name: &str| json!(place.join(name).display().to_string());
    let database = json!(DatabaseUrl::text_for(&place.join("ledger.db")));
    format!(
        "{MARK}settings under which the other commands find what it made. Foxy is simulated.\n\
         database_url = {database}\nkeys_file = {}\nescrow_dir = {}\nenvironment = \"demo\"\nlog = \"error\"\n\
         retry_initial = \"200ms\"\nretry_max = \"2s\"\nlookup_delay = \"200ms\"\nlisting_lag = \"2s\"\npoll_interval = \"100ms\"\n\n\
         [foxy]\napi = \"simulator\"\n\n[simulator]\nbooks = {}\n",
        path(KEYS),
        path(ESCROW),
        path("foxy-books.jsonl"),
    )
}

fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)
    };
    write().with_context(|| format!("could not write {}", path.display()))
}

/// Takes the road that every event takes: as text, checked, sealed, accepted.
async fn submit(door: &Door, signups: u32) -> anyhow::Result<u64> {
    let numbers: Vec<u32> = (1..=signups).collect();
    for batch in numbers.chunks(BATCH) {
        let events = batch
            .iter()
            .map(|number| SignupEvent::parse(customers::event(*number).to_string().as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .context("a demo event is not as the contract wants it")?;
        door.admit_queued(&events).await?;
    }
    Ok(u64::from(signups))
}

/// Follows the ledger until everything is provisioned or parked.
async fn watch(ledger: &Ledger, accepted: u64, progress: &ProgressBar) -> anyhow::Result<(u64, u64)> {
    loop {
        let standings = ledger.standings().await?;
        let count = |state| standings.iter().filter(|s| s.state == state).map(|s| s.count).sum::<u64>();
        let (provisioned, parked, unknown) = (count(State::Closed), count(State::Parked), count(State::Unknown));
        progress.set_position(provisioned + parked);
        progress.set_message(match (unknown, parked) {
            (0, 0) => String::new(),
            _ => format!("{unknown} being looked up, {parked} parked"),
        });
        if provisioned + parked >= accepted {
            return Ok((provisioned, parked));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn progress_bar(signups: u64, json: bool) -> ProgressBar {
    if json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} stores  {per_sec}  {msg}")
        .expect("the template names fields that exist");
    ProgressBar::with_draw_target(Some(signups), ProgressDrawTarget::stderr()).with_style(style)
}

async fn tell(
    ledger: &Ledger,
    simulator: &Simulator,
    place: &Path,
    elapsed: Duration,
    accepted: u64,
    provisioned: u64,
) -> anyhow::Result<()> {
    let paint = Painter::of(&io::stdout(), false);
    let mut rows = ledger.list(&Filter { limit: accepted, ..Filter::default() }).await?;
    rows.sort_by(|a, b| a.signup_id.cmp(&b.signup_id));
    // What went wrong is shown first: among many that went well it would not be seen.
    rows.sort_by_key(|row| row.state == State::Closed);
    let mut table = output::table(["signup", "store", "domain", "took", "state"]);
    for row in rows.iter().take(ROWS) {
        table.add_row([
            row.signup_id.to_string(),
            customers::store_name_of(row.signup_id.as_str()),
            row.store_domain.clone().unwrap_or_default(),
            row.closed_at_ms.map(|closed| output::span(closed - row.accepted_at_ms)).unwrap_or_default(),
            status::place(row),
        ]);
    }
    output::say(table);
    if rows.len() > ROWS {
        output::say(format!("… and {} more", output::count((rows.len() - ROWS) as u64)));
    }
    let books = simulator.books();
    output::say(format!(
        "\n{} in {:.1} s. The simulated Foxy made {} users and {} stores, for {} requests.",
        paint.paint(
            Paint::Bold,
            format!("{} of {} signups provisioned", output::count(provisioned), output::count(accepted))
        ),
        elapsed.as_secs_f64(),
        output::count(books.users.len() as u64),
        output::count(books.stores.len() as u64),
        output::count(simulator.total_requests()),
    ));
    let first = rows.iter().find(|row| row.state == State::Closed).or(rows.first());
    let first = first.map_or_else(|| customers::signup_id(1), |row| row.signup_id.to_string());
    output::say(next_steps(place, &first));
    Ok(())
}

/// Commands that work on what the demo left, as they can be pasted.
fn next_steps(place: &Path, signup_id: &str) -> String {
    let here = std::env::current_dir().ok();
    let short = |path: &Path| {
        let short = here.as_ref().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
        quoted(&short.display().to_string())
    };
    let program = std::env::current_exe().map_or_else(|_| "foxden".to_owned(), |path| short(&path));
    let config = short(&place.join(SETTINGS));
    format!(
        "\nTry next:\n  \
         {program} --config {config} status\n  \
         {program} --config {config} show {signup_id}\n  \
         {program} --config {config} token {signup_id}     # opens the sealed token, asks Foxy for a fresh one"
    )
}

/// A path that a shell takes as one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
