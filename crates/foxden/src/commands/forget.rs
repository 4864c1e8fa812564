//! `foxden forget`: wiping what is left of one customer.

use std::path::Path;

use clap::Args;
use foxden_ledger::{Forget, Forgetting, Forgotten, SignupId, State};
use serde_json::{Value, json};

use super::cancel;
use crate::{
    addresses::Addresses, cli::SignupArg, exit::Exit, output, person::Asking, settings::Needs, terminal::printable,
    wiring,
};

pub(crate) const HELP: &str = "\
Wipes the event's contents, user.id, fingerprints, what Foxy said, published outcome events and the user's token. Says what
Foxy still has, and what stays here and why. The signup id stays, so that the same event published again makes nothing.
It can be run again, for more of it.

Only for a signup that is provisioned or cancelled. One that is parked is cancelled first (`foxden cancel`). --tokens takes
--yes, since no call brings a store's token back.

Examples:
  foxden forget acct_000001 --reason 'erasure request 12'
  foxden forget acct_000001 --tokens --links --yes    # once store and user are removed at Foxy
  foxden forget acct_000001 --json | jq .left_at_foxy";

/// `foxden forget …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    #[command(flatten)]
    asking: Asking,
    /// Also wipe the store's token: nobody can act on the store any more
    #[arg(long, requires = "yes")]
    tokens: bool,
    /// Also wipe the addresses at Foxy and the store's domain
    #[arg(long)]
    links: bool,
    /// Yes, the store's token too
    #[arg(long)]
    yes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = super::settings(config, Needs::default())?;
    let ledger = wiring::existing_ledger(&settings).await?;
    let signup_id = options.signup.signup_id;
    let what = Forgetting { tokens: options.tokens, links: options.links };
    let by = options.asking.by();
    let forgotten = match ledger.forget(&signup_id, what, &by).await? {
        Forget::Done(forgotten) => forgotten,
        Forget::NotFound => return Ok(super::not_found(&signup_id, &settings)),
        refused => return Ok(refuse(&signup_id, &refused)),
    };
    tracing::info!(
        event = "signup.forgotten",
        %signup_id,
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        tokens_wiped = forgotten.tokens_wiped,
        tokens_kept = forgotten.tokens_kept,
        "what was left of a customer was wiped",
    );
    let addresses = Addresses::of(&settings.foxy);
    if options.json {
        output::say_json(&as_json(&forgotten, &addresses));
    } else {
        print(&forgotten, &addresses);
    }
    Ok(Exit::Done)
}

fn refuse(signup_id: &SignupId, refused: &Forget) -> Exit {
    let why = match refused {
        Forget::NotClosed(State::Parked) => format!(
            "{signup_id} is parked and may still go on; close it first, with `foxden cancel {signup_id} --reason TEXT`"
        ),
        Forget::NotClosed(state) => format!(
            "{signup_id} is {state}: there is still work to do for it. Wait until it is provisioned or parked; \
             `foxden show {signup_id}` tells"
        ),
        Forget::UserInUse(other) => format!(
            "signup {other} of the same customer makes its store under the Foxy user of {signup_id}, and is not \
             finished; wait for it, or forget it first"
        ),
        Forget::Done(_) | Forget::NotFound => return Exit::Failed,
    };
    output::note(format!("error: {why}"));
    Exit::Failed
}

fn print(forgotten: &Forgotten, addresses: &Addresses) {
    let row = &forgotten.before;
    let field = |name: &str, value: &str| output::say(format!("  {name:<7} {}", printable(value)));
    output::say(format!("{} is forgotten", row.signup_id));
    output::say(format!("\nLeft at Foxy: {}", cancel::left_in_words(row, addresses)));
    output::say("\nStill here:");
    field("id", "the signup id and times, so that a repeat makes nothing anew");
    field("audit", "who did what and why, and how each call ended");
    if forgotten.links_kept {
        field("links", "what Foxy has, so that it can be removed there; --links wipes it");
    }
    if forgotten.tokens_kept > 0 {
        field("token", "the store's, sealed, so that the store can be worked with; --tokens wipes it");
    }
    output::say("\nNot in the ledger, and for you to see to:");
    field("broker", "dead letters: foxden dead list, then foxden dead drop HANDLE; the parent app's own messages");
    field("copies", "backups of the ledger, and logs, which hold the signup id and the store's domain");
    let (name, what) = match forgotten.gone_from_file {
        Some(true) => return,
        Some(false) => ("file", "its -wal file could not be emptied, since another process reads it; run this again"),
        None => ("server", "what was wiped, until VACUUM has run, and in PostgreSQL's write-ahead log and archives"),
    };
    field(name, what);
}

fn as_json(forgotten: &Forgotten, addresses: &Addresses) -> Value {
    let row = &forgotten.before;
    json!({
        "signup_id": row.signup_id.as_str(),
        "was": row.standing(),
        "left_at_foxy": cancel::left_json(row, addresses),
        "tokens_wiped": forgotten.tokens_wiped,
        "tokens_kept": forgotten.tokens_kept,
        "links_kept": forgotten.links_kept,
        "gone_from_file": forgotten.gone_from_file,
    })
}
