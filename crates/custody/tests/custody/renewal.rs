//! Tokens that Foxy answers in the place of others.

use std::{fs, ops::ControlFlow, sync::Arc};

use foxden_custody::{Custody, Renewed, Reseal, TokenPlace, TokenRow};
use foxden_ledger::{
    Claimed, Forgetting, Ledger, Next, ParkedReason, Pause, Provisioning, ProvisioningId, Scope, SignupId, State, Step,
    StepIn, WorkerId,
};
use foxden_vault::{KeyRing, RefreshToken};

use crate::{
    support::{LEASE, accept, custody, entry, row, token, written},
    two_tokens::{at_the_store, escrow, finish, in_use, only_file, stores_of},
};

/// A signup with its store and this token, and the token's place.
async fn provisioned(ledger: &Ledger, custody: &Custody, text: &str) -> (Claimed, TokenPlace) {
    let claimed = at_the_store(ledger, custody).await;
    finish(ledger, custody, &claimed, text).await;
    let place = place(ledger, custody, &claimed.provisioning);
    (claimed, place)
}

fn place(ledger: &Ledger, custody: &Custody, row: &Provisioning) -> TokenPlace {
    let uri = Some("https://api.foxycart.com/store_full_access/1");
    TokenPlace::new(ledger, custody, TokenRow::of_call(row, Scope::Store, row.intents, uri))
}

async fn renew(place: &TokenPlace, used: &str, new: &str) -> Renewed {
    place.renew(&RefreshToken::new(used), &RefreshToken::new(new)).await.unwrap()
}

async fn kept(place: &TokenPlace) -> Vec<String> {
    place.kept().await.unwrap().iter().map(|token| token.expose().to_owned()).collect()
}

/// A database that takes no token.
struct TakesNoToken;

impl StepIn for TakesNoToken {
    fn before(&self, operation: &'static str) -> Pause {
        let is_away = matches!(operation, "replace_token" | "promote_token" | "keep_credential");
        Box::pin(async move { if is_away { ControlFlow::Break(()) } else { ControlFlow::Continue(()) } })
    }

    fn after(&self, _: &'static str) -> Pause {
        Box::pin(async { ControlFlow::Continue(()) })
    }
}

pub(crate) async fn another_token_takes_the_place_of_the_one_that_was_used(ledger: Ledger) {
    let custody = custody();
    let (claimed, place) = provisioned(&ledger, &custody, "first").await;
    assert_eq!(renew(&place, "first", "second").await, Renewed::InLedger);
    assert_eq!(renew(&place, "first", "second").await, Renewed::InLedger, "a repeat is harmless");
    assert_eq!(stores_of(&ledger, &custody, &claimed).await, [("second".to_owned(), 0)]);
    assert_eq!(in_use(&ledger, &custody).await, "second");
    assert!(ledger.left_stores().await.unwrap().is_empty());
}

pub(crate) async fn what_is_parked_for_a_refused_user_token_continues_once_its_successor_is_here(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    written(&ledger, entry(&claimed, Next::Parked { reason: ParkedReason::UserTokenRefused, detail: None })).await;
    let id = &claimed.provisioning.id;
    let user = ledger.credentials(id).await.unwrap().remove(0);
    let of_user = TokenPlace::new(&ledger, &custody, TokenRow::of(&claimed.provisioning, &user));
    renew(&of_user, "of another", "beside").await;
    assert_eq!(row(&ledger, "s1").await.state, State::Parked, "that one is not known to work");
    renew(&of_user, "user", "second").await;
    let resumed = row(&ledger, "s1").await;
    assert_eq!((resumed.state, resumed.parked_reason), (State::Due, None));
    assert_eq!(renew(&of_user, "user", "second").await, Renewed::InLedger, "a repeat is harmless");
}

pub(crate) async fn a_refusal_of_a_user_token_that_was_replaced_meanwhile_parks_nothing(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    let id = claimed.provisioning.id.clone();
    let user = ledger.credentials(&id).await.unwrap().remove(0);
    let refused = |claimed: &Claimed, shared_user: Option<ProvisioningId>| {
        let mut refused = entry(claimed, Next::Parked { reason: ParkedReason::UserTokenRefused, detail: None });
        (refused.refused_token, refused.shared_user) = (user.sealed.clone(), shared_user);
        refused
    };
    // Another signup under the same user.
    let sibling = accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let mut announced = entry(&sibling, Next::InFlight { step: Step::Store, lease: LEASE });
    (announced.facts.user_from, announced.shared_user) = (Some(id.clone()), Some(id.clone()));
    announced.facts.store_domain = Some("other".into());
    let sibling = written(&ledger, announced).await;

    // An escrow of another machine is drained before the refusals are recorded.
    let of_user = TokenPlace::new(&ledger, &custody, TokenRow::of(&claimed.provisioning, &user));
    renew(&of_user, "user", "second").await;
    for refused in [refused(&claimed, None), refused(&sibling, Some(id.clone()))] {
        let written = written(&ledger, refused).await;
        assert_eq!((written.provisioning.state, written.provisioning.parked_reason), (State::Due, None));
    }
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0, "no event for the parent app");
    // The one that is in use now was refused.
    let again = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let mut refused = refused(&again, None);
    refused.shared_user = again.provisioning.user_from.clone();
    refused.refused_token = ledger.credentials(&id).await.unwrap().remove(0).sealed;
    assert_eq!(written(&ledger, refused).await.provisioning.state, State::Parked);
}

pub(crate) async fn of_two_processes_that_renew_at_once_both_tokens_are_kept(ledger: Ledger) {
    let custody = custody();
    let (_, place) = provisioned(&ledger, &custody, "first").await;
    let (one, other) = tokio::join!(renew(&place, "first", "of one"), renew(&place, "first", "of the other"));
    assert_eq!((one, other), (Renewed::InLedger, Renewed::InLedger));
    let mut both = kept(&place).await;
    both.sort();
    assert_eq!(both, ["of one", "of the other"]);
}

pub(crate) async fn a_renewal_waits_in_the_escrow_while_the_ledger_is_away(ledger: Ledger) {
    let custody = custody();
    let (claimed, real) = provisioned(&ledger, &custody, "first").await;
    let (escrow, _dir) = escrow();
    let away = ledger.clone().with_steps(Arc::new(TakesNoToken));
    let place = place(&away, &custody, &claimed.provisioning);
    let second = RefreshToken::new("second");
    place.renew(&RefreshToken::new("first"), &second).await.unwrap_err();
    assert_eq!(renew(&place.with_escrow(&escrow), "first", "second").await, Renewed::InEscrow);
    assert_eq!(kept(&real).await, ["first"]);
    assert_eq!(kept(&real.with_escrow(&escrow)).await, ["second"], "what is kept is looked for there first");
    assert_eq!(in_use(&ledger, &custody).await, "second");
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 0);
}

pub(crate) async fn renewals_are_drained_in_the_order_in_which_they_came(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    let (escrow, _dir) = escrow();
    let away = ledger.clone().with_steps(Arc::new(TakesNoToken));
    let place = place(&away, &custody, &claimed.provisioning).with_escrow(&escrow);
    // The call's own is there as well, and no renewal takes its file away.
    escrow.keep(&claimed.provisioning.id, &token(&claimed, &custody, Scope::Store, "0").unwrap()).await.unwrap();
    for used in 0..12 {
        renew(&place, &used.to_string(), &(used + 1).to_string()).await;
    }
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 13);
    assert_eq!(stores_of(&ledger, &custody, &claimed).await, [("12".to_owned(), 0)]);
}

pub(crate) async fn a_token_that_was_resealed_meanwhile_makes_room(ledger: Ledger) {
    let keys = ["old", "new"].map(|name| foxden_vault::generate_key(name).unwrap().to_string());
    let of = |keys: &[String]| Custody::new(KeyRing::parse(&keys.join(",")).unwrap().into(), "test");
    let old = of(&keys[..1]);
    let (claimed, _) = provisioned(&ledger, &old, "first").await;
    let (escrow, _dir) = escrow();
    let away = ledger.clone().with_steps(Arc::new(TakesNoToken));
    renew(&place(&away, &old, &claimed.provisioning).with_escrow(&escrow), "first", "second").await;
    let both = of(&[keys[1].clone(), keys[0].clone()]);
    let mut walk = Reseal::begin(&ledger, &both).await.unwrap();
    while walk.next_page(10).await.unwrap().is_some() {}
    assert_eq!(escrow.drain(&ledger, &both).await.unwrap(), 1);
    assert_eq!(stores_of(&ledger, &both, &claimed).await, [("second".to_owned(), 0)]);
}

pub(crate) async fn a_token_that_was_wiped_stays_wiped(ledger: Ledger) {
    let custody = custody();
    let (_, place) = provisioned(&ledger, &custody, "first").await;
    let (signup_id, by) = (SignupId::parse("s1").unwrap(), foxden_ledger::By::new("a person"));
    ledger.forget(&signup_id, Forgetting { tokens: true, links: false }, &by).await.unwrap();
    renew(&place, "first", "second").await;
    assert!(kept(&place).await.is_empty());
    let held = ledger.credentials(&row(&ledger, "s1").await.id).await.unwrap();
    assert!(held.iter().all(|held| held.sealed.is_none()));
}

pub(crate) async fn a_token_that_is_kept_beside_changes_places_with_one_that_is_refused(ledger: Ledger) {
    let custody = custody();
    let (claimed, place) = provisioned(&ledger, &custody, "first").await;
    renew(&place, "of another process", "second").await;
    assert_eq!(kept(&place).await, ["first", "second"]);
    renew(&place, "first", "second").await;
    assert_eq!(kept(&place).await, ["second", "first"]);
    assert_eq!(in_use(&ledger, &custody).await, "second");
    renew(&place, "second", "third").await;
    assert_eq!(kept(&place).await, ["third", "first"]);
    assert_eq!(stores_of(&ledger, &custody, &claimed).await.len(), 2);
}

/// It would take it for the token of the call, and a name that it does not know for a planted file.
pub(crate) async fn an_earlier_release_leaves_a_renewal_alone(ledger: Ledger) {
    let custody = custody();
    let (claimed, _) = provisioned(&ledger, &custody, "first").await;
    let (escrow, dir) = escrow();
    let away = ledger.clone().with_steps(Arc::new(TakesNoToken));
    renew(&place(&away, &custody, &claimed.provisioning).with_escrow(&escrow), "first", "second").await;
    let file = only_file(&dir.path().join("escrow"));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(r#"{"version":4,"#), "{text}");
    fs::write(&file, text.replacen("\"version\":4", "\"version\":5", 1)).unwrap();
    let said = escrow.drain(&ledger, &custody).await.unwrap_err().to_string();
    assert!(said.contains("is not one that this release can read"), "{said}");
    assert_eq!(only_file(&dir.path().join("escrow")), file);
}
