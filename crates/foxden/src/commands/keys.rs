//! `foxden keys`: making keys.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use time::OffsetDateTime;

use crate::{exit::Exit, output};

const GENERATE_HELP: &str = "\
The key goes to standard output, in the form that FOXDEN_KEYS takes. Keep a copy in a safe place: what it
seals is lost without it.

Examples:
  foxden keys generate                    # k20261122:…
  (umask 077; foxden keys generate > keys)  # then FOXDEN_KEYS_FILE=keys";

/// `foxden keys …`
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print a fresh key for FOXDEN_KEYS
    #[command(after_help = GENERATE_HELP)]
    Generate(GenerateOptions),
}

/// `foxden keys generate …`
#[derive(Args, Debug)]
pub(crate) struct GenerateOptions {
    /// The key's name: up to 32 of a-z, 0-9, - and _ [default: k and today's date]
    #[arg(long)]
    name: Option<String>,
}

pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    let Command::Generate(options) = command;
    let name = options.name.unwrap_or_else(|| {
        let today = OffsetDateTime::now_utc().date();
        format!("k{:04}{:02}{:02}", today.year(), u8::from(today.month()), today.day())
    });
    let entry = foxden_vault::generate_key(&name).context("could not make a key")?;
    output::say(entry.as_str());
    Ok(Exit::Done)
}
