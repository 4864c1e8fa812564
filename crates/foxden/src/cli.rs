//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    authorize, cancel, client, dead, demo, explain, forget, keys, migrate, retry, show, status, submit, token,
    verify_foxy, worker,
};

/// A white-label provisioning worker for Foxy: signup events in, Foxy stores with sealed tokens out.
#[derive(Parser, Debug)]
#[command(
    name = "foxden",
    version,
    about,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Settings come from foxden.toml and from FOXDEN_* environment variables; deploy/foxden.env.example lists them.\n\
        Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 done in part, 4 no such signup or dead letter,\n\
        5 the broker could not be reached, 6 the broker refuses, 7 the database answers nothing.\n\n\
        To see it at work with nothing set up:  foxden demo"
)]
pub(crate) struct Cli {
    /// Read settings from this file instead of ./foxden.toml, which is read only if no one else can have written it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Work off signups until told to stop
    #[command(after_help = worker::HELP)]
    Worker,
    /// Submit signup events from a file or from standard input
    #[command(after_help = submit::HELP)]
    Submit(submit::Options),
    /// Count signups by where they stand, or list them
    #[command(after_help = status::HELP)]
    Status(status::Options),
    /// Show one signup: where it stands, what was tried, what to do
    #[command(after_help = show::HELP)]
    Show(show::Options),
    /// Explain why a signup is parked and what to do about it
    #[command(after_help = explain::HELP)]
    Explain(explain::Options),
    /// Ask a person to grant access at Foxy, for a signup that is parked for want of a token
    #[command(after_help = authorize::HELP)]
    Authorize(authorize::Options),
    /// Make a parked or waiting signup due at once
    #[command(after_help = retry::HELP)]
    Retry(retry::Options),
    /// Close a signup for good that is not provisioned
    #[command(after_help = cancel::HELP)]
    Cancel(cancel::Options),
    /// Wipe what is left of one customer in the ledger
    #[command(after_help = forget::HELP)]
    Forget(forget::Options),
    /// Print a fresh access token for a signup's store, or give it to a command
    #[command(after_help = token::HELP)]
    Token(token::Options),
    /// Look at messages that can't be taken, requeue them, drop them
    #[command(subcommand)]
    Dead(dead::Command),
    /// Make keys, count what each is needed for, move what is sealed to the first one
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make an OAuth client at Foxy, show it, change its secret
    #[command(subcommand)]
    Client(client::Command),
    /// Bring the ledger's schema up to date, or look at it
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Try on Foxy's sandbox what foxden assumes of Foxy
    #[command(after_help = verify_foxy::HELP)]
    VerifyFoxy(verify_foxy::Options),
    /// See it all at work: a simulated Foxy, an embedded ledger, a real worker
    #[command(after_help = demo::HELP)]
    Demo(demo::Options),
}

/// A signup id on the command line.
#[derive(Args, Debug)]
pub(crate) struct SignupArg {
    /// The parent app's key of the signup
    #[arg(value_name = "SIGNUP_ID", value_parser = parse_signup_id)]
    pub(crate) signup_id: foxden_ledger::SignupId,
}

/// A state on the command line.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum StateArg {
    /// Waits for its due time
    Due,
    /// A create call may be under way
    #[value(name = "in_flight", alias = "in-flight")]
    InFlight,
    /// A create call ended without an outcome and is looked up
    Unknown,
    /// Stopped until someone acts
    Parked,
    /// At its end: provisioned or cancelled
    Closed,
    /// Closed with its store made
    Provisioned,
    /// Closed by a person
    Cancelled,
}

impl StateArg {
    /// Which of the two ends is meant, if one is.
    pub(crate) fn cancelled(self) -> Option<bool> {
        match self {
            Self::Provisioned => Some(false),
            Self::Cancelled => Some(true),
            Self::Due | Self::InFlight | Self::Unknown | Self::Parked | Self::Closed => None,
        }
    }
}

impl From<StateArg> for foxden_ledger::State {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Due => Self::Due,
            StateArg::InFlight => Self::InFlight,
            StateArg::Unknown => Self::Unknown,
            StateArg::Parked => Self::Parked,
            StateArg::Closed | StateArg::Provisioned | StateArg::Cancelled => Self::Closed,
        }
    }
}

fn parse_signup_id(text: &str) -> Result<foxden_ledger::SignupId, foxden_ledger::SignupIdError> {
    foxden_ledger::SignupId::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, name: &str) {
            for sub in command.get_subcommands() {
                let name = format!("{name} {}", sub.get_name());
                if sub.has_subcommands() {
                    check(sub, &name);
                } else {
                    let help = sub.get_after_help().unwrap_or_else(|| panic!("{name} has no example")).to_string();
                    assert!(help.contains(name.trim_start()), "{name}: its example does not call it");
                }
            }
        }
        check(&Cli::command(), "foxden");
    }
}
