//! What is left of a customer who was forgotten, and whom nobody may forget.

use std::time::Duration;

use foxden_custody::{Custody, Escrow};
use foxden_ledger::{
    Accepted, Act, By, CorrectedKey, Correction, Doubt, Forget, Forgetting, Forgotten, Ledger, NewSignup, Next,
    OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, ProvisioningId, Retried, Scope, SignupId, Source, State,
    Step, WorkerId,
};

use crate::cancelling::cancellation;
use crate::support::{LEASE, accept, custody, entry, payload, row, signup, token, token_of, written};

const ALL: Forgetting = Forgetting { tokens: true, links: true };

fn id(text: &str) -> SignupId {
    SignupId::parse(text).unwrap()
}

async fn forget(ledger: &Ledger, signup_id: &str, what: Forgetting) -> Forget {
    ledger.forget(&id(signup_id), what, &By::new("a person").because("asked to")).await.unwrap()
}

async fn forgotten(ledger: &Ledger, signup_id: &str, what: Forgetting) -> Forgotten {
    match forget(ledger, signup_id, what).await {
        Forget::Done(forgotten) => *forgotten,
        refused => panic!("{refused:?}"),
    }
}

fn outcome(signup_id: &str, kind: OutcomeKind) -> Option<OutcomeEvent> {
    let data =
        OutcomeData { signup_id: signup_id.into(), user_id: Some("customer-7".into()), ..OutcomeData::default() };
    Some(OutcomeEvent { kind, data })
}

/// Provisioned with all there may be: a correction, notes, tokens, contents, two outcome events.
async fn full(ledger: &Ledger, signup_id: &str) -> Custody {
    let custody = custody();
    let claimed = accept(ledger, &custody, &WorkerId::new(), signup_id).await;
    let mut parked =
        entry(&claimed, Next::Parked { reason: ParkedReason::EmailTaken, detail: Some("Foxy said".into()) });
    parked.attempt.note = Some("Foxy said".into());
    parked.event = outcome(signup_id, OutcomeKind::Parked);
    let parked = written(ledger, parked).await.provisioning;
    let was = ledger.known(&id(signup_id)).await.unwrap().fingerprint;
    let correction = Correction {
        account_id: Some("customer-7".into()),
        source: Source::Submit,
        payload: custody.seal_payload(&parked.id, &id(signup_id), &payload()).unwrap(),
        fingerprint: custody.fingerprint(&id(signup_id), Some("customer-7"), &payload()),
        key: CorrectedKey::User,
    };
    ledger.correct(&parked, &was, correction).await.unwrap().unwrap();
    let told = ledger.waiting_events(10).await.unwrap().into_iter().map(|event| event.seq).collect();
    ledger.mark_published(told).await.unwrap();

    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.credential = token(&claimed, &custody, Scope::User, "user token");
    user.facts.user_uri = Some("https://api.foxycart.com/users/1".into());
    user.facts.store_domain = Some("ada".into());
    let claimed = written(ledger, user).await;
    let mut store = entry(&claimed, Next::Provisioned { keep_payload: true, keep_user_token: true });
    store.credential = token(&claimed, &custody, Scope::Store, "store token");
    store.facts.store_uri = Some("https://api.foxycart.com/stores/1".into());
    store.attempt.natural_key = Some("ada".into());
    store.event = outcome(signup_id, OutcomeKind::Provisioned);
    written(ledger, store).await;
    custody
}

pub(crate) async fn what_is_left_of_a_forgotten_signup_says_nothing_of_the_customer(ledger: Ledger) {
    full(&ledger, "s1").await;
    let answer = outcome("s1", OutcomeKind::Duplicate).unwrap();
    ledger.tell("e-1".into(), answer.clone()).await.unwrap();
    ledger.tell("e-2".into(), answer).await.unwrap();
    let first = ledger.waiting_events(10).await.unwrap().into_iter().find(|event| event.event_id == "e-1").unwrap();
    ledger.mark_published(vec![first.seq]).await.unwrap();
    let before = row(&ledger, "s1").await;
    let counted: u64 = ledger.count_by_key().await.unwrap().iter().map(|key| key.fingerprints).sum();
    assert_eq!(counted, 2, "that of the content that was replaced is one, too");
    let done = forgotten(&ledger, "s1", Forgetting::default()).await;
    assert_eq!((done.tokens_wiped, done.tokens_kept, done.links_kept), (1, 1, true));
    let left = row(&ledger, "s1").await;
    assert!(left.payload.is_none() && left.account_id.is_none() && left.parked_detail.is_none());
    assert!(left.forgotten_at_ms.is_some());
    assert_eq!((left.state, left.step, left.closed_at_ms), (State::Closed, Step::Done, before.closed_at_ms));
    assert_eq!((&left.store_uri, &left.store_domain), (&before.store_uri, &before.store_domain));
    assert!(ledger.superseded_contents(&left).await.unwrap().is_empty());
    let counted = ledger.count_by_key().await.unwrap();
    assert!(counted.iter().all(|key| key.fingerprints == 0 && key.events == 0), "{counted:?}");
    assert!(ledger.attempts(&left.id).await.unwrap().iter().all(|attempt| attempt.note.is_none()));
    // The one that waits is still told, and the one that was told is gone.
    let waiting = ledger.waiting_events(10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].event.kind), (2, OutcomeKind::Provisioned));
    assert!(waiting.iter().all(|waiting| waiting.event.data.user_id.is_none()), "{waiting:?}");
    let held = ledger.credentials(&left.id).await.unwrap();
    let open = |scope| held.iter().filter(|held| held.scope == scope && held.sealed.is_some()).count();
    assert_eq!((open(Scope::User), open(Scope::Store)), (0, 1));
    let audit = ledger.audit_of(&id("s1"), 10).await.unwrap();
    assert_eq!((audit[0].act.known(), audit[0].reason.as_deref()), (Some(Act::Forget), Some("asked to")));

    // And once more, for the rest.
    let done = forgotten(&ledger, "s1", ALL).await;
    assert_eq!((done.tokens_wiped, done.tokens_kept, done.links_kept), (1, 0, false));
    let left = row(&ledger, "s1").await;
    assert_eq!((left.user_uri, left.store_uri, left.store_domain), (None, None, None));
    assert!(ledger.attempts(&left.id).await.unwrap().iter().all(|attempt| attempt.natural_key.is_none()));
    let held = ledger.credentials(&left.id).await.unwrap();
    assert!(held.iter().all(|held| held.sealed.is_none() && held.resource_uri.is_none()));
}

pub(crate) async fn a_store_behind_a_link_that_is_not_trusted_keeps_its_domain(ledger: Ledger) {
    let claimed = accept(&ledger, &custody(), &WorkerId::new(), "s1").await;
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.facts.store_domain = Some("ada".into());
    let claimed = written(&ledger, user).await;
    let mut store = entry(&claimed, Next::Parked { reason: ParkedReason::SuspiciousLink, detail: None });
    store.credential = token(&claimed, &custody(), Scope::Store, "store token");
    written(&ledger, store).await;
    let parked = row(&ledger, "s1").await;
    ledger.cancel(&parked, cancellation(&parked)).await.unwrap().unwrap();
    forgotten(&ledger, "s1", Forgetting::default()).await;
    assert_eq!(row(&ledger, "s1").await.store_domain.as_deref(), Some("ada"));
}

pub(crate) async fn a_repeat_of_a_forgotten_signup_is_known_whatever_its_content(ledger: Ledger) {
    // The ring that made its fingerprint, so that the answer is not that of a key that is gone.
    let custody = full(&ledger, "s1").await;
    forgotten(&ledger, "s1", ALL).await;
    let repeat = ledger.accept_queued(vec![signup(&custody, "s1")]).await.unwrap().remove(0);
    let Accepted::Known(known) = repeat else { panic!("{repeat:?}") };
    let told = custody.is_same_event(&id("s1"), Some("customer-7"), &payload(), &known.fingerprint);
    assert_eq!(told, None, "nobody can tell");
    assert!(ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap().claimed.is_empty());
}

pub(crate) async fn only_a_signup_at_rest_is_forgotten(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    assert!(matches!(forget(&ledger, "s1", ALL).await, Forget::NotFound));
    ledger.accept_queued(vec![signup(&custody, "s1")]).await.unwrap();
    assert!(matches!(forget(&ledger, "s1", ALL).await, Forget::NotClosed(State::Due)));
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    assert!(matches!(forget(&ledger, "s1", ALL).await, Forget::NotClosed(State::InFlight)));
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    assert!(matches!(forget(&ledger, "s1", ALL).await, Forget::NotClosed(State::Unknown)));
    assert!(ledger.audit_of(&id("s1"), 10).await.unwrap().is_empty());

    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let reason = ParkedReason::UserTokenLost;
    let late = token(&claimed, &custody, Scope::User, "late").unwrap();
    written(&ledger, entry(&claimed, Next::Parked { reason, detail: None })).await;
    assert!(matches!(forget(&ledger, "s1", ALL).await, Forget::NotClosed(State::Parked)));
    let parked = row(&ledger, "s1").await;
    assert!(parked.payload.is_some(), "what is refused changes nothing");
    ledger.cancel(&parked, cancellation(&parked)).await.unwrap().unwrap();
    forgotten(&ledger, "s1", ALL).await;
    // Neither a person nor a token that comes late makes it go on: there is nothing left to go on with.
    ledger.keep_credential(&claimed.provisioning.id, late).await.unwrap();
    assert_eq!(ledger.retry(&id("s1"), "a person").await.unwrap(), Retried::Cancelled);
    let left = row(&ledger, "s1").await;
    assert_eq!((left.state, left.step, left.standing()), (State::Closed, Step::User, "cancelled"));
    assert_eq!(forgotten(&ledger, "s1", ALL).await.tokens_wiped, 0, "the late one never was there");
}

pub(crate) async fn a_token_that_comes_after_its_customer_was_forgotten_is_wiped(ledger: Ledger) {
    let custody = full(&ledger, "s1").await;
    forgotten(&ledger, "s1", ALL).await;
    let row = row(&ledger, "s1").await;
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(&dir.path().join("escrow")).unwrap();
    for scope in [Scope::User, Scope::Store] {
        let late = token_of(&row, &custody, (scope, 9), Some("https://api.foxycart.com/9"), "late");
        escrow.keep(&row.id, &late).await.unwrap();
    }
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 2);
    let held = ledger.credentials(&row.id).await.unwrap();
    assert!(held.iter().all(|held| held.sealed.is_none() && held.resource_uri.is_none()), "{held:?}");
    assert_eq!(held.iter().filter(|held| held.intent == 9).count(), 2, "that they came is known");
}

pub(crate) async fn what_was_not_to_be_forgotten_is_kept_also_if_it_comes_later(ledger: Ledger) {
    let custody = full(&ledger, "s1").await;
    forgotten(&ledger, "s1", Forgetting::default()).await;
    let row = row(&ledger, "s1").await;
    let id = &row.id;
    for scope in [Scope::User, Scope::Store] {
        let late = token_of(&row, &custody, (scope, 9), Some("https://api.foxycart.com/9"), "late");
        ledger.keep_credential(id, late).await.unwrap();
    }
    let held = ledger.credentials(id).await.unwrap();
    let late = |scope| held.iter().find(|held| (held.scope, held.intent) == (scope, 9)).unwrap();
    assert!(late(Scope::Store).sealed.is_some() && late(Scope::Store).resource_uri.is_some());
    assert!(late(Scope::User).sealed.is_none(), "a user's token goes in any case");
}

pub(crate) async fn a_user_that_another_signup_needs_is_not_forgotten(ledger: Ledger) {
    full(&ledger, "s1").await;
    let first = row(&ledger, "s1").await.id;
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let mut reused = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    reused.facts.user_from = Some(first);
    let claimed = written(&ledger, reused).await;
    let refused = forget(&ledger, "s1", ALL).await;
    assert!(matches!(&refused, Forget::UserInUse(other) if other.as_str() == "s2"), "{refused:?}");
    let done = Next::Provisioned { keep_payload: false, keep_user_token: true };
    written(&ledger, entry(&claimed, done)).await;
    forgotten(&ledger, "s1", ALL).await;
}

/// Many signups, so that rows move between the pages of the file; some contents fill pages of their own.
pub(crate) async fn what_was_forgotten_is_gone_from_the_file(ledger: Ledger, dir: &std::path::Path) {
    let (custody, owner) = (custody(), WorkerId::new());
    let mut marks: Vec<Vec<u8>> = Vec::new();
    for number in 0..60 {
        let (own_id, signup_id) = (ProvisioningId::new(), id(&format!("s{number}")));
        let mut payload = payload();
        payload.user.last_name = "x".repeat(number * 150);
        let sealed = custody.seal_payload(&own_id, &signup_id, &payload).unwrap();
        let fingerprint = custody.fingerprint(&signup_id, None, &payload);
        let account_id = Some(format!("customer-canary-{number}"));
        // Behind the key's id, which all of them have in common.
        marks.extend([&sealed.as_bytes()[12..44], &fingerprint.as_bytes()[8..]].map(<[u8]>::to_vec));
        marks.push(sealed.as_bytes()[sealed.as_bytes().len() - 32..].to_vec());
        marks.extend(account_id.clone().map(String::into_bytes));
        let new = NewSignup { id: own_id, signup_id, account_id, source: Source::Submit, payload: sealed, fingerprint };
        let Accepted::Leased(claimed) = ledger.accept_leased(new, &owner, LEASE).await.unwrap() else { panic!() };
        let mut settled = entry(&claimed, Next::Provisioned { keep_payload: true, keep_user_token: true });
        settled.credential = token(&claimed, &custody, Scope::Store, "token");
        marks.extend(settled.credential.iter().map(|token| token.sealed.as_bytes()[12..44].to_vec()));
        written(&ledger, settled).await;
    }
    let left = || -> usize {
        let files = ["ledger.db", "ledger.db-wal"].map(|name| std::fs::read(dir.join(name)).unwrap());
        let holds = |mark: &&Vec<u8>| files.iter().any(|file| file.windows(mark.len()).any(|window| window == *mark));
        marks.iter().filter(holds).count()
    };
    assert_eq!(left(), marks.len(), "the search finds what is there");
    for number in 0..60 {
        let done = forgotten(&ledger, &format!("s{number}"), ALL).await;
        assert_eq!(done.gone_from_file, Some(true));
    }
    assert_eq!(left(), 0);
}
