//! Signups that a person closes, and events that belong to no provisioning.

use std::time::Duration;

use foxden_ledger::{
    Act, AttemptKind, AttemptOutcome, By, Cancellation, Claimed, Facts, Filter, Ledger, Look, ManualClock, Next,
    OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Provisioning, Recorded, Retried, Scope, SignupId, State,
    Step, WorkerId,
};

use crate::support::{LEASE, START_MS, accept, custody, entry, row, token, written};

fn event(row: &Provisioning, kind: OutcomeKind) -> OutcomeEvent {
    OutcomeEvent { kind, data: OutcomeData::of(row) }
}

pub(crate) fn cancellation(row: &Provisioning) -> Cancellation {
    Cancellation {
        by: By::new("a person").because("by mistake"),
        keep_user_token: false,
        event: event(row, OutcomeKind::Cancelled),
        tell_anyway: true,
    }
}

/// Parked at the store step, with a user and its token.
async fn parked_with_user(ledger: &Ledger, tell: bool) -> Claimed {
    let custody = custody();
    let claimed = accept(ledger, &custody, &WorkerId::new(), "s1").await;
    let mut made_user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    made_user.credential = token(&claimed, &custody, Scope::User, "user-token");
    made_user.facts = Facts { user_uri: Some("https://api.foxycart.com/users/1".into()), ..Facts::default() };
    let claimed = written(ledger, made_user).await;
    let mut parked = entry(&claimed, Next::Parked { reason: ParkedReason::DomainTaken, detail: None });
    parked.event = tell.then(|| event(&claimed.provisioning, OutcomeKind::Parked));
    written(ledger, parked).await
}

async fn told(ledger: &Ledger) -> Vec<OutcomeKind> {
    ledger.waiting_events(10).await.unwrap().into_iter().map(|waiting| waiting.event.kind).collect()
}

pub(crate) async fn a_cancelled_signup_is_closed_where_it_stood_and_told_of_behind_what_was_told_before(
    ledger: Ledger,
) {
    parked_with_user(&ledger, true).await;
    let parked = row(&ledger, "s1").await;
    let cancelled = ledger.cancel(&parked, cancellation(&parked)).await.unwrap().unwrap();
    assert_eq!((cancelled.step, cancelled.state, cancelled.standing()), (Step::Store, State::Closed, "cancelled"));
    assert!(cancelled.is_cancelled() && !cancelled.is_provisioned());
    assert!(cancelled.payload.is_none() && cancelled.closed_at_ms.is_some() && cancelled.due_at_ms.is_none());
    assert!(ledger.credentials(&parked.id).await.unwrap().iter().all(|held| held.sealed.is_none()));
    let attempts = ledger.attempts(&parked.id).await.unwrap();
    let evidence = attempts.last().unwrap();
    assert_eq!(
        (evidence.kind.known(), evidence.outcome.known()),
        (Some(AttemptKind::Cancel), Some(AttemptOutcome::Cancelled))
    );
    let audit = ledger.audit_of(&cancelled.signup_id, 10).await.unwrap();
    let told_of = (audit[0].act.known(), audit[0].who.as_str(), audit[0].reason.as_deref());
    assert_eq!(told_of, (Some(Act::Cancel), "a person", Some("by mistake")));
    assert_eq!(evidence.note.as_deref(), Some("was parked: domain_taken; by mistake"));
    assert_eq!(told(&ledger).await, [OutcomeKind::Parked, OutcomeKind::Cancelled]);
    assert_eq!(ledger.next_events(everything()).await.unwrap().ready.len(), 1, "one after the other");
    assert!(ledger.standings().await.unwrap()[0].is_cancelled());

    let listed = async |cancelled| {
        let filter = Filter { state: Some(State::Closed), cancelled, limit: 10 };
        ledger.list(&filter).await.unwrap().len()
    };
    assert_eq!((listed(None).await, listed(Some(true)).await, listed(Some(false)).await), (1, 1, 0));
    assert!(ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap().claimed.is_empty());
    assert_eq!(ledger.retry(&parked.signup_id, "a person").await.unwrap(), Retried::Cancelled);
    assert!(ledger.cancel(&parked, cancellation(&parked)).await.unwrap().is_none(), "it is for good");
}

pub(crate) async fn a_user_token_outlives_a_cancelled_signup_only_where_it_is_kept(ledger: Ledger) {
    parked_with_user(&ledger, false).await;
    let parked = row(&ledger, "s1").await;
    let keeping = Cancellation { keep_user_token: true, ..cancellation(&parked) };
    ledger.cancel(&parked, keeping).await.unwrap().unwrap();
    let held = ledger.credentials(&parked.id).await.unwrap();
    assert!(held.len() == 1 && held[0].sealed.is_some());
}

pub(crate) async fn only_what_rests_as_it_was_judged_is_cancelled(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let held = row(&ledger, "s1").await;
    assert!(ledger.cancel(&held, cancellation(&held)).await.unwrap().is_none(), "a worker holds it");
    clock.advance(Duration::from_secs(1));
    written(&ledger, entry(&claimed, Next::Due { step: Step::User, delay: Duration::ZERO, at_least: Duration::ZERO }))
        .await;
    assert!(ledger.cancel(&held, cancellation(&held)).await.unwrap().is_none(), "it has changed");
    let due = row(&ledger, "s1").await;
    ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap();
    assert!(ledger.cancel(&due, cancellation(&due)).await.unwrap().is_none(), "a worker has taken it");
    assert!(told(&ledger).await.is_empty() && row(&ledger, "s1").await.payload.is_some(), "nothing was changed");
}

pub(crate) async fn a_late_owner_of_a_cancelled_signup_brings_nothing_but_its_token(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    clock.advance(LEASE + Duration::from_secs(1));
    let abandoned = row(&ledger, "s1").await;
    let cancelled = ledger.cancel(&abandoned, cancellation(&abandoned)).await.unwrap().unwrap();
    assert!(cancelled.in_doubt, "its call may have been sent");
    let mut late = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    late.credential = token(&claimed, &custody, Scope::User, "user-token");
    assert!(matches!(ledger.record(late).await.unwrap(), Recorded::LeaseLost));
    assert!(row(&ledger, "s1").await.is_cancelled(), "it is not resumed");
    assert!(ledger.credentials(&cancelled.id).await.unwrap()[0].sealed.is_some());
    assert!(ledger.sweep(Duration::ZERO).await.unwrap().is_empty());
}

pub(crate) async fn whoever_was_told_nothing_is_told_of_no_end_unless_asked_for(ledger: Ledger) {
    parked_with_user(&ledger, false).await;
    let parked = row(&ledger, "s1").await;
    let silent = Cancellation { tell_anyway: false, ..cancellation(&parked) };
    ledger.cancel(&parked, silent).await.unwrap().unwrap();
    assert!(told(&ledger).await.is_empty());
}

pub(crate) async fn a_lost_user_stays_an_orphan_when_its_signup_is_cancelled(ledger: Ledger) {
    let ledger = ledger.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    let claimed = accept(&ledger, &custody(), &WorkerId::new(), "s1").await;
    written(&ledger, entry(&claimed, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;
    let parked = row(&ledger, "s1").await;
    ledger.cancel(&parked, cancellation(&parked)).await.unwrap().unwrap();
    assert_eq!(ledger.count_orphans().await.unwrap(), 1);
    assert_eq!(ledger.orphans().await.unwrap()[0].generation, 1);
}

pub(crate) async fn what_is_told_of_no_provisioning_is_one_event_for_each_id_in_the_order_of_its_signup(
    ledger: Ledger,
) {
    parked_with_user(&ledger, true).await;
    let tell = async |event_id: &str, signup_id: &str| {
        let data = OutcomeData { signup_id: signup_id.into(), ..OutcomeData::default() };
        ledger.tell(event_id.into(), OutcomeEvent { kind: OutcomeKind::Rejected, data }).await.unwrap();
    };
    for (event_id, signup_id) in [("e-1", "s1"), ("e-1", "s1"), ("e-2", "s2"), ("e-3", "s3"), ("e-4", "s2")] {
        tell(event_id, signup_id).await;
    }
    assert_eq!(told(&ledger).await.len(), 5);
    let next = async || {
        let next = ledger.next_events(everything()).await.unwrap().ready;
        let ids: Vec<_> = next.iter().map(|next| next.event.data.signup_id.clone()).collect();
        (ids, next.into_iter().map(|next| next.seq).collect())
    };
    let (first, seqs) = next().await;
    assert_eq!(first, ["s1", "s2", "s3"], "strangers don't wait for each other");
    ledger.mark_published(seqs).await.unwrap();
    assert_eq!(next().await.0, ["s1", "s2"]);
    tell("e-1", "s1").await;
    assert_eq!(told(&ledger).await.len(), 2, "a repeat is the same row");
    let id = SignupId::parse("s1").unwrap();
    assert_eq!(ledger.retry(&id, "a person").await.unwrap(), Retried::Due);
    assert_eq!(told(&ledger).await.last(), Some(&OutcomeKind::Resumed));
}

fn everything() -> Look {
    Look { kinds: OutcomeKind::ALL.to_vec(), ..Look::default() }
}
