//! Opening connections to either database, with what each one is set to before it is used.

use std::time::Duration;

use log::LevelFilter;
use sea_orm::{
    SqlxPostgresConnector, SqlxSqliteConnector,
    sqlx::{
        self, ConnectOptions as _, Connection as _, Executor as _,
        pool::PoolOptions,
        postgres::{PgConnectOptions, Postgres},
        sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use crate::{
    connections::Connections,
    database_url::{DatabaseUrl, Target},
    diagnosis,
    error::LedgerError,
};

/// How long to wait for a connection before the database counts as away.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tried before it is used: the way to it may have gone silently.
const TRIED_AFTER: Duration = Duration::from_secs(30);

/// PostgreSQL ends a statement that hangs, and a transaction whose worker is frozen or gone, since its open insert
/// keeps every other worker waiting at the same signup id.
///
/// As statements, not as parameters of the connection's start: PgBouncer refuses parameters that it does not know.
const SESSION: &str = "SET statement_timeout = '15s'; SET idle_in_transaction_session_timeout = '15s'";

/// SQLite waits this long for another process's write to end.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SLOW: Duration = Duration::from_secs(1);

/// PostgreSQL ends a statement after 15 s and says so. One that is unanswered for longer is not answered any more: a
/// host that is gone sends nothing, not even an error.
const PATIENCE: Duration = Duration::from_secs(17);

/// Opens the connections. SQLite gets one whatever `size` says.
pub(crate) async fn open(url: &DatabaseUrl, size: u32) -> Result<Connections, LedgerError> {
    match url.target()? {
        Target::Sqlite(options) => {
            if let Some(file) = url.file() {
                make_private(file);
            }
            open_embedded(*options).await
        }
        Target::Postgres(options) => open_server(*options, size).await,
    }
}

/// Changing a fresh file to WAL fails at once, whatever the busy timeout, while another process does the same; that
/// is over in a moment.
async fn open_embedded(options: SqliteConnectOptions) -> Result<Connections, LedgerError> {
    // Full: a commit that returned survives a power cut, which promise 1 rests on.
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
        // What is wiped is overwritten, and not just given up for reuse.
        .pragma("secure_delete", "ON")
        .foreign_keys(true)
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Debug, SLOW);
    let pool = PoolOptions::<Sqlite>::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false);
    let started = tokio::time::Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await.map_err(LedgerError::from_connecting) {
            Err(error) if error.is_passing() && started.elapsed() < ACQUIRE_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            first => {
                let connect = SqlxSqliteConnector::from_sqlx_sqlite_pool;
                let open = move || connect(pool.clone().connect_lazy_with(options.clone()));
                return Ok(Connections::new(connect(first?), 1, ACQUIRE_TIMEOUT, None, Box::new(open)));
            }
        }
    }
}

async fn open_server(options: PgConnectOptions, size: u32) -> Result<Connections, LedgerError> {
    let options = options
        // PgBouncer refuses it, and the ledger has no floating point columns.
        .extra_float_digits(None)
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Debug, SLOW);
    let pool = PoolOptions::<Postgres>::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for >= TRIED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    match pool.clone().connect_with(options.clone()).await {
        Ok(first) => {
            let connect = SqlxPostgresConnector::from_sqlx_postgres_pool;
            let looked_at = options.clone();
            let open = move || connect(pool.clone().connect_lazy_with(options.clone()));
            let connections = Connections::new(connect(first), size, ACQUIRE_TIMEOUT, Some(PATIENCE), Box::new(open));
            Ok(connections.of_server(looked_at))
        }
        // The pool says no more than that the time was over, or what the operating system calls it.
        Err(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => Err(diagnosis::look(&options).await.error),
        Err(error) => Err(LedgerError::from_connecting(error)),
    }
}

/// Makes the file, if it is not there, before SQLite does: for its owner alone from its first byte, since who signed up
/// when is nobody else's business. SQLite gives its other files the mode of this one (sqlite.org/tempfiles.html). One
/// that is there is closed to others. Best effort: what can't be made here, SQLite reports.
fn make_private(file: &std::path::Path) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    drop(std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file));
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        if let Ok(about) = std::fs::metadata(&name)
            && about.permissions().mode() & 0o077 != 0
        {
            drop(std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600)));
        }
    }
}
