use std::{path::Path, time::Duration};

use foxden_vault::{Fingerprint, Sealed};
use sea_orm::{ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _};
use tokio::{sync::oneshot, time::Instant};

use super::{Accepting, Work};
use crate::{
    accept::{Accepted, NewSignup},
    connect::Ledger,
    entity::{attempt, credential, provisioning},
    ids::{AttemptId, ProvisioningId, SignupId, WorkerId},
    provisioning::Claimed,
    record::{Attempt, Entry, Facts, NewCredential, Next, Recorded},
    state::{AttemptKind, AttemptOutcome, Scope, Source, Step},
};

const LEASE: Duration = Duration::from_secs(60);
const SIGNUPS: usize = 40;

async fn open(dir: &Path) -> Ledger {
    Ledger::connect(&format!("sqlite:{}/ledger.db", dir.display()), 1).await.unwrap()
}

fn signups() -> Vec<NewSignup> {
    let signup = |number| NewSignup {
        id: ProvisioningId::new(),
        signup_id: SignupId::parse(&format!("s{number}")).unwrap(),
        account_id: None,
        source: Source::Submit,
        payload: sealed(2_000),
        fingerprint: Fingerprint::from_bytes(&[7; Fingerprint::LEN]).unwrap(),
    };
    (0..SIGNUPS).map(signup).collect()
}

fn sealed(length: usize) -> Sealed {
    Sealed::from_bytes([b"FXD1".to_vec(), vec![7; length]].concat()).unwrap()
}

fn made_user(claimed: &Claimed) -> Entry {
    Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: Step::User,
            intent: 1,
            natural_key: None,
            took: Duration::ZERO,
            outcome: AttemptOutcome::Done,
            http_status: Some(201),
            logref: None,
            note: None,
        },
        credential: Some(NewCredential {
            scope: Scope::User,
            intent: 1,
            resource_uri: None,
            client: None,
            sealed: sealed(2_000),
        }),
        facts: Facts::default(),
        refused_token: None,
        shared_user: None,
        next: Next::InFlight { step: Step::Store, lease: LEASE },
        event: None,
    }
}

/// Room for nothing more on this connection; the next one has all the room there is.
async fn fill(ledger: &Ledger) {
    ledger.db.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
}

/// All at once. On one thread each waits before the first batch is closed, so they are one batch.
async fn all<T: Send + 'static>(operations: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let running: Vec<_> = operations.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for one in running {
        answers.push(one.await.unwrap());
    }
    answers
}

/// How many signups, tokens and pieces of evidence a connection of another process reads.
async fn read_elsewhere(dir: &Path) -> (u64, u64, u64) {
    let other = open(dir).await;
    let signups = provisioning::Entity::find().count(&other.db).await.unwrap();
    let tokens = credential::Entity::find().count(&other.db).await.unwrap();
    let evidence = attempt::Entity::find().count(&other.db).await.unwrap();
    other.close().await.unwrap();
    (signups, tokens, evidence)
}

#[tokio::test]
async fn a_disk_that_is_full_in_the_middle_of_a_batch_keeps_none_of_it_and_loses_none_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path()).await;
    ledger.migrate_up().await.unwrap();
    let (owner, signups) = (WorkerId::new(), signups());
    let all_of_them = SIGNUPS as u64;
    let accept = |signup: NewSignup| {
        let (ledger, owner) = (ledger.clone(), owner.clone());
        async move { ledger.accept_leased(signup, &owner, LEASE).await }
    };

    fill(&ledger).await;
    for answer in all(signups.iter().cloned().map(accept).collect()).await {
        assert!(answer.unwrap_err().is_passing());
    }
    assert_eq!(read_elsewhere(dir.path()).await, (0, 0, 0));
    let mut claimed = Vec::new();
    for answer in all(signups.iter().cloned().map(accept).collect()).await {
        let Accepted::Leased(leased) = answer.unwrap() else { panic!("it is new") };
        claimed.push(leased);
    }
    assert_eq!(read_elsewhere(dir.path()).await, (all_of_them, 0, 0));

    let record = |entry: Entry| {
        let ledger = ledger.clone();
        async move { ledger.record(entry).await }
    };
    let entries: Vec<Entry> = claimed.iter().map(|claimed| made_user(claimed)).collect();
    fill(&ledger).await;
    for answer in all(entries.iter().cloned().map(record).collect()).await {
        assert!(answer.unwrap_err().is_passing());
    }
    assert_eq!(read_elsewhere(dir.path()).await, (all_of_them, 0, 0));
    for answer in all(entries.iter().cloned().map(record).collect()).await {
        assert!(matches!(answer.unwrap(), Recorded::Written(_)));
    }
    assert_eq!(read_elsewhere(dir.path()).await, (all_of_them, all_of_them, all_of_them));
}

#[tokio::test]
async fn an_operation_is_written_whose_caller_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path()).await;
    ledger.migrate_up().await.unwrap();
    let (reply, gone) = oneshot::channel();
    drop(gone);
    ledger.gather(Work::Accept(Accepting { signups: signups(), lease: None, asked_at: Instant::now() }, reply));
    // One that comes after it is answered after it.
    let later = NewSignup { signup_id: SignupId::parse("later").unwrap(), ..signups().swap_remove(0) };
    assert!(matches!(ledger.accept_queued(vec![later]).await.unwrap()[..], [Accepted::Queued]));
    assert_eq!(read_elsewhere(dir.path()).await, (SIGNUPS as u64 + 1, 0, 0));
}
