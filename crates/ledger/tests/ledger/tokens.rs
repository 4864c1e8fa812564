//! Tokens that come late, by whatever road.

use std::time::Duration;

use foxden_custody::{Escrow, TokenRow};
use foxden_ledger::{Doubt, Ledger, ManualClock, Next, ParkedReason, Recorded, Scope, State, Step, WorkerId};
use foxden_vault::RefreshToken;

use crate::support::{LEASE, START_MS, accept, custody, entry, row, token, written};

pub(crate) async fn a_late_owner_writes_nothing_but_the_token_it_holds(ledger: Ledger) {
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

pub(crate) async fn a_token_given_up_for_lost_is_taken_when_it_comes_after_all(ledger: Ledger) {
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

pub(crate) async fn what_is_in_the_escrow_is_drained_into_the_ledger_once(ledger: Ledger) {
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
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 2);
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 0);
    escrow.release(id, store.as_ref().unwrap()).await.unwrap();
    let kept = ledger.credentials(id).await.unwrap();
    let opened: Vec<_> = kept
        .iter()
        .map(|held| {
            custody.open_token(&TokenRow::of(&claimed.provisioning, held), held.sealed.as_ref().unwrap()).unwrap()
        })
        .collect();
    assert_eq!(opened.iter().map(RefreshToken::expose).collect::<Vec<_>>(), ["store-token", "user-token"]);
}

pub(crate) async fn an_escrow_file_that_can_not_be_read_is_named_and_kept(ledger: Ledger) {
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
    let said = escrow.drain(&ledger, &custody).await.unwrap_err().to_string();
    assert_eq!(ledger.credentials(id).await.unwrap().len(), 1, "the others are drained");
    assert_eq!(
        said,
        "the escrow file 0.escrow is not one that this release can read; keep it, and ask which release wrote it"
    );
    assert!(file.exists());
}

pub(crate) async fn a_token_of_another_ledger_stays_in_the_escrow(ledger: Ledger) {
    let (custody, dir) = (custody(), tempfile::tempdir().unwrap());
    let elsewhere = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    elsewhere.migrate_up().await.unwrap();
    let claimed = accept(&elsewhere, &custody, &WorkerId::new(), "s1").await;
    let id = &claimed.provisioning.id;
    let escrow = Escrow::open(&dir.path().join("escrow")).unwrap();
    escrow.keep(id, token(&claimed, &custody, Scope::User, "user-token").as_ref().unwrap()).await.unwrap();
    let said = escrow.drain(&ledger, &custody).await.unwrap_err().to_string();
    assert_eq!(said, format!("this ledger has no provisioning {id}: the token belongs to another ledger"));
    assert_eq!(escrow.drain(&elsewhere, &custody).await.unwrap(), 1);
}

pub(crate) async fn a_token_that_comes_while_its_row_is_parked_is_not_left_beside_it(ledger: Ledger) {
    let (custody, owner) = (custody(), WorkerId::new());
    let claimed = accept(&ledger, &custody, &owner, "s1").await;
    written(&ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let now = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    // This worker has looked for a token and found none; then one comes, and then it parks.
    let late = token(&claimed, &custody, Scope::User, "late-token").unwrap();
    ledger.keep_credential(&claimed.provisioning.id, late).await.unwrap();
    written(&ledger, entry(&now, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;
    let row = row(&ledger, "s1").await;
    assert_eq!((row.state, row.parked_reason), (State::Unknown, None));
}

pub(crate) async fn a_token_of_an_earlier_key_resumes_nothing(ledger: Ledger) {
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
