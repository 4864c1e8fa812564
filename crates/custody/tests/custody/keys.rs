//! Keys that are in use, and envelopes that move to the first one.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};

use foxden_custody::{Custody, Page, Reseal, TokenRow};
use foxden_ledger::{Accepted, KeyUse, Ledger, Next, Pause, Scope, SignupId, Step, StepIn, WorkerId};
use foxden_vault::{KeyId, KeyRing};

use crate::support::{accept, entry, payload, row, token, written};

const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn custody(keys: &[&str]) -> Custody {
    Custody::new(Arc::new(KeyRing::parse(&keys.join(",")).unwrap()), "test")
}

fn id(key: &str) -> KeyId {
    KeyRing::parse(key).unwrap().primary()
}

fn counts(key: &str, [events, tokens, fingerprints]: [u64; 3]) -> KeyUse {
    KeyUse { key: id(key), events, tokens, fingerprints }
}

/// A signup with a user token.
async fn signed_up(ledger: &Ledger, custody: &Custody, signup_id: &str) {
    let claimed = accept(ledger, custody, &WorkerId::new(), signup_id).await;
    let mut record = entry(&claimed, Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO });
    record.credential = token(&claimed, custody, Scope::User, &format!("token of {signup_id}"));
    written(ledger, record).await;
}

/// One that is closed: its event is wiped.
async fn closed(ledger: &Ledger, custody: &Custody, signup_id: &str) {
    let claimed = accept(ledger, custody, &WorkerId::new(), signup_id).await;
    let mut record = entry(&claimed, Next::Provisioned { keep_user_token: true, keep_payload: false });
    record.credential = token(&claimed, custody, Scope::Store, &format!("token of {signup_id}"));
    written(ledger, record).await;
}

/// Every envelope of the signup opens with this ring.
async fn opens(ledger: &Ledger, custody: &Custody, signup_id: &str) {
    let row = row(ledger, signup_id).await;
    if let Some(sealed) = &row.payload {
        assert!(custody.open_payload(&row.id, &row.signup_id, sealed).unwrap() == payload());
    }
    for held in ledger.credentials(&row.id).await.unwrap() {
        let token = custody.open_token(&TokenRow::of(&row, &held), held.sealed.as_ref().unwrap()).unwrap();
        assert_eq!(token.expose(), format!("token of {signup_id}"));
    }
}

async fn walk_to_the_end(walk: &mut Reseal, limit: u64) -> Page {
    let mut all = Page::default();
    while let Some(page) = walk.next_page(limit).await.unwrap() {
        all.moved += page.moved;
        all.refused.extend(page.refused);
    }
    all
}

pub(crate) async fn every_key_in_use_is_found_and_counted(ledger: Ledger) {
    let (old, new) = (custody(&[OLD]), custody(&[NEW, OLD]));
    assert!(ledger.keys_in_use().await.unwrap().is_empty() && ledger.count_by_key().await.unwrap().is_empty());
    signed_up(&ledger, &old, "s1").await;
    closed(&ledger, &old, "s2").await;
    assert_eq!(ledger.keys_in_use().await.unwrap(), [id(OLD)].into());
    signed_up(&ledger, &new, "s3").await;
    assert_eq!(ledger.keys_in_use().await.unwrap(), [id(OLD), id(NEW)].into());
    let mut expected = vec![counts(OLD, [1, 2, 2]), counts(NEW, [1, 1, 1])];
    expected.sort_by_key(|count| count.key);
    assert_eq!(ledger.count_by_key().await.unwrap(), expected);
    assert_eq!(ledger.count_envelopes_of(id(OLD), u32::MAX).await.unwrap(), counts(OLD, [1, 2, 0]));
    assert_eq!(ledger.count_envelopes_of(id(OLD), 1).await.unwrap(), counts(OLD, [1, 1, 0]));
}

pub(crate) async fn every_envelope_moves_to_the_first_key_and_none_is_changed(ledger: Ledger) {
    let old = custody(&[OLD]);
    for signup_id in ["s1", "s2", "s3"] {
        signed_up(&ledger, &old, signup_id).await;
    }
    closed(&ledger, &old, "s4").await;
    let rotated = custody(&[NEW, OLD]);
    let all = walk_to_the_end(&mut Reseal::begin(&ledger, &rotated).await.unwrap(), 2).await;
    assert_eq!((all.moved, all.refused.len()), (7, 0));
    assert_eq!(ledger.keys_in_use().await.unwrap(), [id(NEW)].into());
    for signup_id in ["s1", "s2", "s3", "s4"] {
        opens(&ledger, &custody(&[NEW]), signup_id).await;
    }
}

pub(crate) async fn a_walk_that_was_cut_short_is_gone_on_with_by_another(ledger: Ledger) {
    let old = custody(&[OLD]);
    for signup_id in ["s1", "s2", "s3"] {
        signed_up(&ledger, &old, signup_id).await;
    }
    let rotated = custody(&[NEW, OLD]);
    let first = Reseal::begin(&ledger, &rotated).await.unwrap().next_page(2).await.unwrap().unwrap();
    assert_eq!(first.moved, 2);
    let rest = walk_to_the_end(&mut Reseal::begin(&ledger, &rotated).await.unwrap(), 2).await;
    assert_eq!(rest.moved, 4);
    assert!(Reseal::begin(&ledger, &rotated).await.unwrap().next_page(2).await.unwrap().is_none());
}

pub(crate) async fn a_fingerprint_is_renewed_with_its_event_and_stays_where_that_is_wiped(ledger: Ledger) {
    let old = custody(&[OLD]);
    signed_up(&ledger, &old, "s1").await;
    closed(&ledger, &old, "s2").await;
    walk_to_the_end(&mut Reseal::begin(&ledger, &custody(&[NEW, OLD])).await.unwrap(), 10).await;
    let mut expected = vec![counts(OLD, [0, 0, 1]), counts(NEW, [1, 2, 1])];
    expected.sort_by_key(|count| count.key);
    assert_eq!(ledger.count_by_key().await.unwrap(), expected);
    let repeat = crate::support::signup(&custody(&[NEW]), "s1");
    let known = ledger.accept_queued(vec![repeat]).await.unwrap().remove(0);
    let Accepted::Known(known) = known else { panic!("{known:?}") };
    let signup_id = SignupId::parse("s1").unwrap();
    let told = |payload| custody(&[NEW]).is_same_event(&signup_id, None, &payload, &known.fingerprint);
    assert_eq!(told(payload()), Some(true));
    let mut other = payload();
    other.store.name = "Other".into();
    assert_eq!(told(other), Some(false));
}

pub(crate) async fn what_does_not_open_is_named_and_left_as_it_is(ledger: Ledger) {
    let old = custody(&[OLD]);
    signed_up(&ledger, &old, "s1").await;
    signed_up(&ledger, &Custody::new(Arc::new(KeyRing::parse(OLD).unwrap()), "elsewhere"), "s2").await;
    let mut walk = Reseal::begin(&ledger, &custody(&[NEW, OLD])).await.unwrap();
    let all = walk_to_the_end(&mut walk, 10).await;
    let mut named: Vec<_> =
        all.refused.iter().map(|refused| (refused.signup_id.to_string(), refused.contents.as_str())).collect();
    named.sort();
    assert_eq!((all.moved, named), (2, vec![("s2".to_owned(), "event"), ("s2".to_owned(), "token")]));
    assert_eq!(ledger.count_envelopes_of(id(OLD), u32::MAX).await.unwrap(), counts(OLD, [1, 1, 0]));
    opens(&ledger, &Custody::new(Arc::new(KeyRing::parse(OLD).unwrap()), "elsewhere"), "s2").await;
}

pub(crate) async fn a_key_that_the_ring_lacks_is_passed_over(ledger: Ledger) {
    signed_up(&ledger, &custody(&[OLD]), "s1").await;
    let mut walk = Reseal::begin(&ledger, &custody(&[NEW])).await.unwrap();
    assert!(walk.next_page(10).await.unwrap().is_none());
    opens(&ledger, &custody(&[OLD]), "s1").await;
}

/// Does something to the ledger between the reading of envelopes and their replacement, once.
struct Meanwhile<F>(Mutex<Option<F>>);

impl<F: Future<Output = ()> + Send + 'static> StepIn for Meanwhile<F> {
    fn before(&self, operation: &'static str) -> Pause {
        let act = if operation == "reseal" { self.0.lock().unwrap().take() } else { None };
        Box::pin(async move {
            if let Some(act) = act {
                act.await;
            }
            ControlFlow::Continue(())
        })
    }

    fn after(&self, _: &'static str) -> Pause {
        Box::pin(async { ControlFlow::Continue(()) })
    }
}

pub(crate) async fn an_event_that_is_wiped_meanwhile_stays_wiped(ledger: Ledger) {
    let old = custody(&[OLD]);
    let claimed = accept(&ledger, &old, &WorkerId::new(), "s1").await;
    let close = entry(&claimed, Next::Provisioned { keep_user_token: false, keep_payload: false });
    let wipe = {
        let ledger = ledger.clone();
        async move { drop(written(&ledger, close).await) }
    };
    let watched = ledger.clone().with_steps(Arc::new(Meanwhile(Mutex::new(Some(wipe)))));
    let all = walk_to_the_end(&mut Reseal::begin(&watched, &custody(&[NEW, OLD])).await.unwrap(), 10).await;
    assert_eq!(all.moved, 0);
    assert!(row(&ledger, "s1").await.payload.is_none());
}

pub(crate) async fn of_two_walks_at_once_each_envelope_is_moved_by_one(ledger: Ledger) {
    let old = custody(&[OLD]);
    for number in 0..10 {
        signed_up(&ledger, &old, &format!("s{number}")).await;
    }
    let other = {
        let ledger = ledger.clone();
        async move {
            let mut walk = Reseal::begin(&ledger, &custody(&[NEW, OLD])).await.unwrap();
            assert_eq!(walk_to_the_end(&mut walk, 3).await.moved, 20);
        }
    };
    let watched = ledger.clone().with_steps(Arc::new(Meanwhile(Mutex::new(Some(other)))));
    let late = walk_to_the_end(&mut Reseal::begin(&watched, &custody(&[NEW, OLD])).await.unwrap(), 10).await;
    assert_eq!(late.moved, 0);
    for number in 0..10 {
        opens(&ledger, &custody(&[NEW]), &format!("s{number}")).await;
    }
}
