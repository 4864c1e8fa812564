use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DbErr};

use crate::{connections::Connections, database_url::DatabaseUrl, pool};

async fn open(dir: &tempfile::TempDir) -> Connections {
    let file = dir.path().join("ledger.db");
    pool::open(&DatabaseUrl::parse(&DatabaseUrl::text_for(&file)).unwrap(), 1).await.unwrap()
}

/// Writes two rows in one transaction, the second of which is large.
async fn write(connections: &Connections, number: usize) -> Result<(), DbErr> {
    let txn = connections.begin().await?;
    txn.execute_unprepared(&format!("INSERT INTO t VALUES ({number}, 'small')")).await?;
    txn.execute_unprepared(&format!("INSERT INTO t VALUES ({number}, hex(zeroblob(20000)))")).await?;
    txn.commit().await
}

/// The numbers of which both rows are there, and those of which one is.
async fn read(connections: &Connections) -> (BTreeSet<usize>, usize) {
    let rows = connections.query_all_raw(statement("SELECT n, COUNT(*) AS rows FROM t GROUP BY n")).await.unwrap();
    let counted =
        rows.iter().map(|row| (row.try_get::<i64>("", "n").unwrap(), row.try_get::<i64>("", "rows").unwrap()));
    let (whole, halves): (Vec<_>, Vec<_>) = counted.partition(|(_, rows)| *rows == 2);
    (whole.into_iter().map(|(n, _)| usize::try_from(n).unwrap()).collect(), halves.len())
}

fn statement(text: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, text)
}

#[tokio::test]
async fn what_was_committed_around_a_full_disk_is_what_another_process_reads() {
    let dir = tempfile::tempdir().unwrap();
    let connections = open(&dir).await;
    connections.execute_unprepared("CREATE TABLE t (n INTEGER, text TEXT)").await.unwrap();
    let mut committed = BTreeSet::new();
    for number in 0..30 {
        if number % 10 == 5 {
            // Room for nothing more, on this connection; another one has all the room there is.
            connections.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
        }
        if write(&connections, number).await.is_ok() {
            committed.insert(number);
        }
    }
    assert_eq!(committed.len(), 27, "the connection that met a full disk is replaced at once");
    let another = open(&dir).await;
    assert_eq!(read(&another).await, (committed, 0));
}

#[tokio::test]
async fn a_transaction_with_a_failed_statement_commits_nothing_and_its_connection_stays() {
    let dir = tempfile::tempdir().unwrap();
    let connections = open(&dir).await;
    connections.execute_unprepared("CREATE TABLE t (n INTEGER UNIQUE, text TEXT)").await.unwrap();
    // It lives as long as its connection.
    connections.execute_unprepared("CREATE TEMP TABLE mark (n INTEGER)").await.unwrap();
    let txn = connections.begin().await.unwrap();
    txn.execute_unprepared("INSERT INTO t VALUES (1, 'a')").await.unwrap();
    txn.execute_unprepared("INSERT INTO t VALUES (1, 'b')").await.unwrap_err();
    txn.execute_unprepared("INSERT INTO t VALUES (2, 'c')").await.unwrap_err();
    txn.commit().await.unwrap_err();
    let rows = connections.query_all_raw(statement("SELECT n FROM t")).await.unwrap();
    assert!(rows.is_empty());
    connections.query_all_raw(statement("SELECT n FROM mark")).await.unwrap();
    // An error that no row has caused ends the connection, and with it what it held.
    connections.execute_unprepared("no statement").await.unwrap_err();
    connections.query_all_raw(statement("SELECT n FROM mark")).await.unwrap_err();
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing_open() {
    let dir = tempfile::tempdir().unwrap();
    let connections = open(&dir).await;
    connections.execute_unprepared("CREATE TABLE t (n INTEGER, text TEXT)").await.unwrap();
    for number in 0..3 {
        let txn = connections.begin().await.unwrap();
        txn.execute_unprepared("INSERT INTO t VALUES (99, 'dropped')").await.unwrap();
        drop(txn);
        write(&connections, number).await.unwrap();
    }
    assert_eq!(read(&open(&dir).await).await, ((0..3).collect(), 0));
}
