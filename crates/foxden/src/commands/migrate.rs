//! `foxden migrate`: the ledger's schema, and a ledger that was restored from an older copy.

mod rebind;
mod restored;

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use crate::{
    exit::Exit,
    output,
    settings::{Needs, Settings},
    wiring,
};

const UP_HELP: &str = "\
Safe to run from several places at once, and when there is nothing to do. With SQLite the worker does it by itself.

Where this release rebuilds the ledger, it refuses while a lease is alive or tokens are in FOXDEN_ESCROW_DIR, and changes
nothing. It can't see an idle worker without a broker, nor the escrows of other machines: stop all workers, and let
their escrows be drained, before.

Example:
  foxden migrate up";
const DOWN_HELP: &str = "\
What their tables and columns hold goes with them: provisionings, tokens, evidence. For trying things out; never use it
on a ledger that is in use.

Example:
  foxden migrate down --steps 1 --yes";
const STATUS_HELP: &str = "\
Exit status 3 says that some are not applied.

Example:
  foxden migrate status";

/// `foxden migrate …`
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Apply what this release's schema has and the ledger's lacks
    #[command(after_help = UP_HELP)]
    Up,
    /// Take back migrations, with the data they hold
    #[command(after_help = DOWN_HELP)]
    Down(DownOptions),
    /// List the migrations and whether they are applied
    #[command(after_help = STATUS_HELP)]
    Status,
    /// Say that the ledger was restored from an older copy, so that Foxy is looked at before anything is sent
    #[command(after_help = restored::HELP)]
    Restored(restored::Options),
    /// Say that the ledger belongs to another Foxy than it says
    #[command(after_help = rebind::HELP)]
    Rebind(rebind::Options),
}

/// `foxden migrate down …`
#[derive(Args, Debug)]
pub(crate) struct DownOptions {
    /// How many migrations to take back
    #[arg(long, value_name = "N", default_value_t = 1)]
    steps: u32,
    /// Yes, delete the data
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(config: Option<&Path>, command: Command) -> anyhow::Result<Exit> {
    let settings: Settings = super::settings(config, Needs::default())?;
    let place = settings.database.url.display();
    match command {
        Command::Up => {
            let ledger = wiring::connect(&settings.database).await?;
            wiring::migrate(&ledger, &settings).await.with_context(|| format!("could not migrate {place}"))?;
            output::say(format!("{place} is up to date"));
            Ok(Exit::Done)
        }
        Command::Down(options) => {
            if !options.yes {
                bail!("this deletes what the ledger at {place} holds, tokens included; add --yes if that is meant");
            }
            let ledger = wiring::connect(&settings.database).await?;
            ledger.migrate_down(options.steps).await.with_context(|| format!("could not migrate {place}"))?;
            output::say(format!("took back {} from {place}", options.steps));
            Ok(Exit::Done)
        }
        Command::Status => {
            let migrations = wiring::connect(&settings.database).await?.migrations().await?;
            for (name, applied) in &migrations {
                output::say(format!("{}  {name}", if *applied { "applied" } else { "MISSING" }));
            }
            Ok(if migrations.iter().all(|(_, applied)| *applied) { Exit::Done } else { Exit::InPart })
        }
        Command::Restored(options) => restored::run(&settings, options).await,
        Command::Rebind(options) => rebind::run(&settings, options).await,
    }
}
