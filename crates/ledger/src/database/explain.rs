//! How the database carries out a statement: for the test that no statement reads a whole table.

use std::{fmt, time::Duration};

use sea_orm::{ConnectionTrait as _, Statement};

use crate::{connect::Ledger, error::LedgerError, transactions::Ending::RollBack};

/// A statement as it was sent, with its values. `Debug` shows the text alone: the values are the customers'.
#[derive(Clone)]
pub struct Sent {
    statement: Statement,
    /// How long its answer took.
    pub took: Duration,
}

impl Sent {
    pub(crate) fn new(statement: &Statement, took: Duration) -> Self {
        Self { statement: statement.clone(), took }
    }

    /// The statement, with placeholders for its values.
    pub fn text(&self) -> &str {
        &self.statement.sql
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Ledger {
    /// The plan that the database makes for a statement with these values: a line for each step on SQLite, one JSON
    /// document on PostgreSQL, with how many rows each step met. There the statement runs for it, and is rolled back;
    /// an insert does not, since its keys are taken.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn plan_of(&self, sent: &Sent) -> Result<Vec<String>, LedgerError> {
        let text = sent.text();
        let explain = match (self.is_embedded(), text.starts_with("INSERT")) {
            (true, _) => "EXPLAIN QUERY PLAN",
            (false, true) => "EXPLAIN (FORMAT JSON)",
            (false, false) => "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)",
        };
        let statement = Statement { sql: format!("{explain} {text}"), ..sent.statement.clone() };
        let explained = self.transaction(async |txn, _| Ok(RollBack(txn.query_all_raw(statement).await?)));
        let rows = explained.await?;
        let read = |row: &sea_orm::QueryResult| -> Result<String, LedgerError> {
            if self.is_embedded() {
                return Ok(row.try_get("", "detail")?);
            }
            Ok(row.try_get::<serde_json::Value>("", "QUERY PLAN")?.to_string())
        };
        rows.iter().map(read).collect()
    }
}
