//! Counts that are kept as rows change, held against a full count.

use foxden_ledger::{
    By, Cancellation, Ledger, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, Places, SignupId, WorkerId,
};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use std::time::Duration;

use crate::support::{LEASE, accept, custody, entry, meddle, row, signup, written};

type Counted = (String, String, Option<String>, i64, i64);

/// Asserts that the counts and ages are those of the rows.
pub(crate) async fn agree(ledger: &Ledger, url: &str) {
    let db = Database::connect(url).await.unwrap();
    let query = "SELECT step, state, parked_reason, COUNT(*) AS n, MIN(accepted_at) AS oldest FROM provisionings \
                 GROUP BY step, state, parked_reason";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    let mut full: Vec<Counted> = rows
        .iter()
        .map(|row| {
            let text = |column| row.try_get::<Option<String>>("", column).unwrap();
            let number = |column| row.try_get::<i64>("", column).unwrap();
            (text("step").unwrap(), text("state").unwrap(), text("parked_reason"), number("n"), number("oldest"))
        })
        .collect();
    db.close().await.unwrap();
    let kept = ledger.standings().await.unwrap().into_iter().map(|kept| {
        let reason = kept.parked_reason.map(|reason| reason.to_string());
        let count = i64::try_from(kept.count).unwrap();
        (kept.step.to_string(), kept.state.to_string(), reason, count, kept.oldest_ms)
    });
    let mut kept: Vec<Counted> = kept.collect();
    full.sort();
    kept.sort();
    assert_eq!(kept, full);
}

fn parked(reason: ParkedReason) -> Next {
    Next::Parked { reason, detail: None }
}

pub(crate) async fn counts_are_those_of_a_full_count_whatever_was_done(ledger: Ledger, url: &str) {
    let (custody, owner, by) = (custody(), WorkerId::new(), By::new("ada"));
    agree(&ledger, url).await;
    let ids = ["due", "claimed", "cancelled"];
    ledger.accept_queued(ids.iter().map(|id| signup(&custody, id)).collect()).await.unwrap();
    agree(&ledger, url).await;
    for (id, next) in [
        ("done", Next::Provisioned { keep_payload: false, keep_user_token: false }),
        ("parked", parked(ParkedReason::DomainTaken)),
        ("retried", parked(ParkedReason::AttemptsExhausted)),
    ] {
        let claimed = accept(&ledger, &custody, &owner, id).await;
        agree(&ledger, url).await;
        written(&ledger, entry(&claimed, next)).await;
        agree(&ledger, url).await;
    }
    ledger.retry(&SignupId::parse("retried").unwrap(), "ada").await.unwrap();
    ledger.sweep(Duration::ZERO).await.unwrap();
    agree(&ledger, url).await;
    let event = OutcomeEvent { kind: OutcomeKind::Cancelled, data: OutcomeData::default() };
    let cancelling = Cancellation { by: by.clone(), keep_user_token: false, event, tell_anyway: false };
    ledger.cancel(&row(&ledger, "cancelled").await, cancelling).await.unwrap().unwrap();
    agree(&ledger, url).await;
    assert_eq!(ledger.claim_places(&owner, Places { all: 1, for_new: None }, LEASE).await.unwrap().claimed.len(), 1);
    agree(&ledger, url).await;
    // Several places in one statement, by a person with a database client.
    meddle(url, "UPDATE provisionings SET state = 'parked', parked_reason = 'domain_taken' WHERE step <> 'done'").await;
    agree(&ledger, url).await;
    meddle(url, "DELETE FROM provisionings WHERE signup_id IN ('done', 'due')").await;
    agree(&ledger, url).await;
    ledger.sweep(Duration::ZERO).await.unwrap();
    agree(&ledger, url).await;
}

pub(crate) async fn counts_begin_with_what_was_there_before_them(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued(["s1", "s2"].map(|id| signup(&custody, id)).to_vec()).await.unwrap();
    accept(&ledger, &custody, &WorkerId::new(), "s3").await;
    let all = ledger.migrations().await.unwrap();
    let from = all.iter().position(|(name, _)| name.ends_with("standings")).unwrap();
    ledger.migrate_down(u32::try_from(all.len() - from).unwrap()).await.unwrap();
    ledger.migrate_up().await.unwrap();
    agree(&ledger, url).await;
    assert_eq!(ledger.standings().await.unwrap().iter().map(|standing| standing.count).sum::<u64>(), 3);
}

pub(crate) async fn counts_agree_after_many_writers_and_sweeps_at_once(ledger: Ledger, url: &str) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let ledger = ledger.clone();
        writers.spawn(async move {
            let (custody, owner) = (custody(), WorkerId::new());
            for number in 0..10 {
                let ids = [0, 1, 2].map(|copy| format!("s{writer}-{number}-{copy}"));
                ledger.accept_queued(ids.iter().map(|id| signup(&custody, id)).collect()).await.unwrap();
                let places = Places { all: 2, for_new: Some(2) };
                for claimed in ledger.claim_places(&owner, places, LEASE).await.unwrap().claimed {
                    written(&ledger, entry(&claimed, parked(ParkedReason::DomainTaken))).await;
                }
                ledger.sweep(Duration::ZERO).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    agree(&ledger, url).await;
}
