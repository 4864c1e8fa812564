//! The outbox: who publishes, what comes next, and what can't be read.

use std::time::Duration;

use foxden_ledger::{
    By, Forget, Forgetting, Ledger, Look, Looked, ManualClock, Next, OutcomeData, OutcomeEvent, OutcomeKind,
    ParkedReason, SignupId, WorkerId,
};
use sea_orm::{ConnectionTrait as _, Statement};

use crate::support::{START_MS, accept, custody, entry, meddle, written};

const LENGTH: Duration = Duration::from_secs(14);
const MOMENT: Duration = Duration::from_millis(1);

pub(crate) async fn one_worker_publishes_until_it_gives_its_lease_back_or_the_lease_is_over(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    let (one, two) = (WorkerId::new(), WorkerId::new());
    let first = ledger.take_publishing(&one, LENGTH).await.unwrap().expect("no one has it");
    assert_eq!(ledger.take_publishing(&two, LENGTH).await.unwrap(), None);
    ledger.release_publishing(&first).await.unwrap();
    let second = ledger.take_publishing(&two, LENGTH).await.unwrap().expect("it was given back");
    assert!(!ledger.holds_publishing(&first).await.unwrap() && ledger.holds_publishing(&second).await.unwrap());

    clock.advance(LENGTH - MOMENT);
    assert!(ledger.published(&second, LENGTH, vec![]).await.unwrap(), "progress renews it");
    clock.advance(LENGTH - MOMENT);
    assert_eq!(ledger.take_publishing(&one, LENGTH).await.unwrap(), None);
    clock.advance(MOMENT);
    assert!(!ledger.holds_publishing(&second).await.unwrap(), "it is over, though no one has taken it yet");
    let third = ledger.take_publishing(&one, LENGTH).await.unwrap().expect("it is over");
    // A late owner changes nothing.
    assert!(!ledger.published(&second, LENGTH, vec![]).await.unwrap());
    ledger.release_publishing(&second).await.unwrap();
    assert!(ledger.holds_publishing(&third).await.unwrap());
}

pub(crate) async fn of_many_workers_that_want_to_publish_one_does(ledger: Ledger) {
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = ledger.clone();
        racers.spawn(async move { ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap() });
    }
    assert_eq!(racers.join_all().await.into_iter().flatten().count(), 1);
}

pub(crate) async fn a_clock_that_was_set_back_leaves_the_outbox_to_someone(ledger: Ledger) {
    let clock = ManualClock::new(START_MS);
    let ledger = ledger.with_clock(&clock);
    ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().unwrap();
    clock.set_back(Duration::from_secs(24 * 3600));
    assert!(ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().is_some());
}

pub(crate) async fn what_was_confirmed_is_marked_also_for_a_worker_that_has_lost_its_lease(ledger: Ledger) {
    tell(&ledger, "e-1", "s1", OutcomeKind::Rejected).await;
    let seq = ledger.waiting_events(1).await.unwrap()[0].seq;
    let lost = ledger.take_publishing(&WorkerId::new(), LENGTH).await.unwrap().unwrap();
    ledger.release_publishing(&lost).await.unwrap();
    assert!(!ledger.published(&lost, LENGTH, vec![seq]).await.unwrap());
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 0);
}

pub(crate) async fn an_event_of_an_unknown_kind_is_passed_over_with_what_is_behind_it(ledger: Ledger, url: &str) {
    for (event, signup) in [("e-1", "s1"), ("e-2", "s1"), ("e-3", "s2")] {
        tell(&ledger, event, signup, OutcomeKind::Rejected).await;
    }
    meddle(url, "UPDATE outbox SET kind = 'suspended' WHERE event_id = 'e-1'").await;
    let looked = look(&ledger, &[]).await;
    assert_eq!(ids(&looked), ["e-3"]);
    assert_eq!(looked.passed_over.into_iter().collect::<Vec<_>>(), ["suspended"]);
    // To a release that knows the kind nothing was lost.
    meddle(url, "UPDATE outbox SET kind = 'rejected'").await;
    assert_eq!(ids(&look(&ledger, &[]).await), ["e-1", "e-3"]);
}

pub(crate) async fn a_damaged_event_holds_up_nothing_behind_it(ledger: Ledger, url: &str) {
    for (event, signup) in [("e-1", "s1"), ("e-2", "s1"), ("e-3", "s2")] {
        tell(&ledger, event, signup, OutcomeKind::Rejected).await;
    }
    meddle(url, "UPDATE outbox SET body = '{\"signup_id\": 7}' WHERE event_id = 'e-1'").await;
    let looked = look(&ledger, &[]).await;
    assert_eq!(ids(&looked), ["e-3"]);
    let [damaged] = &looked.damaged[..] else { panic!("{looked:?}") };
    assert_eq!((damaged.event_id.as_str(), damaged.signup_id.as_str()), ("e-1", "s1"));
    let looked = look(&ledger, &[damaged.seq]).await;
    assert_eq!((ids(&looked), looked.damaged.len()), (vec!["e-2", "e-3"], 0));
}

pub(crate) async fn a_signup_goes_on_though_what_was_told_of_it_is_damaged(ledger: Ledger, url: &str) {
    let next = Next::Parked { reason: ParkedReason::AttemptsExhausted, detail: None };
    told(&ledger, OutcomeKind::Parked, next).await;
    meddle(url, "UPDATE outbox SET body = 'x'").await;
    ledger.retry(&SignupId::parse("s1").unwrap(), "a person").await.unwrap();
    assert_eq!(ledger.waiting_events(10).await.unwrap()[0].event.data.signup_id, "s1");
}

pub(crate) async fn a_signup_is_forgotten_whatever_stands_in_its_events(ledger: Ledger, url: &str) {
    told(&ledger, OutcomeKind::Provisioned, Next::Provisioned { keep_payload: false, keep_user_token: false }).await;
    let by_later = r#"{"later":"x","signup_id":"s1","user_id":"u"}"#;
    for (body, left) in [(by_later, r#"{"later":"x","signup_id":"s1"}"#), ("u-1042 {", "{}")] {
        meddle(url, &format!("UPDATE outbox SET body = '{body}'")).await;
        let (signup_id, by) = (SignupId::parse("s1").unwrap(), By::new("a person"));
        let forgotten = ledger.forget(&signup_id, Forgetting::default(), &by).await.unwrap();
        assert!(matches!(forgotten, Forget::Done(_)), "{forgotten:?}");
        let reader = sea_orm::Database::connect(url).await.unwrap();
        let query = Statement::from_string(reader.get_database_backend(), "SELECT body FROM outbox");
        let row = reader.query_one_raw(query).await.unwrap().unwrap();
        assert_eq!(row.try_get::<String>("", "body").unwrap(), left);
        reader.close().await.unwrap();
    }
}

pub(crate) async fn a_long_outbox_is_looked_at_in_parts(ledger: Ledger, url: &str) {
    // 1,200 events of 400 signups.
    meddle(url, &many(1200, "'s' || (i % 400)", "'rejected'", "NULL")).await;
    let (mut after, mut parts, mut ready) = (0, 0, 0);
    loop {
        let looked =
            ledger.next_events(Look { after, kinds: OutcomeKind::ALL.to_vec(), set_aside: vec![] }).await.unwrap();
        (parts, ready) = (parts + 1, ready + looked.ready.len());
        match looked.more_after {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!((parts, ready), (7, 400), "of each signup the first, wherever the look begins");
}

/// A signup of which this was told.
async fn told(ledger: &Ledger, kind: OutcomeKind, next: Next) {
    let claimed = accept(ledger, &custody(), &WorkerId::new(), "s1").await;
    let mut last = entry(&claimed, next);
    let data = OutcomeData { signup_id: "s1".into(), ..OutcomeData::default() };
    last.event = Some(OutcomeEvent { kind, data });
    written(ledger, last).await;
}

/// A statement that fills the outbox.
fn many(count: usize, signup_id: &str, kind: &str, published_at: &str) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO outbox (event_id, provisioning_id, signup_id, kind, body, created_at, published_at) \
         SELECT 'm' || i, '', {signup_id}, {kind}, '{{\"signup_id\": \"s\"}}', 1000, {published_at} FROM n"
    )
}

async fn tell(ledger: &Ledger, event_id: &str, signup_id: &str, kind: OutcomeKind) {
    let data = OutcomeData { signup_id: signup_id.into(), ..OutcomeData::default() };
    ledger.tell(event_id.into(), OutcomeEvent { kind, data }).await.unwrap();
}

async fn look(ledger: &Ledger, set_aside: &[i64]) -> Looked {
    let look = Look { after: 0, kinds: OutcomeKind::ALL.to_vec(), set_aside: set_aside.to_vec() };
    ledger.next_events(look).await.unwrap()
}

fn ids(looked: &Looked) -> Vec<&str> {
    looked.ready.iter().map(|event| event.event_id.as_str()).collect()
}
