//! A large ledger: no statement that a worker or a person waits for reads a whole table, or sorts one.
//!
//! What is judged is the plan that the database makes, never the time, which depends on the machine; `--nocapture`
//! prints both. The statements are those that are really sent while every operation of the ledger is driven once, and
//! an operation that is not driven fails the test. So a new one is judged from its first day.

mod drive;
mod figures;
mod granting;
mod operations;
mod plans;
pub(crate) mod rows;

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use foxden_ledger::{Ledger, Pause, Sent, StepIn};

use self::plans::{Exception, Judge, on_both, on_postgres, on_sqlite};
use crate::support::meddle;

/// Operations that are not driven, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("close", "it sends nothing"),
    ("durability_risks", "reads settings of the server's"),
    ("empty_log", "a checkpoint of SQLite's, without a plan"),
    ("migrations", "reads the list of migrations"),
];

/// Statements that are allowed what others are not. One that no statement needs any more fails the test, too.
const EXCEPTIONS: &[Exception] = &[
    // For good: a handful of rows, whatever the size of the ledger.
    on_both("attempts", "", "sorts the evidence of one signup"),
    on_both("credentials", "", "sorts the tokens of one signup"),
    on_both("audit_of", "", "sorts the acts on one signup"),
    on_both("grants_of", "", "sorts the grants of one signup, and their trips"),
    on_postgres("take_publishing", "", "reads a table of one row"),
    on_postgres("holds_publishing", "", "reads a table of one row"),
    on_postgres("published", "\"publishing_lease\"", "reads a table of one row"),
    on_postgres("release_publishing", "", "reads a table of one row"),
    on_postgres("belong_to", "", "reads a table of one row"),
    on_sqlite(
        "newest_user_uri",
        "",
        "stops at the newest signup with a user; asked until the ledger belongs to a Foxy",
    ),
    on_postgres("sweep", "WITH folded", "sorts a page of changes of the counts"),
    // Asked by a person during a rotation. Kept as rows change, these counts would cost each signup five row
    // versions.
    on_both("count_by_key", "", "counts every envelope and fingerprint"),
];

/// Notes what is sent, and by which operation. Only one runs at a time.
#[derive(Default)]
struct Recorder {
    current: Mutex<&'static str>,
    driven: Mutex<BTreeSet<&'static str>>,
    sent: Mutex<Vec<(&'static str, Sent)>>,
}

impl StepIn for Recorder {
    fn before(&self, operation: &'static str) -> Pause {
        *self.current.lock().unwrap() = operation;
        self.driven.lock().unwrap().insert(operation);
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn after(&self, _operation: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn sent(&self, statement: Sent) {
        let mut sent = self.sent.lock().unwrap();
        if sent.iter().all(|(_, known)| known.text() != statement.text()) {
            sent.push((*self.current.lock().unwrap(), statement));
        }
    }
}

pub(crate) async fn no_statement_reads_or_sorts_a_whole_table(ledger: Ledger, url: &str) {
    let custody = crate::support::custody();
    rows::fill(&ledger, url, &custody).await;
    if !ledger.is_embedded() {
        meddle(url, "ANALYZE").await;
    }
    crate::counts::agree(&ledger, url).await;
    let recorder = Arc::new(Recorder::default());
    drive::everything(&ledger.clone().with_steps(recorder.clone()), &custody).await;
    crate::counts::agree(&ledger, url).await;
    operations::all_are_driven(&recorder.driven.lock().unwrap(), LEFT_OUT);
    figures::show(&ledger).await;
    let sent = std::mem::take(&mut *recorder.sent.lock().unwrap());
    assert!(sent.len() > 60, "only {} statements were seen", sent.len());
    let mut judge = Judge::new(url, EXCEPTIONS);
    judge.judge(&ledger, &sent).await;
    if ledger.is_embedded() {
        // SQLite gathers statistics only if somebody asks it to, and reads them when a file is opened.
        meddle(url, "ANALYZE").await;
        ledger.close().await.unwrap();
        judge.judge(&Ledger::connect(url, 1).await.unwrap(), &sent).await;
    }
    judge.finish();
}
