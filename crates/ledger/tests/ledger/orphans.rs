//! Users that were given up.

use std::time::Duration;

use foxden_custody::Custody;
use foxden_ledger::{
    Claimed, Ledger, NewCredential, Next, Orphan, ParkedReason, Provisioning, Scope, State, Step, WorkerId,
};

use crate::support::{LEASE, accept, custody, entry, row, token, token_of, written};

const TEMPLATE: &str = "shop+{signup_id}.{generation}@platform.example";

/// What an orphan is told from others by.
fn brief(orphans: &[Orphan]) -> Vec<(&str, u32)> {
    orphans.iter().map(|orphan| (orphan.signup_id.as_str(), orphan.generation)).collect()
}

/// All orphans; there are as many as are counted.
async fn orphans(ledger: &Ledger) -> Vec<Orphan> {
    let orphans = ledger.orphans().await.unwrap();
    assert_eq!(ledger.count_orphans().await.unwrap(), orphans.len() as u64);
    orphans
}

/// The user's token is lost, and the next generation is claimed by `next`.
async fn superseded(ledger: &Ledger, next: &Ledger, claimed: Claimed) -> Claimed {
    let mut lost = entry(&claimed, Next::Due { step: Step::User, delay: Duration::ZERO, at_least: Duration::ZERO });
    lost.facts.generation = Some(claimed.provisioning.generation + 1);
    written(ledger, lost).await;
    next.claim(&claimed.lease.owner, 1, LEASE).await.unwrap().claimed.remove(0)
}

async fn park(ledger: &Ledger, claimed: &Claimed, reason: ParkedReason) {
    written(ledger, entry(claimed, Next::Parked { reason, detail: None })).await;
}

/// The user and the store are made.
async fn finish(ledger: &Ledger, custody: &Custody, claimed: &Claimed) {
    let mut user = entry(claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.credential = late(custody, &claimed.provisioning, "users/9");
    (user.facts.user_uri, user.facts.store_domain) = (Some(uri("users/9")), Some("engines".into()));
    let claimed = written(ledger, user).await;
    let mut store = entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    store.credential = token(&claimed, custody, Scope::Store, "store-token");
    written(ledger, store).await;
}

fn uri(path: &str) -> String {
    format!("https://api.foxycart.com/{path}")
}

/// The token of the row's present user call.
fn late(custody: &Custody, row: &Provisioning, path: &str) -> Option<NewCredential> {
    Some(token_of(row, custody, (Scope::User, row.intents), Some(&uri(path)), "late"))
}

pub(crate) async fn users_of_superseded_generations_are_orphans_whatever_became_of_their_signup(ledger: Ledger) {
    let (custody, owner, ledger) = (custody(), WorkerId::new(), ledger.with_mailbox(TEMPLATE));
    assert!(orphans(&ledger).await.is_empty(), "there is nothing to count");
    let third = accept(&ledger, &custody, &owner, "s1").await;
    let third = superseded(&ledger, &ledger, superseded(&ledger, &ledger, third).await).await;
    assert_eq!(brief(&orphans(&ledger).await), [("s1", 1), ("s1", 2)], "a call under way has lost nothing yet");
    finish(&ledger, &custody, &third).await;
    accept(&ledger, &custody, &owner, "s2").await;

    let listed = orphans(&ledger).await;
    assert_eq!(brief(&listed), [("s1", 1), ("s1", 2)]);
    for orphan in listed {
        assert_eq!((orphan.state, orphan.mailbox.as_deref()), (State::Closed, Some(TEMPLATE)));
        assert!(!orphan.mailbox_is_its_own && orphan.user_uri.is_none(), "{orphan:?}");
    }
}

pub(crate) async fn a_lost_user_is_an_orphan_at_once_only_in_a_mailbox_of_the_platform_s(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let customers = accept(&ledger, &custody, &owner, "customer's").await;
    park(&ledger, &customers, ParkedReason::UserTokenLost).await;
    let ledger = ledger.with_mailbox(TEMPLATE);
    let exhausted = accept(&ledger, &custody, &owner, "exhausted").await;
    park(&ledger, &exhausted, ParkedReason::AttemptsExhausted).await;
    let first = accept(&ledger, &custody, &owner, "lost").await;
    let second = superseded(&ledger, &ledger, first).await;
    park(&ledger, &second, ParkedReason::UserTokenLost).await;

    let listed = orphans(&ledger).await;
    assert_eq!(brief(&listed), [("lost", 1), ("lost", 2)]);
    assert_eq!(listed.iter().map(|orphan| orphan.mailbox_is_its_own).collect::<Vec<_>>(), [false, true]);
    assert_eq!(listed[1].parked_reason, Some(ParkedReason::UserTokenLost));
}

pub(crate) async fn an_orphan_has_the_address_that_came_with_a_late_token(ledger: Ledger) {
    let (custody, ledger) = (custody(), ledger.with_mailbox(TEMPLATE));
    let addresses =
        async || -> Vec<Option<String>> { orphans(&ledger).await.into_iter().map(|orphan| orphan.user_uri).collect() };
    let first = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let (id, of_first) = (first.provisioning.id.clone(), late(&custody, &first.provisioning, "users/1"));
    let second = superseded(&ledger, &ledger, first).await;
    let of_second = late(&custody, &second.provisioning, "users/2");
    ledger.keep_credential(&id, of_first.unwrap()).await.unwrap();
    assert_eq!(addresses().await, [Some(uri("users/1"))]);

    let third = superseded(&ledger, &ledger, second).await;
    assert_eq!(addresses().await, [None, None], "one address, and nothing says which of two users it is");
    ledger.keep_credential(&id, of_second.unwrap()).await.unwrap();
    let both = [Some(uri("users/1")), Some(uri("users/2"))];
    assert_eq!(addresses().await, both);
    finish(&ledger, &custody, &third).await;
    assert_eq!(row(&ledger, "s1").await.user_uri, Some(uri("users/9")));
    assert_eq!(addresses().await, both, "the user that is in use is none of them");
}

pub(crate) async fn an_orphan_of_a_template_that_is_gone_is_not_given_another_email(ledger: Ledger) {
    let custody = custody();
    let (own, next) = (ledger.clone().with_mailbox(TEMPLATE), ledger);
    let first = accept(&own, &custody, &WorkerId::new(), "s1").await;
    // FOXDEN_USER_EMAIL was unset meanwhile: the second user is asked for with the event's own email.
    let second = superseded(&own, &next, first).await;
    park(&next, &second, ParkedReason::UserTokenLost).await;
    let listed = orphans(&next).await;
    assert_eq!(brief(&listed), [("s1", 1)]);
    assert_eq!((listed[0].mailbox.as_deref(), listed[0].mailbox_is_its_own), (None, false));
}
