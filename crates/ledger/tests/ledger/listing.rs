//! Lists that are read page by page while the ledger changes.

use std::{collections::BTreeSet, time::Duration};

use foxden_ledger::{Filter, Ledger, Listing, ManualClock, Next, ParkedReason, SignupId, State, WorkerId};

use crate::support::{START_MS, accept, custody, entry, signup, written};

/// Some pages, and one that is not full. Half of them were accepted in the same millisecond as others.
const MANY: usize = 1_700;
const AT_ONCE: usize = 170;

async fn many(ledger: &Ledger) -> (Ledger, Vec<String>) {
    let (clock, custody) = (ManualClock::new(START_MS), custody());
    let ledger = ledger.clone().with_clock(&clock);
    let ids: Vec<String> = (0..MANY).map(|number| format!("s{number:04}")).collect();
    for some in ids.chunks(AT_ONCE) {
        ledger.accept_queued(some.iter().map(|id| signup(&custody, id)).collect()).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    (ledger, ids)
}

fn listing(ledger: &Ledger, state: Option<State>, limit: u64) -> Listing {
    ledger.listing(Filter { state, limit, ..Filter::default() })
}

/// The signups that are left, with when each was accepted.
async fn rest(mut listing: Listing) -> Vec<(i64, String)> {
    let mut rows = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        rows.extend(page.into_iter().map(|row| (row.accepted_at_ms, row.signup_id.to_string())));
    }
    rows
}

pub(crate) async fn the_pages_of_a_list_are_complete_and_in_order(ledger: Ledger) {
    let (ledger, ids) = many(&ledger).await;
    for state in [None, Some(State::Due)] {
        let rows = rest(listing(&ledger, state, u64::MAX)).await;
        assert!(rows.is_sorted_by_key(|(accepted, _)| std::cmp::Reverse(*accepted)), "the newest first");
        let listed: BTreeSet<_> = rows.iter().map(|(_, id)| id).collect();
        assert_eq!((rows.len(), listed), (MANY, ids.iter().collect()), "each one once");
        // A limit cuts it off wherever a page ends.
        for limit in [0, 1, 500, 501, 1000, 1200] {
            let some = rest(listing(&ledger, state, limit)).await;
            assert_eq!(some, rows[..usize::try_from(limit).unwrap()], "{limit}");
        }
    }
    assert!(rest(listing(&ledger, Some(State::Parked), 9)).await.is_empty());
}

pub(crate) async fn what_moves_while_a_list_is_read_is_not_in_it_twice(ledger: Ledger) {
    let (ledger, ids) = many(&ledger).await;
    let custody = custody();
    let mut reading = listing(&ledger, None, u64::MAX);
    let first: Vec<_> = reading.next_page().await.unwrap().unwrap();
    let mut seen: Vec<String> = first.iter().map(|row| row.signup_id.to_string()).collect();
    // One that was read and one that was not are cancelled, all others are claimed, and another comes.
    for id in [&first[7].signup_id, &SignupId::parse("s0003").unwrap()] {
        let resting = ledger.find(id).await.unwrap().unwrap();
        let cancellation = crate::cancelling::cancellation(&resting);
        ledger.cancel(&resting, cancellation).await.unwrap().unwrap();
    }
    ledger.claim(&WorkerId::new(), MANY as u64, Duration::from_secs(60)).await.unwrap();
    accept(&ledger, &custody, &WorkerId::new(), "newer").await;
    seen.extend(rest(reading).await.into_iter().map(|(_, id)| id));
    assert_eq!(seen.len(), MANY);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), ids.into_iter().collect());
}

pub(crate) async fn a_list_has_what_is_asked_for_and_nothing_else(ledger: Ledger) {
    let custody = custody();
    for (id, next) in [
        ("parked", Next::Parked { reason: ParkedReason::DomainTaken, detail: None }),
        ("cancelled", Next::Parked { reason: ParkedReason::DomainTaken, detail: None }),
        ("provisioned", Next::Provisioned { keep_payload: false, keep_user_token: false }),
    ] {
        let claimed = accept(&ledger, &custody, &WorkerId::new(), id).await;
        written(&ledger, entry(&claimed, next)).await;
    }
    let parked = crate::support::row(&ledger, "cancelled").await;
    ledger.cancel(&parked, crate::cancelling::cancellation(&parked)).await.unwrap().unwrap();
    ledger.accept_queued(vec![signup(&custody, "due")]).await.unwrap();
    let listed = async |state, cancelled| {
        let rows = ledger.list(&Filter { state, cancelled, limit: 9 }).await.unwrap();
        let mut ids: Vec<_> = rows.iter().map(|row| row.signup_id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(listed(None, None).await, ["cancelled", "due", "parked", "provisioned"]);
    assert_eq!(listed(Some(State::Due), None).await, ["due"]);
    assert_eq!(listed(Some(State::Parked), None).await, ["parked"]);
    assert_eq!(listed(Some(State::Closed), None).await, ["cancelled", "provisioned"]);
    assert_eq!(listed(Some(State::Closed), Some(true)).await, ["cancelled"]);
    assert_eq!(listed(Some(State::Closed), Some(false)).await, ["provisioned"]);
}
