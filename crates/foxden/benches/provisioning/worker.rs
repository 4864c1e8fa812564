//! Workers: foxden, and what else is measured beside it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    broker::{Broker, Route},
    database::{Rows, Table},
    process::Running,
    rows::Row,
    simulator::Access,
};

/// How much of a worker's log is shown once it has failed.
const SHOWN_LINES: usize = 12;

/// Which worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The program of this build, without outcome events, which the others don't have.
    Foxden,
    /// The same with outcome events.
    Telling,
    /// The program of another build, such as an earlier release's.
    Beside(PathBuf),
    /// `worker.mjs` of a directory with the modules that it needs.
    Node(PathBuf),
    /// `worker.py` of a directory with the virtual environment that it needs.
    Python(PathBuf),
}

/// Where a worker finds all it needs.
pub(crate) struct Surroundings<'a> {
    pub(crate) row: &'a Row,
    pub(crate) dir: &'a Path,
    pub(crate) broker: &'a Broker,
    pub(crate) foxy: &'a Access,
    pub(crate) database: &'a str,
    /// The authority that Foxy's certificate is from, if it is behind TLS.
    pub(crate) authority: Option<&'a Path>,
    /// Settings added or replaced, as name and value.
    pub(crate) settings: &'a [(String, String)],
}

/// A worker that runs.
pub(crate) struct Worker {
    pub(crate) running: Running,
    log: PathBuf,
}

impl Kind {
    /// The peers in a directory, and why others of them can't be measured.
    pub(crate) fn peers(dir: &Path) -> (Vec<Self>, Vec<String>) {
        let (mut peers, mut lacking) = (Vec::new(), Vec::new());
        let mut judge = |peer: Self, files: [&str; 2]| match files.iter().find(|file| !dir.join(file).exists()) {
            None => peers.push(peer),
            Some(file) => lacking.push(format!("{}: there is no {}", peer.name(), dir.join(file).display())),
        };
        judge(Self::Node(dir.to_owned()), ["worker.mjs", "node_modules"]);
        judge(Self::Python(dir.to_owned()), ["worker.py", "venv/bin/python"]);
        (peers, lacking)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Foxden => "foxden",
            Self::Telling => "foxden+outcomes",
            Self::Beside(_) => "beside",
            Self::Node(_) => "node",
            Self::Python(_) => "python",
        }
    }

    /// Whether it is a foxden.
    pub(crate) fn keeps_a_ledger(&self) -> bool {
        matches!(self, Self::Foxden | Self::Telling | Self::Beside(_))
    }

    pub(crate) fn table(&self) -> Table {
        if self.keeps_a_ledger() { Table::Ledger } else { Table::StoreCredentials }
    }

    pub(crate) fn route(&self, broker: &Broker) -> Route {
        match self {
            Self::Foxden | Self::Telling | Self::Beside(_) => {
                Route { exchange: format!("{}.exchange", broker.mark), key: "signup".to_owned() }
            }
            // The default exchange, which leads to the queue of that name.
            Self::Node(_) | Self::Python(_) => Route { exchange: String::new(), key: broker.queue() },
        }
    }

    /// Makes the tables and the queues.
    pub(crate) async fn prepare(&self, around: &Surroundings<'_>) {
        match self {
            Self::Foxden | Self::Telling | Self::Beside(_) => {
                // Looking at the dead letters is the least that declares all there is.
                for arguments in [["migrate", "up"], ["dead", "list"]] {
                    let output = self.foxden(around, 0).args(arguments).output().expect("foxden runs");
                    assert!(output.status.success(), "foxden {arguments:?}: {output:?}");
                }
            }
            Self::Node(_) | Self::Python(_) => {
                let rows = Rows::open(around.database, self.table()).await;
                rows.make_table().await;
                rows.close().await;
                around.broker.declare_plain().await;
            }
        }
    }

    /// Starts one. Its log goes to a file, as it does under a supervisor.
    pub(crate) fn start(&self, around: &Surroundings<'_>, number: usize) -> Worker {
        let mut command = match self {
            Self::Foxden | Self::Telling | Self::Beside(_) => {
                let mut command = self.foxden(around, number);
                command.arg("worker");
                command
            }
            Self::Node(dir) => {
                let mut command = Command::new("node");
                command.arg(dir.join("worker.mjs")).env("NODE_DIR", dir);
                peer(command, around)
            }
            Self::Python(dir) => {
                let mut command = Command::new(dir.join("venv/bin/python"));
                command.arg(dir.join("worker.py"));
                peer(command, around)
            }
        };
        let log = around.dir.join(format!("worker-{number}.log"));
        let file = File::create(&log).expect("there is room for a log");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file is shared")).stderr(file);
        Worker { running: Running::start(self.name(), &mut command), log }
    }

    /// The program with its settings as they are shipped, but for what the row wants and where things are; and with no
    /// limit on its calls, as with the simulator that is built in.
    fn foxden(&self, around: &Surroundings<'_>, number: usize) -> Command {
        let program = match self {
            Self::Beside(program) => program,
            _ => Path::new(env!("CARGO_BIN_EXE_foxden")),
        };
        let mut command = Command::new(program);
        let key_file = around.dir.join("keys");
        if !key_file.exists() {
            let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
            fs::write(&key_file, key.as_str()).expect("there is room for a key");
        }
        command
            .env_clear()
            .current_dir(around.dir)
            .env("FOXDEN_FOXY_API", &around.foxy.url)
            .env("FOXDEN_FOXY_CLIENT_ID", &around.foxy.client_id)
            .env("FOXDEN_FOXY_CLIENT_SECRET", &around.foxy.client_secret)
            .env("FOXDEN_FOXY_RATE", "off")
            .env("FOXDEN_DATABASE_URL", around.database)
            .env("FOXDEN_KEYS", fs::read_to_string(&key_file).expect("it was written"))
            .env("FOXDEN_ESCROW_DIR", around.dir.join(format!("escrow-{number}")))
            .env("FOXDEN_CONCURRENCY", around.row.concurrency.to_string())
            .env("FOXDEN_AMQP_URL", &around.broker.url);
        for (role, name) in around.broker.names() {
            // An earlier build may not know how to do without them.
            let is_off = *self == Self::Foxden && role.starts_with("OUTCOME");
            command.env(format!("FOXDEN_AMQP_{role}"), if is_off { "none" } else { &name });
        }
        command.envs(around.authority.map(|file| ("SSL_CERT_FILE", file)));
        command.envs(around.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Worker {
    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

fn peer(mut command: Command, around: &Surroundings<'_>) -> Command {
    command
        .env("FOXY_BASE_URL", &around.foxy.url)
        .env("FOXY_CLIENT_ID", &around.foxy.client_id)
        .env("FOXY_CLIENT_SECRET", &around.foxy.client_secret)
        .env("FOXY_REFRESH_TOKEN", &around.foxy.refresh_token)
        .env("DATABASE_URL", around.database)
        .env("AMQP_URL", &around.broker.url)
        .env("QUEUE", around.broker.queue())
        .env("SEAL_KEY", BASE64_STANDARD.encode([7; 32]))
        .env("CONCURRENCY", around.row.concurrency.to_string());
    for variable in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
        command.envs(around.authority.map(|file| (variable, file)));
    }
    command
}
