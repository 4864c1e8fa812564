//! A ledger that was restored from an older copy.

use std::time::Duration;

use foxden_custody::Custody;
use foxden_ledger::{
    AttemptKind, AttemptOutcome, By, CorrectedKey, Correction, Doubt, Facts, InUse, Ledger, ManualClock, MarkRestored,
    Marked, Next, ParkedReason, Provisioning, Retried, SignupId, Source, State, Step, WorkerId,
};

use crate::support::{LEASE, START_MS, accept, custody, entry, payload, row, signup, written};

fn by() -> By {
    By::new("a person").because("the disk was lost")
}

async fn marked(ledger: &Ledger, to_ms: i64) -> Marked {
    match ledger.mark_restored(to_ms, &by()).await.unwrap() {
        MarkRestored::Marked(marked) => marked,
        other => panic!("expected it to be marked, got {other:?}"),
    }
}

/// One of each: due, in flight, unknown, parked, closed.
async fn mixed(ledger: &Ledger, custody: &Custody) {
    let owner = WorkerId::new();
    ledger.accept_queued(vec![signup(custody, "due")]).await.unwrap();
    accept(ledger, custody, &owner, "in_flight").await;
    for (id, next) in [
        ("unknown", Next::Unknown { delay: LEASE * 100, doubt: Doubt::Call }),
        ("parked", Next::Parked { reason: ParkedReason::DomainTaken, detail: None }),
        ("closed", Next::Provisioned { keep_payload: false, keep_user_token: false }),
    ] {
        let claimed = accept(ledger, custody, &owner, id).await;
        written(ledger, entry(&claimed, next)).await;
    }
}

pub(crate) async fn whatever_is_open_in_a_restored_ledger_is_looked_up_first(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    mixed(&ledger, &custody).await;
    clock.advance(LEASE * 2);
    let before: Vec<Provisioning> = [row(&ledger, "in_flight").await, row(&ledger, "closed").await].into();
    assert_eq!(marked(&ledger, START_MS).await, Marked { open: 3, parked: 1, marked_before: 0, closed: 1 });
    for id in ["due", "in_flight", "unknown"] {
        let row = row(&ledger, id).await;
        assert_eq!((row.state, row.in_doubt, row.due_at_ms), (State::Unknown, true, Some(clock.now_ms())), "{id}");
        assert_eq!((row.restored_to_ms, row.doubt_ended_at_ms), (Some(START_MS), Some(clock.now_ms())), "{id}");
        let evidence = ledger.attempts(&row.id).await.unwrap().pop().unwrap();
        assert_eq!(
            (evidence.kind.known(), evidence.outcome.known()),
            (Some(AttemptKind::Person), Some(AttemptOutcome::Restored)),
            "{id}"
        );
    }
    assert_eq!(row(&ledger, "in_flight").await.epoch, before[0].epoch + 1, "its owner of then writes no more");
    assert_eq!(row(&ledger, "closed").await.updated_at_ms, before[1].updated_at_ms);
    let claims = ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap();
    assert_eq!(claims.claimed.len(), 3);
    assert!(claims.claimed.iter().all(|claimed| claimed.provisioning.state == State::Unknown), "nothing is announced");
}

pub(crate) async fn a_ledger_is_marked_once_for_each_copy(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    ledger.accept_queued(vec![signup(&custody, "s1")]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(marked(&ledger, START_MS).await.open, 1);
    // Workers have gone on.
    ledger.accept_queued(vec![signup(&custody, "s2")]).await.unwrap();
    assert_eq!(marked(&ledger, START_MS).await, Marked { marked_before: 1, ..Marked::default() });
    assert_eq!(row(&ledger, "s2").await.state, State::Due, "it was accepted after the copy was made");
    assert_eq!(ledger.attempts(&row(&ledger, "s1").await.id).await.unwrap().len(), 1);
    // Another copy, made later.
    assert_eq!(marked(&ledger, clock.now_ms()).await, Marked { open: 2, ..Marked::default() });
}

pub(crate) async fn a_ledger_is_not_marked_while_it_is_worked_on_or_for_a_wrong_time(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let until_ms = row(&ledger, "s1").await.lease_until_ms.unwrap();
    let asked = async |to_ms| ledger.mark_restored(to_ms, &by()).await.unwrap();
    assert_eq!(asked(START_MS).await, MarkRestored::InUse(InUse { leases: 1, until_ms }));
    clock.advance(LEASE * 2);
    assert_eq!(asked(START_MS - 1).await, MarkRestored::Newer { accepted_at_ms: START_MS });
    assert_eq!(asked(clock.now_ms() + 1).await, MarkRestored::Future { now_ms: clock.now_ms() });
    assert_eq!(row(&ledger, "s1").await.state, State::InFlight);
    assert!(matches!(asked(START_MS).await, MarkRestored::Marked(_)));
}

pub(crate) async fn a_restored_row_is_in_doubt_under_whatever_key_it_tries(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    mixed(&ledger, &custody).await;
    clock.advance(LEASE * 2);
    marked(&ledger, START_MS).await;
    // Parked, it is judged as it stood, and looked up when it goes on, with other content too.
    let parked = ledger.known(&SignupId::parse("parked").unwrap()).await.unwrap();
    assert!(!parked.provisioning.in_doubt);
    let correction = Correction {
        account_id: None,
        source: Source::Submit,
        payload: custody.seal_payload(&parked.provisioning.id, &parked.provisioning.signup_id, &payload()).unwrap(),
        fingerprint: parked.fingerprint.clone(),
        key: CorrectedKey::User,
    };
    let corrected = ledger.correct(&parked.provisioning, &parked.fingerprint, correction).await.unwrap().unwrap();
    assert_eq!((corrected.state, corrected.in_doubt), (State::Unknown, true));
    // Another domain.
    let claims = ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap();
    let claimed = claims.claimed.into_iter().find(|claimed| claimed.provisioning.signup_id.as_str() == "due").unwrap();
    let mut next = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    next.facts = Facts { store_domain: Some("engines-2".into()), ..Facts::default() };
    let announced = written(&ledger, next).await.provisioning;
    assert!(announced.in_doubt && announced.doubt_ended_at_ms.is_some());
}

pub(crate) async fn a_retry_of_a_restored_row_looks_first(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    mixed(&ledger, &custody).await;
    clock.advance(LEASE * 2);
    marked(&ledger, START_MS).await;
    let parked = SignupId::parse("parked").unwrap();
    assert_eq!(ledger.retry(&parked, "a person").await.unwrap(), Retried::Due);
    let retried = row(&ledger, "parked").await;
    assert_eq!((retried.state, retried.in_doubt), (State::Unknown, true));
}
