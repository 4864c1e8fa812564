//! A ledger on PostgreSQL that no one has analyzed yet: plans that were cached while its tables were empty are used
//! until someone does.

use std::{collections::BTreeMap, time::Duration};

use foxden_custody::Custody;
use foxden_ledger::{Keeping, KeptGrant, Ledger, Look, NewTrip, Next, OutcomeKind, ParkedReason, Scope, WorkerId};
use sea_orm::{ConnectionTrait as _, Database, Statement};

use crate::{
    batches::{made_store, made_user},
    granted::{granted, then},
    grants::{ask, expired, for_store, trip},
    size::rows::fill,
    support::{LEASE, accept, custody, entry, meddle, row, signup, written},
};

/// The tables that grow with each signup.
const GROWING: [&str; 6] = ["provisionings", "attempts", "credentials", "outbox", "grants", "trips"];

/// PostgreSQL plans a statement five times before it keeps a plan.
const ENOUGH: usize = 8;

/// What a worker does with each signup, on one connection.
async fn work(ledger: &Ledger, custody: &Custody, name: &str) {
    let owner = WorkerId::new();
    for number in 0..ENOUGH {
        let claimed = accept(ledger, custody, &owner, &format!("{name}-{number}")).await;
        let leases = ledger.renew(&owner, std::slice::from_ref(&claimed.lease), LEASE).await.unwrap();
        assert_eq!(leases.len(), 1);
        let claimed = written(ledger, made_user(&claimed, custody)).await;
        written(ledger, made_store(&claimed, custody)).await;
        // Once more, as after a lost answer.
        ledger.accept_leased(signup(custody, &format!("{name}-{number}")), &owner, LEASE).await.unwrap();
        let parked = accept(ledger, custody, &owner, &format!("{name}-parked-{number}")).await;
        written(ledger, entry(&parked, Next::Parked { reason: ParkedReason::EmailTaken, detail: None })).await;
        grant(ledger, custody, &format!("{name}-parked-{number}")).await;
        ledger.accept_queued(vec![signup(custody, &format!("{name}-queued-{number}"))]).await.unwrap();
        let claims = ledger.claim(&owner, 1, LEASE).await.unwrap();
        for claimed in claims.claimed {
            written(
                ledger,
                entry(
                    &claimed,
                    Next::Due { step: claimed.provisioning.step, delay: LEASE * 100, at_least: Duration::ZERO },
                ),
            )
            .await;
        }
        ledger.sweep(Duration::ZERO).await.unwrap();
        ledger.mark_published((1..=64).collect()).await.unwrap();
        let look = Look { kinds: vec![OutcomeKind::Provisioned, OutcomeKind::Parked], ..Look::default() };
        ledger.next_events(look).await.unwrap();
        let waiting = ledger.waiting_events(10).await.unwrap();
        ledger.mark_published(waiting.iter().map(|waiting| waiting.seq).collect()).await.unwrap();
    }
}

/// A person grants the store of a signup that is parked.
async fn grant(ledger: &Ledger, custody: &Custody, signup_id: &str) {
    let judged = row(ledger, signup_id).await;
    let asked = ask(ledger, &judged, for_store()).await;
    let begun = trip(0);
    let state_hash = *begun.id.as_str().as_bytes().last_chunk().expect("an id has 36 bytes");
    let begun = NewTrip { state_hash, ..begun };
    ledger.begin_trip(&asked.id, begun.clone()).await.unwrap();
    ledger.spend_trip(begun.state_hash, begun.cookie_hash, None).await.unwrap();
    let uri = format!("https://api.foxycart.com/stores/{signup_id}");
    let credential = granted(ledger, custody, &judged, (Scope::Store, &uri), true).await;
    let keeping = Keeping { trip: begun.id, credential, is_confirmed: true, then: then() };
    assert!(matches!(ledger.keep_granted(&judged, keeping).await.unwrap(), KeptGrant::Kept(_)));
    ledger.live_grant(&judged.id).await.unwrap();
    ledger.expire_grants(Some(expired)).await.unwrap();
}

/// How many rows were read by reading a whole table. Each process of the server says so when it ends.
async fn read_in_whole(url: &str) -> BTreeMap<String, i64> {
    let server = Database::connect(url).await.unwrap();
    let counted = "SELECT relname::text AS name, seq_tup_read AS rows FROM pg_stat_user_tables";
    let rows = server.query_all_raw(Statement::from_string(server.get_database_backend(), counted)).await.unwrap();
    server.close().await.unwrap();
    let read = rows.iter().map(|row| (row.try_get("", "name").unwrap(), row.try_get("", "rows").unwrap()));
    read.filter(|(name, _): &(String, i64)| GROWING.contains(&name.as_str())).collect()
}

pub(crate) async fn plans_of_an_empty_ledger_read_no_whole_table_once_it_has_grown(ledger: Ledger, url: &str) {
    ledger.close().await.unwrap();
    for table in GROWING {
        meddle(url, &format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
    }
    let (ledger, custody) = (Ledger::connect(url, 1).await.unwrap(), custody());
    work(&ledger, &custody, "young").await;
    fill(&ledger, url, &custody).await;
    let before = read_in_whole(url).await;
    work(&ledger, &custody, "grown").await;
    ledger.close().await.unwrap();
    for (table, read) in read_in_whole(url).await {
        let read = read - before[&table];
        assert!(read < 10_000, "{read} rows of {table} were read, whole tables at a time");
    }
}
