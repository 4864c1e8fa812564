//! Connecting: one code path to SQLite and PostgreSQL, and the clock both agree on.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{Expr, SimpleExpr},
};

use crate::{
    batches::Gathering,
    connections::{Connections, Transaction},
    database_url::{DatabaseUrl, DatabaseUrlError},
    error::LedgerError,
    pool,
    step_in::{StepIn, Steps, between},
};

/// No operation takes longer, or the database counts as away: a host that is gone answers nothing, not even an error.
/// Longer than SQLite's waiting for another process.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// The database: the truth about every provisioning.
///
/// Cheap to clone. Every write happens in a task of its own that is never cancelled half-way, so dropping one of its
/// futures is safe: the write then ends unobserved. (sqlx may hand back a connection with an open transaction when a
/// `begin` is cancelled: transact-rs/sqlx issue 4385.)
#[derive(Clone)]
pub struct Ledger {
    pub(crate) db: Connections,
    clock: Clock,
    /// The template that users' emails are made of from now on.
    pub(crate) mailbox: Option<Arc<str>>,
    commits: Arc<AtomicU64>,
    steps: Steps,
    /// Operations that wait for a batch. It is written by this ledger's settings, so a ledger of others has its own.
    pub(crate) gathering: Gathering,
}

/// Whose time it is. Every time in the ledger comes from one clock: the database's.
#[derive(Clone)]
enum Clock {
    Database,
    Manual(Arc<AtomicI64>),
}

/// A clock that a test moves by hand, in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows this time until moved.
    pub fn new(epoch_ms: i64) -> Self {
        Self(Arc::new(AtomicI64::new(epoch_ms)))
    }

    /// What it shows, in milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the clock back, as time servers do.
    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(millis(by), Ordering::SeqCst);
    }
}

/// A duration as the ledger counts it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

impl Ledger {
    /// Connects to `sqlite:PATH`, `sqlite::memory:` or `postgres://…`: see [`DatabaseUrl`] and [`Ledger::open`].
    ///
    /// # Errors
    /// [`LedgerError::Url`] for a URL that can't be used, else as [`Ledger::open`].
    pub async fn connect(url: &str, pool: u32) -> Result<Self, LedgerError> {
        Self::open(&DatabaseUrl::parse(url)?, pool).await
    }

    /// Connects with at most `pool` connections (PostgreSQL).
    ///
    /// SQLite gets one connection whatever `pool` says: its writers wait for each other anyway, and unfairly
    /// (0.7 s at worst with several), while one connection does some 2,000 transactions a second.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if nothing answers, [`LedgerError::Shut`] if it does not let us in.
    pub async fn open(url: &DatabaseUrl, pool: u32) -> Result<Self, LedgerError> {
        let db = pool::open(url, pool).await?;
        Ok(Self {
            db,
            clock: Clock::Database,
            mailbox: None,
            commits: Arc::default(),
            steps: None,
            gathering: Gathering::default(),
        })
    }

    /// Makes an empty database on a PostgreSQL server and connects to it: for tests, each of which wants one of its own.
    ///
    /// # Errors
    /// When the server does not answer or refuses, or the name is not of letters, digits and underscores.
    pub async fn create_database(server: &str, name: &str) -> Result<Self, LedgerError> {
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            return Err(DatabaseUrlError::Database.into());
        }
        let mut url = url::Url::parse(server).map_err(|_| DatabaseUrlError::Form)?;
        let admin = Self::connect(server, 1).await?;
        admin.db.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
        admin.close().await?;
        url.set_path(name);
        Self::connect(url.as_str(), 8).await
    }

    /// The same ledger under a clock that a test moves.
    #[must_use]
    pub fn with_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Clock::Manual(clock.0.clone());
        self.gathering = Gathering::default();
        self
    }

    /// The same ledger, which writes this template into the intent of every user's create call: see
    /// [`Provisioning::mailbox`](crate::Provisioning::mailbox).
    #[must_use]
    pub fn with_mailbox(mut self, template: &str) -> Self {
        self.mailbox = Some(template.into());
        self.gathering = Gathering::default();
        self
    }

    /// The same ledger with a test that steps into each of its operations.
    #[must_use]
    pub fn with_steps(mut self, steps: Arc<dyn StepIn>) -> Self {
        self.db.show_to(steps.clone());
        self.steps = Some(steps);
        self.gathering = Gathering::default();
        self
    }

    /// Whether this is the embedded database, which one machine has for itself.
    pub fn is_embedded(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Sqlite
    }

    /// For how long the database has answered nothing at all, if that is so by the latest that was asked of it. An error that
    /// it reports is an answer.
    pub fn silent_for(&self) -> Option<Duration> {
        self.db.silent_for()
    }

    /// Whether the database answers a new connection, if only by refusing it; a file always does. Takes up to some seconds.
    pub async fn answers(&self) -> bool {
        self.db.answers().await
    }

    pub(crate) fn steps(&self) -> Steps {
        self.steps.clone()
    }

    /// How many write transactions this process has committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Now, as an expression: milliseconds since the epoch by the database's clock.
    pub(crate) fn now(&self) -> SimpleExpr {
        match &self.clock {
            Clock::Manual(time) => Expr::val(time.load(Ordering::SeqCst)),
            Clock::Database => Expr::cust(self.database_clock()),
        }
    }

    /// The same as text, for a statement that is put together by hand.
    pub(crate) fn now_text(&self) -> String {
        match &self.clock {
            Clock::Manual(time) => format!("CAST({} AS BIGINT)", time.load(Ordering::SeqCst)),
            Clock::Database => self.database_clock().to_owned(),
        }
    }

    fn database_clock(&self) -> &'static str {
        match self.db.get_database_backend() {
            DbBackend::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            _ => "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Now, as a number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now_ms(&self) -> Result<i64, LedgerError> {
        use sea_orm::sea_query::{Alias, Query};
        let query = Query::select().expr_as(self.now(), Alias::new("now")).to_owned();
        let ledger = self.clone();
        self.detached("now_ms", async move {
            let row =
                ledger.db.query_one(&query).await?.ok_or_else(|| LedgerError::unavailable("no row for the time"))?;
            Ok(row.try_get("", "now")?)
        })
        .await
    }

    /// Begins a write transaction.
    pub(crate) async fn begin(&self) -> Result<Transaction, LedgerError> {
        Ok(self.db.begin().await?)
    }

    /// Commits and counts.
    pub(crate) async fn commit(&self, txn: Transaction) -> Result<(), LedgerError> {
        txn.commit().await?;
        self.count_commit();
        Ok(())
    }

    /// Counts a statement that committed by itself.
    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs database work in a task of its own, so that nobody's cancellation can cut it in half, and waits for it no
    /// longer than [`OPERATION_TIMEOUT`]: then it is not known whether it happened.
    pub(crate) fn detached<T, F>(
        &self,
        operation: &'static str,
        work: F,
    ) -> impl Future<Output = Result<T, LedgerError>> + use<T, F>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LedgerError>> + Send + 'static,
    {
        let lost = || LedgerError::unavailable("stepped in");
        // Boxed: a transaction with all that it holds is too large to lie in every caller.
        let work = Box::pin(between(self.steps.clone(), operation, lost, work));
        async {
            match tokio::time::timeout(OPERATION_TIMEOUT, Self::undisturbed(work)).await {
                Ok(result) => result,
                Err(_) => Err(LedgerError::unavailable("no answer in time")),
            }
        }
    }

    /// The same for as long as it takes.
    pub(crate) async fn undisturbed<T, F>(work: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LedgerError>> + Send + 'static,
    {
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime is shutting down: nobody is left to act on the answer.
            Err(_) => Err(LedgerError::unavailable("the program is shutting down")),
        }
    }

    /// Closes the pool; waits for running statements.
    ///
    /// # Errors
    /// When a connection can't be closed in order.
    pub async fn close(self) -> Result<(), LedgerError> {
        let db = self.db.clone();
        self.detached("close", async move { Ok(db.close().await?) }).await
    }
}
