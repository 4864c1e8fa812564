//! `foxden keys`: the life of the keys.

mod reseal;
mod status;

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use foxden_vault::{KeyId, KeyRing};
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
    /// Count what each key is needed for, and say which can be dropped
    #[command(after_help = status::HELP)]
    Status(status::Options),
    /// Seal everything with the first key, while workers run
    #[command(after_help = reseal::HELP)]
    Reseal(reseal::Options),
}

/// `foxden keys generate …`
#[derive(Args, Debug)]
pub(crate) struct GenerateOptions {
    /// The key's name: up to 32 of a-z, 0-9, - and _ [default: k and today's date]
    #[arg(long)]
    name: Option<String>,
}

pub(crate) async fn run(config: Option<&Path>, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Generate(options) => generate(options),
        Command::Status(options) => status::run(config, options).await,
        Command::Reseal(options) => reseal::run(config, options).await,
    }
}

fn generate(options: GenerateOptions) -> anyhow::Result<Exit> {
    let name = options.name.unwrap_or_else(|| {
        let today = OffsetDateTime::now_utc().date();
        format!("k{:04}{:02}{:02}", today.year(), u8::from(today.month()), today.day())
    });
    let entry = foxden_vault::generate_key(&name).context("could not make a key")?;
    output::say(entry.as_str());
    Ok(Exit::Done)
}

/// What the ring calls this key.
fn name_of(ring: &KeyRing, key: KeyId) -> Option<&str> {
    ring.keys().find(|(_, id)| *id == key).map(|(name, _)| name)
}
