//! `foxden status --orphans`: users and stores at Foxy that no signup uses.

use foxden_ledger::{Ledger, LeftStore, Orphan, ParkedReason, State};
use foxden_provisioning::EmailTemplate;
use serde_json::{Value, json};

use super::place_of;
use crate::{addresses::Addresses, exit::Exit, output, terminal::printable};

/// Lists them all: there are few, or something is wrong that all of them are needed to see.
pub(super) async fn list(ledger: &Ledger, addresses: &Addresses, json: bool) -> anyhow::Result<Exit> {
    let (mut orphans, mut stores) = (ledger.orphans().await?, ledger.left_stores().await?);
    let checked = |uri: &mut Option<String>| drop(uri.take_if(|uri| addresses.checked(uri).is_none()));
    orphans.iter_mut().for_each(|orphan| checked(&mut orphan.user_uri));
    stores.iter_mut().for_each(|store| checked(&mut store.store_uri));
    if json {
        orphans.iter().for_each(|orphan| output::say_json(&as_json(orphan)));
        stores.iter().for_each(|store| output::say_json(&store_json(store)));
        return Ok(Exit::Done);
    }
    if orphans.is_empty() && stores.is_empty() {
        output::say("none");
    }
    if !orphans.is_empty() {
        print_users(&orphans);
    }
    if !stores.is_empty() {
        print_stores(&stores);
    }
    Ok(Exit::Done)
}

fn print_users(orphans: &[Orphan]) {
    let mut table = output::table(["signup", "generation", "email", "Foxy user", "the signup is"]);
    for orphan in orphans {
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
}

fn print_stores(stores: &[LeftStore]) {
    let mut table = output::table(["signup", "call", "store domain", "Foxy store", "token", "the signup is"]);
    for store in stores {
        table.add_row([
            store.signup_id.to_string(),
            store.intent.to_string(),
            store.domain.as_deref().map(|domain| printable(domain).into_owned()).unwrap_or_default(),
            store.store_uri.as_deref().map(|uri| printable(uri).into_owned()).unwrap_or_default(),
            if store.has_token { "sealed" } else { "wiped" }.to_owned(),
            place_of(store.state, store.step, store.parked_reason),
        ]);
    }
    output::say(table);
    output::say("stores of domains that were given up, whose tokens came late: ask Foxy to remove them");
}

fn store_json(store: &LeftStore) -> Value {
    json!({
        "signup_id": store.signup_id.as_str(),
        "call": store.intent,
        "store_domain": store.domain,
        "store_uri": store.store_uri,
        "has_token": store.has_token,
        "state": store.state.as_str(),
        "parked_reason": store.parked_reason.filter(|_| store.state == State::Parked).map(ParkedReason::as_str),
    })
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
