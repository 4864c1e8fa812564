//! `foxden keys reseal`: moves what is sealed to the first key.

use std::{
    io::{self, IsTerminal as _},
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use foxden_custody::{Escrow, Refused, Reseal};
use foxden_ledger::{Act, By, Deed, EndOfFxd1, Ledger};
use foxden_vault::KeyRing;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{name_of, note_missing_escrow};
use crate::{
    exit::Exit,
    output, person,
    settings::{Need, Needs},
    wiring,
};

pub(crate) const HELP: &str = "\
Workers may run meanwhile. Stop it at any time: the next run goes on where this one ended. Each worker must have the first
key in its ring before. What an earlier release sealed without saying whose it is (FXD1) is sealed as what its row says it
is now, whatever its key. What does not open, or whose row contradicts itself, is named by its signup id and left as it is.

Once no FXD1 is left, in the ledger and in the escrow that FOXDEN_ESCROW_DIR names for this command, the ledger notes it:
after that, any FXD1 is refused. Let the workers on other machines drain theirs first. --admit-fxd1 takes the note back, for a
token in an escrow that was overlooked: then start a worker there, and reseal again.

Exit status 3 says that something is left under another key, or as it was.

Examples:
  foxden keys reseal
  foxden keys reseal --rate 200
  foxden keys reseal --json | jq .left";

/// How many envelopes one transaction moves: enough to spare round trips, and few enough to hold nobody up.
const PAGE: u64 = 200;

/// How many of those that don't open are named.
const SHOWN: u64 = 20;

/// How often the log tells how far it is, where no bar shows it.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// `foxden keys reseal …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// At most so many envelopes a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Let envelopes of FXD1 be opened again, and reseal nothing
    #[arg(long, conflicts_with = "rate")]
    admit_fxd1: bool,
    /// Print the counts as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    moved: u64,
    refused: u64,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = crate::commands::settings(config, Needs { keys: Need::Required, ..Needs::default() })?;
    let ledger = wiring::existing_ledger(&settings).await?;
    if options.admit_fxd1 {
        return admit_fxd1(&ledger, options.json).await;
    }
    let custody = wiring::custody(settings.keys)?;
    let ring = custody.ring();
    let to = format!("to the key {}", ring.primary());
    ledger.audit(&By::new(person::account()), Deed { detail: Some(to), ..Deed::to_all(Act::Reseal) }).await?;
    let progress = Progress::new(left(&ledger, ring).await?.iter().map(|(_, count)| count).sum());
    let mut tally = Tally::default();
    let mut walk = Reseal::begin(&ledger, &custody).await?;
    let started = Instant::now();
    // A slow pace in even steps, five a second.
    let page = options.rate.map_or(PAGE, |rate| u64::from(rate.get() / 5).clamp(1, PAGE));
    loop {
        let page = walk.next_page(page).await.with_context(|| {
            let moved = output::counted(tally.moved, "envelope", "envelopes");
            format!("stopped after {moved}; run it again, it continues there")
        })?;
        let Some(page) = page else { break };
        tally.moved += page.moved;
        page.refused.iter().for_each(|refused| name(refused, &mut tally, &progress));
        progress.at(&tally);
        if let Some(rate) = options.rate {
            let due = Duration::from_secs_f64((tally.moved + tally.refused) as f64 / f64::from(rate.get()));
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
    }
    progress.bar.finish_and_clear();
    let left = left(&ledger, ring).await?;
    let count_left: u64 = left.iter().map(|(_, count)| count).sum();
    tracing::info!(
        event = "keys.resealed",
        key = %ring.primary(),
        moved = tally.moved,
        refused = tally.refused,
        left = count_left,
        "what was sealed with other keys is sealed with the first one",
    );
    if !options.json {
        report(&tally, &left, ring);
    }
    let fxd1 = end_fxd1(&ledger, &settings.worker.escrow_dir).await;
    if options.json {
        let key = ring.primary().to_string();
        let has_ended = fxd1.as_ref().ok().map(|end| matches!(end, EndOfFxd1::Now | EndOfFxd1::Before));
        output::say_json(&json!({
            "key": key, "moved": tally.moved, "refused": tally.refused, "left": count_left, "fxd1_has_ended": has_ended,
        }));
    } else if matches!(fxd1, Ok(EndOfFxd1::Now)) {
        output::say("no FXD1 is left; after this, any FXD1 is refused");
    }
    fxd1?;
    Ok(if count_left == 0 && tally.refused == 0 { Exit::Done } else { Exit::InPart })
}

/// Notes that no `FXD1` is left, if none is. One in the escrow is about to come into the ledger.
async fn end_fxd1(ledger: &Ledger, escrow: &Path) -> anyhow::Result<EndOfFxd1> {
    let has_ended = ledger.has_fxd1_ended().await.context("could not read whether FXD1 has ended")?;
    let dir = format!("{} (FOXDEN_ESCROW_DIR)", escrow.display());
    let waiting = match Escrow::count_fxd1(escrow) {
        Ok(waiting) => waiting as u64,
        Err(error) => {
            output::note(format!("could not look for FXD1 in {dir}: {:#}", anyhow::Error::from(error)));
            return Ok(if has_ended { EndOfFxd1::Before } else { EndOfFxd1::NotYet });
        }
    };
    if waiting > 0 {
        let files = output::counted(waiting, "file is", "files are");
        let what_to_do = if has_ended {
            "no worker moves them, since FXD1 has ended in this ledger. If you know them to be your worker's: foxden keys \
             reseal --admit-fxd1"
        } else {
            "once a worker has moved them into the ledger, run this again"
        };
        output::note(format!("in {dir} {files} sealed as FXD1, or unreadable; {what_to_do}"));
    }
    if has_ended {
        return Ok(EndOfFxd1::Before);
    }
    if waiting > 0 {
        return Ok(EndOfFxd1::NotYet);
    }
    note_missing_escrow(escrow);
    let end = ledger.end_fxd1(&By::new(person::account())).await.context("could not note that no FXD1 is left")?;
    if end == EndOfFxd1::Now {
        tracing::info!(event = "keys.fxd1_ended", "no envelope of FXD1 is left; from now on one is a mismatch");
    }
    Ok(end)
}

/// Takes the note back.
async fn admit_fxd1(ledger: &Ledger, json: bool) -> anyhow::Result<Exit> {
    let by = By::new(person::account());
    let was_ended = ledger.admit_fxd1(&by).await?;
    if was_ended {
        tracing::warn!(event = "keys.fxd1_admitted", who = by.who.as_str(), "envelopes of FXD1 are opened again");
    }
    if json {
        output::say_json(&json!({ "fxd1_has_ended": false }));
    } else if was_ended {
        output::say("envelopes of FXD1 are opened again, until foxden keys reseal finds none left");
    } else {
        output::note("FXD1 had not ended in this ledger; nothing was changed");
    }
    Ok(Exit::Done)
}

/// The other keys that envelopes are sealed with, in words, and how many.
async fn left(ledger: &Ledger, ring: &KeyRing) -> anyhow::Result<Vec<(String, u64)>> {
    let mut left = Vec::new();
    for key in ledger.keys_in_use().await?.into_iter().filter(|key| *key != ring.primary()) {
        let words = match name_of(ring, key) {
            Some(name) => format!("{name} ({key})"),
            None => format!("{key}, which is not in the ring"),
        };
        left.push((words, ledger.count_envelopes_of(key, u32::MAX).await?.envelopes()));
    }
    Ok(left)
}

fn name(refused: &Refused, tally: &mut Tally, progress: &Progress) {
    tally.refused += 1;
    let Refused { signup_id, contents, reason } = refused;
    progress.bar.suspend(|| {
        if tally.refused <= SHOWN {
            output::note(format!("signup {signup_id}: its {} is left as it is: {reason}", contents.as_str()));
        } else if tally.refused == SHOWN + 1 {
            output::note("further ones that don't open are only counted");
        }
    });
}

fn report(tally: &Tally, left: &[(String, u64)], ring: &KeyRing) {
    let first = ring.primary();
    let name = name_of(ring, first).unwrap_or_default();
    let moved = output::counted(tally.moved, "envelope", "envelopes");
    output::say(format!("{moved} moved to the key {name} ({first})"));
    if tally.refused > 0 {
        let refused =
            output::counted(tally.refused, "does not open and stays as it is", "do not open and stay as they are");
        output::say(refused);
    }
    for (key, count) in left {
        output::say(format!("{} left under the key {key}", output::counted(*count, "is", "are")));
    }
    if left.is_empty() {
        output::say("nothing needs another key; foxden keys status tells which can be dropped");
    }
}

/// How far it is: a bar on a terminal, else a line in the log now and then.
struct Progress {
    bar: ProgressBar,
    total: u64,
    told: std::cell::Cell<Instant>,
}

impl Progress {
    fn new(total: u64) -> Self {
        let bar = if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec} {eta} left")
                .expect("the template names fields that exist");
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        Self { bar, total, told: Instant::now().into() }
    }

    fn at(&self, tally: &Tally) {
        self.bar.set_position(tally.moved + tally.refused);
        if self.bar.is_hidden() && self.told.get().elapsed() >= TELL_EVERY {
            self.told.set(Instant::now());
            tracing::info!(event = "keys.resealing", moved = tally.moved, of = self.total, "at work");
        }
    }
}
