//! `foxden status`: where signups stand.

mod orphans;

use std::path::Path;

use clap::Args;
use foxden_ledger::{Filter, GrantCount, GrantState, Ledger, ParkedReason, Provisioning, Standing, State, Step};
use serde_json::{Value, json};

use crate::{
    addresses::Addresses, cli::StateArg, exit::Exit, output, paged_table::PagedTable, settings::Needs, wiring,
};

pub(crate) const HELP: &str = "\
Examples:
  foxden status
  foxden status --list 20 --state parked
  foxden status --json | jq .parked
  foxden status --orphans --json | jq -r .email";

/// `foxden status …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// List the newest signups instead of counting them
    #[arg(long, value_name = "N")]
    list: Option<u64>,
    /// With --list: only those in this state
    #[arg(long, value_name = "STATE", requires = "list")]
    state: Option<StateArg>,
    /// List the Foxy users that were left behind because their tokens were lost (FOXDEN_USER_EMAIL), and the stores of
    /// domains that were given up
    #[arg(long, conflicts_with_all = ["list", "state"])]
    orphans: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = super::settings(config, Needs::default())?;
    let ledger = wiring::existing_ledger(&settings).await?;
    match options.list {
        _ if options.orphans => orphans::list(&ledger, &Addresses::of(&settings.foxy), options.json).await,
        Some(limit) => list(&ledger, &Addresses::of(&settings.foxy), limit, &options).await,
        None => counts(&ledger, &settings.database.url.display(), options.json).await,
    }
}

async fn counts(ledger: &Ledger, place: &str, json: bool) -> anyhow::Result<Exit> {
    let standings = ledger.standings().await?;
    let outbox = ledger.count_waiting_events().await?;
    let orphans = ledger.count_orphans().await?;
    let grants = ledger.count_grants().await?;
    let [open, unconfirmed] =
        [GrantState::Open, GrantState::Unconfirmed].map(|state| GrantCount::in_state(&grants, state));
    let now = ledger.now_ms().await?;
    if json {
        let mut object = counts_json(&standings, outbox, orphans, now);
        object["grants_open"] = open.into();
        object["grants_unconfirmed"] = unconfirmed.into();
        output::say_json(&object);
        return Ok(Exit::Done);
    }
    output::say(format!("ledger: {place}"));
    if standings.is_empty() {
        output::say("no signups yet; `foxden submit FILE` brings some");
        return Ok(Exit::Done);
    }
    let mut table = output::table(["state", "step", "signups", "oldest accepted"]);
    for standing in &standings {
        table.add_row([
            place_of(standing.state, standing.step, standing.parked_reason),
            standing.step.to_string(),
            output::count(standing.count),
            format!("{} ago", output::span(now - standing.oldest_ms)),
        ]);
    }
    output::say(table);
    if outbox > 0 {
        output::say(format!("{} outcome events wait to be published", output::count(outbox)));
    }
    if standings.iter().any(|standing| standing.state == State::Parked) {
        output::say("parked signups wait for someone: foxden status --list 20 --state parked; foxden explain REASON");
    }
    if open > 0 {
        let count = output::counted(open, "grant waits", "grants wait");
        output::say(format!("{count} for a person to answer: foxden show SIGNUP_ID; foxden authorize SIGNUP_ID"));
    }
    if unconfirmed > 0 {
        output::say(format!("{} to be confirmed", output::counted(unconfirmed, "grant waits", "grants wait")));
    }
    if orphans > 0 {
        let count = output::count(orphans);
        output::say(format!("users left behind at Foxy, their tokens lost: {count}; foxden status --orphans"));
    }
    Ok(Exit::Done)
}

fn counts_json(standings: &[Standing], outbox: u64, orphans: u64, now: i64) -> Value {
    let total = |pick: &dyn Fn(&Standing) -> bool| -> u64 {
        standings.iter().filter(|standing| pick(standing)).map(|standing| standing.count).sum()
    };
    let by_state: serde_json::Map<String, Value> = State::ALL
        .iter()
        .map(|state| (state.to_string(), total(&|standing| standing.state == *state).into()))
        .collect();
    let reasons: serde_json::Map<String, Value> = ParkedReason::ALL
        .iter()
        .map(|reason| {
            let is_for =
                |standing: &Standing| standing.state == State::Parked && standing.parked_reason == Some(*reason);
            (*reason, total(&is_for))
        })
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.to_string(), count.into()))
        .collect();
    let moving = |standing: &&Standing| !matches!(standing.state, State::Parked | State::Closed);
    let oldest = standings.iter().filter(moving).map(|standing| now - standing.oldest_ms).max();
    let mut object = json!({
        "signups": total(&|_| true),
        "provisioned": total(&|standing| standing.state == State::Closed && !standing.is_cancelled()),
        "cancelled": total(&Standing::is_cancelled),
        "parked_reasons": reasons,
        "oldest_open_ms": oldest,
        "outbox": outbox,
        "orphans": orphans,
    });
    object.as_object_mut().expect("an object was just made").extend(by_state);
    object
}

async fn list(ledger: &Ledger, addresses: &Addresses, limit: u64, options: &Options) -> anyhow::Result<Exit> {
    let state = options.state.map(Into::into);
    let cancelled = options.state.and_then(StateArg::cancelled);
    let mut listing = ledger.listing(Filter { state, cancelled, limit });
    let mut table = PagedTable::new(["signup", "state", "step", "store domain", "accepted", "took"]);
    while let Some(mut rows) = listing.next_page().await? {
        rows.iter_mut().for_each(|row| drop(addresses.sift(row)));
        if options.json {
            rows.iter().for_each(|row| output::say_json(&row_json(row)));
            continue;
        }
        table.say(rows.iter().map(|row| {
            [
                row.signup_id.to_string(),
                place(row),
                row.step.to_string(),
                row.store_domain.clone().unwrap_or_default(),
                output::moment(row.accepted_at_ms),
                row.closed_at_ms.map(|closed| output::span(closed - row.accepted_at_ms)).unwrap_or_default(),
            ]
        }));
    }
    if !options.json && table.is_empty() {
        output::say("none");
    }
    Ok(Exit::Done)
}

/// The state, with the reason if there is one.
pub(crate) fn place(row: &Provisioning) -> String {
    place_of(row.state, row.step, row.parked_reason)
}

fn place_of(state: State, step: Step, reason: Option<ParkedReason>) -> String {
    match (state, reason) {
        (State::Parked, Some(reason)) => format!("parked: {reason}"),
        (State::Closed, _) if step == Step::Done => "provisioned".to_owned(),
        (State::Closed, Some(reason)) => format!("cancelled (was parked: {reason})"),
        (State::Closed, None) => "cancelled".to_owned(),
        (state, _) => state.to_string(),
    }
}

/// A provisioning for scripts: nothing sealed, nothing personal.
pub(crate) fn row_json(row: &Provisioning) -> Value {
    json!({
        "signup_id": row.signup_id.as_str(),
        "id": row.id.as_str(),
        "user_id": row.account_id,
        "source": row.source.as_str(),
        "step": row.step.as_str(),
        "state": row.state.as_str(),
        "cancelled": row.is_cancelled(),
        "parked_reason": row.parked_reason.filter(|_| row.state == State::Parked).map(ParkedReason::as_str),
        "parked_detail": row.parked_detail,
        "user_uri": row.user_uri,
        "store_uri": row.store_uri,
        "store_domain": row.store_domain,
        "create_calls": row.intents,
        "payload_kept": row.payload.is_some(),
        "accepted_at": output::rfc3339(row.accepted_at_ms),
        "updated_at": output::rfc3339(row.updated_at_ms),
        "due_at": row.due_at_ms.and_then(output::rfc3339),
        "closed_at": row.closed_at_ms.and_then(output::rfc3339),
        "forgotten_at": row.forgotten_at_ms.and_then(output::rfc3339),
        "restored_to": row.restored_to_ms.and_then(output::rfc3339),
        "took_ms": row.closed_at_ms.map(|closed| closed - row.accepted_at_ms),
    })
}
