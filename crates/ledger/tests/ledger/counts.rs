//! Counts that are kept as rows change, held against a full count.

use foxden_ledger::{
    By, Cancellation, Forget, Forgetting, Ledger, ManualClock, MarkRestored, Marked, Next, OutcomeData, OutcomeEvent,
    OutcomeKind, ParkedReason, Places, SignupId, WorkerId,
};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, QueryResult, Statement};
use std::time::Duration;

use crate::grants::{ask, for_store};
use crate::support::{LEASE, accept, custody, entry, meddle, row, signup, written};

type Counted = (String, String, Option<String>, i64, i64);

/// Asserts that the counts and ages are those of the rows.
pub(crate) async fn agree(ledger: &Ledger, url: &str) {
    let db = Database::connect(url).await.unwrap();
    let query = "SELECT step, state, parked_reason, COUNT(*) AS n, MIN(accepted_at) AS oldest FROM provisionings \
                 GROUP BY step, state, parked_reason";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    let query = "SELECT COUNT(*) AS n FROM outbox WHERE published_at IS NULL";
    let waiting = db.query_one_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap().unwrap();
    let waiting = waiting.try_get::<i64>("", "n").unwrap();
    assert_eq!(i64::try_from(ledger.count_waiting_events().await.unwrap()).unwrap(), waiting);
    grants_agree(ledger, &db).await;
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

async fn grants_agree(ledger: &Ledger, db: &DatabaseConnection) {
    let query = "SELECT reason, state, COUNT(*) AS n FROM grants GROUP BY reason, state";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    let text = |row: &QueryResult, column| row.try_get::<String>("", column).unwrap();
    let mut full: Vec<_> = rows
        .iter()
        .map(|row| (text(row, "reason"), text(row, "state"), row.try_get::<i64>("", "n").unwrap().unsigned_abs()))
        .collect();
    let kept = ledger.count_grants().await.unwrap();
    let mut kept: Vec<_> =
        kept.iter().map(|kept| (kept.reason.to_string(), kept.state.to_string(), kept.count)).collect();
    full.sort();
    kept.sort();
    assert_eq!(kept, full);
}

fn event(kind: OutcomeKind) -> OutcomeEvent {
    OutcomeEvent { kind, data: OutcomeData::default() }
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
        let mut ended = entry(&claimed, next);
        ended.event = Some(event(OutcomeKind::Parked));
        written(&ledger, ended).await;
        agree(&ledger, url).await;
    }
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 3);
    let seqs = ledger.waiting_events(9).await.unwrap().iter().map(|waiting| waiting.seq).collect::<Vec<_>>();
    for seqs in [&seqs[..2], &seqs[1..]] {
        ledger.mark_published(seqs.to_vec()).await.unwrap();
        agree(&ledger, url).await;
    }
    ledger.tell("an event".into(), event(OutcomeKind::Rejected)).await.unwrap();
    ledger.tell("an event".into(), event(OutcomeKind::Rejected)).await.unwrap();
    agree(&ledger, url).await;
    let asked = ask(&ledger, &row(&ledger, "parked").await, for_store()).await;
    ask(&ledger, &row(&ledger, "retried").await, for_store()).await;
    agree(&ledger, url).await;
    ledger.withdraw_grant(&asked.id).await.unwrap();
    agree(&ledger, url).await;
    ledger.retry(&SignupId::parse("retried").unwrap(), "ada").await.unwrap();
    ledger.sweep(Duration::ZERO).await.unwrap();
    agree(&ledger, url).await;
    let told = event(OutcomeKind::Cancelled);
    let cancelling = Cancellation { by: by.clone(), keep_user_token: false, event: told, tell_anyway: true };
    ledger.cancel(&row(&ledger, "cancelled").await, cancelling).await.unwrap().unwrap();
    agree(&ledger, url).await;
    assert_eq!(ledger.claim_places(&owner, Places { all: 1, for_new: None }, LEASE).await.unwrap().claimed.len(), 1);
    agree(&ledger, url).await;
    let forgotten =
        ledger.forget(&SignupId::parse("done").unwrap(), Forgetting { tokens: true, links: true }, &by).await;
    assert!(matches!(forgotten.unwrap(), Forget::Done(_)));
    agree(&ledger, url).await;
    // Once the leases are over.
    let later = ManualClock::new(ledger.now_ms().await.unwrap() + 3_600_000);
    let marked = ledger.clone().with_clock(&later).mark_restored(later.now_ms(), &by).await.unwrap();
    assert!(matches!(marked, MarkRestored::Marked(Marked { open: 3, parked: 1, .. })), "{marked:?}");
    agree(&ledger, url).await;
    // Several places in one statement, by a person with a database client.
    meddle(url, "UPDATE provisionings SET state = 'parked', parked_reason = 'domain_taken' WHERE step <> 'done'").await;
    agree(&ledger, url).await;
    meddle(url, "DELETE FROM provisionings WHERE signup_id IN ('done', 'due')").await;
    meddle(url, "UPDATE outbox SET published_at = CASE WHEN published_at IS NULL AND kind = 'rejected' THEN 1 END")
        .await;
    agree(&ledger, url).await;
    meddle(url, "DELETE FROM outbox").await;
    meddle(url, "UPDATE grants SET state = 'expired', ended_at = 1").await;
    agree(&ledger, url).await;
    meddle(url, "DELETE FROM grants").await;
    agree(&ledger, url).await;
    ledger.sweep(Duration::ZERO).await.unwrap();
    agree(&ledger, url).await;
}

pub(crate) async fn counts_begin_with_what_was_there_before_them(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued(["s1", "s2"].map(|id| signup(&custody, id)).to_vec()).await.unwrap();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s3").await;
    // Under a live lease it is not rebuilt.
    written(&ledger, entry(&claimed, parked(ParkedReason::DomainTaken))).await;
    ledger.tell("an event".into(), event(OutcomeKind::Rejected)).await.unwrap();
    let all = ledger.migrations().await.unwrap();
    let from = all.iter().position(|(name, _)| name.ends_with("standings")).unwrap();
    ledger.migrate_down(u32::try_from(all.len() - from).unwrap()).await.unwrap();
    ledger.migrate_up().await.unwrap();
    agree(&ledger, url).await;
    assert_eq!(ledger.standings().await.unwrap().iter().map(|standing| standing.count).sum::<u64>(), 3);
}

/// The statements that OPERATIONS.md gives for this database.
fn to_count_again(url: &str) -> &'static str {
    let page = include_str!("../../../../docs/OPERATIONS.md");
    let (_, section) = page.split_once("\n### The counts are wrong\n").unwrap();
    let intro = if url.starts_with("sqlite:") { "\nOn SQLite, " } else { "\nOn PostgreSQL, " };
    let (_, below) = section.split_once(intro).unwrap();
    below.split_once("```sql\n").unwrap().1.split_once("```").unwrap().0
}

pub(crate) async fn wrong_counts_are_put_right_by_what_operations_says(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued(["s1", "s2"].map(|id| signup(&custody, id)).to_vec()).await.unwrap();
    accept(&ledger, &custody, &WorkerId::new(), "claimed").await;
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "parked").await;
    written(&ledger, entry(&claimed, parked(ParkedReason::DomainTaken))).await;
    ask(&ledger, &row(&ledger, "parked").await, for_store()).await;
    ledger.tell("an event".into(), event(OutcomeKind::Rejected)).await.unwrap();
    ledger.sweep(Duration::ZERO).await.unwrap();
    // One that is yet to be folded on PostgreSQL, and counts that are wrong in either place.
    ledger.accept_queued(vec![signup(&custody, "s3")]).await.unwrap();
    meddle(url, "UPDATE standings SET n = n + 5").await;
    meddle(url, "INSERT INTO standings (step, state, parked_reason, n) VALUES ('store', 'due', '', 7)").await;
    meddle(url, "UPDATE waiting_events SET n = n + 3").await;
    meddle(url, "INSERT INTO grant_counts (reason, state, n) VALUES ('connect', 'open', 2)").await;
    if !url.starts_with("sqlite:") {
        meddle(url, "INSERT INTO waiting_event_changes (n) VALUES (9)").await;
        meddle(url, "INSERT INTO grant_changes (reason, state, n) VALUES ('connect', 'open', 5)").await;
    }
    assert_eq!(ledger.count_waiting_events().await.unwrap(), if url.starts_with("sqlite:") { 5 } else { 14 });
    meddle(url, to_count_again(url)).await;
    agree(&ledger, url).await;
    ledger.accept_queued(vec![signup(&custody, "s4")]).await.unwrap();
    ledger.sweep(Duration::ZERO).await.unwrap();
    agree(&ledger, url).await;
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
                    let mut ended = entry(&claimed, parked(ParkedReason::DomainTaken));
                    ended.event = Some(event(OutcomeKind::Parked));
                    written(&ledger, ended).await;
                }
                let waiting = ledger.waiting_events(3).await.unwrap();
                ledger.mark_published(waiting.iter().map(|waiting| waiting.seq).collect()).await.unwrap();
                ledger.sweep(Duration::ZERO).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    agree(&ledger, url).await;
}

/// On PostgreSQL, where changes are folded. More of them than a sweep takes in at once, which add up to nothing.
pub(crate) async fn a_count_that_is_read_while_changes_are_folded_is_right(ledger: Ledger, url: &str) {
    let custody = custody();
    ledger.accept_queued(["s1", "s2"].map(|id| signup(&custody, id)).to_vec()).await.unwrap();
    ledger.tell("an event".into(), event(OutcomeKind::Rejected)).await.unwrap();
    let changes = "SELECT CASE i % 2 WHEN 0 THEN 1 ELSE -1 END FROM generate_series(1, 24000) AS i";
    let places = changes.replace("SELECT", "SELECT 'user', 'due', '',");
    meddle(url, &format!("INSERT INTO standing_changes (step, state, parked_reason, n) {places}")).await;
    meddle(url, &format!("INSERT INTO waiting_event_changes (n) {changes}")).await;
    let folding = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            for _ in 0..3 {
                ledger.sweep(Duration::ZERO).await.unwrap();
            }
        }
    });
    let mut counted = 0;
    while !folding.is_finished() || counted == 0 {
        let due: Vec<_> = ledger.standings().await.unwrap().iter().map(|standing| standing.count).collect();
        assert_eq!((due, ledger.count_waiting_events().await.unwrap()), (vec![2], 1));
        counted += 1;
    }
    folding.await.unwrap();
    agree(&ledger, url).await;
    let db = Database::connect(url).await.unwrap();
    for table in ["standing_changes", "waiting_event_changes"] {
        let query = Statement::from_string(db.get_database_backend(), format!("SELECT id FROM {table}"));
        assert_eq!(db.query_all_raw(query).await.unwrap().len(), 0, "{table}: all pages are folded");
    }
}
