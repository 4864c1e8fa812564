//! `foxden dead requeue` and `foxden dead drop`: what takes letters out of the queue.

use std::collections::BTreeSet;

use clap::Args;
use foxden_intake::{DeadLetter, DeadQueue};
use serde_json::json;

use super::{Selection, list, not_found};
use crate::{exit::Exit, output, terminal};

pub(crate) const REQUEUE_HELP: &str = "\
Each message is confirmed in the signup queue before it leaves the dead-letter queue. If this is cut off in between, one
may be in both: harmless, since a known signup is not made again. A message that is still wrong comes back, under a new
handle. For what a release after this one can read, or what has become possible; a wrong event is mended by its sender.

Examples:
  foxden dead requeue 3f9a2c41d07e
  foxden dead requeue --reason delivery_limit
  foxden dead requeue --all";

pub(crate) const DROP_HELP: &str = "\
Asks first, and drops nothing that came after it asked. Where nobody can be asked, --yes is needed. Each letter that is
dropped is logged to standard error with its signup id (`dead_letter.dropped`).

Examples:
  foxden dead drop 3f9a2c41d07e
  foxden dead drop --reason unreadable
  foxden dead drop --all --yes";

/// So many are shown before the question; of the others there is only the count.
const SHOWN: usize = 20;

/// `foxden dead requeue …`
#[derive(Args, Debug)]
pub(crate) struct RequeueOptions {
    #[command(flatten)]
    which: Selection,
    /// Print the counts as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// `foxden dead drop …`
#[derive(Args, Debug)]
pub(crate) struct DropOptions {
    #[command(flatten)]
    which: Selection,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print the count as JSON, for scripts
    #[arg(long)]
    json: bool,
}

impl DropOptions {
    /// Whether there is leave to drop, or somebody who could give it.
    pub(super) fn may_go_on(&self) -> bool {
        self.yes || terminal::can_ask()
    }
}

pub(super) async fn requeue(queue: &DeadQueue, options: &RequeueOptions) -> anyhow::Result<Exit> {
    let mut handles = BTreeSet::new();
    let requeued =
        queue.requeue(|letter| options.which.chooses(letter) && note_down(&mut handles, letter)).await?.moved;
    if options.json {
        output::say_json(&json!({ "requeued": requeued }));
    } else {
        output::say(format!("{} back in the signup queue", output::count(requeued as u64)));
    }
    Ok(ending(&options.which, &handles))
}

pub(super) async fn drop(queue: &DeadQueue, options: &DropOptions) -> anyhow::Result<Exit> {
    let mut agreed = None;
    if !options.yes {
        agreed = agreed_on(queue, &options.which).await?;
        if agreed.is_none() {
            output::note("nothing was dropped");
            return Ok(Exit::Failed);
        }
    }
    let mut handles = BTreeSet::new();
    let meant = |letter: &DeadLetter| match &agreed {
        Some(agreed) => agreed.contains(&letter.handle),
        None => options.which.chooses(letter),
    };
    let dropped = queue.drop_for_good(|letter| meant(letter) && note_down(&mut handles, letter)).await?;
    if options.json {
        output::say_json(&json!({ "dropped": dropped }));
    } else {
        output::say(format!("{} dropped", output::count(dropped as u64)));
    }
    Ok(ending(&options.which, &handles))
}

fn note_down(handles: &mut BTreeSet<String>, letter: &DeadLetter) -> bool {
    handles.insert(letter.handle.clone());
    true
}

/// The handles of what a person has seen and agreed to drop; nothing if they said no. What comes meanwhile is not
/// among them.
async fn agreed_on(queue: &DeadQueue, which: &Selection) -> anyhow::Result<Option<BTreeSet<String>>> {
    let letters = queue.list(usize::MAX, |letter| which.chooses(letter)).await?;
    if !letters.is_empty() {
        output::note(list::table(&letters[..letters.len().min(SHOWN)]));
        if letters.len() > SHOWN {
            output::note(format!("and {} more", output::count((letters.len() - SHOWN) as u64)));
        }
        let count = output::count(letters.len() as u64);
        if !terminal::ask(&format!("Drop {count} of them for good? Their messages are lost."))? {
            return Ok(None);
        }
    }
    Ok(Some(letters.into_iter().map(|letter| letter.handle).collect()))
}

/// Says which handles were not there.
fn ending(which: &Selection, found: &BTreeSet<String>) -> Exit {
    let missing = which.missing(found);
    missing.iter().for_each(|handle| not_found(handle));
    match (found.is_empty(), missing.is_empty()) {
        (true, _) => Exit::NotFound,
        (false, false) => Exit::InPart,
        (false, true) => Exit::Done,
    }
}
