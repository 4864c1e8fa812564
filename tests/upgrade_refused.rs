//! When a ledger is not migrated, and what is said then: workers of an earlier release can't work with this one's
//! tables.

use std::process::Output;

use sea_orm::{ConnectionTrait as _, Statement};

use crate::upgrade::Earlier;

/// Far away, on every machine's clock.
const FAR: i64 = 4_000_000_000_000;

impl Earlier {
    async fn execute(&self, sql: &str) {
        let database = self.database().await;
        database.execute_unprepared(sql).await.unwrap();
        database.close().await.unwrap();
    }

    /// The names of the migrations that the ledger has.
    async fn applied(&self) -> Vec<String> {
        let database = self.database().await;
        let query = "SELECT version FROM seaql_migrations ORDER BY version".to_owned();
        let rows =
            database.query_all_raw(Statement::from_string(database.get_database_backend(), query)).await.unwrap();
        database.close().await.unwrap();
        rows.iter().map(|row| row.try_get("", "version").unwrap()).collect()
    }

    /// A command that must fail, and say this; and leave the schema as it was.
    async fn refuses(&self, arguments: &[&str], because: &str) {
        let before = self.applied().await;
        let Output { status, stdout, stderr } = self.place.run(arguments);
        let said = format!("{}{}", String::from_utf8_lossy(&stderr), String::from_utf8_lossy(&stdout));
        assert!(status.code() == Some(1) && said.contains(because), "{arguments:?}: {status} {said}");
        assert_eq!(self.applied().await, before, "{arguments:?}");
    }

    /// A live lease, of a signup's or of the publisher's, keeps a ledger from being rebuilt.
    pub(crate) async fn is_not_migrated_under_workers(&self) {
        self.load().await;
        for (hold, let_go) in [
            (
                format!("UPDATE provisionings SET lease_until = {FAR} WHERE signup_id = 'user-in-flight-made'"),
                "UPDATE provisionings SET lease_until = 1 WHERE lease_until IS NOT NULL",
            ),
            (format!("UPDATE publishing_lease SET lease_until = {FAR}"), "UPDATE publishing_lease SET lease_until = 1"),
        ] {
            self.execute(&hold).await;
            let because =
                "no worker may be at work on it. Nothing was changed; stop all workers of the earlier release";
            self.refuses(&["migrate", "up"], because).await;
            self.refuses(&["migrate", "up"], "there is 1 live lease on the ledger").await;
            self.execute(let_go).await;
        }
        self.place.feed(&["migrate", "up"], "");
        // A ledger of this release is in use while nothing is rebuilt.
        self.execute(&format!("UPDATE publishing_lease SET lease_until = {FAR}")).await;
        self.place.feed(&["migrate", "up"], "");
    }

    /// Tokens that are on this machine's disk go into the ledger first.
    pub(crate) async fn is_not_migrated_beside_an_escrow(&self) {
        self.load().await;
        self.put_escrow_back();
        let because = "1 file is in foxden-escrow (FOXDEN_ESCROW_DIR), with tokens that are not in the ledger yet";
        self.refuses(&["migrate", "up"], because).await;
        std::fs::remove_dir_all(self.place.path("foxden-escrow")).unwrap();
        self.place.feed(&["migrate", "up"], "");
    }

    /// A migration that this release does not know.
    pub(crate) async fn of_a_later_release_is_refused(&self) {
        self.load().await;
        self.place.feed(&["migrate", "up"], "");
        self.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29990101_000001_later', 1)").await;
        for arguments in [&["migrate", "up"][..], &["migrate", "status"], &["worker"], &["status"]] {
            self.refuses(arguments, "migrated by a later release of foxden (m29990101_000001_later is not known here)")
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_not_migrated_under_workers() {
    Earlier::of("sqlite").await.is_not_migrated_under_workers().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_not_migrated_beside_an_escrow() {
    let earlier = Earlier::of("sqlite").await;
    earlier.is_not_migrated_beside_an_escrow().await;
}

/// With SQLite every command migrates, and refuses for the same reasons.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_migrates_a_file_beside_an_escrow() {
    let earlier = Earlier::of("sqlite").await;
    earlier.load().await;
    earlier.put_escrow_back();
    for arguments in [&["worker"][..], &["status"]] {
        earlier.refuses(arguments, "with tokens that are not in the ledger yet").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_later_release_is_refused() {
    Earlier::of("sqlite").await.of_a_later_release_is_refused().await;
}
