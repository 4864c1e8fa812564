//! What runs programs in other languages: their runtimes, with the libraries that `make test` fetches into `target/tools`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::given;

/// The top of the checkout.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Node with the libraries of one folder of `target/tools`.
pub(crate) fn node(tools: &str) -> Command {
    let mut node = bare("node");
    node.env("NODE_PATH", top().join("target/tools").join(tools).join("node_modules"));
    node
}

/// Python with the libraries that were fetched for it, else the system's.
pub(crate) fn python() -> Command {
    let ours = top().join("target/tools/python/bin/python3");
    bare(if ours.exists() { ours.to_str().unwrap() } else { "python3" })
}

/// PHP as the system has it.
pub(crate) fn php() -> Command {
    bare("php")
}

/// A program in an environment that holds nothing of ours.
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", given("PATH").unwrap_or_default()).stdin(Stdio::null());
    command
}

/// Whether a program is there and ends well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Says what is left out, past the test harness, which keeps back what a test prints that goes well.
pub(crate) fn skipped(what: &str, needs: &str) {
    let told = format!("SKIPPED: {what}: it needs {needs}\n");
    drop(std::io::stderr().write_all(told.as_bytes()));
}
