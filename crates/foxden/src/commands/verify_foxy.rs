//! `foxden verify-foxy`: tries on a real sandbox what foxden assumes of Foxy.

pub(crate) mod assumption;
mod client;
mod experiments;
mod left;
mod verdict;
mod walk;

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;
use clap::Args;
use foxy_api::{CreatedStore, CreatedUser};
use serde_json::json;
use time::OffsetDateTime;

use self::{
    assumption::Assumption,
    experiments::Experiments,
    left::Left,
    verdict::Verdict,
    walk::{Finding, Marks, Walk},
};
use crate::{
    exit::Exit,
    output,
    settings::{FoxyAllows, FoxyApi, FoxySettings, Need, Needs, Permission},
    signals::{HangUp, Signals},
    terminal::{self, Paint, Painter},
    wiring,
};

pub(crate) const HELP: &str = "\
Foxy's documentation leaves some things open that foxden has to rely on; docs/foxy-assumptions.md lists them. This walks
through them with your own client, at Foxy's sandbox or at a simulator on this machine, never in production. It asks
before it creates anything: a user and a store, then what six experiments need (integrations, a second store, an OAuth
client), with \"foxden verify\" in their names. At the end it deletes what Foxy lets it delete, and lists the rest; it
lists it, too, when it is interrupted. It keeps no token. The last line of its output is the setting FOXDEN_FOXY_ALLOWS,
by what was found.

Exit status 3: something did not hold, had no plain answer, or could not be tried.

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
    let left = Left::default();
    let mut signals = Signals::install(HangUp::stops());
    let ended = tokio::select! {
        ended = verify(&side, &settings.foxy, &options, (&marks, &left), &report) => ended,
        _ = signals.next() => {
            output::note("interrupted before everything was cleaned up");
            Ok(Exit::InPart)
        }
    };
    for line in left.lines() {
        output::note(format!("left at Foxy: {line}"));
    }
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
    (marks, left): (&Marks, &Left),
    report: &Report,
) -> anyhow::Result<Exit> {
    let stranger = side.with_secret(walk::wrong_secret())?;
    let mut found = BTreeMap::new();
    let mut tell = |assumption: Assumption, finding: Finding| {
        report.tell(assumption, &finding);
        found.insert(assumption, matches!(finding, Finding::Held(_)));
    };
    output::note(format!("Foxy is at {}", side.home));
    let mut walk = Walk::new(&side.foxy, marks, left, settings.call_timeout, &mut tell);
    let (mut user, mut store) = (None, None);
    if walk.look(&stranger).await
        && agreed(options, format!("Create a user with the login {}?", terminal::printable(&marks.email))).await?
    {
        user = walk.make_user().await;
        if let Some(user) = &user
            && agreed(options, format!("Create a store {} of that user's?", marks.domain)).await?
        {
            store = walk.make_store(user).await;
        }
    }
    for assumption in Assumption::ALL.iter().filter(|assumption| !found.contains_key(assumption)) {
        report.not_tried(*assumption);
    }
    let held = found.values().filter(|held| **held).count();
    let experiments = experiment(side, settings, options, (marks, left), report, (user, store)).await?;
    output::note(format!(
        "\n{held} of {} hold; docs/foxy-assumptions.md says what hangs on each",
        Assumption::ALL.len()
    ));
    Ok(if held == Assumption::ALL.len() && experiments { Exit::Done } else { Exit::InPart })
}

/// The experiments, and the cleaning up. Whether each has a plain answer.
async fn experiment(
    side: &wiring::FoxySide,
    settings: &FoxySettings,
    options: &Options,
    (marks, left): (&Marks, &Left),
    report: &Report,
    (user, store): (Option<CreatedUser>, Option<CreatedStore>),
) -> anyhow::Result<bool> {
    let mut found = BTreeMap::new();
    let mut tell = |permission: Permission, verdict: Verdict| {
        report.experiment(permission, &verdict);
        found.insert(permission, verdict);
    };
    let call_timeout = settings.call_timeout;
    let mut experiments = Experiments { side, marks, left, call_timeout, tell: &mut tell };
    if let (Some(user), Some(store)) = (&user, &store)
        && agreed(options, "Try six things more, with integrations, a second store and an OAuth client?".into()).await?
    {
        experiments.with_store(user, store).await;
        experiments.with_client().await;
    }
    if let Some(user) = &user {
        experiments.deletes(user, store.as_ref()).await;
    }
    left.clear_all(|| walk::deadline(call_timeout)).await;
    for permission in Permission::ALL.iter().filter(|permission| !found.contains_key(permission)) {
        report.experiment(*permission, &Verdict::NotTried(String::new()));
    }
    let is_allowed = |found: &(Permission, Verdict)| matches!(found.1, Verdict::Allowed(_));
    let is_answered = |verdict: &Verdict| matches!(verdict, Verdict::Allowed(_) | Verdict::Refused(_));
    let answered = found.values().filter(|verdict| is_answered(verdict)).count() == Permission::ALL.len();
    let allows: FoxyAllows = found.into_iter().filter(is_allowed).map(|(permission, _)| permission).collect();
    report.setting(&allows);
    Ok(answered)
}

/// Asks in another thread, so that a signal is heard meanwhile.
async fn agreed(options: &Options, question: String) -> anyhow::Result<bool> {
    Ok(options.yes || tokio::task::spawn_blocking(move || terminal::ask(&question)).await??)
}

/// What an answer means to the person who runs this, in one sentence.
fn meaning(permission: Permission, verdict: &Verdict) -> &'static str {
    let is_allowed = match verdict {
        Verdict::Allowed(_) => true,
        Verdict::Refused(_) => false,
        Verdict::Contradicted(_) => return "OPTIONS can't be relied on here, so it counts as refused.",
        Verdict::Unclear(_) => return "Run this again; until then it counts as refused.",
        Verdict::NotTried(_) => return "Until it is tried, it counts as refused.",
    };
    match (permission, is_allowed) {
        (Permission::UserAddsStoreTokens, true) => "A lost store token can be replaced while the user's token is held.",
        (Permission::UserAddsStoreTokens, false) => "A lost store token needs a person in a browser.",
        (Permission::StoreCreatesStores, true) => {
            "One store's token can make stores, and may reach the user's others: hand it out with care."
        }
        (Permission::StoreCreatesStores, false) => "A further store needs the user's token.",
        (Permission::DeletesStoresAndUsers, true) => "What is left behind at Foxy can be removed with its token.",
        (Permission::DeletesStoresAndUsers, false) => {
            "Not everything can be removed and made again without Foxy's help."
        }
        (Permission::RevokesStoreTokens, true) => "A leaked store token can be ended at once.",
        (Permission::RevokesStoreTokens, false) => "A leaked store token can't be ended for sure without Foxy's help.",
        (Permission::ReadsAndChangesSecret, true) => {
            "A lost client secret can be read again; a leaked access token of the client is worth the secret."
        }
        (Permission::ReadsAndChangesSecret, false) => "The client's secret must be kept where it can't be lost.",
        (Permission::HidesRestrictedAttributes, true) => "The marks on stores stay unseen by other integrations.",
        (Permission::HidesRestrictedAttributes, false) => {
            "Other integrations see the marks on stores: leave FOXDEN_MARK_STORES off if they must not."
        }
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

    fn experiment(&self, permission: Permission, verdict: &Verdict) {
        let (word, paint, seen) = match verdict {
            Verdict::Allowed(seen) => ("allowed", Paint::Green, seen),
            Verdict::Refused(seen) => ("refused", Paint::Yellow, seen),
            Verdict::Contradicted(seen) => ("contradicted", Paint::Red, seen),
            Verdict::Unclear(seen) => ("unclear", Paint::Red, seen),
            Verdict::NotTried(seen) => ("not tried", Paint::Yellow, seen),
        };
        let (id, means) = (permission.id(), meaning(permission, verdict));
        if self.json {
            let word = word.replace(' ', "_");
            output::say_json(&json!({ "experiment": id, "finding": word, "seen": seen, "means": means }));
        } else {
            let word = self.painter.paint(paint, format!("{word:<9}"));
            let seen = if seen.is_empty() { String::new() } else { format!("\n{:28} {seen}", "") };
            output::say(format!("{word} {id:<18} {}{seen}\n{:28} {means}", permission.text(), ""));
        }
    }

    /// The line for the settings.
    fn setting(&self, allows: &FoxyAllows) {
        if self.json {
            output::say_json(&json!({ "setting": "FOXDEN_FOXY_ALLOWS", "value": allows.to_string() }));
        } else {
            output::say(format!("FOXDEN_FOXY_ALLOWS={allows}"));
        }
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
