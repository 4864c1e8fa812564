//! `foxden dead list`.

use clap::Args;
use foxden_intake::{DeadLetter, DeadQueue, PutBy};
use serde_json::{Value, json};

use super::is_for;
use crate::{exit::Exit, output, terminal::printable};

pub(crate) const HELP: &str = "\
Nothing of a message's body is shown. A letter that foxden did not put there is listed with the broker's reason, or with
the reason `unknown`. While somebody else looks, the letters that they look at are not seen.

Examples:
  foxden dead list
  foxden dead list --reason invalid --limit 10
  foxden dead list --json | jq -r .signup_id";

/// A mistake in the table is cut after so many characters; `foxden dead show` has all of it.
const MISTAKE_SHOWN: usize = 70;

/// `foxden dead list …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only those that are there for this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON, an object a line, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(queue: &DeadQueue, options: &Options) -> anyhow::Result<Exit> {
    let letters = queue.list(options.limit, |letter| is_for(letter, options.reason.as_deref())).await?;
    if options.json {
        letters.iter().for_each(|letter| output::say_json(&as_json(letter)));
        return Ok(Exit::Done);
    }
    if letters.is_empty() {
        output::say("none");
        return Ok(Exit::Done);
    }
    output::say(table(&letters));
    if letters.len() == options.limit {
        output::say(format!(
            "there may be more; these are the oldest {} (--limit)",
            output::count(letters.len() as u64)
        ));
    }
    Ok(Exit::Done)
}

/// Dead letters for people.
pub(super) fn table(letters: &[DeadLetter]) -> impl std::fmt::Display + use<> {
    let mut table = output::table(["handle", "signup", "reason", "since", "published to", "first mistake"]);
    for letter in letters {
        table.add_row([
            letter.handle.clone(),
            letter.signup_id.as_deref().map(|id| printable(id).into_owned()).unwrap_or_default(),
            reason(letter),
            letter.at.as_deref().map(since).unwrap_or_default(),
            origin(letter),
            letter.mistakes.lines().next().map(shortened).unwrap_or_default(),
        ]);
    }
    table
}

/// The reason, with the one who gave it where that was not foxden.
pub(super) fn reason(letter: &DeadLetter) -> String {
    match letter.put_by {
        PutBy::Foxden => letter.reason.clone(),
        PutBy::Broker => format!("{} (broker)", letter.reason),
        PutBy::Unknown => "unknown (not foxden)".to_owned(),
    }
}

/// Exchange and routing key, as far as they are known.
pub(super) fn origin(letter: &DeadLetter) -> String {
    let parts = [&letter.exchange, &letter.routing_key].map(|part| part.as_deref().unwrap_or_default());
    match parts {
        ["", ""] => String::new(),
        [exchange, key] => printable(&format!("{exchange} {key}")).into_owned(),
    }
}

/// A time to the second, since the rest only makes the table wide.
fn since(rfc3339: &str) -> String {
    let to_the_second = rfc3339.split('.').next().unwrap_or(rfc3339).trim_end_matches('Z');
    format!("{}Z", to_the_second.replace('T', " "))
}

fn shortened(mistake: &str) -> String {
    let shown = printable(mistake);
    match shown.char_indices().nth(MISTAKE_SHOWN) {
        Some((at, _)) => format!("{}…", &shown[..at]),
        None => shown.into_owned(),
    }
}

/// A dead letter for scripts.
pub(super) fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "handle": letter.handle,
        "signup_id": letter.signup_id,
        "reason": letter.reason,
        "put_by": letter.put_by.as_str(),
        "mistakes": letter.mistakes.lines().collect::<Vec<_>>(),
        "at": letter.at,
        "exchange": letter.exchange,
        "routing_key": letter.routing_key,
        "bytes": letter.bytes,
    })
}
