//! `foxden verify-foxy`: tries on a real sandbox what foxden assumes of Foxy.

pub(crate) mod assumption;
mod walk;

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;
use clap::Args;
use foxy_api::LinkProblem;
use serde_json::json;
use time::OffsetDateTime;

use self::{
    assumption::Assumption,
    walk::{Finding, Marks, Walk},
};
use crate::{
    exit::Exit,
    output,
    settings::{FoxyApi, FoxySettings, Need, Needs},
    terminal::{self, Paint, Painter},
    wiring,
};

pub(crate) const HELP: &str = "\
Foxy's documentation leaves some things open that foxden has to rely on; docs/foxy-assumptions.md lists them. This walks
through them with your own client, at Foxy's sandbox or at a simulator on this machine, never in production. It asks
before it creates anything: one user and one store, with \"foxden verify\" in their names. They stay at Foxy; their
tokens are not kept.

Exit status 3: something did not hold, or could not be tried.

Examples:
  FOXDEN_FOXY_API=sandbox foxden verify-foxy --sandbox
  foxden verify-foxy --sandbox --email you+verify@platform.example --yes --json";

/// `foxden verify-foxy …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Go to the Foxy that FOXDEN_FOXY_API names, which must not be production
    #[arg(long, required = true)]
    sandbox: bool,
    /// The login of the user that is created [default: one that no mail reaches]
    #[arg(long)]
    email: Option<String>,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    if !options.yes && !terminal::can_ask() {
        output::note("error: nobody can be asked here, so nothing was tried; --yes goes on without asking");
        return Ok(Exit::Usage);
    }
    let settings = super::settings(config, Needs { foxy: Need::Required, ..Needs::default() })?;
    if !is_for_trying(&settings.foxy.api) {
        bail!(
            "FOXDEN_FOXY_API is not a place to try things: it must be sandbox, simulator, or the address of a simulator on \
             this machine. Nothing was sent"
        );
    }
    let side = wiring::foxy(&settings.foxy).await?;
    let marks = marks(options.email.clone());
    let report = Report { painter: Painter::of(&std::io::stdout(), settings.telemetry.no_color), json: options.json };
    let ended = verify(&side, &settings.foxy, &options, &marks, &report).await;
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    ended
}

/// The sandbox, or what is on this machine.
fn is_for_trying(api: &FoxyApi) -> bool {
    match api {
        FoxyApi::Sandbox | FoxyApi::Simulator => true,
        FoxyApi::Production | FoxyApi::ProductionIo => false,
        // Plain http is taken for loopback only.
        FoxyApi::Url(url) => url.scheme() == "http",
    }
}

fn marks(email: Option<String>) -> Marks {
    let mark = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    let email = email.unwrap_or_else(|| format!("foxden-verify-{mark}@example.com"));
    Marks { email, domain: format!("foxden-verify-{mark}") }
}

async fn verify(
    side: &wiring::FoxySide,
    settings: &FoxySettings,
    options: &Options,
    marks: &Marks,
    report: &Report,
) -> anyhow::Result<Exit> {
    let stranger = side.with_secret(walk::wrong_secret())?;
    let mut found = BTreeMap::new();
    let mut tell = |assumption: Assumption, finding: Finding| {
        report.tell(assumption, &finding);
        found.insert(assumption, matches!(finding, Finding::Held(_)));
    };
    output::note(format!("Foxy is at {}", side.home));
    let mut walk = Walk::new(&side.foxy, marks, settings.call_timeout, &mut tell);
    let mut left = Vec::new();
    if walk.look(&stranger).await
        && agreed(options, &format!("Create a user with the login {}?", terminal::printable(&marks.email)))?
        && let Some(user) = walk.make_user().await
    {
        left.push(address("user", &user.uri));
        if agreed(options, &format!("Create a store {} of that user's?", marks.domain))?
            && let Some(store) = walk.make_store(&user).await
        {
            left.push(address("store", &store.uri));
        }
    }
    for assumption in Assumption::ALL.iter().filter(|assumption| !found.contains_key(assumption)) {
        report.not_tried(*assumption);
    }
    let held = found.values().filter(|held| **held).count();
    output::note(format!(
        "\n{held} of {} hold; docs/foxy-assumptions.md says what hangs on each",
        Assumption::ALL.len()
    ));
    for line in left {
        output::note(format!("at Foxy there is now {line}"));
    }
    Ok(if held == Assumption::ALL.len() { Exit::Done } else { Exit::InPart })
}

fn agreed(options: &Options, question: &str) -> anyhow::Result<bool> {
    Ok(options.yes || terminal::ask(question)?)
}

fn address(what: &str, uri: &Result<foxy_api::ResourceUri, LinkProblem>) -> String {
    match uri {
        Ok(uri) => format!("the {what} {uri}"),
        Err(problem) => format!("a {what} without a usable address: {problem}"),
    }
}

/// How findings are told.
struct Report {
    painter: Painter,
    json: bool,
}

impl Report {
    fn tell(&self, assumption: Assumption, finding: &Finding) {
        let (word, paint, seen) = match finding {
            Finding::Held(seen) => ("held", Paint::Green, seen),
            Finding::Broken(seen) => ("broken", Paint::Red, seen),
        };
        self.line(assumption, word, paint, seen);
    }

    fn not_tried(&self, assumption: Assumption) {
        self.line(assumption, "not tried", Paint::Yellow, "");
    }

    fn line(&self, assumption: Assumption, word: &str, paint: Paint, seen: &str) {
        if self.json {
            let word = word.replace(' ', "_");
            output::say_json(&json!({ "assumption": assumption.id(), "finding": word, "seen": seen }));
        } else {
            let word = self.painter.paint(paint, format!("{word:<9}"));
            let (id, text) = (assumption.id(), assumption.text());
            let seen = if seen.is_empty() { String::new() } else { format!("\n{:28} {seen}", "") };
            output::say(format!("{word} {id:<18} {text}{seen}"));
        }
    }
}
