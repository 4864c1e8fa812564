//! What happens on PostgreSQL between the moment at which a batch reads its rows and the one at which it writes them.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use foxden_ledger::{Ledger, Next, ParkedReason, Pause, Recorded, Scope, Sent, Step, StepIn, WorkerId};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _};
use tokio::runtime::Runtime;

use crate::{
    batches::{At, Gate, made_store, made_user, occupy, start},
    support::{LEASE, accept, custody, entry, meddle, row, token, written},
};

/// Lets another process do something between the moment at which a batch has read its rows and the one at which it
/// writes them.
struct Between {
    meddling: Mutex<Option<Meddling>>,
    inserts: AtomicUsize,
}

/// Runs in a thread of its own. The batch waits until it says that it is done, and it may do more after that.
type Meddling = Box<dyn FnOnce(mpsc::Sender<()>) + Send>;

impl Between {
    fn new<F: Future<Output = ()>>(meddle: impl FnOnce(mpsc::Sender<()>) -> F + Send + 'static) -> Arc<Self> {
        let meddling: Meddling = Box::new(move |done| Runtime::new().unwrap().block_on(meddle(done)));
        Arc::new(Self { meddling: Mutex::new(Some(meddling)), inserts: AtomicUsize::new(0) })
    }
}

impl StepIn for Between {
    fn before(&self, _: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn after(&self, _: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn sent(&self, statement: Sent) {
        if statement.text().starts_with("INSERT INTO attempts") {
            self.inserts.fetch_add(1, Ordering::SeqCst);
        }
        if statement.text().starts_with("SELECT p.*")
            && let Some(meddling) = self.meddling.lock().unwrap().take()
        {
            let (done, told) = mpsc::channel();
            std::thread::spawn(move || meddling(done));
            told.recv().unwrap();
        }
    }
}

/// A worker that keeps a token: before it commits, it waits until another transaction waits for its row.
struct Keeping {
    done: mpsc::Sender<()>,
    url: String,
}

impl StepIn for Keeping {
    fn before(&self, _: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn after(&self, _: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn sent(&self, statement: Sent) {
        if statement.text().starts_with("INSERT INTO \"credentials\"") {
            self.done.send(()).unwrap();
            let url = self.url.clone();
            let wait = async move { something_waits_for_a_lock(&Database::connect(&url).await.unwrap()).await };
            std::thread::spawn(|| Runtime::new().unwrap().block_on(wait)).join().unwrap();
        }
    }
}

pub(crate) async fn a_token_that_is_committed_while_a_batch_waits_for_its_row_is_wiped_with_the_others(
    ledger: Ledger,
    url: &str,
) {
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let claimed = written(&ledger, made_user(&claimed, &custody)).await;
    let (id, url) = (claimed.provisioning.id.clone(), url.to_owned());
    let mut late = token(&claimed, &custody, Scope::User, "late-token").unwrap();
    late.intent = 7;
    let between = Between::new(async move |done| {
        let other = Ledger::connect(&url, 1).await.unwrap().with_steps(Arc::new(Keeping { done, url }));
        other.keep_credential(&id, late).await.unwrap();
    });
    let ledger = ledger.with_steps(between.clone());
    written(&ledger, made_store(&claimed, &custody)).await;
    let held = ledger.credentials(&claimed.provisioning.id).await.unwrap();
    assert_eq!(held.len(), 3);
    let is_wiped = |scope: Scope| held.iter().filter(|held| held.scope == scope).all(|held| held.sealed.is_none());
    assert!(is_wiped(Scope::User) && !is_wiped(Scope::Store));
}

/// Waits until a statement waits for another transaction.
async fn something_waits_for_a_lock(server: &DatabaseConnection) {
    loop {
        let waiting = "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) \
                       WHERE NOT granted AND datname = current_database()";
        let waiting = Statement::from_string(server.get_database_backend(), waiting);
        if server.query_one_raw(waiting).await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn a_row_that_changes_while_a_batch_waits_for_its_lock_is_looked_at_again(ledger: Ledger, url: &str) {
    let custody = custody();
    let claimed = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let url = url.to_owned();
    let between = Between::new(async move |done| {
        let server = Database::connect(&url).await.unwrap();
        let changes = server.begin().await.unwrap();
        changes.execute_unprepared("UPDATE provisionings SET account_id = 'meanwhile'").await.unwrap();
        done.send(()).unwrap();
        something_waits_for_a_lock(&server).await;
        changes.commit().await.unwrap();
    });
    let ledger = ledger.with_steps(between.clone());
    written(&ledger, made_user(&claimed, &custody)).await;
    assert_eq!(between.inserts.load(Ordering::SeqCst), 1, "a transaction has not written it");
    let row = row(&ledger, "s1").await;
    assert_eq!((row.step, row.account_id.as_deref()), (Step::Store, Some("meanwhile")));
}

pub(crate) async fn what_one_statement_has_recorded_is_answered_before_a_transaction_begins(ledger: Ledger, _: &str) {
    let custody = custody();
    let at_once = accept(&ledger, &custody, &WorkerId::new(), "s1").await;
    let parks = accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let parked = entry(&parks, Next::Parked { reason: ParkedReason::DomainTaken, detail: None });
    let gate = Gate::new(0, false);
    let ledger = ledger.with_steps(Arc::new(At(gate.clone())));
    let mut occupied = occupy(&ledger, &custody, &gate).await;
    let mut running = start(&ledger, vec![made_user(&at_once, &custody), parked]).await;
    // For those that occupy the writers, and for the statement.
    gate.open.add_permits(4);
    let (second, first) = (running.pop().unwrap(), running.pop().unwrap());
    assert!(matches!(first.await.unwrap(), Ok(Recorded::Written(_))));
    assert!(!second.is_finished());
    gate.open.add_permits(1);
    assert!(matches!(second.await.unwrap(), Ok(Recorded::Written(_))));
    while occupied.join_next().await.is_some() {}
}

pub(crate) async fn a_lease_that_passes_on_while_its_renewal_waits_for_the_row_is_not_renewed(
    ledger: Ledger,
    url: &str,
) {
    let (custody, owner) = (custody(), WorkerId::new());
    let lost = accept(&ledger, &custody, &owner, "lost").await;
    let kept = accept(&ledger, &custody, &owner, "kept").await;
    let server = Database::connect(url).await.unwrap();
    let takes = server.begin().await.unwrap();
    takes.execute_unprepared("UPDATE provisionings SET lease_owner = 'w' WHERE signup_id = 'lost'").await.unwrap();
    let leases = [lost.lease, kept.lease];
    let renewing = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.renew(&owner, &leases, LEASE).await.unwrap() }
    });
    something_waits_for_a_lock(&server).await;
    takes.commit().await.unwrap();
    let renewed = renewing.await.unwrap();
    assert_eq!(renewed.iter().map(|lease| &lease.id).collect::<Vec<_>>(), [&kept.provisioning.id]);
}

pub(crate) async fn a_batch_that_is_rolled_back_in_a_deadlock_is_written_after_it(ledger: Ledger, url: &str) {
    let custody = custody();
    // PostgreSQL looks for a deadlock once, after this time. So the batch does, surely in one by then, and not the
    // other.
    let looks = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''5s''', current_database()); \
                 END $$";
    meddle(url, looks).await;
    ledger.close().await.unwrap();
    let ledger = Ledger::connect(url, 8).await.unwrap();
    let mut rows = Vec::new();
    for number in 0..2 {
        rows.push(accept(&ledger, &custody, &WorkerId::new(), &format!("s{number}")).await);
    }
    let entries: Vec<_> = rows.iter().map(|row| made_user(row, &custody)).collect();
    rows.sort_by(|one, other| one.provisioning.id.as_str().cmp(other.provisioning.id.as_str()));
    let change = |at: usize| {
        let id = rows[at].provisioning.id.as_str();
        format!("UPDATE provisionings SET account_id = 'meanwhile' WHERE id = '{id}'")
    };
    let gate = Gate::new(0, false);
    let ledger = ledger.with_steps(Arc::new(At(gate.clone())));
    let mut occupied = occupy(&ledger, &custody, &gate).await;
    let running = start(&ledger, entries).await;

    let server = Database::connect(url).await.unwrap();
    let changes = server.begin().await.unwrap();
    changes.execute_unprepared("SET LOCAL deadlock_timeout = '60s'").await.unwrap();
    changes.execute_unprepared(&change(1)).await.unwrap();
    gate.open.add_permits(100);
    something_waits_for_a_lock(&server).await;
    changes.execute_unprepared(&change(0)).await.unwrap();
    changes.commit().await.unwrap();
    for one in running {
        let answer = one.await.unwrap();
        assert!(matches!(answer, Ok(Recorded::Written(_))), "{answer:?}");
    }
    while occupied.join_next().await.is_some() {}
    for number in 0..2 {
        let row = row(&ledger, &format!("s{number}")).await;
        assert_eq!((row.step, row.account_id.as_deref()), (Step::Store, Some("meanwhile")));
    }
}
