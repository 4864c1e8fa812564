//! What can go wrong with the ledger, by what the caller does about it.

use sea_orm::{DbErr, RuntimeErr};

use crate::{alone::InUse, database_url::DatabaseUrlError};

/// A ledger operation that did not happen, or of which it is not known whether it did.
///
/// `Display` never repeats a statement, a value or a URL: the database's own messages may hold row values, so only its
/// error class is shown. The source is kept for code that must look closer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The database can't be reached or refuses work for now. Waiting helps.
    #[error("the ledger's database does not answer ({reason})")]
    Unavailable {
        /// The error class, in words.
        reason: String,
        /// What the library reported.
        #[source]
        source: Opaque,
    },
    /// The database answered, and it is not the schema this release works with.
    #[error("the ledger's schema is not the one this release works with: {0}; run `foxden migrate up`")]
    Schema(String),
    /// A later release has changed the schema.
    #[error(
        "the ledger was migrated by a later release of foxden ({migration} is not known here): use that release, or a copy \
         of the ledger that was made before"
    )]
    OfLaterRelease {
        /// The migration that this release does not know.
        migration: String,
    },
    /// Workers are at work on it, or were a moment ago.
    #[error("{} on the ledger: a worker is at work, or one was killed a moment ago", live(.0.leases))]
    InUse(InUse),
    /// A row holds a word or an envelope that this release did not write.
    #[error("the ledger's row {id} holds a {column} that this release can't read")]
    Damaged {
        /// The provisioning.
        id: String,
        /// The column at fault.
        column: &'static str,
    },
    /// A token belongs to a provisioning that this ledger does not have: it is another ledger's.
    #[error("this ledger has no provisioning {id}: the token belongs to another ledger")]
    NotOurs {
        /// The provisioning.
        id: String,
    },
    /// A token is sealed as `FXD1`, which has ended in this ledger.
    #[error("FXD1 has ended in this ledger, so it keeps no token that is sealed as FXD1")]
    FormatEnded,
    /// The database refused a statement. This is a fault of foxden or of the schema.
    #[error("the ledger's database refused a statement ({reason})")]
    Refused {
        /// The error class, in words.
        reason: String,
        /// What the library reported.
        #[source]
        source: Opaque,
    },
    /// The database does not let us in, and waiting will not change that.
    #[error("the ledger's database does not let us in ({reason})")]
    Shut {
        /// Why, in words.
        reason: String,
        /// What the library reported.
        #[source]
        source: Opaque,
    },
    /// The database URL is not one we can use.
    #[error(transparent)]
    Url(#[from] DatabaseUrlError),
}

/// A library error kept as a value, whose text is not shown: it may repeat row values or a URL.
#[derive(Clone, thiserror::Error)]
#[error("details withheld: they may repeat stored values")]
pub struct Opaque(DbErr);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opaque(details withheld)")
    }
}

fn live(leases: u64) -> String {
    if leases == 1 { "there is 1 live lease".to_owned() } else { format!("there are {leases} live leases") }
}

impl LedgerError {
    /// What has caused it, as far as that decides what becomes of those that shared its transaction.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Damaged { .. } | Self::NotOurs { .. } | Self::FormatEnded => Fault::Row,
            Self::Refused { source, .. } if trust_after(&source.0) == Trust::Kept => Fault::Row,
            Self::Unavailable { source, .. } if was_rolled_back(&source.0) => Fault::NotWritten,
            _ => Fault::All,
        }
    }

    /// What went wrong while connecting.
    pub(crate) fn from_connecting(error: sea_orm::sqlx::Error) -> Self {
        DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
    }

    /// For troubles that no library has reported.
    pub(crate) fn unavailable(reason: &str) -> Self {
        Self::Unavailable { reason: reason.to_owned(), source: Opaque(DbErr::Custom(reason.to_owned())) }
    }

    /// Whether the same operation may succeed later without anyone changing anything.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl From<DbErr> for LedgerError {
    fn from(error: DbErr) -> Self {
        let reason = class(&error);
        match &error {
            DbErr::Conn(RuntimeErr::SqlxError(cause))
            | DbErr::Exec(RuntimeErr::SqlxError(cause))
            | DbErr::Query(RuntimeErr::SqlxError(cause))
                if is_pooled(cause) =>
            {
                Self::Shut { reason: shut(cause), source: Opaque(error) }
            }
            DbErr::Conn(RuntimeErr::SqlxError(cause)) if refuses_us(cause) => {
                Self::Shut { reason: shut(cause), source: Opaque(error) }
            }
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable { reason, source: Opaque(error) },
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                if sqlx_is_passing(cause) {
                    Self::Unavailable { reason, source: Opaque(error) }
                } else if lacks_a_table(cause) {
                    Self::Schema("a table or column is missing".to_owned())
                } else {
                    Self::Refused { reason, source: Opaque(error) }
                }
            }
            _ => Self::Refused { reason, source: Opaque(error) },
        }
    }
}

/// What can be read of many rows. One that can't is named in the log and left out: it must not hide all the others.
pub(crate) fn leave_out_damaged<T>(rows: impl Iterator<Item = Result<T, LedgerError>>) -> Vec<T> {
    rows.filter_map(|row| {
        row.inspect_err(|error| {
            tracing::error!(event = "ledger.row_damaged", error = %error, "a row can't be read and is left out");
        })
        .ok()
    })
    .collect()
}

/// The class of an error in words that hold nothing of its data.
fn class(error: &DbErr) -> String {
    match error {
        DbErr::ConnectionAcquire(_) => "no connection could be had in time".to_owned(),
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => sqlx_class(cause),
        DbErr::Conn(_) => "the connection failed".to_owned(),
        DbErr::RecordNotFound(_) => "a row that must be there is not".to_owned(),
        _ => "an unexpected answer".to_owned(),
    }
}

fn sqlx_class(cause: &sea_orm::sqlx::Error) -> String {
    use sea_orm::sqlx::Error;
    match cause {
        Error::Io(io) => format!("{}", io.kind()),
        Error::Tls(_) => "TLS failed".to_owned(),
        Error::PoolTimedOut => "no connection could be had in time".to_owned(),
        Error::PoolClosed => "the pool is closed".to_owned(),
        Error::Database(db) => match db.code().as_deref() {
            Some(code) if !is_postgres(db.as_ref()) => sqlite_class(code),
            Some(code) => format!("error code {code}"),
            None => "an error without a code".to_owned(),
        },
        _ => "an unexpected answer".to_owned(),
    }
}

fn is_postgres(error: &dyn sea_orm::sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<sea_orm::sqlx::postgres::PgDatabaseError>().is_some()
}

/// SQLite's result codes (sqlite.org/rescode.html) that a person can do something about, in words.
fn sqlite_class(code: &str) -> String {
    let words = match code.parse::<i64>().map(|code| code & 0xff) {
        Ok(5 | 6) => "another process has it locked",
        Ok(8) => "the file or its directory is read-only",
        Ok(10) => "reading or writing the file failed",
        Ok(11) => "the file is damaged",
        Ok(13) => "the disk is full",
        Ok(14) => "the file can't be opened: does its directory exist, and is it yours to write?",
        Ok(26) => "the file is not an SQLite database",
        _ => return format!("error code {code}"),
    };
    words.to_owned()
}

/// Why we are not let in, in words.
fn shut(cause: &sea_orm::sqlx::Error) -> String {
    match cause {
        sea_orm::sqlx::Error::Database(db) if is_postgres(db.as_ref()) => match db.code().as_deref() {
            Some("08P01") => {
                "what answers refuses a parameter that PostgreSQL takes; is it a connection pooler?".to_owned()
            }
            Some("42P05" | "26000") => {
                "a connection pooler in transaction mode is in between; use its session mode, or connect directly"
                    .to_owned()
            }
            _ => "the user, the password or the database's name is wrong".to_owned(),
        },
        _ => sqlx_class(cause),
    }
}

/// A pooler that shares sessions between clients meets statements that other clients have prepared (42P05), or not the ones
/// that were prepared (26000).
fn is_pooled(cause: &sea_orm::sqlx::Error) -> bool {
    let sea_orm::sqlx::Error::Database(db) = cause else { return false };
    is_postgres(db.as_ref()) && matches!(db.code().as_deref(), Some("42P05" | "26000"))
}

/// What waiting does not mend: PostgreSQL 28 (invalid authorization), 3D000 (no such database) and 08P01 (a parameter that
/// is not taken); SQLite's READONLY (8),
/// CORRUPT (11), CANTOPEN (14) and NOTADB (26).
fn refuses_us(cause: &sea_orm::sqlx::Error) -> bool {
    let sea_orm::sqlx::Error::Database(db) = cause else { return false };
    db.code().is_some_and(|code| {
        if is_postgres(db.as_ref()) {
            code.starts_with("28") || matches!(&*code, "3D000" | "08P01")
        } else {
            code.parse::<i64>().is_ok_and(|code| matches!(code & 0xff, 8 | 11 | 14 | 26))
        }
    })
}

/// Connection troubles and the database's own "not now": PostgreSQL classes 08 (connection), 53 (resources), 57 (operator
/// intervention), 58 (its own system) and 40 (rollback: serialization, deadlock), 25P03 (idle in transaction), 25006
/// (read-only, after a failover), 55P03 (lock not available); SQLite's BUSY (5), LOCKED (6), IOERR (10) and FULL (13),
/// plain or extended.
fn sqlx_is_passing(cause: &sea_orm::sqlx::Error) -> bool {
    use sea_orm::sqlx::Error;
    match cause {
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(db) => db.code().is_some_and(|code| {
            if is_postgres(db.as_ref()) {
                ["08", "53", "57", "58", "40", "25P03", "25006", "55P03"].iter().any(|class| code.starts_with(class))
            } else {
                code.parse::<i64>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
            }
        }),
        _ => false,
    }
}

/// What an error says of the operations that shared a transaction with the one that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One row has caused it: the others can be written without that one.
    Row,
    /// The database has rolled the transaction back for the sake of another: tried again, it may do.
    NotWritten,
    /// All of them have failed, and it may not be known whether they were written.
    All,
}

/// PostgreSQL 40001 (serialization) and 40P01 (deadlock). Not 40003, with which the end is not known.
fn was_rolled_back(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    let sea_orm::sqlx::Error::Database(db) = &**cause else { return false };
    is_postgres(db.as_ref()) && matches!(db.code().as_deref(), Some("40001" | "40P01"))
}

/// How far connections can be trusted after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It is a row's own error, or none of the database's.
    Kept,
    /// This connection may be in another state than its library thinks.
    NoneOfThis,
    /// So may be all that were opened before: they share a server, or a way to it, that has changed.
    NoneOfAll,
}

/// What an error says of its connection. Kept are only: PostgreSQL's classes 22 (data) and 23 (constraints); SQLite's
/// TOOBIG (18), CONSTRAINT (19) and MISMATCH (20); and what never reached a database. All sessions are given up for
/// PostgreSQL 25006 (read-only), 57P01 to 57P05 (the server ends it), classes 08 (connection) and 58 (its system), and
/// whatever breaks the connection itself.
pub(crate) fn trust_after(error: &DbErr) -> Trust {
    let cause = match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => cause,
        DbErr::Conn(_) | DbErr::Exec(_) | DbErr::Query(_) | DbErr::ConnectionAcquire(_) => return Trust::NoneOfThis,
        _ => return Trust::Kept,
    };
    match &**cause {
        sea_orm::sqlx::Error::Database(db) => {
            let code = db.code().unwrap_or_default();
            if !is_postgres(db.as_ref()) {
                let kept = code.parse::<i64>().is_ok_and(|code| matches!(code & 0xff, 18..=20));
                return if kept { Trust::Kept } else { Trust::NoneOfThis };
            }
            match code.get(..2) {
                Some("22" | "23") => Trust::Kept,
                Some("08" | "58") => Trust::NoneOfAll,
                _ if code == "25006" || code.starts_with("57P0") => Trust::NoneOfAll,
                _ => Trust::NoneOfThis,
            }
        }
        sea_orm::sqlx::Error::Io(_) | sea_orm::sqlx::Error::Tls(_) | sea_orm::sqlx::Error::Protocol(_) => {
            Trust::NoneOfAll
        }
        _ => Trust::NoneOfThis,
    }
}

/// PostgreSQL 42P01/42703 (undefined table, column); SQLite says it only in words, in its generic class 1.
fn lacks_a_table(cause: &sea_orm::sqlx::Error) -> bool {
    let sea_orm::sqlx::Error::Database(db) = cause else { return false };
    match db.code().as_deref() {
        Some("42P01" | "42703") => true,
        Some("1") => db.message().starts_with("no such table") || db.message().contains("no such column"),
        _ => false,
    }
}
