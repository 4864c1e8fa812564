//! `foxden explain`: parked reasons in words.

use clap::{Args, builder::PossibleValuesParser};
use foxden_ledger::ParkedReason;
use serde_json::json;

use crate::{exit::Exit, output};

pub(crate) const HELP: &str = "\
Examples:
  foxden explain domain_taken
  foxden explain            # all of them";

/// `foxden explain …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The reason, as `status`, `show` and the log name it; all without one
    #[arg(value_name = "REASON", value_parser = PossibleValuesParser::new(ParkedReason::ALL.iter().map(|r| r.as_str())), hide_possible_values = true)]
    reason: Option<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Exit {
    let wanted = options.reason.as_deref().and_then(ParkedReason::parse);
    for reason in ParkedReason::ALL.iter().copied().filter(|reason| wanted.is_none_or(|wanted| wanted == *reason)) {
        if options.json {
            output::say_json(&json!({
                "reason": reason.as_str(),
                "meaning": reason.meaning(),
                "advice": reason.advice(),
                "can_be_retried": reason.can_be_retried(),
            }));
        } else {
            output::say(format!("{reason}\n  {}\n  What to do: {}\n", reason.meaning(), reason.advice()));
        }
    }
    Exit::Done
}
