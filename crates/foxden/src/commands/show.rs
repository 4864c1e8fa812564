//! `foxden show`: one signup in full.

mod grants;

use std::path::Path;

use clap::Args;
use foxden_ledger::{Audited, Credential, Ledger, ParkedReason, PastAttempt, PastGrant, Provisioning, Scope, State};
use serde_json::{Value, json};

use super::{cancel, explain, status};
use crate::{addresses::Addresses, cli::SignupArg, exit::Exit, output, settings::Needs, terminal::printable, wiring};

/// How many of the acts of people are shown, the last ones.
const ACTS: u64 = 20;

pub(crate) const HELP: &str = "\
No token and nothing of the customer's data is shown.

Examples:
  foxden show acct_000001
  foxden show acct_000001 --json";

/// `foxden show …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = super::settings(config, Needs::default())?;
    let ledger = wiring::existing_ledger(&settings).await?;
    let Some(row) = ledger.find(&options.signup.signup_id).await? else {
        return Ok(super::not_found(&options.signup.signup_id, &settings));
    };
    let credentials = ledger.credentials(&row.id).await?;
    let attempts = ledger.attempts(&row.id).await?;
    let granted = ledger.grants_of(&row.id).await?;
    let evidence = Evidence { attempts, is_pruned: is_pruned(&ledger, &row).await?, granted };
    let acts = ledger.audit_of(&row.signup_id, ACTS).await?;
    let addresses = Addresses::of(&settings.foxy);
    if options.json {
        output::say_json(&as_json(&row, &addresses, &credentials, &evidence, &acts));
    } else {
        let now = ledger.now_ms().await?;
        print(&row, &addresses, &credentials, &evidence, now);
        if !acts.is_empty() {
            output::say("");
            print_acts(&acts);
        }
    }
    Ok(Exit::Done)
}

/// What is known of how a signup came about.
struct Evidence {
    attempts: Vec<PastAttempt>,
    /// Whether the part that the row and its tokens repeat is gone, since it is old.
    is_pruned: bool,
    /// What people were asked to grant.
    granted: Vec<PastGrant>,
}

async fn is_pruned(ledger: &Ledger, row: &Provisioning) -> anyhow::Result<bool> {
    let Some(closed) = row.closed_at_ms else { return Ok(false) };
    Ok(closed <= ledger.evidence_pruned_to().await?)
}

fn print(row: &Provisioning, addresses: &Addresses, credentials: &[Credential], evidence: &Evidence, now: i64) {
    let field = |name: &str, value: &str| output::say(format!("{name:<13} {}", printable(value)));
    field("signup", row.signup_id.as_str());
    field("state", &status::place(row));
    if !row.is_provisioned() {
        field("step", row.step.as_str());
    }
    if let Some(account) = &row.account_id {
        field("user.id", account);
    }
    let address = |uri: &Option<String>| addresses.shown(uri.as_deref());
    for (name, value) in [
        ("store domain", row.store_domain.clone()),
        ("store", address(&row.store_uri)),
        ("Foxy user", address(&row.user_uri)),
    ] {
        if let Some(value) = value {
            field(name, &value);
        }
    }
    field("accepted", &format!("{} by {}", output::moment(row.accepted_at_ms), row.source));
    if let Some(closed) = row.closed_at_ms {
        let took = output::span(closed - row.accepted_at_ms);
        field(row.standing(), &format!("{}, {took} later", output::moment(closed)));
    }
    if row.is_cancelled() {
        field("left at Foxy", &cancel::left_in_words(row, addresses));
    }
    if let Some(forgotten) = row.forgotten_at_ms {
        field("forgotten", &output::moment(forgotten));
    }
    if let Some(copied) = row.restored_to_ms {
        field("restored", &format!("from a copy of the ledger made at {}", output::moment(copied)));
    }
    if let Some(due) = row.due_at_ms {
        let when = if due > now { format!("in {}", output::span(due - now)) } else { "now".to_owned() };
        field("due", &when);
    }
    for credential in credentials {
        let kept = match &credential.sealed {
            Some(sealed) => format!("sealed with key {}", sealed.key_id()),
            // Foxy still takes it (Foxy docs: refreshing tokens): ten years from its creation.
            None => "wiped here, but not revoked: Foxy takes it for ten years".to_owned(),
        };
        // The evidence says it, as long as it is there.
        let given = if evidence.is_pruned { given(credential) } else { String::new() };
        field("token", &format!("{}: {kept}{given}{}", credential.scope, aside(row, credential, addresses)));
    }
    if evidence.is_pruned {
        let calls = output::count(row.intents.into());
        let what = format!("pruned by age, except evidence of anything else Foxy may have; calls announced: {calls}");
        field("evidence", &what);
    }
    if let (State::Parked, Some(reason)) = (row.state, row.parked_reason) {
        output::say("");
        explain_parked(row, reason);
    }
    if row.is_cancelled() {
        let advice = explain::CANCELLED_ADVICE.replace("SIGNUP_ID", row.signup_id.as_str());
        output::say(format!("\nCancelled: {}\nWhat to do: {advice}", explain::CANCELLED));
    }
    if !evidence.attempts.is_empty() {
        output::say("");
        print_attempts(&evidence.attempts);
    }
    if !evidence.granted.is_empty() {
        output::say("");
        grants::print(&evidence.granted);
    }
}

/// By which call Foxy gave a token, and when.
fn given(credential: &Credential) -> String {
    format!("; given by call {}, {}", credential.intent, output::moment(credential.created_at_ms))
}

/// What there is to say of a token that is not the one in use.
fn aside(row: &Provisioning, credential: &Credential, addresses: &Addresses) -> String {
    let call = credential.intent;
    let whose = match credential.scope {
        Scope::User => "user",
        Scope::Store => "store",
    };
    if has_left_behind(row, credential) {
        let uri = addresses.shown(credential.resource_uri.as_deref());
        let uri = uri.unwrap_or_else(|| "no trusted address".to_owned());
        format!("; of a {whose} that was left behind (call {call}, {uri})")
    } else if credential.serial > 0 {
        format!("; differs from the one in use of the same call ({call})")
    } else {
        String::new()
    }
}

fn has_left_behind(row: &Provisioning, credential: &Credential) -> bool {
    row.has_left_behind(credential.scope, credential.intent, credential.resource_uri.as_deref())
}

fn explain_parked(row: &Provisioning, reason: ParkedReason) {
    output::say(format!("Parked because of {reason}: {}", reason.meaning()));
    if let Some(detail) = &row.parked_detail {
        output::say(format!("Detail: {}", printable(detail)));
    }
    output::say(format!("What to do: {}", reason.advice().replace("SIGNUP_ID", row.signup_id.as_str())));
}

fn print_attempts(attempts: &[PastAttempt]) {
    let mut table = output::table(["call", "when", "what", "outcome", "status", "took", "note"]);
    for attempt in attempts {
        let note = match (&attempt.logref, &attempt.note) {
            (Some(logref), Some(note)) => format!("{note} (logref {logref})"),
            (Some(logref), None) => format!("logref {logref}"),
            (None, note) => note.clone().unwrap_or_default(),
        };
        let what = match &attempt.natural_key {
            Some(key) => format!("{} {} {key}", attempt.kind, attempt.step),
            None => format!("{} {}", attempt.kind, attempt.step),
        };
        let outcome = attempt.outcome.to_string();
        table.add_row([
            attempt.intent.to_string(),
            output::moment(attempt.started_at_ms),
            printable(&what).into_owned(),
            printable(&outcome).into_owned(),
            attempt.http_status.map(|status| status.to_string()).unwrap_or_default(),
            output::span(attempt.ended_at_ms - attempt.started_at_ms),
            printable(&note).into_owned(),
        ]);
    }
    output::say(table);
}

fn print_acts(acts: &[Audited]) {
    let mut table = output::table(["act", "when", "who", "reason", "note"]);
    for act in acts {
        let cell = |text: &Option<String>| printable(text.as_deref().unwrap_or_default()).into_owned();
        let what = match &act.scope {
            Some(scope) => format!("{} {scope}", act.act),
            None => act.act.to_string(),
        };
        let (who, when) = (printable(&act.who).into_owned(), output::moment(act.at_ms));
        table.add_row([printable(&what).into_owned(), when, who, cell(&act.reason), cell(&act.detail)]);
    }
    output::say(table);
    if acts.len() as u64 == ACTS {
        output::say(format!("the last {ACTS}; the table audit has them all"));
    }
}

fn as_json(
    row: &Provisioning,
    addresses: &Addresses,
    credentials: &[Credential],
    evidence: &Evidence,
    acts: &[Audited],
) -> Value {
    let mut sifted = row.clone();
    let untrusted = addresses.sift(&mut sifted);
    let mut object = status::row_json(&sifted);
    let tokens: Vec<Value> = credentials
        .iter()
        .map(|credential| {
            json!({
                "scope": credential.scope.as_str(),
                "call": credential.intent,
                "in_use": credential.serial == 0 && !has_left_behind(row, credential),
                "left_behind": has_left_behind(row, credential),
                "resource_uri": credential.resource_uri.as_deref().filter(|uri| addresses.checked(uri).is_some()),
                "key_id": credential.sealed.as_ref().map(|sealed| sealed.key_id().to_string()),
                "wiped": credential.sealed.is_none(),
                "created_at": output::rfc3339(credential.created_at_ms),
            })
        })
        .collect();
    let attempts: Vec<Value> = evidence
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "call": attempt.intent,
                "kind": attempt.kind.to_string(),
                "step": attempt.step.to_string(),
                "natural_key": attempt.natural_key,
                "started_at": output::rfc3339(attempt.started_at_ms),
                "took_ms": attempt.ended_at_ms - attempt.started_at_ms,
                "outcome": attempt.outcome.to_string(),
                "http_status": attempt.http_status,
                "logref": attempt.logref,
                "note": attempt.note,
            })
        })
        .collect();
    let acts: Vec<Value> = acts
        .iter()
        .map(|act| {
            json!({
                "at": output::rfc3339(act.at_ms),
                "act": act.act.to_string(),
                "who": act.who,
                "scope": act.scope.as_ref().map(ToString::to_string),
                "reason": act.reason,
                "note": act.detail,
            })
        })
        .collect();
    let fields = object.as_object_mut().expect("row_json makes an object");
    if let Some(untrusted) = untrusted.json() {
        fields.insert("not_trusted".to_owned(), untrusted);
    }
    fields.insert("tokens".to_owned(), tokens.into());
    fields.insert("attempts".to_owned(), attempts.into());
    fields.insert("attempts_pruned".to_owned(), evidence.is_pruned.into());
    fields.insert("grants".to_owned(), grants::json(&evidence.granted, addresses).into());
    fields.insert("audit".to_owned(), acts.into());
    if row.is_cancelled() {
        fields.insert("left_at_foxy".to_owned(), cancel::left_json(row, addresses));
        fields.insert("meaning".to_owned(), explain::CANCELLED.into());
        fields.insert("advice".to_owned(), explain::CANCELLED_ADVICE.into());
    } else if let Some(reason) = row.parked_reason {
        fields.insert("meaning".to_owned(), reason.meaning().into());
        fields.insert("advice".to_owned(), reason.advice().into());
    }
    object
}
