//! `foxden submit`: signup events from a file, straight into the ledger or to the broker.

mod events;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use foxden_intake::{Admitted, Door, Publisher, SignupEvent};
use foxden_ledger::Source;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use self::events::{Document, Documents};
use crate::{
    exit::Exit,
    output,
    settings::{Need, Needs, Settings, Sources},
    telemetry::{self, Output},
    terminal::printable,
    wiring,
};

pub(crate) const HELP: &str = "\
FILE holds one event, or one event a line (JSON lines); - is standard input. Every event is checked first; those that
are wrong are named with every mistake and left out, the others are submitted. Submitting twice is harmless: a signup id
that is known is not made again.

With FOXDEN_AMQP_URL set, events are published to the broker, each confirmed; else they go straight into the ledger.

Examples:
  foxden submit signup.json
  foxden submit --to ledger signups.jsonl
  jq -c '.[]' customers.json | foxden submit -

An event:
  {\"version\":1,\"signup_id\":\"acct_000001\",
   \"user\":{\"first_name\":\"Ada\",\"last_name\":\"Lovelace\",\"email\":\"ada@example.com\"},
   \"store\":{\"name\":\"Ada's Engines\",\"url\":\"https://ada.example.com\",\"email\":\"shop@ada.example.com\",
            \"country\":\"US\",\"region\":\"MN\",\"postal_code\":\"55401\"}}";

/// So many events go into the ledger in one transaction.
const BATCH: usize = 500;
/// Mistakes are shown in full for so many events; a file with a wrong column would otherwise fill the screen.
const SHOWN: u64 = 20;

/// `foxden submit …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to submit to [default: the broker if there is one, else the ledger]
    #[arg(long, value_name = "WHERE")]
    to: Option<Destination>,
    /// Print the counts as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Where events go.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    /// Straight into the ledger
    Ledger,
    /// To RabbitMQ
    Broker,
}

/// What came of them.
#[derive(Default)]
struct Tally {
    submitted: u64,
    known: u64,
    corrected: u64,
    refused: u64,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let (keys, amqp) = match options.to {
        None => (Need::IfSet, Need::IfSet),
        Some(Destination::Broker) => (Need::Unused, Need::Required),
        Some(Destination::Ledger) => (Need::Required, Need::Unused),
    };
    let needs = Needs { keys, amqp, ..Needs::default() };
    let sources = Sources::of_process(config);
    let mut settings = Settings::parse(&sources, needs)?;
    let to_broker = options.to.map_or(settings.amqp.is_some(), |to| to == Destination::Broker);
    if !to_broker && settings.keys.ring.is_none() {
        // Events are sealed on their way into the ledger; said with whatever else is wrong.
        settings = Settings::parse(&sources, Needs { keys: Need::Required, ..needs })?;
    }
    telemetry::init(&settings.telemetry, Output::Stderr)?;
    let (input, size) = open(&options.file)?;
    let documents = Documents::read(input).context("could not read the events")?;
    let progress = progress_bar(size);
    let (tally, place) = if to_broker {
        let amqp = wiring::amqp(settings.amqp.as_ref().context("FOXDEN_AMQP_URL is not set")?)?;
        let place = amqp.url.display();
        (publish(documents, &amqp, &progress).await?, place)
    } else {
        let place = settings.database.url.display();
        (store(documents, settings, &progress).await?, place)
    };
    progress.finish_and_clear();
    report(&tally, &place, to_broker, options.json);
    Ok(if tally.refused > 0 { Exit::InPart } else { Exit::Done })
}

async fn store(documents: Documents, settings: Settings, progress: &ProgressBar) -> anyhow::Result<Tally> {
    let ledger = wiring::ledger(&settings.database).await?;
    let custody = wiring::custody(settings.keys)?;
    wiring::check_keys(&ledger, &custody, None).await?;
    let door = Door::new(ledger, custody, Source::Submit);
    let (mut tally, mut batch) = (Tally::default(), Vec::with_capacity(BATCH));
    for document in documents {
        let document = document.context("could not read the events")?;
        progress.set_position(document.end);
        if let Some(event) = check(&document, &mut tally) {
            batch.push((document.line, event));
        }
        if batch.len() == BATCH {
            flush(&door, &mut batch, &mut tally).await?;
        }
    }
    flush(&door, &mut batch, &mut tally).await?;
    Ok(tally)
}

async fn flush(door: &Door, batch: &mut Vec<(u64, SignupEvent)>, tally: &mut Tally) -> anyhow::Result<()> {
    let (lines, events): (Vec<u64>, Vec<SignupEvent>) = batch.drain(..).unzip();
    let admitted = door.admit_queued(&events).await.with_context(|| {
        format!(
            "stopped after {} events; submit the same file again, nothing is made twice",
            tally.submitted + tally.known + tally.corrected
        )
    })?;
    for ((line, event), admitted) in lines.into_iter().zip(&events).zip(admitted) {
        match admitted {
            Admitted::Queued | Admitted::Leased(_) => tally.submitted += 1,
            Admitted::Duplicate(_) => tally.known += 1,
            Admitted::Corrected(_) => tally.corrected += 1,
            Admitted::Conflict(_, why) => {
                tally.refused += 1;
                if tally.refused <= SHOWN {
                    let id = &event.signup_id;
                    output::note(format!("line {line}: signup {id} is known with other content, which stays: {why}"));
                }
            }
        }
    }
    Ok(())
}

async fn publish(
    documents: Documents,
    amqp: &foxden_intake::AmqpSettings,
    progress: &ProgressBar,
) -> anyhow::Result<Tally> {
    let publisher = Publisher::connect(amqp)
        .await
        .with_context(|| format!("could not reach the broker at {}", amqp.url.display()))?;
    let mut tally = Tally::default();
    for document in documents {
        let document = document.context("could not read the events")?;
        progress.set_position(document.end);
        let Some(event) = check(&document, &mut tally) else { continue };
        publisher.publish_signup(&event.signup_id, &document.bytes).await.with_context(|| {
            format!(
                "line {}: the broker did not take signup {}; submit the same file again, nothing is made twice",
                document.line, event.signup_id
            )
        })?;
        tally.submitted += 1;
    }
    publisher.close().await;
    Ok(tally)
}

/// Parses an event, or names its mistakes and counts it as refused.
fn check(document: &Document, tally: &mut Tally) -> Option<SignupEvent> {
    match SignupEvent::parse(&document.bytes) {
        Ok(event) => Some(event),
        Err(error) => {
            tally.refused += 1;
            if tally.refused <= SHOWN {
                let text = error.to_string();
                let lines: Vec<_> = text.lines().map(|line| format!("  {}", printable(line))).collect();
                output::note(format!("line {}: this event is refused:\n{}", document.line, lines.join("\n")));
            } else if tally.refused == SHOWN + 1 {
                output::note("further refused events are only counted");
            }
            None
        }
    }
}

fn report(tally: &Tally, place: &str, to_broker: bool, json: bool) {
    if json {
        let Tally { submitted, known, corrected, refused } = tally;
        let counts = json!({
            "submitted": submitted, "known": known, "corrected": corrected, "refused": refused, "to": place,
        });
        output::say_json(&counts);
        return;
    }
    let mut line = format!("{} submitted to {place}", output::count(tally.submitted));
    let others = [(tally.corrected, "corrected"), (tally.known, "known already"), (tally.refused, "refused")];
    for (number, what) in others {
        if number > 0 {
            line.push_str(&format!(", {} {what}", output::count(number)));
        }
    }
    output::say(line);
    if tally.submitted + tally.corrected > 0 && !to_broker {
        output::say("a worker takes them up: foxden worker; foxden status shows where they stand");
    }
}

/// The file or standard input, and its size if it is known.
fn open(file: &Path) -> anyhow::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let opened = File::open(file).with_context(|| format!("could not open {}", file.display()))?;
    let size = opened.metadata().ok().map(|meta| meta.len()).filter(|size| *size > 0);
    Ok((Box::new(BufReader::new(opened)), size))
}

/// Shown on a terminal, for input that takes a while.
fn progress_bar(size: Option<u64>) -> ProgressBar {
    let Some(size) = size.filter(|_| io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta} left")
        .expect("the template names fields that exist");
    ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr()).with_style(style)
}
