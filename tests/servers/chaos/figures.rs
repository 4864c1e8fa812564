//! What it came to, in figures.

use std::collections::BTreeMap;

use foxden_ledger::State;

use super::{
    Size,
    crew::Crew,
    reckoning::Reckoning,
    say,
    storm::Storm,
    takeovers::{LEASE_MS, MARGIN_MS, takeovers},
};
use crate::{servers::evidence::Evidence, support::Place};

/// Log lines with these event names are counted, over all boots.
const COUNTED: [&str; 9] = [
    "signup.duplicate",
    "lease.lost",
    "escrow.kept",
    "escrow.failed",
    "escrow.drained",
    "provisioning.abandoned",
    "ledger.unavailable",
    "ledger.recovered",
    "ledger.recorded_late",
];

/// Says everything.
pub(super) fn tell(size: &Size, storm: &Storm, crew: &Crew, reckoning: &Reckoning<'_>) {
    troubles(size, storm, crew);
    what_expired(storm, crew, reckoning);
    let ended = |outcome: &str| count(reckoning, |attempt| attempt.outcome == outcome);
    let looked = |outcome: &str| count(reckoning, |a| a.kind == "lookup" && a.outcome == outcome);
    let settled = ["present", "absent", "token_held"].map(looked);
    say(&format!(
        "{} unknown outcomes, {} of them for want of their worker; settled by lookup: {} (present {}, absent {}, token \
         held {}), lookups without an answer: {}",
        ended("unknown") + ended("unknown_on_kept_connection"),
        count(reckoning, |attempt| attempt.kind == "expired"),
        settled.iter().sum::<usize>(),
        settled[0],
        settled[1],
        settled[2],
        looked("unclear"),
    ));
    let mut parked: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reckoning.rows.iter().filter_map(|row| row.parked_reason) {
        *parked.entry(reason.as_str()).or_default() += 1;
    }
    let closed = reckoning.rows.iter().filter(|row| row.state == State::Closed).count();
    let (lost, doubled, unexplained) = (reckoning.lost, reckoning.doubled, reckoning.wrong.len());
    let shared = reckoning.shared;
    say(&format!(
        "{closed} provisioned, parked {parked:?}; {lost} lost, {doubled} doubled, {shared} addresses on two rows, \
         {unexplained} unexplained"
    ));
    let (told, repeats, resumed) = (reckoning.outcomes.len(), reckoning.repeated_outcomes, reckoning.resumed);
    say(&format!("{told} outcome events, {repeats} of them repeats, {resumed} resumed; {:?}", logged(reckoning.place)));
}

fn count(reckoning: &Reckoning<'_>, what: impl Fn(&Evidence) -> bool) -> usize {
    reckoning.attempts.iter().filter(|attempt| what(attempt)).count()
}

/// What was done to the workers and their servers.
fn troubles(size: &Size, storm: &Storm, crew: &Crew) {
    say(&format!("{} signups, {} messages sent", size.signups, storm.sent));
    let (killed, stillborn) = (crew.killed.len(), crew.stillborn);
    say(&format!(
        "{} kills, {killed} of them at work; {} starts of a worker, {stillborn} without a database or room",
        size.kills,
        crew.boots()
    ));
    let outages: Vec<String> = storm
        .outages
        .iter()
        .map(|outage| {
            let how = if outage.is_kill { "killed" } else { "restarted" };
            format!("{} {how}, away {:.1} s", outage.server, (outage.until - outage.from) as f64 / 1000.0)
        })
        .collect();
    say(&format!("{} restarts of a server: {}", outages.len(), outages.join("; ")));
    let cut = |server: &str| storm.cuts.iter().filter(|c| c.server == server).map(|c| c.connections).sum::<usize>();
    say(&format!(
        "{} cuts, {} of them just after a commit: {} connections to postgres, {} to rabbitmq",
        storm.cuts.len(),
        storm.cuts.iter().filter(|cut| cut.at_commit).count(),
        cut("postgres"),
        cut("rabbitmq"),
    ));
    let seconds = |from: i64, until: i64| (until - from) as f64 / 1000.0;
    for silence in &storm.silences {
        let (servers, took) = (silence.servers.join(" and "), seconds(silence.from, silence.until));
        let how = if silence.is_deaf { "new ones not served" } else { "new ones served" };
        say(&format!("silence: {} connections to {servers}, {how}, {took:.1} s", silence.connections));
    }
    for full in &storm.fulls {
        say(&format!("the disk was full for {:.1} s", seconds(full.from, full.until)));
    }
}

/// Calls whose worker vanished.
fn what_expired(storm: &Storm, crew: &Crew, reckoning: &Reckoning<'_>) {
    let took = takeovers(storm, crew, reckoning);
    let mut of_the_killed = 0;
    for (when, took) in [
        ("in the calm", &took.calm),
        ("with the database away or cut off", &took.disturbed),
        ("with nobody at work for a while", &took.unattended),
    ] {
        of_the_killed += took.len();
        let [median, longest] = [took.get(took.len() / 2), took.last()].map(|ms| ms.copied().unwrap_or_default());
        let late = took.iter().filter(|took| **took > LEASE_MS + MARGIN_MS).count();
        say(&format!(
            "from kill to takeover, {when}: {} calls, median {median} ms, longest {longest} ms, {late} later than lease + \
             5 s",
            took.len()
        ));
    }
    let expired = count(reckoning, |attempt| attempt.kind == "expired");
    say(&format!("calls that expired without a kill: {}", expired - of_the_killed));
}

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
