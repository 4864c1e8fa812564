//! Connections that are used only for as long as they can be trusted.
//!
//! What a library says of a connection is not what the database knows of it. After SQLITE_FULL SQLite may have rolled
//! back by itself while sqlx still counts an open transaction; its later commits then end savepoints of a transaction
//! that never ends. A PostgreSQL session stays read-only when its server no longer is. A silent network answers
//! nothing at all. So a connection on which anything but a *row's own* error happened is closed and never used again,
//! whatever is said of it. All statements and transactions of the ledger pass here (decision 0021).

mod held;
mod transaction;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _, sqlx::postgres::PgConnectOptions,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    diagnosis,
    error::{Trust, trust_after},
    explain::Sent,
    step_in::StepIn,
};

pub(crate) use self::{held::Held, transaction::Transaction};

/// How long closing a connection in good order may take. It is gone for us already.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a pool of one connection, which is opened when it is first used.
pub(crate) type Open = Box<dyn Fn() -> DatabaseConnection + Send + Sync>;

/// The ledger's connections to its database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    backend: DbBackend,
    open: Open,
    /// How long a statement may be unanswered; `None`: as long as it takes.
    patience: Option<Duration>,
    /// How long to wait for a connection that is not lent.
    wait: Duration,
    size: u32,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Kept>>,
    /// Connections that were opened under an earlier one are not used again.
    generation: AtomicU64,
    /// Since when nothing was answered, if that is so.
    silent_since: Mutex<Option<Instant>>,
    /// Where the server is; not set for a file.
    server: OnceLock<PgConnectOptions>,
    /// A test that is shown every statement.
    watch: OnceLock<Arc<dyn StepIn>>,
}

/// A connection that no one uses right now.
struct Kept {
    db: DatabaseConnection,
    generation: u64,
}

/// A connection in use. Unless it is given back, it is closed.
struct Lent {
    shared: Arc<Shared>,
    kept: Option<Kept>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `size` connections; `first` is open already.
    pub(crate) fn new(
        first: DatabaseConnection,
        size: u32,
        wait: Duration,
        patience: Option<Duration>,
        open: Open,
    ) -> Self {
        let backend = first.get_database_backend();
        Self(Arc::new(Shared {
            backend,
            open,
            patience,
            wait,
            size,
            places: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::new(vec![Kept { db: first, generation: 0 }]),
            generation: AtomicU64::new(0),
            silent_since: Mutex::new(None),
            server: OnceLock::new(),
            watch: OnceLock::new(),
        }))
    }

    /// Begins a write transaction. `IMMEDIATE` on SQLite: a deferred one that reads first fails at once under a second
    /// writer, whatever the busy timeout.
    pub(crate) async fn begin(&self) -> Result<Transaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let lent = self.lend().await?;
        match self.0.bounded(lent.db().begin_with_options(options)).await {
            Ok(inner) => Ok(Transaction::new(inner, lent)),
            Err(error) => {
                self.0.judge(&error);
                Err(error)
            }
        }
    }

    /// Shows every statement to a test, once it is answered. The first one to ask for that is shown them.
    pub(crate) fn show_to(&self, watch: Arc<dyn StepIn>) {
        drop(self.0.watch.set(watch));
    }

    /// The same, knowing where the server is.
    pub(crate) fn of_server(self, server: PgConnectOptions) -> Self {
        drop(self.0.server.set(server));
        self
    }

    /// For how long nothing has been answered, if that is so by the latest that was asked.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        lock(&self.0.silent_since).map(|since| since.elapsed())
    }

    /// Whether there is an answer to a connection of its own, if only that there is no server. An answer ends the
    /// silence.
    pub(crate) async fn answers(&self) -> bool {
        let Some(server) = self.0.server.get() else { return true };
        let answers = diagnosis::look(server).await.answers;
        if answers {
            *lock(&self.0.silent_since) = None;
        }
        answers
    }

    /// Waits for what is under way, then closes every connection. Nothing can be asked afterwards.
    pub(crate) async fn close(&self) -> Result<(), DbErr> {
        let all = self.0.places.clone().acquire_many_owned(self.0.size).await;
        self.0.places.close();
        drop(all);
        let idle = std::mem::take(&mut *lock(&self.0.idle));
        for kept in idle {
            kept.db.close().await?;
        }
        Ok(())
    }

    async fn lend(&self) -> Result<Lent, DbErr> {
        let place = match tokio::time::timeout(self.0.wait, self.0.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        };
        let generation = self.0.generation.load(Ordering::SeqCst);
        let kept = loop {
            // The one that was used last is the least likely to have been closed meanwhile.
            let popped = lock(&self.0.idle).pop();
            match popped {
                None => break Kept { db: (self.0.open)(), generation },
                Some(kept) if kept.generation == generation => break kept,
                Some(old) => discard(old),
            }
        };
        Ok(Lent { shared: self.0.clone(), kept: Some(kept), _place: place })
    }

    /// Runs one statement on a connection of its own.
    async fn one<T>(&self, run: impl AsyncFnOnce(&DatabaseConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        let lent = self.lend().await?;
        self.0.announce();
        let answer = self.0.bounded(run(lent.db())).await;
        match &answer {
            Ok(_) => lent.give_back(),
            Err(error) if self.0.judge(error) == Trust::Kept => lent.give_back(),
            // Dropped, it is closed.
            Err(_) => {}
        }
        answer
    }
}

impl Shared {
    /// Waits no longer than a statement may be unanswered. What is dropped then leaves its connection in an unknown
    /// state.
    async fn bounded<T>(&self, run: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let answer = match self.patience {
            None => run.await,
            Some(patience) => tokio::time::timeout(patience, run).await.unwrap_or_else(|_| {
                // The others were opened over the same network.
                self.generation.fetch_add(1, Ordering::SeqCst);
                Err(DbErr::Conn(RuntimeErr::Internal("no answer in time".to_owned())))
            }),
        };
        let mut silent_since = lock(&self.silent_since);
        match &answer {
            Err(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)) => {
                silent_since.get_or_insert_with(Instant::now);
            }
            Ok(_) | Err(_) => *silent_since = None,
        }
        answer
    }

    /// Shows a test that a statement is about to be sent.
    fn announce(&self) {
        if let Some(watch) = self.watch.get() {
            watch.sending();
        }
    }

    /// Runs a statement in sight of a test, if there is one.
    async fn seen<T>(
        &self,
        statement: Statement,
        run: impl AsyncFnOnce(Statement) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        let Some(watch) = self.watch.get() else { return run(statement).await };
        let (shown, asked_at) = (statement.clone(), Instant::now());
        let answer = run(statement).await;
        watch.sent(Sent::new(&shown, asked_at.elapsed()));
        answer
    }

    /// How far its connection, and all others, can be trusted after this error.
    fn judge(&self, error: &DbErr) -> Trust {
        let trust = trust_after(error);
        if trust == Trust::NoneOfAll {
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        trust
    }
}

impl Lent {
    fn db(&self) -> &DatabaseConnection {
        &self.kept.as_ref().expect("it is there until it is given back").db
    }

    fn give_back(mut self) {
        let kept = self.kept.take().expect("it is there until it is given back");
        if kept.generation == self.shared.generation.load(Ordering::SeqCst) {
            lock(&self.shared.idle).push(kept);
        } else {
            discard(kept);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            discard(kept);
        }
    }
}

/// Closes a connection for good. Best effort: not awaited, and not for long. Nothing can reach it any more.
fn discard(kept: Kept) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { drop(tokio::time::timeout(CLOSE_TIMEOUT, kept.db.close()).await) });
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        self.0.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.one(async |db| self.0.seen(statement, async |statement| db.execute_raw(statement).await).await).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.one(async |db| db.execute_unprepared(sql).await).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.one(async |db| self.0.seen(statement, async |statement| db.query_one_raw(statement).await).await).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.one(async |db| self.0.seen(statement, async |statement| db.query_all_raw(statement).await).await).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one assignment; a panic elsewhere can't leave it half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
