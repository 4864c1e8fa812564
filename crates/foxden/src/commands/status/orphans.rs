//! `foxden status --orphans`: users at Foxy that no signup uses.

use foxden_ledger::{Ledger, Orphan, ParkedReason, State};
use foxden_provisioning::EmailTemplate;
use serde_json::{Value, json};

use super::place_of;
use crate::{exit::Exit, output, terminal::printable};

/// Lists them all: there are few, or something is wrong that all of them are needed to see.
pub(super) async fn list(ledger: &Ledger, json: bool) -> anyhow::Result<Exit> {
    let orphans = ledger.orphans().await?;
    if json {
        orphans.iter().for_each(|orphan| output::say_json(&as_json(orphan)));
        return Ok(Exit::Done);
    }
    if orphans.is_empty() {
        output::say("none");
        return Ok(Exit::Done);
    }
    let mut table = output::table(["signup", "generation", "email", "Foxy user", "the signup is"]);
    for orphan in &orphans {
        table.add_row([
            orphan.signup_id.to_string(),
            orphan.generation.to_string(),
            email(orphan).unwrap_or_else(|| "not known".to_owned()),
            orphan.user_uri.as_deref().map(|uri| printable(uri).into_owned()).unwrap_or_default(),
            place_of(orphan.state, orphan.step, orphan.parked_reason),
        ]);
    }
    output::say(table);
    output::say("their tokens are lost: ask Foxy to remove these users, by their emails");
    if orphans.iter().any(|orphan| !orphan.mailbox_is_its_own) {
        output::say(
            "the emails are made of the template that each signup used last; users that were made before \
             FOXDEN_USER_EMAIL was changed have others",
        );
    }
    Ok(Exit::Done)
}

/// Its email, in the platform's own mailbox; `None` if nothing is left to make it of.
fn email(orphan: &Orphan) -> Option<String> {
    let template = EmailTemplate::parse(orphan.mailbox.as_deref()?).ok()?;
    Some(template.fill(&orphan.signup_id, orphan.generation))
}

fn as_json(orphan: &Orphan) -> Value {
    let email = email(orphan);
    json!({
        "signup_id": orphan.signup_id.as_str(),
        "generation": orphan.generation,
        "email_is_certain": email.is_some() && orphan.mailbox_is_its_own,
        "email": email,
        "user_uri": orphan.user_uri,
        "state": orphan.state.as_str(),
        "parked_reason": orphan.parked_reason.filter(|_| orphan.state == State::Parked).map(ParkedReason::as_str),
    })
}
