//! What is pruned by age, and what stays.

use std::time::Duration;

use foxden_ledger::{
    AttemptOutcome, Claimed, Facts, Ledger, ManualClock, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason,
    PlaceOfEvent, Scope, SignupId, Source, Step, WorkerId,
};

use crate::{
    cancelling::cancellation,
    support::{LEASE, START_MS, accept, custody, entry, meddle, row, token, written},
};

const DAY: Duration = Duration::from_hours(24);
const KEEP: Duration = Duration::from_hours(24 * 90);

/// Deletes all that is old enough. Answers how much evidence, and how many events.
async fn prune(ledger: &Ledger) -> (u64, u64) {
    let (mut evidence, mut events, mut after) = (0, 0, PlaceOfEvent::default());
    loop {
        let page = ledger.prune_evidence(KEEP).await.unwrap();
        evidence += page.deleted;
        if page.signups == 0 {
            break;
        }
    }
    loop {
        let page = ledger.prune_events(KEEP, after).await.unwrap();
        events += page.deleted;
        let Some(next) = page.next else { return (evidence, events) };
        after = next;
    }
}

/// Provisioned, by two calls.
async fn provisioned(ledger: &Ledger, signup_id: &str) -> Claimed {
    let custody = custody();
    let claimed = accept(ledger, &custody, &WorkerId::new(), signup_id).await;
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.credential = token(&claimed, &custody, Scope::User, "user");
    let (user_uri, domain) = (Some("https://api.foxycart.com/users/1".into()), Some(format!("shop-{signup_id}")));
    user.facts = Facts { user_uri, store_domain: domain, ..Facts::default() };
    let claimed = written(ledger, user).await;
    let mut store = entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    store.credential = token(&claimed, &custody, Scope::Store, "store");
    store.facts = Facts { store_uri: Some(format!("https://api.foxycart.com/{signup_id}")), ..Facts::default() };
    let data = OutcomeData::of(&claimed.provisioning);
    store.event = Some(OutcomeEvent { kind: OutcomeKind::Provisioned, data });
    written(ledger, store).await
}

async fn parked(ledger: &Ledger, signup_id: &str) {
    let claimed = accept(ledger, &custody(), &WorkerId::new(), signup_id).await;
    let mut parked = entry(&claimed, Next::Parked { reason: ParkedReason::DomainTaken, detail: None });
    parked.event = Some(OutcomeEvent { kind: OutcomeKind::Parked, data: OutcomeData::of(&claimed.provisioning) });
    written(ledger, parked).await;
}

/// Evidence of every outcome, for every signup.
async fn leave_all_kinds_of_evidence(url: &str) {
    let outcomes = AttemptOutcome::ALL.iter().map(|outcome| format!("SELECT '{outcome}' AS word"));
    let outcomes: Vec<_> = outcomes.collect();
    let insert = format!(
        "INSERT INTO attempts (id, provisioning_id, intent, epoch, owner, kind, step, started_at, ended_at, outcome) \
         SELECT substr(id, 28) || word, id, 1, 1, 'w', 'create', 'store', 1, 1, word \
         FROM provisionings CROSS JOIN ({}) AS words",
        outcomes.join(" UNION ALL ")
    );
    meddle(url, &insert).await;
}

async fn outcomes(ledger: &Ledger, signup_id: &str) -> Vec<AttemptOutcome> {
    let attempts = ledger.attempts(&row(ledger, signup_id).await.id).await.unwrap();
    let mut outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.known().unwrap()).collect();
    outcomes.sort_unstable();
    outcomes
}

pub(crate) async fn what_foxy_may_have_beside_the_row_stays_in_the_evidence(ledger: Ledger, url: &str) {
    use AttemptOutcome as O;
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    parked(&ledger, "open").await;
    provisioned(&ledger, "old").await;
    // Its second token belongs to a store that was left behind, whose domain only the evidence has.
    provisioned(&ledger, "left").await;
    meddle(
        url,
        "UPDATE credentials SET apart = TRUE WHERE resource_uri LIKE '%left' OR provisioning_id IN \
                 (SELECT id FROM provisionings WHERE signup_id = 'left')",
    )
    .await;
    clock.advance(300 * DAY);
    provisioned(&ledger, "young").await;
    leave_all_kinds_of_evidence(url).await;
    let (open, young) = (outcomes(&ledger, "open").await, outcomes(&ledger, "young").await);
    clock.advance(65 * DAY);

    assert_eq!(ledger.evidence_pruned_to().await.unwrap(), 0);
    let (evidence, _) = prune(&ledger).await;
    let stays = [
        O::Unknown,
        O::UnknownOnKeptConnection,
        O::TokenLost,
        O::Present,
        O::PresentUnclear,
        O::Retry,
        O::Corrected,
        O::Cancelled,
        O::Restored,
        O::Granted,
    ];
    assert_eq!(outcomes(&ledger, "old").await, stays);
    let with_calls = [&[O::Done; 3][..], &stays[..]].concat();
    assert_eq!(outcomes(&ledger, "left").await, with_calls);
    assert_eq!((outcomes(&ledger, "open").await, outcomes(&ledger, "young").await), (open, young));
    assert_eq!(evidence, 12 + 9);
    assert_eq!(ledger.evidence_pruned_to().await.unwrap(), START_MS);
    assert_eq!(prune(&ledger).await.0, 0);
}

pub(crate) async fn a_year_later_the_row_and_its_tokens_say_who_asked_what_was_made_and_when(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    parked(&ledger, "cancelled").await;
    provisioned(&ledger, "made").await;
    let resting = row(&ledger, "cancelled").await;
    ledger.cancel(&resting, cancellation(&resting)).await.unwrap().unwrap();
    clock.advance(365 * DAY);
    prune(&ledger).await;

    let made = row(&ledger, "made").await;
    assert!(
        outcomes(&ledger, "made").await.is_empty()
            && made.closed_at_ms <= Some(ledger.evidence_pruned_to().await.unwrap())
    );
    assert_eq!((made.source, made.accepted_at_ms, made.closed_at_ms), (Source::Submit, START_MS, Some(START_MS)));
    assert_eq!((made.intents, made.store_domain.as_deref()), (2, Some("shop-made")));
    assert!(made.user_uri.is_some() && made.store_uri.is_some());
    let tokens = ledger.credentials(&made.id).await.unwrap();
    let given: Vec<_> = tokens.iter().map(|token| (token.scope, token.intent, token.created_at_ms)).collect();
    assert_eq!(given, [(Scope::User, 1, START_MS), (Scope::Store, 2, START_MS)]);

    assert_eq!(row(&ledger, "cancelled").await.parked_reason, Some(ParkedReason::DomainTaken));
    assert_eq!(outcomes(&ledger, "cancelled").await, [AttemptOutcome::Cancelled]);
    let acts = ledger.audit_of(&SignupId::parse("cancelled").unwrap(), 9).await.unwrap();
    assert_eq!((acts.len(), acts[0].who.as_str(), acts[0].at_ms), (1, "a person", START_MS));
}

pub(crate) async fn events_of_open_signups_and_events_that_wait_stay_whatever_their_age(ledger: Ledger, url: &str) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    for signup_id in ["told", "parked"] {
        parked(&ledger, signup_id).await;
    }
    provisioned(&ledger, "made").await;
    // Of one nothing was told but the answer to a duplicate.
    let events = [
        ("told", "duplicate"),
        ("parked", "parked"),
        ("made", "parked"),
        ("made", "provisioned"),
        ("none", "rejected"),
    ];
    let values = (0..3000_u32).zip(events.iter().cycle()).map(|(n, (signup_id, kind))| {
        format!(
            "('m{n}', '', '{signup_id}', '{kind}', '{{\"signup_id\":\"s\"}}', {START_MS}, {})",
            START_MS + i64::from(n % 2)
        )
    });
    let values: Vec<_> = values.collect();
    let insert =
        "INSERT INTO outbox (event_id, provisioning_id, signup_id, kind, body, created_at, published_at) VALUES";
    meddle(url, &format!("DELETE FROM outbox; {insert} {}", values.join(", "))).await;
    meddle(url, "UPDATE outbox SET published_at = NULL WHERE event_id = 'm3'").await;

    clock.advance(KEEP);
    assert_eq!(prune(&ledger).await.1, 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(prune(&ledger).await.1, 900 - 1 + 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(prune(&ledger).await.1, 900 - 1);
    assert_eq!(ledger.waiting_events(9).await.unwrap().len(), 1);
    // It was told of, so it is told of its end, too.
    let told = row(&ledger, "told").await;
    let quiet = foxden_ledger::Cancellation { tell_anyway: false, ..cancellation(&told) };
    ledger.cancel(&told, quiet).await.unwrap().unwrap();
    assert_eq!(ledger.waiting_events(9).await.unwrap().len(), 2);
    clock.advance(DAY);
    assert_eq!(prune(&ledger).await.1, 600, "once it is closed");
}

/// Some pages, a part of them closed in the same millisecond.
async fn close_many(ledger: &Ledger, url: &str) {
    let custody = custody();
    let signups = (0..700).map(|n| crate::support::signup(&custody, &format!("s{n}"))).collect();
    ledger.accept_queued(signups).await.unwrap();
    let closed_at = format!("{START_MS} + CASE WHEN source = 'submit' AND attempts.n < 450 THEN 0 ELSE attempts.n END");
    let number = "CAST(substr(signup_id, 2) AS INTEGER)";
    let closed_at = closed_at.replace("attempts.n", number);
    meddle(url, &format!("UPDATE provisionings SET state = 'closed', step = 'done', closed_at = {closed_at}")).await;
    meddle(
        url,
        "INSERT INTO attempts (id, provisioning_id, intent, epoch, owner, kind, step, started_at, ended_at, outcome) \
                 SELECT id, id, 1, 1, 'w', 'create', 'user', 1, 1, 'done' FROM provisionings",
    )
    .await;
}

pub(crate) async fn of_many_workers_that_prune_at_once_each_piece_of_evidence_is_one_s(ledger: Ledger, url: &str) {
    let ledger = ledger.with_clock(&ManualClock::new(START_MS));
    close_many(&ledger, url).await;
    let ledger = ledger.with_clock(&ManualClock::new(START_MS + 365 * 24 * 3_600_000));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let ledger = ledger.clone();
        workers.spawn(async move { prune(&ledger).await.0 });
    }
    let at_once: u64 = workers.join_all().await.into_iter().sum();
    // One that finds another at work ends its pass.
    assert_eq!(at_once + prune(&ledger).await.0, 700);
    assert_eq!(outcomes(&ledger, "s699").await, []);
}

/// On PostgreSQL, where rows are locked one by one.
pub(crate) async fn pruning_waits_for_no_lock(ledger: Ledger, url: &str) {
    use sea_orm::{ConnectionTrait as _, Database, TransactionTrait as _};
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    provisioned(&ledger, "s1").await;
    meddle(url, &format!("UPDATE outbox SET published_at = {START_MS}")).await;
    clock.advance(365 * DAY);
    let db = Database::connect(url).await.unwrap();
    let other = db.begin().await.unwrap();
    other
        .execute_unprepared("SELECT 1 FROM pruned_evidence FOR UPDATE; SELECT 1 FROM outbox FOR UPDATE")
        .await
        .unwrap();
    assert_eq!(prune(&ledger).await, (0, 0));
    other.rollback().await.unwrap();
    assert_eq!(prune(&ledger).await, (2, 1));
}
