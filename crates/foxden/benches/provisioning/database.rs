//! Databases: one for each measurement, and what they cost their server.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, QueryResult, Statement, TryGetable};
use url::Url;

use crate::process;

/// The PostgreSQL that `DATABASE_URL` names. It runs on this machine, or its CPU time could not be read.
pub(crate) struct Server {
    db: DatabaseConnection,
    url: Url,
    postmaster: u32,
}

/// What a server has done for one database so far.
#[derive(Clone, Copy)]
pub(crate) struct Done {
    pub(crate) commits: i64,
    /// Of the whole server, which has nothing else to do.
    pub(crate) wal_bytes: i64,
    /// `None` without `pg_stat_statements`.
    pub(crate) statements: Option<i64>,
}

/// What says that a signup is done.
#[derive(Clone, Copy)]
pub(crate) enum Table {
    /// foxden's ledger.
    Ledger,
    /// The table that the workers beside it write.
    StoreCredentials,
}

/// One measurement's database.
pub(crate) struct Rows {
    db: DatabaseConnection,
    table: Table,
    /// Each is a commit of ours.
    asked: AtomicU64,
}

/// How many statements are shown, and how much of each.
const TOP: usize = 20;
const SHOWN: usize = 150;

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap_or_else(|error| panic!("the database does not answer: {error}"))
}

async fn rows(db: &DatabaseConnection, query: String) -> Vec<QueryResult> {
    let statement = Statement::from_string(db.get_database_backend(), query);
    db.query_all_raw(statement).await.unwrap_or_else(|error| panic!("a question of the benchmark's fails: {error}"))
}

async fn value<T: TryGetable>(db: &DatabaseConnection, expression: &str) -> T {
    let rows = rows(db, format!("SELECT {expression} AS it")).await;
    rows[0].try_get("", "it").unwrap_or_else(|error| panic!("{expression} is of another type: {error}"))
}

impl Server {
    pub(crate) async fn join(url: &str) -> Self {
        let db = connect(url).await;
        let backend: i32 = value(&db, "pg_backend_pid()").await;
        let postmaster = process::parent(backend.try_into().expect("a process id"));
        Self { db, url: Url::parse(url).expect("the database took it"), postmaster }
    }

    /// Makes an empty database, and answers its URL. What waited to be written to the disk is written, so that no
    /// measurement pays for the one before.
    pub(crate) async fn create(&self, name: &str) -> String {
        for statement in [format!("CREATE DATABASE {name}"), "CHECKPOINT".to_owned()] {
            self.db.execute_unprepared(&statement).await.expect("the server obeys");
        }
        let mut url = self.url.clone();
        url.set_path(name);
        url.into()
    }

    pub(crate) async fn remove(&self, name: &str) {
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        self.db.execute_unprepared(&statement).await.expect("the server obeys");
    }

    /// The CPU time of all its processes so far.
    pub(crate) fn cpu(&self) -> Duration {
        process::tree_cpu(self.postmaster)
    }

    pub(crate) async fn done(&self, database: &str) -> Done {
        let of = format!("(SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}')");
        let loaded = "current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'";
        let statements = if value(&self.db, loaded).await {
            let extension = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
            self.db.execute_unprepared(extension).await.expect("the server obeys");
            let calls =
                "COALESCE((SELECT SUM(calls)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid";
            Some(value(&self.db, &format!("{calls} WHERE datname = '{database}'), 0)")).await)
        } else {
            None
        };
        Done {
            commits: value(&self.db, &of).await,
            wal_bytes: value(&self.db, "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").await,
            statements,
        }
    }
}

impl Server {
    /// The statements that a database was asked most often, a line for each: calls and time on the server for each
    /// signup. Of `pg_stat_statements`.
    pub(crate) async fn top_statements(&self, database: &str, signups: usize) -> Vec<String> {
        let query = format!(
            "SELECT format('%8s calls %8s ms  %s', round(calls::numeric / {signups}, 3), \
             round((total_exec_time / {signups})::numeric, 4), \
             left(regexp_replace(query, '\\s+', ' ', 'g'), {SHOWN})) AS line \
             FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE datname = '{database}' \
             ORDER BY total_exec_time DESC LIMIT {TOP}"
        );
        let rows = rows(&self.db, query).await;
        rows.iter().map(|row| row.try_get("", "line").expect("a line of text")).collect()
    }
}

impl Rows {
    pub(crate) async fn open(url: &str, table: Table) -> Self {
        Self { db: connect(url).await, table, asked: AtomicU64::new(0) }
    }

    /// A SQLite file, which foxden makes.
    pub(crate) fn sqlite_url(dir: &Path) -> String {
        format!("sqlite:{}", dir.join("ledger.db").display())
    }

    /// Makes the table that workers other than foxden write.
    pub(crate) async fn make_table(&self) {
        let statement = "CREATE TABLE store_credentials (signup_id text PRIMARY KEY, store_uri text NOT NULL, \
                         sealed_token bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now())";
        self.db.execute_unprepared(statement).await.expect("the database is empty");
    }

    /// How many signups are done.
    pub(crate) async fn count(&self) -> usize {
        let count = match self.table {
            // The condition of a partial index; one that a person cancelled would count, too.
            Table::Ledger => "(SELECT COUNT(*) FROM provisionings WHERE closed_at IS NOT NULL)",
            Table::StoreCredentials => "(SELECT COUNT(*) FROM store_credentials)",
        };
        self.ask(count).await
    }

    /// How many outcome events wait to be published.
    pub(crate) async fn waiting_events(&self) -> usize {
        match self.table {
            Table::Ledger => self.ask("(SELECT COUNT(*) FROM outbox WHERE published_at IS NULL)").await,
            Table::StoreCredentials => 0,
        }
    }

    async fn ask(&self, count: &str) -> usize {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let count: i64 = value(&self.db, count).await;
        count.try_into().expect("a count")
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// When each signup was done by the database's clock, in milliseconds since 1970.
    pub(crate) async fn times(&self) -> Vec<(String, i64)> {
        let query = match self.table {
            Table::Ledger => "SELECT signup_id, closed_at AS at FROM provisionings WHERE closed_at IS NOT NULL",
            Table::StoreCredentials => {
                "SELECT signup_id, (extract(epoch FROM created_at) * 1000)::bigint AS at FROM store_credentials"
            }
        };
        self.asked.fetch_add(1, Ordering::Relaxed);
        let read = |row: &QueryResult| Some((row.try_get("", "signup_id").ok()?, row.try_get("", "at").ok()?));
        rows(&self.db, query.to_owned()).await.iter().map(|row| read(row).expect("an id and a time")).collect()
    }

    pub(crate) async fn close(self) {
        self.db.close().await.expect("it closes");
    }
}
