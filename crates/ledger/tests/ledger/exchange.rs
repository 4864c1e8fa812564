//! One token in the place of another, as those judge who can open them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use foxden_ledger::{Claimed, Exchange, Ledger, NewCredential, Next, Scope, Step, WorkerId};
use foxden_vault::Sealed;

use crate::support::{LEASE, accept, custody, entry, token, written};

/// A signup with its user's token, and two more of the same call that it doesn't hold.
async fn with_a_token(ledger: &Ledger) -> (Claimed, Sealed, [NewCredential; 2]) {
    let custody = custody();
    let claimed = accept(ledger, &custody, &WorkerId::new(), "s1").await;
    let [held, new, other] = ["held", "new", "other"].map(|text| token(&claimed, &custody, Scope::User, text));
    let sealed = held.as_ref().unwrap().sealed.clone();
    let mut record = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    record.credential = held;
    let claimed = written(ledger, record).await;
    (claimed, sealed, [new.unwrap(), other.unwrap()])
}

/// The call's tokens, the one in use first.
async fn held(ledger: &Ledger, claimed: &Claimed, of: &NewCredential) -> Vec<Vec<u8>> {
    let mut held = ledger.tokens_of_call(&claimed.provisioning.id, of.scope, of.intent).await.unwrap();
    held.sort_by_key(|held| held.serial);
    held.into_iter().map(|held| held.sealed.unwrap().into_bytes()).collect()
}

pub(crate) async fn a_judgment_on_what_has_changed_since_is_asked_for_again(ledger: Ledger) {
    let (claimed, was, [new, other]) = with_a_token(&ledger).await;
    let asked = AtomicUsize::new(0);
    // As if another process had put a token there after the first look.
    let judge = |held: &[foxden_ledger::Credential]| {
        assert_eq!(held[0].sealed.as_ref(), Some(&was), "it is shown what is held now");
        let was = if asked.fetch_add(1, Relaxed) == 0 { other.sealed.clone() } else { was.clone() };
        Exchange::Replace { was }
    };
    ledger.exchange_token(&claimed.provisioning.id, &new, judge).await.unwrap();
    assert_eq!(asked.load(Relaxed), 2);
    assert_eq!(held(&ledger, &claimed, &new).await, [new.sealed.as_bytes()]);
}

pub(crate) async fn what_keeps_changing_is_left_as_it_is_for_another_try(ledger: Ledger) {
    let (claimed, was, [new, other]) = with_a_token(&ledger).await;
    let stale = [
        Exchange::Replace { was: other.sealed.clone() },
        Exchange::Promote { first: other.sealed.clone(), other: was.clone() },
        Exchange::Promote { first: was.clone(), other: other.sealed.clone() },
    ];
    for stale in stale {
        let error = ledger.exchange_token(&claimed.provisioning.id, &new, |_| stale.clone()).await.unwrap_err();
        assert!(error.is_passing(), "{error}");
        assert_eq!(held(&ledger, &claimed, &new).await, [was.as_bytes()]);
    }
}

pub(crate) async fn a_token_beside_another_takes_its_place_only_if_it_is_judged_to(ledger: Ledger) {
    let (claimed, was, [new, _]) = with_a_token(&ledger).await;
    let id = &claimed.provisioning.id;
    ledger.keep_from_escrow(id, &new, |_| true).await.unwrap();
    assert_eq!(held(&ledger, &claimed, &new).await, [was.as_bytes()], "the same one is here");
    ledger.keep_from_escrow(id, &new, |_| false).await.unwrap();
    assert_eq!(held(&ledger, &claimed, &new).await, [was.as_bytes(), new.sealed.as_bytes()]);
    ledger.exchange_token(id, &new, |_| Exchange::Known).await.unwrap();
    assert_eq!(held(&ledger, &claimed, &new).await, [was.as_bytes(), new.sealed.as_bytes()]);
    let promoted = Exchange::Promote { first: was.clone(), other: new.sealed.clone() };
    ledger.exchange_token(id, &new, |_| promoted.clone()).await.unwrap();
    assert_eq!(held(&ledger, &claimed, &new).await, [new.sealed.as_bytes(), was.as_bytes()]);
}
