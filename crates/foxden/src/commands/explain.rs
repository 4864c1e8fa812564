//! `foxden explain`: parked reasons in words, and what cancelled means.

use clap::{Args, builder::PossibleValuesParser};
use foxden_ledger::ParkedReason;
use serde_json::json;

use crate::{exit::Exit, output};

pub(crate) const HELP: &str = "\
Examples:
  foxden explain domain_taken
  foxden explain            # all of them";

/// The word for signups that a person closed: no parked reason, but as much in need of explaining.
const CANCELLED_WORD: &str = "cancelled";
/// What happened to a cancelled signup.
pub(crate) const CANCELLED: &str = "A person closed this signup for good with `foxden cancel`. Its contents are wiped, and \
    nothing more is made for it; what it had made at Foxy by then is still there.";
/// What a person can do next.
pub(crate) const CANCELLED_ADVICE: &str = "To begin again, publish the signup under a new signup id, with another email if \
    a Foxy user is there or may be. Ask Foxy to remove what was left behind. `foxden show SIGNUP_ID` tells what that is, who \
    cancelled it, and why.";

/// `foxden explain …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The reason, as `status`, `show` and the log name it; all without one
    #[arg(value_name = "REASON", value_parser = PossibleValuesParser::new(ParkedReason::ALL.iter().map(|r| r.as_str()).chain([CANCELLED_WORD])), hide_possible_values = true)]
    reason: Option<String>,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Exit {
    let wanted = |word: &str| options.reason.as_deref().is_none_or(|reason| reason == word);
    for reason in ParkedReason::ALL.iter().filter(|reason| wanted(reason.as_str())) {
        explain(reason.as_str(), reason.meaning(), reason.advice(), reason.can_be_retried(), options.json);
    }
    if wanted(CANCELLED_WORD) {
        explain(CANCELLED_WORD, CANCELLED, CANCELLED_ADVICE, false, options.json);
    }
    Exit::Done
}

fn explain(word: &str, meaning: &str, advice: &str, can_be_retried: bool, as_json: bool) {
    if as_json {
        output::say_json(
            &json!({ "reason": word, "meaning": meaning, "advice": advice, "can_be_retried": can_be_retried }),
        );
    } else {
        output::say(format!("{word}\n  {meaning}\n  What to do: {advice}\n"));
    }
}
