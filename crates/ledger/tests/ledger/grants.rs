//! Asking a person for their consent, and the person's trips.

use std::time::Duration;

use foxden_ledger::{
    Act, Asked, Asking, Begun, By, ClientId, Digest, Forgetting, FoxyOrigin, Grant, GrantCount, GrantId, GrantReason,
    GrantState, Ledger, ManualClock, NewTrip, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Provisioning,
    Rebind, Seen, Spent, TripEnding, TripId, Wanted, WhichFoxy, WorkerId,
};

use crate::{
    cancelling::cancellation,
    support::{LEASE, START_MS, accept, custody, entry, row, written},
};

pub(crate) const DAYS: Duration = Duration::from_hours(72);
const MINUTES: Duration = Duration::from_mins(10);
pub(crate) const STORE: &str = "https://api.foxycart.com/stores/7";

fn requested(row: &Provisioning, grant: &Grant) -> OutcomeEvent {
    OutcomeEvent { kind: OutcomeKind::GrantRequested, data: OutcomeData::of_grant(row, grant) }
}

pub(crate) fn expired(row: &Provisioning, grant: &Grant) -> OutcomeEvent {
    OutcomeEvent { kind: OutcomeKind::GrantExpired, data: OutcomeData::of_grant(row, grant) }
}

pub(crate) fn client() -> ClientId {
    ClientId::parse("client").unwrap()
}

pub(crate) fn asking(reason: GrantReason, wanted: Wanted) -> Asking {
    Asking {
        by: By::new("ada"),
        id: GrantId::new(),
        reason,
        wanted,
        client_id: client(),
        expected_uri: (wanted == Wanted::Store).then(|| STORE.to_owned()),
        lifetime: DAYS,
        requested: Some(requested),
        expired: Some(expired),
    }
}

pub(crate) fn for_store() -> Asking {
    asking(GrantReason::Recover, Wanted::Store)
}

/// Opens a grant.
pub(crate) async fn ask(ledger: &Ledger, judged: &Provisioning, asking: Asking) -> Grant {
    match ledger.ask_for_grant(judged, asking).await.unwrap() {
        Asked::Opened(grant) => grant,
        other => panic!("expected it to be opened, got {other:?}"),
    }
}

pub(crate) fn trip(number: u8) -> NewTrip {
    NewTrip {
        id: TripId::new(),
        state_hash: [number; 32],
        cookie_hash: Some(COOKIE),
        client_id: client(),
        scope: "store_full_access store_id_7".into(),
        redirect_uri: "https://grants.platform.example/callback".into(),
        lifetime: MINUTES,
    }
}

pub(crate) const COOKIE: Digest = [200; 32];

/// A person goes to Foxy and comes back.
pub(crate) async fn travelled(ledger: &Ledger, grant: &Grant, number: u8) -> TripId {
    let trip = trip(number);
    ledger.begin_trip(&grant.id, trip.clone()).await.unwrap();
    let spent = ledger.spend_trip(trip.state_hash, Some(COOKIE), None).await.unwrap();
    assert!(matches!(spent, Spent::Spent(_)), "{spent:?}");
    trip.id
}

/// Parked, and the parent app knows.
pub(crate) async fn parked(ledger: &Ledger, signup_id: &str, reason: ParkedReason) -> Provisioning {
    let claimed = accept(ledger, &custody(), &WorkerId::new(), signup_id).await;
    let mut parked = entry(&claimed, Next::Parked { reason, detail: None });
    parked.event = Some(OutcomeEvent { kind: OutcomeKind::Parked, data: OutcomeData::of(&claimed.provisioning) });
    written(ledger, parked).await;
    row(ledger, signup_id).await
}

pub(crate) async fn told(ledger: &Ledger) -> Vec<OutcomeKind> {
    ledger.waiting_events(50).await.unwrap().into_iter().map(|waiting| waiting.event.kind).collect()
}

pub(crate) async fn state(ledger: &Ledger, id: &GrantId) -> GrantState {
    ledger.find_grant(id).await.unwrap().unwrap().0.state
}

async fn counted(ledger: &Ledger, reason: GrantReason, state: GrantState) -> u64 {
    let is_it = |count: &&GrantCount| count.reason == reason && count.state == state;
    ledger.count_grants().await.unwrap().iter().find(is_it).map_or(0, |count| count.count)
}

pub(crate) async fn a_signup_has_one_grant_at_a_time_and_each_is_told_of(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let first = ask(&ledger, &row, for_store()).await;
    assert_eq!(ledger.find_grant(&first.id).await.unwrap().unwrap().0, first);
    assert_eq!(ledger.ask_for_grant(&row, for_store()).await.unwrap(), Asked::There(first.clone()));
    assert_eq!(ledger.live_grant(&row.id).await.unwrap(), Some(first.clone()));
    let event = ledger.waiting_events(9).await.unwrap().pop().unwrap().event;
    let said = (event.data.grant_id, event.data.reason.as_deref() == Some("recover"), event.data.expires_at);
    assert_eq!(said, (Some(first.id.to_string()), true, Some("2027-01-18T08:00:00Z".to_owned())));
    clock.advance(DAYS);
    let second = ask(&ledger, &row, for_store()).await;
    use OutcomeKind::{GrantExpired, GrantRequested, Parked};
    assert_eq!(told(&ledger).await, [Parked, GrantRequested, GrantExpired, GrantRequested]);
    let past = ledger.grants_of(&row.id).await.unwrap();
    let states: Vec<_> = past.iter().map(|past| (past.id.clone(), past.state.known())).collect();
    assert_eq!(states, [(first.id, Some(GrantState::Expired)), (second.id, Some(GrantState::Open))]);
    for state in [GrantState::Open, GrantState::Expired] {
        assert_eq!(counted(&ledger, GrantReason::Recover, state).await, 1, "{state}");
    }
    // Each grant once, however often it was asked for.
    let acts = ledger.audit_of(&row.signup_id, 9).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|act| (act.act.known(), act.who.as_str(), act.detail.as_deref())).collect();
    assert_eq!(acts, [(Some(Act::AskForGrant), "ada", Some("recover: store")); 2]);
}

pub(crate) async fn of_many_that_ask_at_once_one_opens_a_grant(ledger: Ledger) {
    for round in 0..8 {
        let row = parked(&ledger, &format!("s{round}"), ParkedReason::StoreTokenLost).await;
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (ledger, row) = (ledger.clone(), row.clone());
            asked.spawn(async move { ledger.ask_for_grant(&row, for_store()).await.unwrap() });
        }
        let (mut opened, mut there) = (Vec::new(), Vec::new());
        for asked in asked.join_all().await {
            match asked {
                Asked::Opened(grant) => opened.push(grant),
                Asked::There(grant) => there.push(grant),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((opened.len(), there.len()), (1, 7));
        assert!(there.iter().all(|grant| *grant == opened[0]));
    }
    let requested = told(&ledger).await.into_iter().filter(|told| *told == OutcomeKind::GrantRequested);
    assert_eq!(requested.count(), 8);
}

pub(crate) async fn nothing_is_asked_for_a_signup_that_has_changed_or_was_forgotten(ledger: Ledger) {
    let judged = parked(&ledger, "s1", ParkedReason::EmailTaken).await;
    ledger.retry(&judged.signup_id, "a person").await.unwrap();
    assert_eq!(ledger.ask_for_grant(&judged, for_store()).await.unwrap(), Asked::Changed);
    let judged = row(&ledger, "s1").await;
    ledger.cancel(&judged, cancellation(&judged)).await.unwrap().unwrap();
    ledger.forget(&judged.signup_id, Forgetting::default(), &By::new("ada")).await.unwrap();
    let judged = row(&ledger, "s1").await;
    assert_eq!(ledger.ask_for_grant(&judged, for_store()).await.unwrap(), Asked::Forgotten);
    assert_eq!(ledger.live_grant(&judged.id).await.unwrap(), None);
}

pub(crate) async fn a_trip_is_shown_to_the_browser_that_began_it(ledger: Ledger) {
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &row, for_store()).await;
    let (own, pasted) = (travelled(&ledger, &grant, 1).await, NewTrip { cookie_hash: None, ..trip(2) });
    ledger.begin_trip(&grant.id, pasted.clone()).await.unwrap();
    let Seen::Own(back) = ledger.see_trip(&own, COOKIE).await.unwrap() else { panic!("it is this browser's") };
    assert_eq!((&back.trip.id, back.trip.ending, back.trip.spent_at_ms.is_some()), (&own, None, true));
    assert_eq!((back.grant, back.provisioning.id), (grant, row.id));
    for (id, cookie) in [(&own, [9; 32]), (&pasted.id, COOKIE), (&pasted.id, [0; 32])] {
        assert!(matches!(ledger.see_trip(id, cookie).await.unwrap(), Seen::OtherBrowser), "{id} {cookie:?}");
    }
    assert!(matches!(ledger.see_trip(&TripId::new(), COOKIE).await.unwrap(), Seen::Unknown));
}

pub(crate) async fn a_trip_is_spent_once_and_only_by_the_browser_that_began_it(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &row, for_store()).await;
    let begun = Begun::Trip { expires_at_ms: START_MS + 600_000 };
    let first = trip(1);
    assert_eq!(ledger.begin_trip(&grant.id, first.clone()).await.unwrap(), begun);
    assert_eq!(ledger.begin_trip(&grant.id, first).await.unwrap(), begun, "a lost answer is asked for again");
    let pasted = NewTrip { cookie_hash: None, ..trip(2) };
    assert_eq!(ledger.begin_trip(&grant.id, pasted).await.unwrap(), begun);
    ledger.begin_trip(&grant.id, trip(3)).await.unwrap();
    let spend = async |number: u8, cookie| ledger.spend_trip([number; 32], cookie, None).await.unwrap();
    for (number, cookie) in [(1, None), (1, Some([9; 32])), (2, Some(COOKIE))] {
        assert!(matches!(spend(number, cookie).await, Spent::OtherBrowser), "{number} {cookie:?}");
    }
    assert!(matches!(spend(99, Some(COOKIE)).await, Spent::Unknown));
    let Spent::Spent(back) = spend(1, Some(COOKIE)).await else { panic!("it was not spent by what came before") };
    assert_eq!(
        (back.grant.id, back.provisioning.id, back.trip.spent_at_ms),
        (grant.id.clone(), row.id.clone(), Some(START_MS))
    );
    assert!(matches!(spend(1, Some(COOKIE)).await, Spent::Before(_)));
    let denied = ledger.spend_trip([2; 32], None, Some(TripEnding::Denied)).await.unwrap();
    assert!(matches!(denied, Spent::Spent(back) if back.trip.ending == Some(TripEnding::Denied)));
    clock.advance(MINUTES);
    assert!(matches!(spend(3, Some(COOKIE)).await, Spent::Expired(_)));
    assert!(matches!(spend(3, Some(COOKIE)).await, Spent::Before(_)));
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Open, "another trip may begin");
    for ending in [TripEnding::Failed, TripEnding::Granted] {
        ledger.end_trip(&back.trip.id, ending).await.unwrap();
    }
    let endings: Vec<_> = ledger.grants_of(&row.id).await.unwrap()[0]
        .trips
        .iter()
        .map(|trip| trip.ending.as_ref().and_then(foxden_ledger::Word::known))
        .collect();
    assert_eq!(endings, [TripEnding::Failed, TripEnding::Denied, TripEnding::Expired].map(Some), "what was first said");
}

pub(crate) async fn of_many_that_spend_one_trip_at_once_one_does(ledger: Ledger) {
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &row, for_store()).await;
    for number in 0..5 {
        ledger.begin_trip(&grant.id, trip(number)).await.unwrap();
        let mut spending = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let ledger = ledger.clone();
            spending.spawn(async move { ledger.spend_trip([number; 32], Some(COOKIE), None).await.unwrap() });
        }
        let spent = spending.join_all().await;
        let count = |is_it: fn(&Spent) -> bool| spent.iter().filter(|spent| is_it(spent)).count();
        assert_eq!(count(|spent| matches!(spent, Spent::Spent(_))), 1);
        assert_eq!(count(|spent| matches!(spent, Spent::Before(_))), 7);
    }
}

pub(crate) async fn no_trip_begins_for_a_grant_that_is_over(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    assert_eq!(ledger.begin_trip(&GrantId::new(), trip(1)).await.unwrap(), Begun::NotFound);
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let first = ask(&ledger, &row, for_store()).await;
    ledger.begin_trip(&first.id, trip(1)).await.unwrap();
    assert!(ledger.withdraw_grant(&first.id).await.unwrap());
    assert!(!ledger.withdraw_grant(&first.id).await.unwrap());
    assert!(matches!(ledger.begin_trip(&first.id, trip(2)).await.unwrap(), Begun::NotOpen(_)));
    let spent = ledger.spend_trip([1; 32], Some(COOKIE), None).await.unwrap();
    assert!(matches!(spent, Spent::GrantEnded(back) if back.grant.state == GrantState::Withdrawn));
    let second = ask(&ledger, &row, for_store()).await;
    clock.advance(DAYS - Duration::from_secs(1));
    ledger.begin_trip(&second.id, trip(3)).await.unwrap();
    clock.advance(Duration::from_secs(1));
    assert!(matches!(ledger.begin_trip(&second.id, trip(4)).await.unwrap(), Begun::NotOpen(_)), "its time is over");
    let spent = ledger.spend_trip([3; 32], Some(COOKIE), None).await.unwrap();
    assert!(matches!(spent, Spent::Spent(_)), "whoever has left in time may come back");
}

pub(crate) async fn grants_that_no_one_completes_expire_once(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let mut grants = Vec::new();
    for id in ["s1", "s2", "needed-no-more"] {
        let row = parked(&ledger, id, ParkedReason::EmailTaken).await;
        grants.push(ask(&ledger, &row, for_store()).await.id);
    }
    assert!(ledger.expire_grants(Some(expired)).await.unwrap().is_empty());
    let row = row(&ledger, "needed-no-more").await;
    ledger.retry(&row.signup_id, "a person").await.unwrap();
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    clock.advance(Duration::from_secs(1));
    written(&ledger, entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false })).await;
    clock.advance(DAYS);
    let (one, other) = tokio::join!(ledger.expire_grants(Some(expired)), ledger.expire_grants(Some(expired)));
    let ended = [one.unwrap(), other.unwrap()].concat();
    assert_eq!(ended.len(), 3);
    let expired = async |kind| told(&ledger).await.into_iter().filter(|told| *told == kind).count();
    assert_eq!(expired(OutcomeKind::GrantExpired).await, 2);
    let mut states = Vec::new();
    for id in &grants {
        states.push(state(&ledger, id).await);
    }
    assert_eq!(states, [GrantState::Expired, GrantState::Expired, GrantState::Withdrawn]);
}

pub(crate) async fn a_signup_that_is_cancelled_or_forgotten_asks_no_one_any_more(ledger: Ledger) {
    let by = By::new("ada");
    let judged = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &judged, for_store()).await;
    ledger.begin_trip(&grant.id, trip(1)).await.unwrap();
    ledger.cancel(&judged, cancellation(&judged)).await.unwrap().unwrap();
    assert_eq!(state(&ledger, &grant.id).await, GrantState::Withdrawn);
    // A store of a closed signup may be asked for; then its customer is forgotten.
    let closed = row(&ledger, "s1").await;
    let grant = ask(&ledger, &closed, for_store()).await;
    ledger.begin_trip(&grant.id, trip(2)).await.unwrap();
    ledger.forget(&closed.signup_id, Forgetting { links: true, tokens: false }, &by).await.unwrap();
    let past = ledger.grants_of(&closed.id).await.unwrap();
    assert_eq!(past.len(), 2);
    assert!(past.iter().all(|past| past.state == GrantState::Withdrawn && past.trips.is_empty()));
    assert!(past.iter().all(|past| past.expected_uri.is_none()), "the store's address is gone");
    assert!(matches!(ledger.spend_trip([2; 32], Some(COOKIE), None).await.unwrap(), Spent::Unknown));
    assert_eq!(told(&ledger).await.last(), Some(&OutcomeKind::GrantRequested));
}

pub(crate) async fn what_a_grant_expects_moves_with_a_ledger_that_is_rebound(ledger: Ledger) {
    let of = |origin: &str| WhichFoxy::Origin(FoxyOrigin::parse(origin).unwrap());
    let (one, other) = (of("https://api.foxycart.com"), of("https://foxy.example:8443"));
    ledger.belong_to(&one).await.unwrap();
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &row, for_store()).await;
    let rebound = ledger.rebind(&one, &other, &By::new("ada")).await.unwrap();
    assert_eq!(rebound, Rebind::Rebound { tokens: 0 });
    let (moved, _) = ledger.find_grant(&grant.id).await.unwrap().unwrap();
    assert_eq!(moved.expected_uri.as_deref(), Some("https://foxy.example:8443/stores/7"));
}

pub(crate) async fn trips_are_pruned_by_age_and_their_grants_stay(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let grant = ask(&ledger, &row, for_store()).await;
    ledger.begin_trip(&grant.id, trip(1)).await.unwrap();
    clock.advance(MINUTES * 2);
    ledger.begin_trip(&grant.id, trip(2)).await.unwrap();
    assert_eq!(ledger.prune_trips(MINUTES).await.unwrap(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(ledger.prune_trips(MINUTES).await.unwrap(), 1);
    let past = ledger.grants_of(&row.id).await.unwrap();
    assert_eq!(past[0].trips.iter().map(|trip| trip.started_at_ms).collect::<Vec<_>>(), [START_MS + 1_200_000]);
}

pub(crate) async fn nothing_is_told_of_grants_where_no_outcome_events_are_made(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let row = parked(&ledger, "s1", ParkedReason::StoreTokenLost).await;
    let quietly = || Asking { requested: None, expired: None, ..for_store() };
    ask(&ledger, &row, quietly()).await;
    clock.advance(DAYS);
    ask(&ledger, &row, quietly()).await;
    clock.advance(DAYS);
    assert_eq!(ledger.expire_grants(None).await.unwrap().len(), 1);
    assert_eq!(told(&ledger).await, [OutcomeKind::Parked]);
}
