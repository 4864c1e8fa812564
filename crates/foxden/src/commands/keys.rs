//! `foxden keys`: the life of the keys.

mod reseal;
mod status;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use foxden_vault::{KeyId, KeyRing};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{exit::Exit, output, private_file::NewFile};

const GENERATE_HELP: &str = "\
The key goes to standard output, in the form that FOXDEN_KEYS takes, or to a file. Keep a copy in a safe place: what it
seals is lost without it.

Examples:
  foxden keys generate                    # k20261122:…
  foxden keys generate --file keys        # then FOXDEN_KEYS_FILE=keys";

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
    /// Write it to a new file that only its owner can read, instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
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
    match options.file {
        None => output::give(entry.as_str()).context("could not print the key")?,
        Some(path) => {
            // Never over a file that is there: it may hold the only copy of a key.
            let line = Zeroizing::new(format!("{}\n", entry.as_str()));
            let written = NewFile::create(&path).and_then(|file| file.fill(&line));
            written.with_context(|| format!("could not write a key to {}", path.display()))?;
            output::say(format!("wrote {}; next: FOXDEN_KEYS_FILE={0}", path.display()));
        }
    }
    Ok(Exit::Done)
}

/// Says so where there is no escrow to look at, as on a machine without a worker.
fn note_missing_escrow(dir: &Path) {
    if !dir.exists() {
        output::note(format!("{} (FOXDEN_ESCROW_DIR) does not exist here, so no escrow was looked at", dir.display()));
    }
}

/// What the ring calls this key.
fn name_of(ring: &KeyRing, key: KeyId) -> Option<&str> {
    ring.keys().find(|(_, id)| *id == key).map(|(name, _)| name)
}
