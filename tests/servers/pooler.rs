//! PgBouncer in front of the tests' PostgreSQL.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use url::Url;

use crate::support::PATIENCE;

/// One with its installed defaults but for the pool mode; it ends with this value.
pub(super) struct Pooler {
    _dir: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Pooler {
    /// Starts one in this mode. `None`, and says so, where it is not installed.
    pub(super) async fn before(database: &str, mode: &str) -> Option<Self> {
        let Some(program) = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|at| Path::new(at).exists())
        else {
            skipped();
            return None;
        };
        let server = Url::parse(database).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let users = format!("\"{}\" \"{}\"\n", server.username(), server.password().unwrap());
        std::fs::write(path("users.txt"), users).unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\n",
            server.port().unwrap(),
            path("users.txt"),
        );
        std::fs::write(path("pgbouncer.ini"), settings).unwrap();
        let process = start(program, dir.path());
        let pooler = Self { _dir: dir, process, port };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "PgBouncer does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(pooler)
    }

    /// The way through it to what this URL names.
    pub(super) fn url(&self, database: &str) -> String {
        let mut url = Url::parse(database).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.into()
    }
}

/// It does not run as root, and neither does PostgreSQL, whose user is there then.
fn start(program: &str, dir: &Path) -> Child {
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let mut command = if is_root {
        let status = Command::new("chown").args(["-R", "postgres:"]).arg(dir).status().unwrap();
        assert!(status.success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", program]);
        command
    } else {
        Command::new(program)
    };
    let quiet = command.arg("--quiet").arg(dir.join("pgbouncer.ini")).current_dir(dir);
    quiet.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[expect(clippy::print_stderr, reason = "what is not tested must be seen")]
fn skipped() {
    eprintln!("SKIPPED: PgBouncer is not installed; `scripts/services.sh install` does that on Debian, as root");
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
