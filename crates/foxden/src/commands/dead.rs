//! `foxden dead`: the messages that can't be taken.

mod list;
mod removal;
mod show;

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use foxden_intake::{DeadLetter, DeadQueue};

use crate::{
    exit::Exit,
    output,
    settings::{Need, Needs},
    terminal::printable,
    wiring,
};

/// `foxden dead …`
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List dead letters, the oldest first
    #[command(after_help = list::HELP)]
    List(list::Options),
    /// Show one: its reason, every mistake, its headers
    #[command(after_help = show::HELP)]
    Show(show::Options),
    /// Put dead letters back into the signup queue
    #[command(after_help = removal::REQUEUE_HELP)]
    Requeue(removal::RequeueOptions),
    /// Remove dead letters for good
    #[command(after_help = removal::DROP_HELP)]
    Drop(removal::DropOptions),
}

/// Which dead letters are meant.
#[derive(Args, Debug)]
#[group(id = "which", required = true, multiple = true)]
struct Selection {
    /// Those with these handles; `foxden dead list` shows them
    #[arg(value_name = "HANDLE", conflicts_with_all = ["all", "reason"])]
    handles: Vec<String>,
    /// All that are there
    #[arg(long)]
    all: bool,
    /// All that are there for this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

impl Selection {
    fn chooses(&self, letter: &DeadLetter) -> bool {
        if self.handles.is_empty() {
            is_for(letter, self.reason.as_deref())
        } else {
            self.handles.contains(&letter.handle)
        }
    }

    /// The handles that were given and that no letter has.
    fn missing(&self, found: &BTreeSet<String>) -> Vec<&str> {
        self.handles.iter().filter(|handle| !found.contains(*handle)).map(String::as_str).collect()
    }
}

fn is_for(letter: &DeadLetter, reason: Option<&str>) -> bool {
    reason.is_none_or(|reason| letter.reason == reason)
}

pub(crate) async fn run(config: Option<&Path>, command: Command) -> anyhow::Result<Exit> {
    if let Command::Drop(options) = &command
        && !options.may_go_on()
    {
        output::note("error: nobody can be asked here, so nothing was dropped; --yes drops without asking");
        return Ok(Exit::Usage);
    }
    let settings = super::settings(config, Needs { amqp: Need::Required, ..Needs::default() })?;
    let amqp = wiring::amqp(settings.amqp.as_ref().context("FOXDEN_AMQP_URL is not set")?)?;
    let queue = DeadQueue::connect(&amqp)
        .await
        .with_context(|| format!("could not reach the broker at {} (FOXDEN_AMQP_URL)", amqp.url.display()))?;
    let ended = match command {
        Command::List(options) => list::run(&queue, &options).await,
        Command::Show(options) => show::run(&queue, &options).await,
        Command::Requeue(options) => removal::requeue(&queue, &options).await,
        Command::Drop(options) => removal::drop(&queue, &options).await,
    };
    queue.close().await;
    ended.with_context(|| format!("could not work on the dead letters in {}", printable(&amqp.dead_queue)))
}

/// What to say of a handle that no dead letter has.
fn not_found(handle: &str) {
    output::note(format!(
        "error: no dead letter has the handle {}; `foxden dead list` shows those that are there",
        printable(handle)
    ));
}
