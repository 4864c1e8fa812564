//! The foxden program: command line, settings, telemetry, wiring. No business rule lives here.

mod addresses;
mod belonging;
mod cli;
mod commands;
mod core_dumps;
#[cfg(test)]
mod docs_tests;
mod exit;
mod file_sizes;
mod history;
mod key_check;
#[cfg(test)]
mod layering_tests;
mod listed;
mod other_clients;
mod output;
mod paged_table;
mod pages;
mod person;
mod private_file;
mod secret_source;
mod service;
mod serving;
mod settings;
mod signals;
mod telemetry;
mod terminal;
mod umask;
mod wiring;

use clap::Parser as _;

use crate::{cli::Cli, exit::Exit};

fn main() -> std::process::ExitCode {
    umask::tighten();
    // Before anything secret is read.
    if let Err(error) = core_dumps::forbid() {
        output::note(format!("warning: core dumps could not be switched off: {error}"));
    }
    let cli = Cli::parse();
    // reqwest panics without a provider, and lapin would install one of its own choosing.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the crypto provider is installed once, before anything else runs");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the operating system gives a process its threads");
    let ended = runtime.block_on(async {
        if let Err(error) = file_sizes::survive_limit() {
            output::note(format!("warning: a limit on the size of files would end the program: {error}"));
        }
        commands::run(cli).await
    });
    // Work that nobody waits for any more must not keep a stopped program alive.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            if error.is::<settings::Mistakes>() && std::path::Path::new(".env").exists() {
                output::note("hint: the .env here is not read by itself; first run:  set -a; . ./.env; set +a");
            }
            Exit::of(&error).into()
        }
    }
}
