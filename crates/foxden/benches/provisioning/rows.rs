//! What is measured: a row of the table for each.

use std::time::Duration;

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// How long Foxy takes for each answer; a signup needs two.
    pub(crate) foxy_takes: Duration,
    /// How many signups each worker has in hand at most.
    pub(crate) concurrency: usize,
    /// How many workers share the load.
    pub(crate) workers: usize,
    pub(crate) load: Load,
    pub(crate) ledger: LedgerPlace,
    /// How long everything between a worker and PostgreSQL is on its way, each way.
    pub(crate) database_away: Duration,
    /// Whether Foxy is behind TLS.
    pub(crate) has_tls: bool,
    /// Whether it is measured only when it is asked for by name.
    pub(crate) is_extra: bool,
}

/// How signups come.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// All of them wait at the broker before the worker is started.
    Backlog(usize),
    /// They are published at even distances, once the worker consumes.
    Paced { a_second: u32, seconds: u32 },
    /// None come.
    Nothing,
}

impl Load {
    pub(crate) fn signups(self) -> usize {
        match self {
            Self::Backlog(signups) => signups,
            Self::Paced { a_second, seconds } => (a_second * seconds) as usize,
            Self::Nothing => 0,
        }
    }
}

/// Where what is known of signups is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LedgerPlace {
    /// In PostgreSQL.
    Postgres,
    /// In a SQLite file, as foxden can.
    Sqlite,
}

const COMMON: Row = Row {
    name: "",
    about: "",
    foxy_takes: Duration::ZERO,
    concurrency: 64,
    workers: 1,
    load: Load::Nothing,
    ledger: LedgerPlace::Postgres,
    database_away: Duration::ZERO,
    has_tls: false,
    is_extra: false,
};

pub(crate) const ROWS: &[Row] = &[
    Row { name: "0ms", about: "Foxy answers at once: what a signup costs", load: Load::Backlog(3_000), ..COMMON },
    Row {
        name: "50ms",
        about: "Foxy takes 50 ms",
        foxy_takes: Duration::from_millis(50),
        load: Load::Backlog(2_000),
        ..COMMON
    },
    Row {
        name: "200ms",
        about: "Foxy takes 200 ms, with 256 signups in hand",
        foxy_takes: Duration::from_millis(200),
        concurrency: 256,
        load: Load::Backlog(3_000),
        ..COMMON
    },
    Row {
        name: "paced",
        about: "50 signups a second, of which Foxy takes 100 ms each",
        foxy_takes: Duration::from_millis(50),
        load: Load::Paced { a_second: 50, seconds: 20 },
        ..COMMON
    },
    Row { name: "idle", about: "no signup comes", ..COMMON },
    Row {
        name: "sqlite",
        about: "as 0ms, with the ledger in SQLite",
        load: Load::Backlog(3_000),
        ledger: LedgerPlace::Sqlite,
        ..COMMON
    },
    Row {
        name: "relay",
        about: "as 50ms, with PostgreSQL 1 ms away",
        foxy_takes: Duration::from_millis(50),
        load: Load::Backlog(2_000),
        database_away: Duration::from_millis(1),
        is_extra: true,
        ..COMMON
    },
    Row {
        name: "paced-relay",
        about: "as paced, with PostgreSQL 1 ms away",
        foxy_takes: Duration::from_millis(50),
        load: Load::Paced { a_second: 50, seconds: 20 },
        database_away: Duration::from_millis(1),
        is_extra: true,
        ..COMMON
    },
    Row {
        name: "tls",
        about: "as 50ms, with Foxy behind TLS",
        foxy_takes: Duration::from_millis(50),
        load: Load::Backlog(2_000),
        has_tls: true,
        is_extra: true,
        ..COMMON
    },
    Row {
        name: "two",
        about: "two workers share a PostgreSQL; Foxy takes 200 ms",
        foxy_takes: Duration::from_millis(200),
        concurrency: 128,
        workers: 2,
        load: Load::Backlog(3_000),
        is_extra: true,
        ..COMMON
    },
    Row {
        name: "four",
        about: "four workers share a PostgreSQL; Foxy takes 200 ms",
        foxy_takes: Duration::from_millis(200),
        concurrency: 64,
        workers: 4,
        load: Load::Backlog(3_000),
        is_extra: true,
        ..COMMON
    },
    Row { name: "backlog", about: "100,000 signups wait", load: Load::Backlog(100_000), is_extra: true, ..COMMON },
];
