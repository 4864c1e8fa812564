//! The harness: a place for one test, with a simulator, a database and the program's settings.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Once,
    time::{Duration, Instant, SystemTime},
};

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{Filter, Ledger, Provisioning, Scope, SignupId, State};
use foxden_vault::{KeyRing, RefreshToken};
use foxy_sim::Simulator;
use serde_json::{Value, json};

/// Long enough for any of these on a busy machine; nothing waits for it that goes well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One test's own world.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sim: Simulator,
    pub(crate) settings: BTreeMap<String, String>,
}

/// A signup event as a parent app writes it.
pub(crate) fn event(signup_id: &str) -> Value {
    json!({
        "version": 1,
        "signup_id": signup_id,
        "user": {"first_name": "Ada", "last_name": "Lovelace", "email": format!("{signup_id}@customers.example")},
        "store": {
            "name": format!("Engines {signup_id}"),
            "url": "https://engines.example",
            "email": "shop@engines.example",
            "country": "US",
            "region": "MN",
            "postal_code": "55401",
        },
    })
}

/// Events as JSON lines.
pub(crate) fn lines<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    ids.into_iter().map(|id| format!("{}\n", event(id))).collect()
}

/// What the environment says, if anything.
pub(crate) fn given(variable: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one door by which a test is told of its servers and its size")]
    std::env::var(variable).ok()
}

/// A number that the environment may set.
pub(crate) fn number<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    let parsed = |text: String| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number"));
    given(variable).map_or(otherwise, parsed)
}

/// What chance begins with: another seed each time, or the one in `FOXDEN_TEST_SEED`.
pub(crate) fn seed() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    number("FOXDEN_TEST_SEED", u64::from(since_epoch.subsec_nanos()))
}

/// A server's URL; `make test` sets it.
pub(crate) fn server(variable: &str) -> String {
    given(variable).unwrap_or_else(|| panic!("{variable} must name a server: use `make test`"))
}

impl Place {
    /// SQLite in a directory of its own, and no broker.
    pub(crate) async fn new() -> Self {
        Self::with(foxy_sim::Config::default()).await
    }

    pub(crate) async fn with(config: foxy_sim::Config) -> Self {
        Self::at(tempfile::tempdir().unwrap(), config).await
    }

    /// The same in a directory that is there already.
    pub(crate) async fn at(dir: tempfile::TempDir, config: foxy_sim::Config) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let sim = Simulator::start(config).await.unwrap();
        let (client_id, client_secret) = sim.client();
        let key = foxden_vault::generate_key("test").unwrap();
        let database = format!("sqlite:{}", dir.path().join("ledger.db").display());
        let settings = [
            ("FOXDEN_FOXY_API", sim.base_url()),
            ("FOXDEN_FOXY_CLIENT_ID", client_id),
            ("FOXDEN_FOXY_CLIENT_SECRET", client_secret),
            ("FOXDEN_DATABASE_URL", &database),
            ("FOXDEN_KEYS", key.as_str()),
            ("FOXDEN_LOG_FORMAT", "json"),
            ("FOXDEN_POLL_INTERVAL", "50ms"),
            ("FOXDEN_FOXY_RATE", "off"),
            ("FOXDEN_RETRY_INITIAL", "100ms"),
            ("FOXDEN_RETRY_MAX", "1s"),
            ("FOXDEN_LOOKUP_DELAY", "100ms"),
            // As short as the relations between settings allow.
            ("FOXDEN_CALL_TIMEOUT", "2s"),
            ("FOXDEN_CONNECT_TIMEOUT", "1s"),
            ("FOXDEN_LEASE", "13s"),
            ("FOXDEN_SHUTDOWN_GRACE", "10s"),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { dir, sim, settings }
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(arguments, self.dir.path());
        command.envs(&self.settings);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command with this input; it must end with exit status 0. Answers what it printed.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.feed_any(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command with this input, however it ends.
    pub(crate) fn feed_any(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that has refused its settings reads nothing; that is for the caller to judge.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must end well; answers what it printed as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.feed(arguments, "")).unwrap()
    }

    /// Starts a worker; its log goes to a file.
    pub(crate) fn worker(&self, name: &str) -> Worker {
        self.worker_with(name, &[])
    }

    /// Starts a worker with settings of its own beside the place's.
    pub(crate) fn worker_with(&self, name: &str, settings: &[(&str, &str)]) -> Worker {
        self.start(name, &["worker"], settings)
    }

    /// Starts any command as a process that may be killed; what it says goes to a file.
    pub(crate) fn start(&self, name: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Worker {
        let log = self.path(&format!("{name}.log"));
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = self
            .command(arguments)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Worker { child, log }
    }

    /// The same ledger as the program's, looked at from outside.
    pub(crate) async fn ledger(&self) -> Ledger {
        Ledger::connect(&self.settings["FOXDEN_DATABASE_URL"], 2).await.unwrap()
    }

    /// Waits until so many signups are provisioned or parked, and answers them all.
    pub(crate) async fn settled(&self, count: usize) -> Vec<Provisioning> {
        let ledger = self.ledger().await;
        let started = Instant::now();
        loop {
            let filter = Filter { limit: 100_000, ..Filter::default() };
            // Before the worker's first migration there is no table.
            let rows = ledger.list(&filter).await.unwrap_or_default();
            let settled = rows.iter().filter(|row| matches!(row.state, State::Closed | State::Parked)).count();
            if settled >= count {
                ledger.close().await.unwrap();
                return rows;
            }
            assert!(started.elapsed() < PATIENCE, "only {settled} of {count} came to rest: {rows:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The simulator's books and the ledger agree, row for row: each provisioned signup has one user, one store, and one
    /// envelope that opens to a token for that store; nothing else was made.
    pub(crate) async fn books_agree(&self, rows: &[Provisioning]) {
        let books = self.sim.books();
        for row in rows {
            assert_eq!(row.state, State::Closed, "{row:?}");
        }
        assert_eq!((books.users.len(), books.stores.len()), (rows.len(), rows.len()));
        self.tokens_open_their_stores(rows).await;
    }

    /// Each provisioned signup has a store in the simulator's books, and one envelope that opens to a token for it.
    pub(crate) async fn tokens_open_their_stores(&self, rows: &[Provisioning]) {
        let ledger = self.ledger().await;
        let books = self.sim.books();
        for row in rows.iter().filter(|row| row.state == State::Closed) {
            let store = books.stores.iter().find(|store| Some(&store.uri) == row.store_uri.as_ref()).unwrap();
            assert_eq!((Some(&store.domain), Some(&store.owner)), (row.store_domain.as_ref(), row.user_uri.as_ref()));
            let token = self.store_token(&ledger, row).await;
            assert_eq!(self.sim.refresh_token_opens(token.expose()).unwrap().uri, store.uri);
        }
        ledger.close().await.unwrap();
    }

    /// A signup's one sealed token of a store, opened.
    pub(crate) async fn store_token(&self, ledger: &Ledger, row: &Provisioning) -> RefreshToken {
        let ring = KeyRing::parse(&self.settings["FOXDEN_KEYS"]).unwrap();
        let custody = Custody::new(std::sync::Arc::new(ring), "production");
        let kept = ledger.credentials(&row.id).await.unwrap();
        let stores: Vec<_> = kept.iter().filter(|held| held.scope == Scope::Store).collect();
        assert_eq!(stores.len(), 1);
        custody.open_token(&TokenRow::of(row, stores[0]), stores[0].sealed.as_ref().unwrap()).unwrap()
    }
}

/// The program, with an environment that holds nothing of ours.
pub(crate) fn program(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foxden"));
    command.args(arguments).current_dir(dir).env_clear();
    command
}

/// A worker process; it is killed with its test.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Its whole log lines with this event name.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let log = self.log();
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("not a JSON line: {line}")))
            .filter(|line| line["event"] == name)
            .collect()
    }

    /// Waits for a line with this event name.
    pub(crate) async fn until(&self, name: &str) -> Value {
        self.until_after(name, 0).await
    }

    /// Waits for one more line with this event name than `count`, and answers it.
    pub(crate) async fn until_after(&self, name: &str, count: usize) -> Value {
        let started = Instant::now();
        loop {
            if let Some(line) = self.events(name).into_iter().nth(count) {
                return line;
            }
            assert!(started.elapsed() < PATIENCE, "no {name} after {count} in:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until its ledger is back, as often as it was away. Until then a further failure is not reported.
    pub(crate) async fn until_ledger_recovered(&self) {
        let started = Instant::now();
        while self.events("ledger.recovered").len() < self.events("ledger.unavailable").len() {
            assert!(started.elapsed() < PATIENCE, "the ledger is not back in:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Waits for its end and answers its exit status.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its exit status, if it has ended by now.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) {
        self.terminate();
        assert_eq!(self.ended().await, Some(0), "{}", self.log());
    }

    /// Makes it stand still, every thread of it, until it is thawed or crashed.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        let is_still = |thread: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
            // The state comes after the name, which is in parentheses; a thread that has gone is still, too.
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        };
        let started = Instant::now();
        while !std::fs::read_dir(&threads).unwrap().all(is_still) {
            assert!(started.elapsed() < PATIENCE, "it does not stand still");
            tokio::task::yield_now().await;
        }
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// Ends it without warning, as a crash does.
    pub(crate) fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A signup's row.
pub(crate) async fn row(place: &Place, signup_id: &str) -> Provisioning {
    let ledger = place.ledger().await;
    let row = ledger.find(&SignupId::parse(signup_id).unwrap()).await.unwrap().unwrap();
    ledger.close().await.unwrap();
    row
}
