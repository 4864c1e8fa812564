//! The ledger's rules, each proved on SQLite and on PostgreSQL by the same code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]

use std::{sync::Arc, time::Duration};

use foxden_ledger::{
    Accepted, Attempt, AttemptKind, Claimed, Custody, Entry, Escrow, Facts, Filter, Ledger, ManualClock, NewCredential,
    NewSignup, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Payload, ProvisioningId, Recorded, Retried,
    Scope, SignupId, Source, State, Step, StoreDetails, UserDetails, WorkerId,
};
use foxden_vault::{KeyRing, RefreshToken};
use sea_orm::{ConnectionTrait as _, Database};

const LEASE: Duration = Duration::from_secs(60);
const START_MS: i64 = 1_800_000_000_000;

fn custody() -> Custody {
    let entry = foxden_vault::generate_key("test").unwrap();
    Custody::new(Arc::new(KeyRing::parse(&entry).unwrap()), "test")
}

fn payload() -> Payload {
    Payload {
        user: UserDetails {
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            email: "ada@example.com".into(),
            phone: None,
            extra: Default::default(),
        },
        store: StoreDetails {
            name: "Engines".into(),
            domain: None,
            url: "https://engines.example".into(),
            email: "shop@engines.example".into(),
            country: "GB".into(),
            region: "London".into(),
            postal_code: "W1".into(),
            extra: Default::default(),
        },
    }
}

fn signup(custody: &Custody, signup_id: &str) -> NewSignup {
    let (id, signup_id) = (ProvisioningId::new(), SignupId::parse(signup_id).unwrap());
    NewSignup {
        payload: custody.seal_payload(&id, &payload()).unwrap(),
        fingerprint: custody.fingerprint(&signup_id, None, &payload()),
        id,
        signup_id,
        account_id: None,
        source: Source::Submit,
    }
}

async fn accept(ledger: &Ledger, custody: &Custody, owner: &WorkerId, signup_id: &str) -> Claimed {
    match ledger.accept_leased(signup(custody, signup_id), owner, LEASE).await.unwrap() {
        Accepted::Leased(claimed) => *claimed,
        other => panic!("expected a lease, got {other:?}"),
    }
}

fn attempt(step: Step, intent: u32, outcome: &'static str) -> Attempt {
    Attempt {
        kind: AttemptKind::Create,
        step,
        intent,
        natural_key: None,
        took: Duration::from_millis(5),
        outcome,
        http_status: Some(201),
        logref: None,
        note: None,
    }
}

fn entry(claimed: &Claimed, next: Next) -> Entry {
    Entry {
        lease: claimed.lease.clone(),
        attempt: attempt(claimed.provisioning.step, claimed.provisioning.intents, "done"),
        credential: None,
        facts: Facts::default(),
        next,
        event: None,
    }
}

fn token(claimed: &Claimed, custody: &Custody, scope: Scope, text: &str) -> Option<NewCredential> {
    let id = &claimed.provisioning.id;
    Some(NewCredential {
        scope,
        intent: claimed.provisioning.intents,
        resource_uri: Some(format!("https://api.foxycart.com/{scope}/1")),
        sealed: custody.seal_token(id, scope, &RefreshToken::new(text)).unwrap(),
    })
}

async fn written(ledger: &Ledger, entry: Entry) -> Claimed {
    match ledger.record(entry).await.unwrap() {
        Recorded::Written(claimed) => *claimed,
        Recorded::LeaseLost => panic!("the lease was lost"),
    }
}

async fn row(ledger: &Ledger, signup_id: &str) -> foxden_ledger::Provisioning {
    ledger.find(&SignupId::parse(signup_id).unwrap()).await.unwrap().unwrap()
}

async fn a_new_signup_is_leased_with_its_intent_and_a_repeat_is_known(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    assert_eq!((claimed.provisioning.step, claimed.provisioning.state), (Step::User, State::InFlight));
    assert_eq!((claimed.provisioning.intents, claimed.lease.epoch), (1, 1));
    let opened =
        custody.open_payload(&claimed.provisioning.id, claimed.provisioning.payload.as_ref().unwrap()).unwrap();
    assert_eq!(opened.user.email, "ada@example.com");

    let Accepted::Known(known) = ledger.accept_leased(signup(&custody, "s1"), &owner, LEASE).await.unwrap() else {
        panic!("a repeat must be known")
    };
    assert_eq!(known.provisioning.id, claimed.provisioning.id);
    let same = custody.is_same_event(&SignupId::parse("s1").unwrap(), None, &payload(), &known.fingerprint);
    assert_eq!(same, Some(true));
}

async fn many_are_accepted_at_once_each_signup_id_once(ledger: Ledger) {
    let custody = custody();
    accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let answers = ledger.accept_queued(["s1", "s2", "s3", "s1"].map(|id| signup(&custody, id)).into()).await.unwrap();
    let queued: Vec<bool> = answers.iter().map(|answer| matches!(answer, Accepted::Queued)).collect();
    assert_eq!(queued, [true, false, true, false]);
    assert_eq!(ledger.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap().len(), 3);
}

async fn workers_that_claim_at_the_same_time_never_get_the_same_row(ledger: Ledger) {
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

async fn a_provisioning_takes_three_transactions_and_keeps_one_token(ledger: Ledger) {
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
    let data = OutcomeData {
        signup_id: "s1".into(),
        user_id: None,
        user_uri: None,
        store_uri: None,
        store_domain: Some("engines".into()),
        reason: None,
        advice: None,
    };
    made_store.event = Some(OutcomeEvent { kind: OutcomeKind::Provisioned, data: data.clone() });
    let claimed = written(&ledger, made_store).await;
    assert_eq!(ledger.commits() - before, 3);

    let done = row(&ledger, "s1").await;
    assert_eq!((done.step, done.state), (Step::Done, State::Closed));
    assert!(done.payload.is_none() && done.closed_at_ms.is_some() && done.lease_until_ms.is_none());
    let kept = ledger.credentials(&done.id).await.unwrap();
    assert!(kept[0].scope == Scope::User && kept[0].sealed.is_none());
    let store_token = custody.open_token(&done.id, Scope::Store, kept[1].sealed.as_ref().unwrap()).unwrap();
    assert_eq!(store_token.expose(), "store-token");
    let attempts = ledger.attempts(&claimed.provisioning.id).await.unwrap();
    assert_eq!(attempts.iter().map(|a| a.step.as_str()).collect::<Vec<_>>(), ["user", "store"]);

    let waiting = ledger.waiting_events(10).await.unwrap();
    assert_eq!((waiting.len(), &waiting[0].event.data), (1, &data));
    ledger.mark_published(vec![waiting[0].seq]).await.unwrap();
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0);
}

async fn a_late_owner_writes_nothing_but_the_token_it_holds(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let late = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    clock.advance(LEASE + Duration::from_secs(1));
    ledger.sweep(Duration::ZERO).await.unwrap();
    let owner = WorkerId::new();
    let now = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    assert_eq!((now.provisioning.state, now.provisioning.intents), (State::Unknown, 1));

    let mut record = entry(&late, Next::InFlight { step: Step::Store, lease: LEASE });
    record.credential = token(&late, &custody, Scope::User, "late-token");
    record.facts.user_uri = Some("https://api.foxycart.com/users/1".into());
    for _ in 0..2 {
        assert!(matches!(ledger.record(record.clone()).await.unwrap(), Recorded::LeaseLost));
    }
    let row = row(&ledger, "s1").await;
    assert_eq!((row.state, row.step, row.user_uri, row.epoch), (State::Unknown, Step::User, None, now.lease.epoch));
    let kept = ledger.credentials(&row.id).await.unwrap();
    assert_eq!((kept.len(), kept[0].intent), (1, 1));
}

async fn an_announced_call_whose_worker_vanished_becomes_unknown_never_due(ledger: Ledger) {
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
    assert_eq!(ledger.attempts(&claimed.provisioning.id).await.unwrap()[0].kind, "expired");
    assert!(ledger.renew(&owner, &[claimed.lease], LEASE).await.unwrap().is_empty(), "the old epoch is fenced off");
}

async fn only_what_a_retry_can_mend_is_retried(ledger: Ledger) {
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

async fn what_was_in_doubt_is_looked_up_after_a_retry_too(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, elsewhere: false })).await;
    let claimed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    let reason = ParkedReason::AttemptsExhausted;
    written(&ledger, entry(&claimed, Next::Parked { reason, detail: None })).await;
    ledger.retry(&claimed.provisioning.signup_id, "a person").await.unwrap();
    assert_eq!(ledger.claim(&owner, 1, LEASE).await.unwrap().claimed[0].provisioning.state, State::Unknown);
}

async fn a_token_given_up_for_lost_is_taken_when_it_comes_after_all(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let late = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    clock.advance(LEASE * 2);
    ledger.sweep(Duration::ZERO).await.unwrap();
    let owner = WorkerId::new();
    let now = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    written(&ledger, entry(&now, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;

    let mut record = entry(&late, Next::InFlight { step: Step::Store, lease: LEASE });
    record.credential = token(&late, &custody, Scope::User, "late-token");
    assert!(matches!(ledger.record(record).await.unwrap(), Recorded::LeaseLost));
    let resumed = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    assert_eq!((resumed.provisioning.state, resumed.provisioning.parked_reason), (State::Unknown, None));
}

async fn what_is_in_the_escrow_is_drained_into_the_ledger_once(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    let id = &claimed.provisioning.id;
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(&dir.path().join("escrow")).unwrap();
    let (user, store) =
        (token(&claimed, &custody, Scope::User, "user-token"), token(&claimed, &custody, Scope::Store, "store-token"));
    escrow.keep(id, user.as_ref().unwrap()).await.unwrap();
    escrow.keep(id, store.as_ref().unwrap()).await.unwrap();
    escrow.keep(id, store.as_ref().unwrap()).await.unwrap();
    // Another boot finds them.
    let escrow = Escrow::open(&dir.path().join("escrow")).unwrap();
    assert_eq!(ledger.drain(&escrow).await.unwrap(), 2);
    assert_eq!(ledger.drain(&escrow).await.unwrap(), 0);
    escrow.release(id, store.as_ref().unwrap()).await.unwrap();
    let kept = ledger.credentials(id).await.unwrap();
    let opened: Vec<_> =
        kept.iter().map(|held| custody.open_token(id, held.scope, held.sealed.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(opened.iter().map(RefreshToken::expose).collect::<Vec<_>>(), ["store-token", "user-token"]);
}

/// What nobody but a later release, or a person with a database client, would do.
async fn meddle(url: &str, statement: &str) {
    let meddler = Database::connect(url).await.unwrap();
    meddler.execute_unprepared(statement).await.unwrap();
    meddler.close().await.unwrap();
}

async fn one_damaged_row_does_not_hold_up_the_others(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued((0..5).map(|n| signup(&custody, &format!("s{n}"))).collect()).await.unwrap();
    meddle(url, "UPDATE provisionings SET source = 'telepathy' WHERE signup_id = 's0'").await;
    let claims = ledger.claim(&WorkerId::new(), 10, LEASE).await.unwrap();
    assert_eq!((claims.claimed.len(), claims.damaged.len()), (4, 1));
    let said = claims.damaged[0].to_string();
    assert!(said.ends_with("holds a source that this release can't read"), "{said}");
}

async fn an_escrow_file_that_can_not_be_read_is_named_and_kept(ledger: Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    let file = dir.path().join("0.escrow");
    std::fs::write(&file, "{\"version\":9}").unwrap();
    std::fs::write(dir.path().join("half.unfinished"), "").unwrap();
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let id = &claimed.provisioning.id;
    // A row's id begins with the time, so this one comes after the one that can't be read.
    escrow.keep(id, token(&claimed, &custody, Scope::User, "user-token").as_ref().unwrap()).await.unwrap();
    let said = ledger.drain(&escrow).await.unwrap_err().to_string();
    assert_eq!(ledger.credentials(id).await.unwrap().len(), 1, "the others are drained");
    assert_eq!(
        said,
        "the escrow file 0.escrow is not one that this release can read; keep it, and ask which release wrote it"
    );
    assert!(file.exists());
}

async fn a_token_of_another_ledger_stays_in_the_escrow(ledger: Ledger) {
    let (custody, dir) = (custody(), tempfile::tempdir().unwrap());
    let elsewhere = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    elsewhere.migrate_up().await.unwrap();
    let claimed = accept(&elsewhere, &custody, &WorkerId::new(), "s1").await;
    let id = &claimed.provisioning.id;
    let escrow = Escrow::open(&dir.path().join("escrow")).unwrap();
    escrow.keep(id, token(&claimed, &custody, Scope::User, "user-token").as_ref().unwrap()).await.unwrap();
    let said = ledger.drain(&escrow).await.unwrap_err().to_string();
    assert_eq!(said, format!("this ledger has no provisioning {id}: the token belongs to another ledger"));
    assert_eq!(elsewhere.drain(&escrow).await.unwrap(), 1);
}

async fn a_token_that_comes_while_its_row_is_parked_is_not_left_beside_it(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, elsewhere: false })).await;
    let now = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    // This worker has looked for a token and found none; then one comes, and then it parks.
    let late = token(&claimed, &custody, Scope::User, "late-token").unwrap();
    ledger.keep_credential(&claimed.provisioning.id, late).await.unwrap();
    written(&ledger, entry(&now, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;
    let row = row(&ledger, "s1").await;
    assert_eq!((row.state, row.parked_reason), (State::Unknown, None));
}

async fn a_token_of_an_earlier_key_resumes_nothing(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let first = accept(&ledger, &custody, &owner, "s1").await;
    let mut superseded = entry(&first, Next::InFlight { step: Step::User, lease: LEASE });
    superseded.facts.generation = Some(2);
    let second = written(&ledger, superseded).await;
    written(&ledger, entry(&second, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;
    let late = token(&first, &custody, Scope::User, "first-generation").unwrap();
    ledger.keep_credential(&first.provisioning.id, late).await.unwrap();
    assert_eq!(row(&ledger, "s1").await.state, State::Parked);
}

async fn the_next_events_are_each_signup_s_oldest_but_for_kinds_that_rest(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    for id in ["s1", "s2"] {
        let claimed = accept(&ledger, &custody, &owner, id).await;
        let reason = ParkedReason::AttemptsExhausted;
        let mut parked = entry(&claimed, Next::Parked { reason, detail: None });
        let data = OutcomeData {
            signup_id: id.into(),
            user_id: None,
            user_uri: None,
            store_uri: None,
            store_domain: None,
            reason: Some(reason.as_str().into()),
            advice: None,
        };
        parked.event = Some(OutcomeEvent { kind: OutcomeKind::Parked, data });
        written(&ledger, parked).await;
    }
    // Its second event.
    ledger.retry(&SignupId::parse("s1").unwrap(), "a person").await.unwrap();
    let next = async |limit, resting: &[OutcomeKind]| -> Vec<(String, OutcomeKind)> {
        let next = ledger.next_events(limit, resting).await.unwrap();
        next.into_iter().map(|next| (next.event.data.signup_id, next.event.kind)).collect()
    };
    let told = |id: &str, kind| (id.to_owned(), kind);
    assert_eq!(next(10, &[]).await, [told("s1", OutcomeKind::Parked), told("s2", OutcomeKind::Parked)]);
    assert_eq!(next(1, &[]).await, [told("s1", OutcomeKind::Parked)]);
    assert!(next(10, &[OutcomeKind::Parked]).await.is_empty(), "what comes later waits behind what rests");
    let first = ledger.waiting_events(1).await.unwrap().remove(0).seq;
    ledger.mark_published(vec![first]).await.unwrap();
    assert_eq!(next(10, &[OutcomeKind::Parked]).await, [told("s1", OutcomeKind::Resumed)]);
}

async fn the_schema_goes_down_and_up_again(ledger: Ledger) {
    ledger.migrate_down(1).await.unwrap();
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

/// Runs every rule on one database.
macro_rules! rules {
    ($ledger:path: $($rule:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (ledger, _keep) = $ledger().await;
            crate::$rule(ledger).await;
        }
    )*};
}
macro_rules! all_rules {
    ($ledger:path) => {
        rules!($ledger:
            a_new_signup_is_leased_with_its_intent_and_a_repeat_is_known,
            many_are_accepted_at_once_each_signup_id_once,
            workers_that_claim_at_the_same_time_never_get_the_same_row,
            a_provisioning_takes_three_transactions_and_keeps_one_token,
            a_late_owner_writes_nothing_but_the_token_it_holds,
            an_announced_call_whose_worker_vanished_becomes_unknown_never_due,
            only_what_a_retry_can_mend_is_retried,
            what_was_in_doubt_is_looked_up_after_a_retry_too,
            a_token_given_up_for_lost_is_taken_when_it_comes_after_all,
            what_is_in_the_escrow_is_drained_into_the_ledger_once,
            an_escrow_file_that_can_not_be_read_is_named_and_kept,
            a_token_of_another_ledger_stays_in_the_escrow,
            a_token_that_comes_while_its_row_is_parked_is_not_left_beside_it,
            a_token_of_an_earlier_key_resumes_nothing,
            the_next_events_are_each_signup_s_oldest_but_for_kinds_that_rest,
            the_schema_goes_down_and_up_again,
        );
    };
}

mod sqlite {
    use super::Ledger;

    #[tokio::test]
    async fn one_damaged_row_does_not_hold_up_the_others() {
        let (ledger, dir) = file().await;
        let url = format!("sqlite:{}/ledger.db", dir.path().display());
        super::one_damaged_row_does_not_hold_up_the_others(ledger, &url).await;
    }

    async fn file() -> (Ledger, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::connect(&format!("sqlite:{}/ledger.db", dir.path().display()), 1).await.unwrap();
        ledger.migrate_up().await.unwrap();
        (ledger, dir)
    }

    all_rules!(file);

    #[tokio::test]
    async fn two_processes_on_one_file_migrate_and_write_side_by_side() {
        let (one, dir) = file().await;
        let two = Ledger::connect(&format!("sqlite:{}/ledger.db", dir.path().display()), 1).await.unwrap();
        two.migrate_up().await.unwrap();
        let custody = super::custody();
        let many = |prefix: &str| (0..50).map(|n| super::signup(&custody, &format!("{prefix}{n}"))).collect();
        let (a, b) = tokio::join!(one.accept_queued(many("a")), two.accept_queued(many("b")));
        assert_eq!((a.unwrap().len(), b.unwrap().len()), (50, 50));
        assert_eq!(one.standings().await.unwrap()[0].count, 100);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_open_a_fresh_file_at_once() {
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}/ledger.db", dir.path().display());
            let mut openers = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let url = url.clone();
                openers.spawn(async move {
                    let ledger = Ledger::connect(&url, 1).await?;
                    ledger.migrate_up().await
                });
            }
            openers.join_all().await.into_iter().for_each(|opened| opened.unwrap());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_ledgers_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (_ledger, dir) = file().await;
        let mode = std::fs::metadata(dir.path().join("ledger.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

/// Needs the server that `DATABASE_URL` names; `make test` brings one up.
mod servers {
    mod postgres {
        use foxden_ledger::Ledger;

        /// A database of its own for each test, so that they run side by side. It goes with the throw-away server.
        async fn database() -> (Ledger, String) {
            #[expect(clippy::disallowed_methods, reason = "the one door by which a test is told of its server")]
            let url =
                std::env::var("DATABASE_URL").expect("DATABASE_URL must name a PostgreSQL server: use `make test`");
            let name = format!("ledger_{}", uuid::Uuid::new_v4().simple());
            let ledger = Ledger::create_database(&url, &name).await.unwrap();
            ledger.migrate_up().await.unwrap();
            let mut own = url::Url::parse(&url).unwrap();
            own.set_path(&name);
            (ledger, own.to_string())
        }

        all_rules!(database);

        #[tokio::test]
        async fn one_damaged_row_does_not_hold_up_the_others() {
            let (ledger, url) = database().await;
            crate::one_damaged_row_does_not_hold_up_the_others(ledger, &url).await;
        }

        /// Statistics of a small table make PostgreSQL run a limited subquery of `IN` once for each row.
        #[tokio::test]
        async fn a_claim_takes_no_more_than_it_asks_for_whatever_the_statistics() {
            let (ledger, url) = database().await;
            let custody = crate::custody();
            ledger.accept_queued(vec![crate::signup(&custody, "s0")]).await.unwrap();
            crate::meddle(&url, "ANALYZE provisionings").await;
            ledger.accept_queued((1..8).map(|n| crate::signup(&custody, &format!("s{n}"))).collect()).await.unwrap();
            let claims = ledger.claim(&foxden_ledger::WorkerId::new(), 2, crate::LEASE).await.unwrap();
            assert_eq!(claims.claimed.len(), 2);
        }
    }
}
