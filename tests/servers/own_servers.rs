//! Servers of the test's own: the shared ones must not be restarted under other tests.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services.sh");

/// A PostgreSQL, and a RabbitMQ if wanted, that end with this value, or with the test program, however that ends.
pub(super) struct OwnServers {
    dir: tempfile::TempDir,
    guard: Child,
}

impl OwnServers {
    /// Starts both.
    pub(super) async fn up() -> Self {
        Self::start(&["up"]).await
    }

    /// Starts a PostgreSQL alone.
    pub(super) async fn up_database() -> Self {
        Self::start(&["up", "postgres"]).await
    }

    /// Starts a RabbitMQ alone.
    pub(super) async fn up_broker() -> Self {
        Self::start(&["up", "rabbitmq"]).await
    }

    /// Starts a RabbitMQ that speaks TLS too: `server`, or `mutual` if it is to want certificates of its clients.
    pub(super) async fn up_broker_with_tls(kind: &str) -> Self {
        Self::start_with(&["up", "rabbitmq"], &[("FOXDEN_SERVICES_TLS", kind)]).await
    }

    async fn start(up: &[&str]) -> Self {
        Self::start_with(up, &[]).await
    }

    async fn start_with(up: &[&str], environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // It takes the servers down once its standard input ends, which happens even if this program is killed. In a
        // group of its own, since a Ctrl-C goes to all of ours.
        let guard = Command::new("bash")
            .args(["-c", "cat; exec bash \"$0\" down \"$1\"", SCRIPT])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let servers = Self { dir, guard };
        servers.run_with(up, &[], environment).await;
        servers
    }

    /// A file below the directory of the servers, as text.
    pub(super) fn path(&self, file: &str) -> String {
        self.dir.path().join(file).to_str().unwrap().to_owned()
    }

    /// Runs `rabbitmqctl`.
    pub(super) async fn rabbitmqctl(&self, arguments: &[&str]) {
        self.run_with(&["ctl"], arguments, &[]).await;
    }

    /// What `services.sh` has written for this variable.
    pub(super) fn url(&self, variable: &str) -> String {
        let env = std::fs::read_to_string(self.dir.path().join("env")).unwrap();
        let value = env.lines().find_map(|line| line.strip_prefix(&format!("export {variable}='"))).unwrap();
        value.trim_end_matches('\'').to_owned()
    }

    /// Stops a server in good order and starts it again.
    pub(super) async fn restart(&self, server: &str) {
        self.run(&["restart", server]).await;
    }

    /// Ends a server without warning; `restart` brings it back.
    pub(super) async fn kill(&self, server: &str) {
        self.run(&["kill", server]).await;
    }

    /// Stops a server where it stands: its connections stay open, and nothing on them is answered.
    pub(super) async fn freeze(&self, server: &str) {
        self.run(&["freeze", server]).await;
    }

    /// Lets a frozen server go on.
    pub(super) async fn thaw(&self, server: &str) {
        self.run(&["thaw", server]).await;
    }

    async fn run(&self, arguments: &[&str]) {
        self.run_with(arguments, &[], &[]).await;
    }

    /// The directory stands between the two halves of the arguments.
    async fn run_with(&self, arguments: &[&str], after: &[&str], environment: &[(&str, &str)]) {
        let log = self.dir.path().join("services.log");
        // To a file, since a server that is started keeps what it was given open.
        let status = tokio::process::Command::new("bash")
            .arg(SCRIPT)
            .args(arguments)
            .arg(self.dir.path())
            .args(after)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .status()
            .await
            .unwrap();
        assert!(status.success(), "{arguments:?}: {}", std::fs::read_to_string(&log).unwrap());
    }
}

impl Drop for OwnServers {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        drop(self.guard.wait());
    }
}
