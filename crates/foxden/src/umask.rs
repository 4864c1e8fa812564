//! Files that foxden makes are for their owner alone, from their first byte.

use std::sync::OnceLock;

use rustix::{fs::Mode, process::umask};

/// What it was when the program started.
static INHERITED: OnceLock<Mode> = OnceLock::new();

/// Takes every right from everyone but the owner, for all that this process makes from now on: the ledger and its
/// companions, put-aside events, state files.
pub(crate) fn tighten() {
    let inherited = umask(Mode::RWXG | Mode::RWXO);
    INHERITED.get_or_init(|| inherited);
}

/// Puts back the mask the program was started with, for a command that takes its place.
pub(crate) fn restore() {
    if let Some(inherited) = INHERITED.get() {
        umask(*inherited);
    }
}
