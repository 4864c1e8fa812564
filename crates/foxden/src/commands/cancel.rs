//! `foxden cancel`: closing a signup for good.

use std::path::Path;

use clap::Args;
use foxden_ledger::{Cancellation, Provisioning, Source};
use foxden_provisioning::{
    cancelled_event,
    plan::{LeftBehind, NotCancellable, Presence, left_behind, may_cancel},
};
use serde_json::{Value, json};

use super::status;
use crate::{
    addresses::Addresses,
    cli::SignupArg,
    exit::Exit,
    output,
    person::Asking,
    settings::{Need, Needs, Settings},
    terminal::{self, printable},
    wiring,
};

pub(crate) const HELP: &str = "\
For a signup that is parked, or waits to be tried or looked up. Its contents are wiped, its user's token too (unless
FOXDEN_KEEP_USER_TOKENS), and the parent app gets the outcome event signup.cancelled. foxden removes nothing at Foxy: it
says what is left there, and OPERATIONS.md how that may be removed. Asks first; where no one can be asked, --yes is needed.

The reason is kept with the signup and told to the parent app, so it should say nothing about the customer.

Examples:
  foxden cancel acct_000001 --reason \"published by mistake\"
  foxden cancel acct_000001 --reason \"ticket 4711\" --yes --json";

/// `foxden cancel …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    #[command(flatten)]
    asking: Asking,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print what came of it as JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    if !options.yes && !terminal::can_ask() {
        output::note("error: nobody can be asked here, so nothing was cancelled; --yes cancels without asking");
        return Ok(Exit::Usage);
    }
    let by = options.asking.by();
    let Some(reason) = &by.reason else {
        output::note("error: a signup is closed for good for a reason; give it with --reason TEXT");
        return Ok(Exit::Usage);
    };
    let settings = super::settings(config, Needs { amqp: Need::IfSet, ..Needs::default() })?;
    let ledger = wiring::existing_ledger(&settings).await?;
    let signup_id = &options.signup.signup_id;
    let Some(row) = ledger.find(signup_id).await? else { return Ok(super::not_found(signup_id, &settings)) };
    let addresses = Addresses::of(&settings.foxy);
    if let Err(refusal) = judge(&row, ledger.now_ms().await?) {
        output::note(format!("error: {signup_id} can't be cancelled: {refusal}"));
        return Ok(Exit::Failed);
    }
    if !options.yes && !confirmed(&row, &addresses)? {
        output::note("nothing was cancelled");
        return Ok(Exit::Failed);
    }
    let cancellation = Cancellation {
        keep_user_token: settings.provisioning.keep_user_tokens,
        event: cancelled_event(&row, reason),
        tell_anyway: tells_outcomes(&settings, row.source),
        by: by.clone(),
    };
    let Some(row) = ledger.cancel(&row, cancellation).await? else {
        output::note(format!(
            "error: {signup_id} has changed just now, so it was left as it is; look again and repeat"
        ));
        return Ok(Exit::Failed);
    };
    tracing::warn!(
        event = "provisioning.cancelled",
        %signup_id,
        step = row.step.as_str(),
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        "a person closed a signup for good",
    );
    if options.json {
        output::say_json(&json!({
            "signup_id": signup_id.as_str(),
            "cancelled": true,
            "left_at_foxy": left_json(&row, &addresses),
        }));
    } else {
        output::say(format!("{signup_id} is cancelled. Left at Foxy: {}", left_in_words(&row, &addresses)));
    }
    Ok(Exit::Done)
}

/// Whether the parent app hears of outcomes: with a broker, unless they are off there. Without one, it does if it
/// published the signup: some worker has a broker.
fn tells_outcomes(settings: &Settings, source: Source) -> bool {
    settings.amqp.as_ref().map_or(source == Source::Amqp, |amqp| amqp.outcome_exchange.is_some())
}

/// Whether it may be cancelled now; else why not, for a person.
fn judge(row: &Provisioning, now: i64) -> Result<(), String> {
    let lease_left = row.lease_until_ms.map(|until| until - now).filter(|left| *left >= 0);
    may_cancel(row.step, row.state, lease_left.is_some()).map_err(|refusal| match refusal {
        NotCancellable::Held => format!(
            "{refusal}, and a call may be under way; try again once it rests (its lease ends in {}, or is renewed)",
            output::span(lease_left.unwrap_or_default())
        ),
        NotCancellable::Provisioned => format!("{refusal}; its store stays"),
        NotCancellable::Cancelled => refusal.to_string(),
    })
}

fn confirmed(row: &Provisioning, addresses: &Addresses) -> std::io::Result<bool> {
    output::note(format!(
        "{} is {}. Left at Foxy: {}",
        row.signup_id,
        status::place(row),
        left_in_words(row, addresses)
    ));
    terminal::ask("Close it for good, and wipe its contents?")
}

/// What a signup leaves at Foxy, for a person.
pub(super) fn left_in_words(row: &Provisioning, addresses: &Addresses) -> String {
    let LeftBehind { user, store } = left_behind(row);
    let at = |uri: &Option<String>| addresses.shown(uri.as_deref()).map(|uri| format!(" {uri}")).unwrap_or_default();
    let user = match user {
        Presence::Absent => "no user".to_owned(),
        Presence::Perhaps => "perhaps a user (a call for it has no known outcome)".to_owned(),
        Presence::There if row.user_from.is_some() => format!("the user{} of another signup", at(&row.user_uri)),
        Presence::There => format!("the user{}", at(&row.user_uri)),
    };
    let domain = row.store_domain.as_deref().map(|domain| format!(" {}", printable(domain))).unwrap_or_default();
    let store = match store {
        Presence::Absent => "no store".to_owned(),
        Presence::Perhaps => format!("perhaps a store{domain} (a call for it has no known outcome)"),
        Presence::There => format!("the store{domain}{}", at(&row.store_uri)),
    };
    format!("{user}, {store}")
}

/// The same for scripts.
pub(super) fn left_json(row: &Provisioning, addresses: &Addresses) -> Value {
    let LeftBehind { user, store } = left_behind(row);
    let checked = |uri: &Option<String>| uri.clone().filter(|uri| addresses.checked(uri).is_some());
    json!({
        "user": user.as_str(),
        "user_uri": checked(&row.user_uri),
        "user_is_of_another_signup": row.user_from.is_some(),
        "store": store.as_str(),
        "store_uri": checked(&row.store_uri),
        "store_domain": row.store_domain,
    })
}
