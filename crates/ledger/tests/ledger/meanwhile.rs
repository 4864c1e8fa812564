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

use foxden_ledger::{Ledger, Pause, Scope, Sent, Step, StepIn, WorkerId};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement, TransactionTrait as _};
use tokio::runtime::Runtime;

use crate::{
    batches::{made_store, made_user},
    support::{accept, custody, row, token, written},
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
