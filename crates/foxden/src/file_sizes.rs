//! The limit on the size of files, which `ulimit -f` and systemd's `LimitFSIZE` set.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Lets a write beyond the limit fail, as one on a full disk does. By itself the kernel ends the process with
/// SIGXFSZ, and with it the tokens that are not written yet. Call it inside the runtime.
///
/// # Errors
/// If the system refuses.
pub(crate) fn survive_limit() -> io::Result<()> {
    // The handler stays when what would receive its signals is dropped, and the write fails with EFBIG.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}
