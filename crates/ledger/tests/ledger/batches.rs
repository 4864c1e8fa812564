//! The rules of batches: what waits at the same moment is committed together, and each caller hears what is its own.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foxden_custody::Custody;
use foxden_ledger::{
    Accepted, Claimed, Entry, Facts, Ledger, Next, OutcomeData, OutcomeEvent, OutcomeKind, Pause, Recorded, Scope,
    Sent, State, Step, StepIn, WorkerId,
};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use tokio::sync::Semaphore;

use crate::support::{LEASE, accept, custody, entry, meddle, row, signup, token, written};

/// Holds batches up where they were closed, and counts.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) open: Semaphore,
    closed: AtomicUsize,
    statements: AtomicUsize,
    loses_answers: bool,
}

impl Gate {
    pub(crate) fn new(permits: usize, loses_answers: bool) -> Arc<Self> {
        let open = Semaphore::new(permits);
        Arc::new(Self { open, closed: AtomicUsize::new(0), statements: AtomicUsize::new(0), loses_answers })
    }
}

pub(crate) struct At(pub(crate) Arc<Gate>);

impl StepIn for At {
    fn before(&self, operation: &'static str) -> Pause {
        let gate = self.0.clone();
        Box::pin(async move {
            if operation == "batch" {
                gate.closed.fetch_add(1, Ordering::SeqCst);
                gate.open.acquire().await.unwrap().forget();
            }
            ControlFlow::Continue(())
        })
    }

    fn after(&self, operation: &'static str) -> Pause {
        let is_lost = self.0.loses_answers && operation == "batch";
        Box::pin(async move { if is_lost { ControlFlow::Break(()) } else { ControlFlow::Continue(()) } })
    }

    fn sent(&self, _statement: Sent) {
        self.0.statements.fetch_add(1, Ordering::SeqCst);
    }
}

/// How many batches the ledger writes side by side on PostgreSQL.
const WRITERS: u64 = 3;

/// As many batches as the ledger writes side by side wait where they were closed: whatever comes now is one batch. Each
/// is of one operation, for which the writers at work took too long.
pub(crate) async fn occupy(ledger: &Ledger, custody: &Custody, gate: &Arc<Gate>) -> tokio::task::JoinSet<()> {
    let mut occupied = tokio::task::JoinSet::new();
    let writers = if ledger.is_embedded() { 1 } else { WRITERS };
    for number in 0..writers {
        let (ledger, first) = (ledger.clone(), signup(custody, &format!("occupies-{number}")));
        occupied.spawn(async move { drop(ledger.accept_queued(vec![first]).await) });
        let begins = async {
            while gate.closed.load(Ordering::SeqCst) as u64 <= number {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), begins).await.expect("a writer begins");
    }
    occupied
}

/// Starts recording; answers once all of them wait.
pub(crate) async fn start(
    ledger: &Ledger,
    entries: Vec<Entry>,
) -> Vec<tokio::task::JoinHandle<Result<Recorded, String>>> {
    let mut running = Vec::new();
    for entry in entries {
        let waiting = ledger.waiting_operations();
        let recorder = ledger.clone();
        running.push(tokio::spawn(async move { recorder.record(entry).await.map_err(|error| error.to_string()) }));
        while ledger.waiting_operations() == waiting {
            tokio::task::yield_now().await;
        }
    }
    running
}

pub(crate) fn made_user(claimed: &Claimed, custody: &Custody) -> Entry {
    let mut made = entry(claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    made.credential = token(claimed, custody, Scope::User, "user-token");
    let user_uri = Some("https://api.foxycart.com/users/1".to_owned());
    made.facts = Facts { user_uri, store_domain: Some("engines".into()), ..Facts::default() };
    made
}

pub(crate) fn made_store(claimed: &Claimed, custody: &Custody) -> Entry {
    let mut made = entry(claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    made.credential = token(claimed, custody, Scope::Store, "store-token");
    made.facts.store_uri = Some("https://api.foxycart.com/stores/1".into());
    let signup_id = claimed.provisioning.signup_id.to_string();
    let data = OutcomeData { signup_id, ..OutcomeData::default() };
    made.event = Some(OutcomeEvent { kind: OutcomeKind::Provisioned, data });
    made
}

async fn accepted(ledger: &Ledger, custody: &Custody, count: usize) -> Vec<Claimed> {
    let owner = WorkerId::new();
    let mut claimed = Vec::new();
    for number in 0..count {
        claimed.push(accept(ledger, custody, &owner, &format!("s{number}")).await);
    }
    claimed
}

pub(crate) async fn each_entry_of_a_batch_has_the_answer_that_is_its_own(ledger: Ledger) {
    let custody = custody();
    let rows = accepted(&ledger, &custody, 6).await;
    // The worker of the third has lost its lease to another one.
    let lost = made_user(&rows[2], &custody);
    let mut by_another =
        entry(&rows[2], Next::Parked { reason: foxden_ledger::ParkedReason::StoreUnclear, detail: None });
    by_another.attempt.kind = foxden_ledger::AttemptKind::Lookup;
    written(&ledger, by_another).await;
    // The fourth was recorded before, and its answer was lost.
    let known = made_user(&rows[3], &custody);
    written(&ledger, known.clone()).await;
    // The fifth comes twice in one batch; the sixth parks.
    let twice = made_user(&rows[4], &custody);
    let parked = entry(&rows[5], Next::Parked { reason: foxden_ledger::ParkedReason::DomainTaken, detail: None });
    let mut foreign = made_user(&rows[0], &custody);
    foreign.lease.id = foxden_ledger::ProvisioningId::new();

    let gate = Gate::new(0, false);
    let ledger = ledger.with_steps(Arc::new(At(gate.clone())));
    let mut occupied = occupy(&ledger, &custody, &gate).await;
    let entries = vec![
        made_user(&rows[0], &custody),
        made_user(&rows[1], &custody),
        lost,
        known,
        twice.clone(),
        twice,
        parked,
        foreign,
    ];
    let running = start(&ledger, entries).await;
    let commits = ledger.commits();
    gate.open.add_permits(100);
    let mut answers = Vec::new();
    for one in running {
        answers.push(one.await.unwrap());
    }
    while occupied.join_next().await.is_some() {}
    let writers = if ledger.is_embedded() { 1 } else { WRITERS };
    // On PostgreSQL a transaction writes only those that one statement can't.
    let commits_of_batch = if ledger.is_embedded() { 1 } else { 2 };
    assert_eq!(ledger.commits() - commits, commits_of_batch + writers, "they were not one batch");

    for (at, answer) in answers.iter().enumerate() {
        match (at, answer) {
            (0 | 1 | 3 | 4 | 5, Ok(Recorded::Written(claimed))) => {
                assert_eq!((claimed.provisioning.step, claimed.provisioning.intents), (Step::Store, 2), "{at}");
            }
            (6, Ok(Recorded::Written(claimed))) => assert_eq!(claimed.provisioning.state, State::Parked),
            (2, Ok(Recorded::LeaseLost)) => {}
            (7, Err(error)) => assert!(error.contains("no provisioning"), "{error}"),
            (at, answer) => panic!("{at}: {answer:?}"),
        }
    }
    for (at, claimed) in rows.iter().enumerate() {
        let held = ledger.credentials(&claimed.provisioning.id).await.unwrap();
        assert_eq!(held.len(), usize::from(at != 5), "{at}");
        let evidence = ledger.attempts(&claimed.provisioning.id).await.unwrap();
        assert_eq!(evidence.len(), if at == 2 { 2 } else { 1 }, "{at}");
    }
}

/// The database refuses a row with this domain.
const REFUSING: [&str; 2] = [
    "CREATE TRIGGER refusing BEFORE UPDATE ON provisionings WHEN NEW.store_domain = 'refused' \
     BEGIN SELECT RAISE(ABORT, 'refused'); END",
    "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '23514'; END $$ \
     LANGUAGE plpgsql; CREATE TRIGGER refusing BEFORE UPDATE ON provisionings FOR EACH ROW \
     WHEN (NEW.store_domain = 'refused') EXECUTE FUNCTION refuse()",
];

pub(crate) async fn an_error_that_a_row_has_caused_is_that_row_s_alone(ledger: Ledger, url: &str) {
    let custody = custody();
    let rows = accepted(&ledger, &custody, 9).await;
    meddle(url, REFUSING[usize::from(!ledger.is_embedded())]).await;
    let mut entries: Vec<Entry> = rows.iter().map(|row| made_user(row, &custody)).collect();
    entries[5].facts.store_domain = Some("refused".into());
    let gate = Gate::new(0, false);
    let ledger = ledger.with_steps(Arc::new(At(gate.clone())));
    let mut occupied = occupy(&ledger, &custody, &gate).await;
    let running = start(&ledger, entries).await;
    gate.open.add_permits(100);
    for (at, one) in running.into_iter().enumerate() {
        let answer = one.await.unwrap();
        assert_eq!(answer.is_err(), at == 5, "{at}: {answer:?}");
    }
    while occupied.join_next().await.is_some() {}
    for at in 0..9 {
        let step = if at == 5 { Step::User } else { Step::Store };
        assert_eq!(row(&ledger, &format!("s{at}")).await.step, step, "{at}");
    }
}

pub(crate) async fn a_user_s_token_that_comes_with_the_end_is_wiped_with_the_others(ledger: Ledger) {
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let claimed = written(&ledger, made_user(&claimed, &custody)).await;
    let mut ended = made_store(&claimed, &custody);
    ended.credential = token(&claimed, &custody, Scope::User, "renewed-token");
    written(&ledger, ended).await;
    let held = ledger.credentials(&claimed.provisioning.id).await.unwrap();
    assert_eq!(held.len(), 2);
    assert!(held.iter().all(|held| held.sealed.is_none()), "{held:?}");
}

pub(crate) async fn answers_that_are_lost_are_given_when_they_are_asked_for_again(ledger: Ledger) {
    let custody = custody();
    let rows = accepted(&ledger, &custody, 3).await;
    let entries: Vec<Entry> = rows.iter().map(|row| made_user(row, &custody)).collect();
    let gate = Gate::new(100, true);
    let losing = ledger.clone().with_steps(Arc::new(At(gate)));
    let (new, owner) = (signup(&custody, "new"), WorkerId::new());
    for entry in &entries {
        assert!(losing.record(entry.clone()).await.unwrap_err().is_passing());
    }
    assert!(losing.accept_leased(new.clone(), &owner, LEASE).await.unwrap_err().is_passing());
    for entry in entries {
        assert_eq!(written(&ledger, entry).await.provisioning.intents, 2);
    }
    let again = ledger.accept_leased(new, &owner, LEASE).await.unwrap();
    assert!(matches!(again, Accepted::Leased(_)), "{again:?}");
}

/// How much is written: rows that were inserted, updated or deleted, in all tables. Each process of the server says
/// so when it ends, so the ledger has to be closed.
async fn row_versions(url: &str) -> f64 {
    let server = Database::connect(url).await.unwrap();
    let counted = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 AS rows FROM pg_stat_user_tables";
    let row = server.query_one_raw(Statement::from_string(server.get_database_backend(), counted)).await.unwrap();
    server.close().await.unwrap();
    row.unwrap().try_get("", "rows").unwrap()
}

pub(crate) async fn a_signup_under_load_costs_few_statements_and_a_fraction_of_a_commit(ledger: Ledger, url: &str) {
    const SIGNUPS: usize = 320;
    const AT_ONCE: usize = 64;
    let custody = custody();
    let is_embedded = ledger.is_embedded();
    ledger.close().await.unwrap();
    let before = if is_embedded { 0.0 } else { row_versions(url).await };
    let gate = Gate::new(1_000_000, false);
    let ledger = Ledger::connect(url, 8).await.unwrap().with_steps(Arc::new(At(gate.clone())));
    let (owner, places) = (WorkerId::new(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..SIGNUPS {
        let (ledger, custody, owner, places) = (ledger.clone(), custody.clone(), owner.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let claimed = accept(&ledger, &custody, &owner, &format!("load-{number}")).await;
            let claimed = written(&ledger, made_user(&claimed, &custody)).await;
            written(&ledger, made_store(&claimed, &custody)).await
        });
    }
    for claimed in running.join_all().await {
        assert!(claimed.provisioning.is_provisioned());
    }
    loop {
        let told = ledger.waiting_events(100).await.unwrap();
        if told.is_empty() {
            break;
        }
        ledger.mark_published(told.iter().map(|event| event.seq).collect()).await.unwrap();
    }
    let a_signup = |all: f64| all / SIGNUPS as f64;
    let commits = a_signup(ledger.commits() as f64);
    let statements = a_signup(gate.statements.load(Ordering::SeqCst) as f64);
    ledger.close().await.unwrap();
    let rows = if is_embedded { 0.0 } else { a_signup(row_versions(url).await - before) };
    let cost = format!("a signup cost {commits:.3} commits, {statements:.3} statements, {rows:.2} row versions");
    assert!(commits <= 0.3 && statements <= 4.0 && rows <= 12.0, "{cost}");
}
