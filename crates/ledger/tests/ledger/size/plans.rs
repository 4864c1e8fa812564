//! Judging plans.

use foxden_ledger::{Ledger, Sent};
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::Value;

/// How many rows a statement may meet that are not in its answer: dead versions, and others' locks.
const WASTED: f64 = 1_000.0;

/// Tables that don't grow with the ledger: counts, changes that no sweep has folded into them yet, how far evidence was
/// pruned, and which formats have ended.
const SMALL: [&str; 8] = [
    "standings",
    "standing_changes",
    "waiting_events",
    "waiting_event_changes",
    "grant_counts",
    "grant_changes",
    "pruned_evidence",
    "ended_formats",
];

/// A statement that is allowed what others are not.
pub(crate) struct Exception {
    operation: &'static str,
    /// A part of its text, where the operation has several.
    text: &'static str,
    why: &'static str,
    on: &'static [bool],
}

const EMBEDDED: bool = true;
const SERVER: bool = false;

pub(crate) const fn on_both(operation: &'static str, text: &'static str, why: &'static str) -> Exception {
    Exception { operation, text, why, on: &[EMBEDDED, SERVER] }
}

pub(crate) const fn on_sqlite(operation: &'static str, text: &'static str, why: &'static str) -> Exception {
    Exception { operation, text, why, on: &[EMBEDDED] }
}

pub(crate) const fn on_postgres(operation: &'static str, text: &'static str, why: &'static str) -> Exception {
    Exception { operation, text, why, on: &[SERVER] }
}

impl Exception {
    fn is_for(&self, embedded: bool, operation: &str, text: &str) -> bool {
        self.on.contains(&embedded) && self.operation == operation && text.contains(self.text)
    }
}

/// Gathers what is wrong with the statements' plans, and with the exceptions.
pub(crate) struct Judge<'a> {
    url: &'a str,
    exceptions: &'a [Exception],
    /// Those that some statement has needed.
    needed: Vec<bool>,
    faults: Vec<String>,
    embedded: bool,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(url: &'a str, exceptions: &'a [Exception]) -> Self {
        let needed = vec![false; exceptions.len()];
        Self { url, exceptions, needed, faults: Vec::new(), embedded: url.starts_with("sqlite:") }
    }

    #[expect(clippy::print_stdout, reason = "shown where somebody asks for it")]
    pub(crate) async fn judge(&mut self, ledger: &Ledger, sent: &[(&'static str, Sent)]) {
        let partial = if self.embedded { partial_indexes(self.url).await } else { Vec::new() };
        for (operation, statement) in sent {
            let plan = ledger.plan_of(statement).await.unwrap_or_else(|error| panic!("{statement:?}: {error}"));
            let found = if self.embedded { of_sqlite(&plan, statement.text(), &partial) } else { of_postgres(&plan) };
            let (found, is_fine) = (found.join("; "), found.is_empty());
            println!("{operation:<30} {:>8.2?}  {found}", statement.took);
            if is_fine {
                continue;
            }
            let excepted =
                self.exceptions.iter().position(|known| known.is_for(self.embedded, operation, statement.text()));
            match excepted {
                Some(place) => self.needed[place] = true,
                None => self.faults.push(format!("{operation}: {found}\n  {}", shortened(statement.text()))),
            }
        }
    }

    pub(crate) fn finish(mut self) {
        for (exception, needed) in self.exceptions.iter().zip(&self.needed) {
            if !needed && exception.on.contains(&self.embedded) {
                let Exception { operation, text, why, .. } = exception;
                self.faults.push(format!("{operation} {text}: the exception is needed no more ({why})"));
            }
        }
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

/// Without the list of columns.
fn shortened(text: &str) -> String {
    match text.strip_prefix("SELECT ").and_then(|rest| rest.split_once(" FROM ")) {
        Some((columns, rest)) if columns.len() > 80 => format!("SELECT … FROM {rest}"),
        _ => text.to_owned(),
    }
}

async fn partial_indexes(url: &str) -> Vec<String> {
    let db = Database::connect(url).await.unwrap();
    let query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

/// SQLite says what it searches by an index and what it scans. A scan of a partial index is as short as that is, if
/// the statement is content with its first rows.
fn of_sqlite(plan: &[String], text: &str, partial: &[String]) -> Vec<String> {
    let is_bad = |line: &&String| {
        let index = line.split(" USING ").nth(1).and_then(|rest| rest.rsplit("INDEX ").next()).unwrap_or_default();
        let is_short = text.contains(" LIMIT ") && partial.iter().any(|name| index.starts_with(name.as_str()));
        let is_small = SMALL.contains(&line.trim_start_matches("SCAN "));
        (line.starts_with("SCAN ") && !is_short && !is_small && !is_of_constants(line))
            || line.contains("TEMP B-TREE")
            || line.contains("AUTOMATIC")
    };
    plan.iter().filter(is_bad).cloned().collect()
}

/// Values that stand in the statement itself, or what another step of the plan has found.
fn is_of_constants(line: &str) -> bool {
    let what = line.trim_start_matches("SCAN ");
    let is_carried = what.starts_with("json_each ") || what.starts_with("jsonb_each ") || what == "clock";
    is_carried
        || what.starts_with("CONSTANT ROW")
        || what.contains("VALUES CLAUSE")
        || what.starts_with("replacing")
        || what == "found"
}

/// PostgreSQL says how many rows each step has met.
fn of_postgres(plan: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for document in plan {
        let document: Value = serde_json::from_str(document).unwrap();
        document.as_array().unwrap().iter().for_each(|plan| judge(&plan["Plan"], &mut found));
    }
    found
}

/// Whether a step sorts nothing but what stands in a parameter.
fn is_of_carried(node: &Value) -> bool {
    let of = node["Plans"].as_array().into_iter().flatten();
    of.map(|of| &of["Node Type"]).all(|kind| kind == "Function Scan") && node["Relation Name"].is_null()
}

fn judge(node: &Value, found: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let loops = number("Actual Loops").max(1.0);
    let wasted = (number("Rows Removed by Filter") + number("Rows Removed by Index Recheck")) * loops;
    let on = node["Relation Name"].as_str().unwrap_or("what it has found");
    if matches!(kind, "Seq Scan" | "Sort" | "Incremental Sort") && !SMALL.contains(&on) && !is_of_carried(node) {
        found.push(format!("{kind} of {on}"));
    }
    if wasted > WASTED {
        found.push(format!("{kind} of {on} reads {wasted} rows for nothing"));
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|node| judge(node, found));
}
