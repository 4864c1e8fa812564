//! Keeping what a person has granted.

use std::time::Duration;

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{
    AttemptKind, AttemptOutcome, By, Doubt, Facts, Forgetting, FoxyClient, GrantReason, GrantState, Keeping, KeptGrant,
    Ledger, NewCredential, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Provisioning, Scope, State,
    Step, Then, TripId, Wanted, WhichFoxy, WorkerId,
};
use foxden_vault::RefreshToken;

use crate::{
    cancelling::cancellation,
    grants::{STORE, ask, asking, client, expired, for_store, parked, state, told, travelled, trip},
    support::{LEASE, accept, custody, entry, row, token, written},
};

const USER: &str = "https://api.foxycart.com/users/7";

fn provisioned(row: &Provisioning) -> OutcomeEvent {
    OutcomeEvent { kind: OutcomeKind::Provisioned, data: OutcomeData::of(row) }
}

pub(crate) fn then() -> Then {
    Then {
        store_domain: None,
        keep_payload: false,
        keep_user_token: false,
        who: "a worker".into(),
        provisioned: Some(provisioned),
    }
}

/// A token as it comes of a trip, sealed for the row as it was judged.
pub(crate) async fn granted(
    ledger: &Ledger,
    custody: &Custody,
    judged: &Provisioning,
    (scope, uri): (Scope, &str),
    is_confirmed: bool,
) -> NewCredential {
    let held = ledger.credentials(&judged.id).await.unwrap();
    let intent = judged.number_of_granted(&held, is_confirmed);
    let client = Some(FoxyClient { foxy: WhichFoxy::Sandbox, id: client() });
    let around = TokenRow::of_call(judged, scope, intent, Some(uri)).given_to(client.clone());
    let sealed = custody.seal_granted_token(&around, &RefreshToken::new("granted")).unwrap();
    NewCredential { scope, intent, resource_uri: Some(uri.to_owned()), client, sealed }
}

pub(crate) async fn keeping(ledger: &Ledger, custody: &Custody, judged: &Provisioning, trip: TripId) -> Keeping {
    let credential = granted(ledger, custody, judged, (Scope::Store, STORE), true).await;
    Keeping { trip, credential, is_confirmed: true, then: then() }
}

/// Parked at the store step, whose token was lost, with a user and its token.
async fn store_lost(ledger: &Ledger, custody: &Custody, signup_id: &str) -> Provisioning {
    let claimed = accept(ledger, custody, &WorkerId::new(), signup_id).await;
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.credential = token(&claimed, custody, Scope::User, "user");
    user.facts =
        Facts { user_uri: Some("https://x/users/1".into()), store_domain: Some("engines".into()), ..user.facts };
    let claimed = written(ledger, user).await;
    let lost = Next::Parked { reason: ParkedReason::StoreTokenLost, detail: Some("lost".into()) };
    written(ledger, entry(&claimed, lost)).await;
    row(ledger, signup_id).await
}

async fn opens(ledger: &Ledger, custody: &Custody, row: &Provisioning) -> String {
    let held = row.store_token(ledger.credentials(&row.id).await.unwrap()).unwrap();
    let around = TokenRow::of(row, &held).used_for(row.store_uri.as_deref());
    custody.open_token(&around, &held.sealed.unwrap()).unwrap().expose().to_owned()
}

pub(crate) async fn a_granted_store_closes_its_signup_as_provisioned_once(ledger: Ledger) {
    let custody = custody();
    let judged = store_lost(&ledger, &custody, "s1").await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let unspent = trip(9);
    ledger.begin_trip(&grant.id, unspent.clone()).await.unwrap();
    let early = keeping(&ledger, &custody, &judged, unspent.id).await;
    assert!(matches!(ledger.keep_granted(&judged, early).await.unwrap(), KeptGrant::NotFound), "no one was back");
    let keeping = keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, 1).await).await;
    let keep = async || ledger.keep_granted(&judged, keeping.clone()).await.unwrap();
    let (one, other) = tokio::join!(keep(), keep());
    let is_kept = |kept: &KeptGrant| matches!(kept, KeptGrant::Kept(_));
    let is_known = |kept: &KeptGrant| matches!(kept, KeptGrant::Known(_));
    assert!(is_kept(&one) && is_known(&other) || is_known(&one) && is_kept(&other), "{one:?} {other:?}");
    assert!(is_known(&keep().await));
    let closed = row(&ledger, "s1").await;
    assert!(closed.is_provisioned() && closed.payload.is_none() && closed.parked_reason.is_none());
    assert_eq!((closed.store_uri.as_deref(), closed.store_domain.as_deref()), (Some(STORE), Some("engines")));
    assert!(closed.parked_detail.is_none() && closed.due_at_ms.is_none() && closed.closed_at_ms.is_some());
    assert_eq!(opens(&ledger, &custody, &closed).await, "granted");
    let held = ledger.credentials(&judged.id).await.unwrap();
    assert_eq!(
        held.iter().map(|held| (held.scope, held.sealed.is_some())).collect::<Vec<_>>(),
        [(Scope::User, false), (Scope::Store, true)]
    );
    assert_eq!(told(&ledger).await, [OutcomeKind::GrantRequested, OutcomeKind::Provisioned]);
    let acts = ledger.attempts(&judged.id).await.unwrap();
    let of_grant: Vec<_> = acts.iter().filter(|act| act.kind == AttemptKind::Grant).collect();
    assert_eq!((of_grant.len(), of_grant[0].outcome.known()), (1, Some(AttemptOutcome::Granted)));
    assert_eq!(of_grant[0].note.as_deref(), Some("recover, store; was parked: store_token_lost"));
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Kept);
    assert!(ledger.left_stores().await.unwrap().is_empty());
    assert_eq!(ledger.standings().await.unwrap().len(), 1);
}

pub(crate) async fn a_granted_user_lets_its_signup_continue(ledger: Ledger) {
    let custody = custody();
    let judged = parked(&ledger, "s1", ParkedReason::EmailTaken).await;
    let grant = ask(&ledger, &judged, asking(GrantReason::TakeOver, Wanted::User)).await;
    let credential = granted(&ledger, &custody, &judged, (Scope::User, USER), true).await;
    let trip = travelled(&ledger, &grant, 1).await;
    let then = Then { store_domain: Some("engines".into()), ..then() };
    let keeping = Keeping { trip, credential, is_confirmed: true, then };
    let kept = ledger.keep_granted(&judged, keeping).await.unwrap();
    let KeptGrant::Kept(resumed) = kept else { panic!("{kept:?}") };
    let stands = (resumed.step, resumed.state, resumed.user_uri.as_deref(), resumed.store_domain.as_deref());
    assert_eq!(stands, (Step::Store, State::Due, Some(USER), Some("engines")));
    assert!(resumed.payload.is_some() && resumed.parked_reason.is_none() && !resumed.in_doubt);
    assert_eq!(told(&ledger).await, [OutcomeKind::Parked, OutcomeKind::GrantRequested, OutcomeKind::Resumed]);
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    assert_eq!((claimed.provisioning.step, claimed.provisioning.state), (Step::Store, State::InFlight));
    let held = ledger.credentials(&judged.id).await.unwrap().remove(0);
    let opened = custody.open_token(&TokenRow::of(&resumed, &held), held.sealed.as_ref().unwrap()).unwrap();
    assert_eq!(opened.expose(), "granted");
}

pub(crate) async fn a_store_in_doubt_is_looked_up_before_anything_else_under_a_granted_user(ledger: Ledger) {
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.facts = Facts { user_uri: Some(USER.into()), store_domain: Some("engines".into()), ..user.facts };
    let claimed = written(&ledger, user).await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let refused = Next::Parked { reason: ParkedReason::UserTokenRefused, detail: None };
    written(&ledger, entry(&claimed, refused)).await;
    let judged = row(&ledger, "s1").await;
    let grant = ask(&ledger, &judged, asking(GrantReason::Recover, Wanted::User)).await;
    let credential = granted(&ledger, &custody, &judged, (Scope::User, USER), true).await;
    let trip = travelled(&ledger, &grant, 1).await;
    let keeping = Keeping { trip, credential, is_confirmed: true, then: then() };
    ledger.keep_granted(&judged, keeping).await.unwrap();
    let resumed = row(&ledger, "s1").await;
    let stands = (resumed.step, resumed.state, resumed.in_doubt, resumed.store_domain.as_deref());
    assert_eq!(stands, (Step::Store, State::Unknown, true, Some("engines")));
}

pub(crate) async fn a_token_for_a_signup_that_moved_on_is_kept_beside_what_it_has(ledger: Ledger) {
    let custody = custody();
    let judged = store_lost(&ledger, &custody, "s1").await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let keeping = keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, 1).await).await;
    ledger.cancel(&judged, cancellation(&judged)).await.unwrap().unwrap();
    let moved = ledger.keep_granted(&judged, keeping.clone()).await.unwrap();
    let KeptGrant::Moved(cancelled) = moved else { panic!("{moved:?}") };
    assert_eq!(ledger.credentials(&judged.id).await.unwrap().len(), 1, "nothing was written");
    let kept = ledger.keep_granted(&cancelled, keeping).await.unwrap();
    assert!(matches!(kept, KeptGrant::Beside(row) if row.is_cancelled()), "what is in hand is kept");
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Kept);
    assert_eq!(told(&ledger).await, [OutcomeKind::GrantRequested, OutcomeKind::Cancelled]);
}

pub(crate) async fn a_reconnected_store_uses_the_newest_token_and_keeps_the_others(ledger: Ledger) {
    let custody = custody();
    let mut judged = store_lost(&ledger, &custody, "s1").await;
    for number in 1..=3 {
        let reason = if number == 1 { GrantReason::Recover } else { GrantReason::Reconnect };
        let grant = ask(&ledger, &judged, asking(reason, Wanted::Store)).await;
        let keeping = keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, number).await).await;
        let sealed = keeping.credential.sealed.clone();
        ledger.keep_granted(&judged, keeping).await.unwrap();
        judged = row(&ledger, "s1").await;
        assert!(judged.is_provisioned());
        let held = ledger.credentials(&judged.id).await.unwrap();
        assert_eq!(held.iter().filter(|held| held.scope == Scope::Store).count(), usize::from(number));
        let in_use = judged.store_token(held).unwrap().sealed.unwrap();
        assert_eq!(in_use.as_bytes(), sealed.as_bytes(), "number {number}");
        assert_eq!(opens(&ledger, &custody, &judged).await, "granted");
    }
    assert!(ledger.left_stores().await.unwrap().is_empty());
}

pub(crate) async fn of_keeping_and_cancelling_at_once_one_is_first(ledger: Ledger) {
    let custody = custody();
    for number in 0..12 {
        let id = format!("s{number}");
        let judged = store_lost(&ledger, &custody, &id).await;
        let grant = ask(&ledger, &judged, for_store()).await;
        let mut keeping = keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, number).await).await;
        keeping.credential.resource_uri = Some(format!("https://api.foxycart.com/stores/{number}00"));
        let keep = ledger.keep_granted(&judged, keeping);
        let cancel = ledger.cancel(&judged, cancellation(&judged));
        let (kept, cancelled) = tokio::join!(keep, cancel);
        let (kept, cancelled, now) = (kept.unwrap(), cancelled.unwrap(), row(&ledger, &id).await);
        match (&kept, &cancelled) {
            (KeptGrant::Kept(_), None) => assert!(now.is_provisioned()),
            (KeptGrant::Moved(_), Some(_)) => assert!(now.is_cancelled()),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_granted_token_steers_no_signup_that_is_at_work(ledger: Ledger) {
    let custody = custody();
    let judged = parked(&ledger, "s1", ParkedReason::StoreUnclear).await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let trip = travelled(&ledger, &grant, 1).await;
    ledger.retry(&judged.signup_id, "a person").await.unwrap();
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let at_work = row(&ledger, "s1").await;
    let keeping = keeping(&ledger, &custody, &at_work, trip).await;
    assert!(keeping.credential.intent < at_work.key_intent);
    let kept = ledger.keep_granted(&at_work, keeping).await.unwrap();
    assert!(matches!(kept, KeptGrant::Beside(row) if row.state == State::InFlight));
    let mut made = entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    made.credential = token(&claimed, &custody, Scope::Store, "its own");
    made.facts.store_uri = Some("https://api.foxycart.com/store_full_access/1".into());
    let made = written(&ledger, made).await.provisioning;
    assert_eq!(opens(&ledger, &custody, &made).await, "its own");
    assert_eq!(ledger.credentials(&made.id).await.unwrap().len(), 2);
}

pub(crate) async fn no_store_is_granted_to_two_signups(ledger: Ledger) {
    let custody = custody();
    for round in 0..4_u8 {
        let mut keeps = Vec::new();
        for copy in 0..2_u8 {
            let id = format!("s{round}-{copy}");
            let judged = store_lost(&ledger, &custody, &id).await;
            let grant = ask(&ledger, &judged, for_store()).await;
            let mut keeping =
                keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, round * 2 + copy).await).await;
            keeping.credential.resource_uri = Some(format!("https://api.foxycart.com/stores/{round}"));
            keeps.push((judged, keeping));
        }
        let [one, other] = [&keeps[0], &keeps[1]].map(|(judged, keeping)| ledger.keep_granted(judged, keeping.clone()));
        let (one, other) = tokio::join!(one, other);
        let kept = [one.unwrap(), other.unwrap()];
        let count = |is_it: fn(&KeptGrant) -> bool| kept.iter().filter(|kept| is_it(kept)).count();
        assert_eq!(count(|kept| matches!(kept, KeptGrant::Kept(_))), 1, "{kept:?}");
        assert_eq!(count(|kept| matches!(kept, KeptGrant::StoreOfAnother(_))), 1, "{kept:?}");
    }
}

pub(crate) async fn a_store_that_no_one_expected_waits_to_be_confirmed(ledger: Ledger) {
    let custody = custody();
    for (number, id) in [(1, "confirmed"), (2, "withdrawn")] {
        let judged = parked(&ledger, id, ParkedReason::StoreUnclear).await;
        let unexpected = foxden_ledger::Asking { expected_uri: None, ..for_store() };
        let grant = ask(&ledger, &judged, unexpected).await;
        let credential = granted(&ledger, &custody, &judged, (Scope::Store, STORE), false).await;
        let trip = travelled(&ledger, &grant, number).await;
        let keeping = Keeping { trip, credential, is_confirmed: false, then: then() };
        let kept = ledger.keep_granted(&judged, keeping).await.unwrap();
        assert!(matches!(kept, KeptGrant::Unconfirmed(row) if row.state == State::Parked));
        let waits = ledger.live_grant(&judged.id).await.unwrap().unwrap();
        assert_eq!((waits.state, waits.expected_uri.as_deref()), (GrantState::Unconfirmed, Some(STORE)));
        assert!(matches!(
            ledger.begin_trip(&grant.id, crate::grants::trip(9)).await.unwrap(),
            foxden_ledger::Begun::NotOpen(_)
        ));
        if id == "confirmed" {
            let confirm = async || ledger.confirm_grant(&grant.id, then()).await.unwrap();
            assert!(matches!(confirm().await, KeptGrant::Kept(row) if row.is_provisioned()));
            assert!(matches!(confirm().await, KeptGrant::Known(_)));
            assert_eq!(opens(&ledger, &custody, &row(&ledger, id).await).await, "granted");
        } else {
            assert!(ledger.withdraw_grant(&grant.id).await.unwrap());
            assert!(ledger.credentials(&judged.id).await.unwrap()[0].sealed.is_none(), "it was not ours to keep");
            assert!(matches!(ledger.confirm_grant(&grant.id, then()).await.unwrap(), KeptGrant::NotFound));
        }
    }
}

pub(crate) async fn a_user_that_was_taken_over_is_not_kept_for_a_signup_that_was_cancelled(ledger: Ledger) {
    let custody = custody();
    let judged = parked(&ledger, "s1", ParkedReason::EmailTaken).await;
    let grant = ask(&ledger, &judged, asking(GrantReason::TakeOver, Wanted::User)).await;
    let trip = travelled(&ledger, &grant, 1).await;
    let credential = granted(&ledger, &custody, &judged, (Scope::User, USER), true).await;
    // It lies in an escrow meanwhile.
    let keeps = foxden_ledger::Cancellation { keep_user_token: true, ..cancellation(&judged) };
    let cancelled = ledger.cancel(&judged, keeps).await.unwrap().unwrap();
    ledger.keep_from_escrow(&judged.id, &credential, |_| panic!("there is no other")).await.unwrap();
    let held = ledger.credentials(&judged.id).await.unwrap();
    assert_eq!(held.len(), 1);
    assert!(held[0].sealed.is_none(), "it is the customer's own account");
    let credential = granted(&ledger, &custody, &cancelled, (Scope::User, USER), true).await;
    let keeping = Keeping { trip, credential, is_confirmed: true, then: then() };
    assert!(matches!(ledger.keep_granted(&cancelled, keeping).await.unwrap(), KeptGrant::NotWanted(_)));
}

pub(crate) async fn a_granted_token_out_of_the_escrow_does_what_the_grant_would_have_done(ledger: Ledger) {
    let custody = custody();
    let judged = store_lost(&ledger, &custody, "s1").await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let keeping = keeping(&ledger, &custody, &judged, travelled(&ledger, &grant, 1).await).await;
    let late = keeping.credential.clone();
    ledger.keep_from_escrow(&judged.id, &late, |_| panic!("there is no other")).await.unwrap();
    assert_eq!(row(&ledger, "s1").await.state, State::Unknown, "the next lookup finds it");
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Kept);
    assert!(ledger.expire_grants(Some(expired)).await.unwrap().is_empty());
    // One that is not what was asked for ends no grant.
    let judged = store_lost(&ledger, &custody, "s2").await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let other = granted(&ledger, &custody, &judged, (Scope::Store, "https://api.foxycart.com/stores/8"), true).await;
    ledger.keep_from_escrow(&judged.id, &other, |_| panic!("there is no other")).await.unwrap();
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Open);
}

pub(crate) async fn what_is_granted_after_its_customer_was_forgotten_is_wiped(ledger: Ledger) {
    let custody = custody();
    let judged = store_lost(&ledger, &custody, "s1").await;
    let grant = ask(&ledger, &judged, for_store()).await;
    let trip = travelled(&ledger, &grant, 1).await;
    ledger.cancel(&judged, cancellation(&judged)).await.unwrap().unwrap();
    let cancelled = row(&ledger, "s1").await;
    let early = keeping(&ledger, &custody, &cancelled, trip.clone()).await;
    ledger.forget(&judged.signup_id, Forgetting { tokens: true, links: true }, &By::new("ada")).await.unwrap();
    // Its trips are gone, too.
    assert!(matches!(ledger.keep_granted(&cancelled, early).await.unwrap(), KeptGrant::NotFound));
    assert!(ledger.credentials(&judged.id).await.unwrap().iter().all(|held| held.sealed.is_none()));
}
