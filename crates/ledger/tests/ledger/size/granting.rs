//! What a person is asked for, and does.

use foxden_custody::Custody;
use foxden_ledger::{
    By, Forgetting, Grant, GrantReason, Keeping, Ledger, ParkedReason, Provisioning, Scope, TripEnding, Wanted,
};

use super::drive::{KEEP, parked};
use crate::{
    cancelling::cancellation,
    granted::{granted, then},
    grants::{COOKIE, ask, asking, expired, for_store, travelled},
    support::row,
};

pub(super) async fn everything(ledger: &Ledger, custody: &Custody) {
    asked(ledger, custody).await;
    came_back(ledger, custody).await;
    kept(ledger, custody).await;
    out_of_the_escrow(ledger, custody).await;
    cancelled(ledger, custody).await;
    ledger.count_grants().await.unwrap();
    assert!(ledger.prune_trips(KEEP).await.unwrap() > 0);
}

async fn asked_for(ledger: &Ledger, custody: &Custody, signup_id: &str) -> (Provisioning, Grant) {
    parked(ledger, custody, signup_id, ParkedReason::StoreTokenLost).await;
    let judged = row(ledger, signup_id).await;
    let grant = ask(ledger, &judged, for_store()).await;
    (judged, grant)
}

async fn asked(ledger: &Ledger, custody: &Custody) {
    let (judged, grant) = asked_for(ledger, custody, "asked").await;
    ledger.ask_for_grant(&judged, for_store()).await.unwrap();
    ledger.find_grant(&grant.id).await.unwrap();
    ledger.live_grant(&judged.id).await.unwrap();
    ledger.withdraw_grant(&grant.id).await.unwrap();
    assert_eq!(ledger.expire_grants(Some(expired)).await.unwrap().len(), 100);
}

async fn came_back(ledger: &Ledger, custody: &Custody) {
    let (judged, grant) = asked_for(ledger, custody, "came-back").await;
    let trip = travelled(ledger, &grant, 1).await;
    ledger.end_trip(&trip, TripEnding::Failed).await.unwrap();
    ledger.see_trip(&trip, COOKIE).await.unwrap();
    ledger.grants_of(&judged.id).await.unwrap();
}

async fn kept(ledger: &Ledger, custody: &Custody) {
    for (number, id, is_confirmed) in [(2, "granted", true), (3, "unexpected", false)] {
        let (judged, grant) = asked_for(ledger, custody, id).await;
        let trip = travelled(ledger, &grant, number).await;
        let uri = format!("https://api.foxycart.com/stores/{id}");
        let credential = granted(ledger, custody, &judged, (Scope::Store, &uri), is_confirmed).await;
        let keeping = Keeping { trip, credential, is_confirmed, then: then() };
        ledger.keep_granted(&judged, keeping.clone()).await.unwrap();
        ledger.keep_granted(&judged, keeping).await.unwrap();
        ledger.confirm_grant(&grant.id, then()).await.unwrap();
    }
    parked(ledger, custody, "user-granted", ParkedReason::EmailTaken).await;
    let judged = row(ledger, "user-granted").await;
    let grant = ask(ledger, &judged, asking(GrantReason::TakeOver, Wanted::User)).await;
    let trip = travelled(ledger, &grant, 4).await;
    let credential = granted(ledger, custody, &judged, (Scope::User, "https://x/users/1"), true).await;
    ledger.keep_granted(&judged, Keeping { trip, credential, is_confirmed: true, then: then() }).await.unwrap();
    assert!(ledger.has_taken_over(&judged.id).await.unwrap());
}

async fn out_of_the_escrow(ledger: &Ledger, custody: &Custody) {
    let (judged, _) = asked_for(ledger, custody, "granted-late").await;
    let store = "https://api.foxycart.com/stores/granted-late";
    let late = granted(ledger, custody, &judged, (Scope::Store, store), true).await;
    ledger.keep_from_escrow(&judged.id, &late, |_| false).await.unwrap();
}

async fn cancelled(ledger: &Ledger, custody: &Custody) {
    let (judged, grant) = asked_for(ledger, custody, "asked-and-cancelled").await;
    travelled(ledger, &grant, 5).await;
    ledger.cancel(&judged, cancellation(&judged)).await.unwrap().unwrap();
    let all = Forgetting { links: true, tokens: true };
    ledger.forget(&judged.signup_id, all, &By::new("a person")).await.unwrap();
}
