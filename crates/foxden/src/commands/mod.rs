//! One file for each command. Each parses its settings, does its work and says how it ended.

pub(crate) mod authorize;
pub(crate) mod cancel;
pub(crate) mod client;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod forget;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod retry;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod verify_foxy;
pub(crate) mod worker;

use std::path::Path;

use crate::{
    cli::{Cli, Command},
    exit::Exit,
    settings::{Needs, Settings, Sources},
    telemetry::{self, Output},
    terminal::printable,
};

/// Runs the command that was asked for.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Worker => worker::run(config).await,
        Command::Submit(options) => submit::run(config, options).await,
        Command::Status(options) => status::run(config, options).await,
        Command::Show(options) => show::run(config, options).await,
        Command::Explain(options) => Ok(explain::run(&options)),
        Command::Authorize(options) => authorize::run(config, options).await,
        Command::Retry(options) => retry::run(config, options).await,
        Command::Forget(options) => forget::run(config, options).await,
        Command::Cancel(options) => cancel::run(config, options).await,
        Command::Token(options) => token::run(config, options).await,
        Command::Dead(command) => dead::run(config, command).await,
        Command::Keys(command) => keys::run(config, command).await,
        Command::Client(command) => client::run(config, command).await,
        Command::Migrate(command) => migrate::run(config, command).await,
        Command::VerifyFoxy(options) => verify_foxy::run(config, options).await,
        Command::Demo(options) => demo::run(options).await,
    }
}

/// Settings and logging for a command whose answer goes to standard output.
fn settings(config: Option<&Path>, needs: Needs) -> anyhow::Result<Settings> {
    let settings = Settings::parse(&Sources::of_process(config), needs)?;
    telemetry::init(&settings.telemetry, Output::Stderr)?;
    say_which_file(&settings);
    Ok(settings)
}

/// Says which settings file was read, before anything is done with what it says.
fn say_which_file(settings: &Settings) {
    if let Some(file) = &settings.file {
        crate::output::note(format!("settings: {}", printable(&file.display().to_string())));
    }
}

/// What to say where there is no such signup.
fn not_found(signup_id: &foxden_ledger::SignupId, settings: &Settings) -> Exit {
    crate::output::note(format!(
        "error: the ledger at {} has no signup {signup_id}; `foxden status --list 20` lists the newest",
        settings.database.url.display()
    ));
    Exit::NotFound
}
