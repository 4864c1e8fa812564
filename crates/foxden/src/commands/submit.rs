//! `foxden submit`: signup events from a file, straight into the ledger or to the broker.

mod destination;
mod events;
mod progress;
mod reader;
mod refusals;
mod resume;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use foxden_intake::{BODY_MAX, SignupEvent};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    destination::{Answer, Destination},
    events::{Documents, OtherForm},
    progress::Progress,
    reader::{Item, OtherInput},
    refusals::Refusals,
    resume::{Mark, Resume},
};
use crate::{
    exit::Exit,
    output,
    settings::{Need, Needs, Settings, Sources},
    signals::{HangUp, Signals, Wish},
    telemetry::{self, Output},
    wiring,
};

/// For the answers to the batch under way, once a person has asked to stop. A broker that is short of memory confirms
/// nothing for as long as that lasts.
const GRACE: Duration = Duration::from_secs(3);

pub(crate) const HELP: &str = "\
FILE holds one event, or one event a line (JSON lines); - is standard input. Every event is checked first; those that
are wrong are named by their lines, with every mistake, and left out; the others are submitted. Submitting twice is
harmless: a signup id that is known is not made again.

With FOXDEN_AMQP_URL set, events are published to the broker, each confirmed; else they go straight into the ledger.

Cut off half-way, it says from which line to resume. SIGTERM, Ctrl-C or a
terminal that closes (unless under nohup) waits 3 s for the batch under way. With --state it keeps that in a file, so that the same command
resumes there, also after a kill; some events may then be submitted twice.

Examples:
  foxden submit signup.json
  foxden submit --to ledger signups.jsonl
  foxden submit --state signups.state --rejects refused.jsonl signups.jsonl
  jq -c '.[]' customers.json | foxden submit -

An event:
  {\"version\":1,\"signup_id\":\"acct_000001\",
   \"user\":{\"first_name\":\"Ada\",\"last_name\":\"Lovelace\",\"email\":\"ada@example.com\"},
   \"store\":{\"name\":\"Ada's Engines\",\"url\":\"https://ada.example.com\",\"email\":\"shop@ada.example.com\",
            \"country\":\"US\",\"region\":\"MN\",\"postal_code\":\"55401\"}}";

/// `foxden submit …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to submit to [default: the broker if there is one, else the ledger]
    #[arg(long, value_name = "WHERE")]
    to: Option<Where>,
    /// Leave out what comes before this line
    #[arg(long, value_name = "N", conflicts_with = "state")]
    from_line: Option<u64>,
    /// Keep in this file how far it is, and go on from there
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Add the events that are refused to this file, as they are
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Print the counts as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// Where events go.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// Straight into the ledger
    Ledger,
    /// To RabbitMQ
    Broker,
}

/// How a submitting ended, errors apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All was read, and has its answer.
    Whole,
    /// A person stopped it between two batches.
    Stopped,
    /// A person stopped it, and the events of a batch, this many, had no answer in time.
    Unanswered(usize),
}

/// What came of them.
#[derive(Default)]
struct Tally {
    submitted: u64,
    known: u64,
    corrected: u64,
    /// Events before the line at which it began.
    skipped: Arc<AtomicU64>,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let (keys, amqp) = match options.to {
        None => (Need::IfSet, Need::IfSet),
        Some(Where::Broker) => (Need::Unused, Need::Required),
        Some(Where::Ledger) => (Need::Required, Need::Unused),
    };
    let needs = Needs { keys, amqp, ..Needs::default() };
    let sources = Sources::of_process(config);
    let mut settings = Settings::parse(&sources, needs)?;
    let to_broker = options.to.map_or(settings.amqp.is_some(), |to| to == Where::Broker);
    if !to_broker && settings.keys.ring.is_none() {
        // Events are sealed on their way into the ledger; said with whatever else is wrong.
        settings = Settings::parse(&sources, Needs { keys: Need::Required, ..needs })?;
    }
    telemetry::init(&settings.telemetry, Output::Stderr)?;
    super::say_which_file(&settings);
    files_of_their_own(&options)?;
    let mut resume = Resume::open(options.state, options.from_line)?;
    let (input, size) = open(&options.file)?;
    let refusals = Refusals::open(options.rejects)?;
    let (destination, place, identity) = if to_broker {
        let amqp = wiring::amqp(settings.amqp.as_ref().context("FOXDEN_AMQP_URL is not set")?)?;
        let place = amqp.url.display();
        wiring::warn_of_exposed(None, Some(&amqp));
        let publisher = destination::broker(&amqp).await?;
        let identity = format!("{place}, virtual host {}, {}", amqp.url.vhost(), publisher.sends_to());
        (Destination::Broker(Box::new(publisher)), place, identity)
    } else {
        let url = settings.database.url.clone();
        wiring::warn_of_exposed(Some(&settings.database), None);
        let destination = Destination::ledger(settings).await?;
        let identity = match url.file() {
            // By now it is there. The same relative path in another directory is another ledger.
            Some(file) => format!("sqlite:{}", fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()).display()),
            None => url.display(),
        };
        (destination, url.display(), identity)
    };
    resume.bind(&identity)?;
    resume.announce();
    let start = resume.start();
    let skipped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&skipped);
    let tally = Tally { skipped, ..Tally::default() };
    let mut run = Run { destination, resume, refusals, progress: Progress::new(size), tally };
    // Looking at the first line may have to wait for it.
    let read = async move {
        let documents = tokio::task::spawn_blocking(move || Documents::read(input)).await?;
        let documents = documents.map_err(|error| match error.is::<OtherForm>() {
            true => error,
            false => error.context("could not read the events"),
        });
        anyhow::Ok(reader::read(documents?, start, counted))
    };
    let ended = run.all(read).await;
    run.progress.end();
    let saved = run.resume.save();
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) if error.is::<OtherInput>() || error.is::<OtherForm>() => return Err(error),
        // The first cause is the one to be told, with the way to go on.
        Err(error) => return Err(error.context(format!("stopped before the end; {}", run.resume.hint()))),
    };
    saved?;
    match ended {
        Ended::Whole => {}
        Ended::Stopped => output::note(format!("stopped before the end, as asked; {}", run.resume.hint())),
        Ended::Unanswered(events) => output::note(format!(
            "stopped before the end, as asked; of the batch under way {} had no answer within {} s, and may be submitted or not; {}",
            output::count(events as u64),
            GRACE.as_secs(),
            run.resume.hint()
        )),
    }
    let is_whole = ended == Ended::Whole;
    run.report(&place, to_broker, !is_whole, options.json);
    let in_part = run.refusals.count() > 0 || !is_whole;
    run.destination.close().await;
    Ok(if in_part { Exit::InPart } else { Exit::Done })
}

/// One submitting.
struct Run {
    destination: Destination,
    resume: Resume,
    refusals: Refusals,
    progress: Progress,
    tally: Tally,
}

impl Run {
    /// Submits batch by batch: what has been read by then, so that a slow input is not waited for.
    async fn all(
        &mut self,
        read: impl Future<Output = anyhow::Result<mpsc::Receiver<anyhow::Result<Item>>>>,
    ) -> anyhow::Result<Ended> {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signals(stop.clone()));
        let mut items = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Stopped),
            items = read => items?,
        };
        loop {
            let mut batch = Vec::with_capacity(self.destination.batch());
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Stopped),
                read = items.recv_many(&mut batch, self.destination.batch()) => read,
            };
            if read == 0 {
                return Ok(Ended::Whole);
            }
            if let Some(ended) = self.take(batch, &stop).await? {
                return Ok(ended);
            }
        }
    }

    /// Submits a batch, and remembers how far it is. Answers how it ended if it had no answer after a stop.
    async fn take(
        &mut self,
        batch: Vec<anyhow::Result<Item>>,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Ended>> {
        let (mut documents, mut events, mut failed) = (Vec::new(), Vec::new(), None);
        for item in batch {
            match item {
                Ok(Item { document, event: Ok(event) }) => {
                    documents.push((document, None));
                    events.push(event);
                }
                Ok(Item { document, event: Err(error) }) => {
                    // Of one that was cut only the beginning was looked at, and its length is not known.
                    let why = match document.is_cut {
                        true => format!("event has more than {BODY_MAX} bytes; no more are read"),
                        false => error.to_string(),
                    };
                    documents.push((document, Some(format!("this event is refused:\n{why}"))));
                }
                Err(error) => failed = Some(error),
            }
        }
        let taken = documents.iter().filter(|(_, refused)| refused.is_none()).map(|(document, _)| document);
        let (lines, texts): (Vec<u64>, Vec<&[u8]>) = taken.map(|one| (one.line, one.bytes.as_slice())).unzip();
        let last = lines.last().zip(events.last());
        let last = last.map(|(line, event)| Mark { line: *line, signup_id: event.signup_id.to_string() });
        let refused_before = self.refusals.count();
        let answers = tokio::select! {
            biased;
            answers = self.submit(&texts, &events) => answers?,
            () = grace_after(stop) => return Ok(Some(Ended::Unanswered(events.len()))),
        };
        let mut answers = answers.into_iter();
        for (document, refused) in &documents {
            let answer = match refused {
                Some(why) => Answer::Refused(why.clone()),
                None => answers.next().context("every event has an answer")?,
            };
            match answer {
                Answer::Submitted => self.tally.submitted += 1,
                Answer::Known => self.tally.known += 1,
                Answer::Corrected => self.tally.corrected += 1,
                Answer::Refused(why) => self.progress.aside(|| self.refusals.add(document, &why))?,
            }
        }
        self.refusals.flush()?;
        if let Some((document, _)) = documents.last() {
            let refused = self.refusals.count() - refused_before;
            self.resume.reached(document.line, last, refused)?;
            self.progress.at(documents.len() as u64, document.line + 1, document.end);
        }
        failed.map_or(Ok(None), |error| Err(error.context("could not read the events")))
    }

    async fn submit(&self, texts: &[&[u8]], events: &[SignupEvent]) -> anyhow::Result<Vec<Answer>> {
        if events.is_empty() { Ok(Vec::new()) } else { self.destination.take(texts, events).await }
    }

    fn report(&self, place: &str, to_broker: bool, is_cut_off: bool, json: bool) {
        let (Tally { submitted, known, corrected, skipped }, refused) = (&self.tally, self.refusals.count());
        let skipped = skipped.load(Ordering::Relaxed);
        if json {
            let next_line = is_cut_off.then(|| self.resume.next_line());
            output::say_json(&json!({
                "submitted": submitted, "known": known, "corrected": corrected, "refused": refused,
                "skipped": skipped, "to": place, "next_line": next_line,
            }));
            return;
        }
        let mut line = format!("{} submitted to {place}", output::count(*submitted));
        let further =
            [(*corrected, "corrected"), (*known, "known already"), (refused, "refused"), (skipped, "skipped")];
        for (number, what) in further {
            if number > 0 {
                line.push_str(&format!(", {} {what}", output::count(number)));
            }
        }
        output::say(line);
        if submitted + corrected > 0 && !to_broker {
            output::say("a worker takes them up: foxden worker; foxden status shows where they stand");
        }
    }
}

/// Until the time for answers is over, which begins with the stop.
async fn grace_after(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

/// The first signal ends it after the batch that is under way, one that comes later at once.
async fn stop_on_signals(stop: CancellationToken) {
    let mut signals = Signals::install(HangUp::stops());
    loop {
        match signals.next().await {
            Wish::Stop(_) => stop.cancel(),
            Wish::Kill(_) => std::process::exit(Exit::Failed as i32),
            // Not asked for: a SIGHUP stops.
            Wish::Reread => {}
        }
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

/// Refuses one file for two purposes: the events, the state or the refused events would overwrite each other.
fn files_of_their_own(options: &Options) -> anyhow::Result<()> {
    let named = [
        ("FILE", Some(&options.file).filter(|file| *file != Path::new("-"))),
        ("--state", options.state.as_ref()),
        ("--rejects", options.rejects.as_ref()),
    ];
    let named: Vec<_> = named.into_iter().filter_map(|(role, file)| Some((role, file?, whole(file?)))).collect();
    for (at, (role, file, path)) in named.iter().enumerate() {
        if let Some((other, ..)) = named[..at].iter().find(|(_, _, earlier)| earlier == path) {
            bail!("{other} and {role} are the same file, {}; give each one of its own", file.display());
        }
    }
    Ok(())
}

/// The path of a file, without links, whether it is there already or not.
fn whole(file: &Path) -> PathBuf {
    let of_parent = || {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(fs::canonicalize(parent).ok()?.join(file.file_name()?))
    };
    fs::canonicalize(file).ok().or_else(of_parent).unwrap_or_else(|| file.to_owned())
}
