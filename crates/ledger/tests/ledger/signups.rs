//! The life of a signup in the ledger.

use std::time::Duration;

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{
    Accepted, AttemptKind, CorrectedKey, Correction, Doubt, Facts, Filter, Ledger, Look, ManualClock, Next,
    OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Places, Recorded, RefusedFor, Retried, Scope, SignupId,
    Source, State, Step, WorkerId,
};

use crate::support::{LEASE, START_MS, accept, custody, entry, meddle, payload, row, signup, token, written};

pub(crate) async fn a_new_signup_is_leased_with_its_intent_and_a_repeat_is_known(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    assert_eq!((claimed.provisioning.step, claimed.provisioning.state), (Step::User, State::InFlight));
    assert_eq!((claimed.provisioning.intents, claimed.lease.epoch), (1, 1));
    let opened = custody
        .open_payload(
            &claimed.provisioning.id,
            &claimed.provisioning.signup_id,
            claimed.provisioning.payload.as_ref().unwrap(),
        )
        .unwrap();
    assert_eq!(opened.user.email, "ada@example.com");

    let Accepted::Known(known) = ledger.accept_leased(signup(&custody, "s1"), &owner, LEASE).await.unwrap() else {
        panic!("a repeat must be known")
    };
    assert_eq!(known.provisioning.id, claimed.provisioning.id);
    let same = custody.is_same_event(&SignupId::parse("s1").unwrap(), None, &payload(), &known.fingerprint);
    assert_eq!(same, Some(true));
}

pub(crate) async fn many_are_accepted_at_once_each_signup_id_once(ledger: Ledger) {
    let custody = custody();
    accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let answers = ledger.accept_queued(["s1", "s2", "s3", "s1"].map(|id| signup(&custody, id)).into()).await.unwrap();
    let queued: Vec<bool> = answers.iter().map(|answer| matches!(answer, Accepted::Queued)).collect();
    assert_eq!(queued, [true, false, true, false]);
    assert_eq!(ledger.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap().len(), 3);
}

pub(crate) async fn workers_that_claim_at_the_same_time_never_get_the_same_row(ledger: Ledger) {
    let custody = custody();
    let all = (0..200).map(|n| signup(&custody, &format!("s{n}"))).collect();
    ledger.accept_queued(all).await.unwrap();
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = ledger.clone();
        claimers.spawn(async move {
            let (owner, mut mine) = (WorkerId::new(), Vec::new());
            loop {
                let batch = ledger.claim(&owner, 7, LEASE).await.unwrap().claimed;
                assert!(batch.len() <= 7, "no more than was asked for");
                if batch.is_empty() {
                    return mine;
                }
                for claimed in batch {
                    assert_eq!((claimed.provisioning.state, claimed.provisioning.intents), (State::InFlight, 1));
                    mine.push(claimed.provisioning.signup_id.to_string());
                }
            }
        });
    }
    let mut all: Vec<String> = claimers.join_all().await.into_iter().flatten().collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}

pub(crate) async fn a_provisioning_takes_three_transactions_and_keeps_one_token(ledger: Ledger) {
    let (custody, owner, before) = (custody(), WorkerId::new(), ledger.commits());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;

    let mut made_user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    made_user.credential = token(&claimed, &custody, Scope::User, "user-token");
    made_user.facts = Facts {
        user_uri: Some("https://api.foxycart.com/users/1".into()),
        store_domain: Some("engines".into()),
        ..Facts::default()
    };
    let claimed = written(&ledger, made_user).await;
    assert_eq!((claimed.provisioning.step, claimed.provisioning.state), (Step::Store, State::InFlight));
    assert_eq!((claimed.provisioning.intents, claimed.lease.epoch), (2, 1));

    let mut made_store = entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    made_store.credential = token(&claimed, &custody, Scope::Store, "store-token");
    made_store.facts.store_uri = Some("https://api.foxycart.com/stores/1".into());
    let data = OutcomeData { signup_id: "s1".into(), store_domain: Some("engines".into()), ..OutcomeData::default() };
    made_store.event = Some(OutcomeEvent { kind: OutcomeKind::Provisioned, data: data.clone() });
    let claimed = written(&ledger, made_store).await;
    assert_eq!(ledger.commits() - before, 3);

    let done = row(&ledger, "s1").await;
    assert_eq!((done.step, done.state), (Step::Done, State::Closed));
    assert!(done.payload.is_none() && done.closed_at_ms.is_some() && done.lease_until_ms.is_none());
    let kept = ledger.credentials(&done.id).await.unwrap();
    assert!(kept[0].scope == Scope::User && kept[0].sealed.is_none());
    let store_token = custody.open_token(&TokenRow::of(&done, &kept[1]), kept[1].sealed.as_ref().unwrap()).unwrap();
    assert_eq!(store_token.expose(), "store-token");
    let attempts = ledger.attempts(&claimed.provisioning.id).await.unwrap();
    assert_eq!(attempts.iter().map(|a| a.step.known()).collect::<Vec<_>>(), [Some(Step::User), Some(Step::Store)]);

    let waiting = ledger.waiting_events(10).await.unwrap();
    assert_eq!((waiting.len(), &waiting[0].event.data), (1, &data));
    ledger.mark_published(vec![waiting[0].seq]).await.unwrap();
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0);
}

pub(crate) async fn a_record_written_again_is_the_one_it_was(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let mut made_user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    made_user.credential = token(&claimed, &custody, Scope::User, "user-token");
    let first = written(&ledger, made_user.clone()).await;
    clock.advance(Duration::from_secs(10));
    let again = written(&ledger, made_user.clone()).await;
    assert_eq!((again.provisioning.step, again.provisioning.intents), (Step::Store, first.provisioning.intents));
    assert!(again.lease.left() <= LEASE - Duration::from_secs(10), "the lease is what is left of it");

    let later = entry(&again, Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO });
    for _ in 0..2 {
        let waiting = written(&ledger, later.clone()).await.provisioning;
        assert_eq!((waiting.state, waiting.retries), (State::Due, 1));
    }
    let attempts = ledger.attempts(&claimed.provisioning.id).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(ledger.credentials(&claimed.provisioning.id).await.unwrap().len(), 1);

    ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap();
    for before in [made_user, later] {
        let recorded = ledger.record(before).await.unwrap();
        assert!(matches!(recorded, Recorded::LeaseLost), "another worker has it by now: {recorded:?}");
    }
}

pub(crate) async fn an_announced_call_whose_worker_vanished_becomes_unknown_never_due(ledger: Ledger) {
    let (custody, clock, owner) = (custody(), ManualClock::new(START_MS), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    assert!(ledger.sweep(Duration::ZERO).await.unwrap().is_empty(), "a running lease is left alone");
    clock.advance(LEASE / 2);
    let renewed = ledger.renew(&owner, std::slice::from_ref(&claimed.lease), LEASE).await.unwrap();
    assert_eq!(renewed.len(), 1);
    clock.advance(LEASE / 2 + Duration::from_secs(1));
    assert!(ledger.sweep(Duration::ZERO).await.unwrap().is_empty(), "a renewed lease is left alone");
    clock.advance(LEASE);
    let swept = ledger.sweep(Duration::from_secs(5)).await.unwrap();
    assert_eq!((swept.len(), swept[0].signup_id.as_str(), swept[0].intent), (1, "s1", 1));
    assert!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.is_empty(), "its lookup is not due yet");
    clock.advance(Duration::from_secs(5));
    assert_eq!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed[0].provisioning.state, State::Unknown);
    assert_eq!(ledger.attempts(&claimed.provisioning.id).await.unwrap()[0].kind, AttemptKind::Expired);
    assert!(ledger.renew(&owner, &[claimed.lease], LEASE).await.unwrap().is_empty(), "the old epoch is fenced off");
}

pub(crate) async fn only_what_a_retry_can_mend_is_retried(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let retry = async |id: &str| ledger.retry(&SignupId::parse(id).unwrap(), "a person").await.unwrap();
    let park = async |id: &str, reason| {
        let claimed = accept(&ledger, &custody, &owner, id).await;
        written(&ledger, entry(&claimed, Next::Parked { reason, detail: Some("why".into()) })).await;
    };
    park("a", ParkedReason::AttemptsExhausted).await;
    park("b", ParkedReason::StoreTokenLost).await;
    accept(&ledger, &custody, &owner, "c").await;
    assert_eq!(retry("a").await, Retried::Due);
    assert_eq!(retry("a").await, Retried::NotParked(State::Due));
    assert_eq!(retry("b").await, Retried::Refused(ParkedReason::StoreTokenLost));
    assert_eq!(retry("c").await, Retried::NotParked(State::InFlight));
    assert_eq!(retry("d").await, Retried::NotFound);
    assert_eq!(row(&ledger, "a").await.parked_reason, None);
    let standings = ledger.standings().await.unwrap();
    let parked = standings.iter().find(|s| s.state == State::Parked).unwrap();
    assert_eq!((parked.parked_reason, parked.count), (Some(ParkedReason::StoreTokenLost), 1));
}

pub(crate) async fn a_correction_takes_the_place_of_what_is_parked_once(ledger: Ledger) {
    let (custody, id) = (custody(), SignupId::parse("s1").unwrap());
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let why = Next::Parked { reason: ParkedReason::EmailTaken, detail: None };
    let parked = written(&ledger, entry(&claimed, why)).await.provisioning;
    let accepted = ledger.known(&id).await.unwrap().fingerprint;
    let correction = |key| {
        let mut payload = payload();
        payload.user.email = "grace@example.com".into();
        Correction {
            account_id: Some("customer-7".into()),
            source: Source::Submit,
            payload: custody.seal_payload(&parked.id, &parked.signup_id, &payload).unwrap(),
            fingerprint: custody.fingerprint(&id, Some("customer-7"), &payload),
            key,
        }
    };
    let corrected = ledger.correct(&parked, &accepted, correction(CorrectedKey::User)).await.unwrap().unwrap();
    assert_eq!((corrected.state, corrected.in_doubt, corrected.parked_reason), (State::Due, false, None));
    assert_eq!((corrected.key_intent, corrected.account_id.as_deref()), (2, Some("customer-7")));
    let opened =
        custody.open_payload(&corrected.id, &corrected.signup_id, corrected.payload.as_ref().unwrap()).unwrap();
    assert_eq!(opened.user.email, "grace@example.com");
    let former = ledger.superseded_contents(&corrected).await.unwrap();
    assert_eq!(former.iter().map(|former| former.as_bytes()).collect::<Vec<_>>(), [accepted.as_bytes()]);
    let again = ledger.correct(&parked, &accepted, correction(CorrectedKey::User)).await.unwrap();
    assert!(again.is_none(), "it is no longer what was judged");

    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let claimed = ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0);
    let why = Next::Parked { reason: ParkedReason::AttemptsExhausted, detail: None };
    let parked = written(&ledger, entry(&claimed, why)).await.provisioning;
    let now = ledger.known(&id).await.unwrap().fingerprint;
    let kept = ledger.correct(&parked, &now, correction(CorrectedKey::Kept)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.in_doubt), (State::Unknown, true), "what is in doubt is looked up first");
}

pub(crate) async fn what_was_in_doubt_is_looked_up_after_a_retry_too(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let reason = ParkedReason::AttemptsExhausted;
    written(&ledger, entry(&claimed, Next::Parked { reason, detail: None })).await;
    ledger.retry(&claimed.provisioning.signup_id, "a person").await.unwrap();
    assert_eq!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed[0].provisioning.state, State::Unknown);
}

pub(crate) async fn a_doubt_ends_with_its_call_or_at_the_latest_with_its_lease(ledger: Ledger) {
    let (custody, owner, clock) = (custody(), WorkerId::new(), ManualClock::new(START_MS));
    let (ledger, second) = (ledger.with_clock(&clock), Duration::from_secs(1));
    let at = |seconds: i64| Some(START_MS + seconds * 1000);
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    clock.advance(second * 14);
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    clock.advance(second);
    let look = Doubt::Look { counts: true };
    let looked = written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: look })).await;
    assert_eq!((looked.provisioning.doubt_ended_at_ms, looked.provisioning.lookups), (at(14), 1));

    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    written(&ledger, entry(&claimed, Next::Due { step: Step::User, delay: Duration::ZERO, at_least: Duration::ZERO }))
        .await;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let refusal = Doubt::Refusal(RefusedFor::Unread);
    let refused = written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: refusal })).await;
    assert_eq!(refused.provisioning.refused, Some(RefusedFor::Unread));
    assert_eq!(refused.provisioning.doubt_ended_at_ms, at(14), "a call that was refused had no effect");

    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    written(&ledger, entry(&claimed, Next::Due { step: Step::User, delay: Duration::ZERO, at_least: Duration::ZERO }))
        .await;
    ledger.claim(&owner, 1, LEASE).await.unwrap();
    clock.advance(LEASE + second);
    ledger.sweep(Duration::ZERO).await.unwrap();
    let swept = row(&ledger, "s1").await;
    assert_eq!((swept.doubt_ended_at_ms, swept.refused), (at(15 + 60), None));
}

pub(crate) async fn another_try_settles_no_doubt_and_drops_an_earlier_refusal(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    let doubted = entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call });
    let ended = written(&ledger, doubted).await.provisioning.doubt_ended_at_ms;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let refusal = Doubt::Refusal(RefusedFor::Unread);
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: refusal })).await;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let why = Next::Parked { reason: ParkedReason::RejectedByFoxy, detail: None };
    written(&ledger, entry(&claimed, why)).await;
    assert_eq!(ledger.retry(&claimed.provisioning.signup_id, "a person").await.unwrap(), Retried::Due);
    let again = row(&ledger, "s1").await;
    assert_eq!((again.state, again.refused), (State::Unknown, None));
    assert_eq!(again.doubt_ended_at_ms, ended);
}

pub(crate) async fn one_damaged_row_does_not_hold_up_the_others(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued((0..5).map(|n| signup(&custody, &format!("s{n}"))).collect()).await.unwrap();
    meddle(url, "UPDATE provisionings SET source = 'telepathy' WHERE signup_id = 's0'").await;
    let claims = ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap();
    assert_eq!((claims.claimed.len(), claims.damaged.len()), (4, 1));
    let said = claims.damaged[0].to_string();
    assert!(said.ends_with("holds a source that this release can't read"), "{said}");
    // It is known, though nobody can say as what; those beside it are taken.
    let again = ["s0", "s1", "new"].map(|id| signup(&custody, id)).to_vec();
    let accepted = ledger.accept_queued(again).await.unwrap();
    let [Accepted::Damaged(_), Accepted::Known(_), Accepted::Queued] = &accepted[..] else { panic!("{accepted:?}") };
    // No call was sent for it, so none is in doubt, whoever can read it next.
    meddle(url, "UPDATE provisionings SET source = 'submit' WHERE signup_id = 's0'").await;
    let put_back = row(&ledger, "s0").await;
    assert_eq!((put_back.state, put_back.intents, put_back.lease_until_ms), (State::Due, 0, None));
}

pub(crate) async fn the_next_events_are_each_signup_s_oldest_but_for_kinds_that_rest(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    for id in ["s1", "s2"] {
        let claimed = accept(&ledger, &custody, &owner, id).await;
        let reason = ParkedReason::AttemptsExhausted;
        let mut parked = entry(&claimed, Next::Parked { reason, detail: None });
        let data = OutcomeData { signup_id: id.into(), reason: Some(reason.as_str().into()), ..OutcomeData::default() };
        parked.event = Some(OutcomeEvent { kind: OutcomeKind::Parked, data });
        written(&ledger, parked).await;
    }
    // Its second event.
    ledger.retry(&SignupId::parse("s1").unwrap(), "a person").await.unwrap();
    let next = async |resting: &[OutcomeKind]| -> Vec<(String, OutcomeKind)> {
        let kinds = OutcomeKind::ALL.iter().copied().filter(|kind| !resting.contains(kind)).collect();
        let next = ledger.next_events(Look { kinds, ..Look::default() }).await.unwrap();
        next.ready.into_iter().map(|next| (next.event.data.signup_id, next.event.kind)).collect()
    };
    let told = |id: &str, kind| (id.to_owned(), kind);
    assert_eq!(next(&[]).await, [told("s1", OutcomeKind::Parked), told("s2", OutcomeKind::Parked)]);
    assert!(next(&[OutcomeKind::Parked]).await.is_empty(), "what comes later waits behind what rests");
    let first = ledger.waiting_events(1).await.unwrap().remove(0).seq;
    ledger.mark_published(vec![first]).await.unwrap();
    assert_eq!(next(&[OutcomeKind::Parked]).await, [told("s1", OutcomeKind::Resumed)]);
}

pub(crate) async fn the_schema_goes_down_and_up_again(ledger: Ledger) {
    let all = ledger.migrations().await.unwrap().len();
    ledger.migrate_down(u32::try_from(all).unwrap()).await.unwrap();
    assert!(ledger.migrations().await.unwrap().iter().all(|(_, applied)| !applied));
    let missing = ledger.standings().await.unwrap_err();
    assert!(missing.to_string().contains("foxden migrate up"), "{missing}");
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let ledger = ledger.clone();
        racers.spawn(async move { ledger.migrate_up().await });
    }
    racers.join_all().await.into_iter().for_each(|up| up.unwrap());
    assert!(ledger.standings().await.unwrap().is_empty());
}

/// Signups of which a first create call had no effect; they are due again.
async fn begin(ledger: &Ledger, custody: &Custody, ids: std::ops::Range<usize>) {
    for number in ids {
        let claimed = accept(ledger, custody, &WorkerId::new(), &format!("begun-{number:02}")).await;
        written(
            ledger,
            entry(&claimed, Next::Due { step: Step::User, delay: Duration::ZERO, at_least: Duration::ZERO }),
        )
        .await;
    }
}

pub(crate) async fn what_was_begun_is_claimed_first_and_what_was_not_has_its_share(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    for number in 0..6 {
        ledger.accept_queued(vec![signup(&custody, &format!("new-{number:02}"))]).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    begin(&ledger, &custody, 0..10).await;
    let claim = async |all, for_new| {
        let claims = ledger.claim_places(&owner, Places { all, for_new }, LEASE).await.unwrap();
        let mut ids: Vec<_> = claims.claimed.iter().map(|it| it.provisioning.signup_id.to_string()).collect();
        ids.sort();
        ids
    };
    let is_begun = |id: &String| id.starts_with("begun");
    let five = claim(5, Some(1)).await;
    assert_eq!((five.iter().filter(|id| is_begun(id)).count(), five.last().unwrap().as_str()), (4, "new-00"));
    assert_eq!(claim(1, Some(1)).await, ["new-01"], "the oldest first");
    assert!(claim(1, Some(0)).await.iter().all(is_begun));
    assert_eq!(claim(100, None).await.len(), 5, "nothing new where none is wanted");
    // Places that one queue can't fill go to the other.
    assert_eq!(claim(2, Some(0)).await, ["new-02", "new-03"]);
    begin(&ledger, &custody, 20..24).await;
    assert_eq!(claim(8, Some(7)).await.len(), 6, "two new, and all four that are due again");
}

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn what_waits_is_tried_after_its_pause_though_the_clock_was_set_back(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    let pause = Duration::from_secs(60);
    let retried = accept(&ledger, &custody, &owner, "retried").await;
    written(&ledger, entry(&retried, Next::Due { step: Step::User, delay: pause, at_least: Duration::ZERO })).await;
    let doubted = accept(&ledger, &custody, &owner, "doubted").await;
    written(&ledger, entry(&doubted, Next::Unknown { delay: pause, doubt: Doubt::Call })).await;
    ledger.accept_queued(vec![signup(&custody, "new")]).await.unwrap();
    clock.set_back(DAY);
    let claim = async || {
        let claims = ledger.claim(&owner, 10, LEASE).await.unwrap().claimed;
        let mut ids: Vec<_> = claims.into_iter().map(|claimed| claimed.provisioning.signup_id.to_string()).collect();
        ids.sort();
        ids
    };
    assert!(claim().await.is_empty(), "all is due tomorrow");
    ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(claim().await, ["new"], "what was to wait waits for as long as was planned");
    clock.advance(pause - Duration::from_millis(1));
    ledger.sweep(Duration::ZERO).await.unwrap();
    assert!(claim().await.is_empty(), "and once is enough");
    clock.advance(Duration::from_millis(1));
    assert_eq!(claim().await, ["doubted", "retried"]);
    assert!(row(&ledger, "doubted").await.doubt_ended_at_ms.unwrap() <= clock.now_ms(), "a lag counts from the past");
}

pub(crate) async fn a_lease_lasts_no_longer_though_the_clock_was_set_back(ledger: Ledger) {
    let (clock, custody, owner) = (ManualClock::new(START_MS), custody(), WorkerId::new());
    let ledger = ledger.with_clock(&clock);
    accept(&ledger, &custody, &owner, "vanished").await;
    let kept = accept(&ledger, &custody, &owner, "kept").await;
    clock.advance(LEASE / 2);
    assert_eq!(ledger.renew(&owner, std::slice::from_ref(&kept.lease), LEASE).await.unwrap().len(), 1);
    clock.set_back(DAY);
    assert!(ledger.sweep(Duration::ZERO).await.unwrap().is_empty(), "both may be alive");
    clock.advance(LEASE - Duration::from_secs(1));
    assert_eq!(ledger.renew(&owner, std::slice::from_ref(&kept.lease), LEASE).await.unwrap().len(), 1);
    clock.advance(Duration::from_secs(2));
    let swept = ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(swept.iter().map(|swept| swept.signup_id.as_str()).collect::<Vec<_>>(), ["vanished"]);
}
