//! Signups that wait to be tried again: which of their pauses a person may cut short.

use std::time::Duration;

use foxden_ledger::{
    Act, AttemptKind, Doubt, Ledger, ManualClock, MustWait, Next, Retried, SignupId, State, Step, WorkerId,
};

use crate::support::{LEASE, START_MS, accept, custody, entry, row, signup, written};

const PAUSE: Duration = Duration::from_secs(60);
const HALF: Duration = Duration::from_secs(30);

async fn retry(ledger: &Ledger, id: &str) -> Retried {
    ledger.retry(&SignupId::parse(id).unwrap(), "a person").await.unwrap()
}

pub(crate) async fn a_pause_of_our_own_is_cut_short_and_nothing_else_changes(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    let mut failed = entry(&claimed, Next::Due { step: Step::User, delay: PAUSE, at_least: Duration::ZERO });
    failed.facts.tried = Some(PAUSE);
    written(&ledger, failed).await;
    let before = row(&ledger, "s1").await;
    clock.advance(Duration::from_secs(1));
    assert!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.is_empty());
    assert_eq!(retry(&ledger, "s1").await, Retried::Due);
    assert_eq!(retry(&ledger, "s1").await, Retried::NotParked(State::Due), "it is due already");
    let after = row(&ledger, "s1").await;
    assert_eq!((after.retries, after.tries, after.tried_for), (before.retries, before.tries, before.tried_for));
    assert_eq!((after.intents, after.step_since_ms), (before.intents, before.step_since_ms));
    assert_eq!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.len(), 1);
    let said = Some("was waiting to be tried again".to_owned());
    let act = ledger.audit_of(&before.signup_id, 9).await.unwrap().remove(0);
    assert_eq!((act.act.known(), act.who.as_str(), act.detail), (Some(Act::Retry), "a person", said.clone()));
    let evidence = ledger.attempts(&before.id).await.unwrap().pop().unwrap();
    assert_eq!((evidence.kind.known(), evidence.note), (Some(AttemptKind::Person), said));
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0, "no event for the parent app");
}

pub(crate) async fn no_try_is_made_before_the_time_that_foxy_or_the_rate_allows(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    written(&ledger, entry(&claimed, Next::Due { step: Step::User, delay: PAUSE, at_least: HALF })).await;
    let waits = |until_ms| Retried::Waits { until_ms, why: MustWait::NoCallBefore };
    assert_eq!(retry(&ledger, "s1").await, waits(START_MS + 30_000));
    assert!(ledger.audit_of(&claimed.provisioning.signup_id, 9).await.unwrap().is_empty());
    // A clock that is set back lengthens no wait.
    clock.set_back(Duration::from_secs(24 * 3600));
    ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(retry(&ledger, "s1").await, waits(clock.now_ms() + 30_000));
    clock.advance(HALF);
    assert_eq!(retry(&ledger, "s1").await, Retried::Due);
}

pub(crate) async fn what_is_in_doubt_is_looked_up_no_sooner_for_being_asked(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &owner, "doubted").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: PAUSE, doubt: Doubt::Call })).await;
    let waits = Retried::Waits { until_ms: START_MS + 60_000, why: MustWait::Lookup };
    assert_eq!(retry(&ledger, "doubted").await, waits);
    clock.advance(PAUSE);
    assert_eq!(retry(&ledger, "doubted").await, Retried::NotParked(State::Unknown));
    ledger.accept_queued(vec![signup(&custody, "new")]).await.unwrap();
    assert_eq!(retry(&ledger, "new").await, Retried::NotParked(State::Due), "what has not begun doesn't wait");
}
