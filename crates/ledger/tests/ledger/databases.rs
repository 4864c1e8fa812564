//! The databases of the rules, and how a rule runs on each: shared with the tests of custody.

use foxden_ledger::Ledger;

/// Runs every rule on one database.
macro_rules! rules {
    ($ledger:path: $($module:ident::$rule:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let (ledger, _keep) = $ledger().await;
            crate::$module::$rule(ledger).await;
        }
    )*};
}

/// The same for rules that somebody else meddles with.
macro_rules! rules_with_a_meddler {
    ($ledger:path: $($module:ident::$rule:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let (ledger, url, _keep) = $ledger().await;
            crate::$module::$rule(ledger, &url).await;
        }
    )*};
}

/// A file of its own, which goes with the folder.
pub(crate) async fn file() -> (Ledger, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::connect(&format!("sqlite:{}/ledger.db", dir.path().display()), 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    (ledger, dir)
}

pub(crate) async fn file_with_url() -> (Ledger, String, tempfile::TempDir) {
    let (ledger, dir) = file().await;
    let url = format!("sqlite:{}/ledger.db", dir.path().display());
    (ledger, url, dir)
}

/// A database of its own for each test, so that they run side by side. It goes with the throw-away server.
pub(crate) async fn database() -> (Ledger, String) {
    #[expect(clippy::disallowed_methods, reason = "the one door by which a test is told of its server")]
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL must name a PostgreSQL server: use `make test`");
    let name = format!("ledger_{}", uuid::Uuid::new_v4().simple());
    let ledger = Ledger::create_database(&url, &name).await.unwrap();
    ledger.migrate_up().await.unwrap();
    let mut own = url::Url::parse(&url).unwrap();
    own.set_path(&name);
    (ledger, own.to_string())
}

pub(crate) async fn database_with_url() -> (Ledger, String, ()) {
    let (ledger, url) = database().await;
    (ledger, url, ())
}
