//! SIGTERM, SIGINT and SIGHUP, and what each of them asks for.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A second signal counts after this long. A terminal and the program that wraps us may both pass on one Ctrl-C.
const ONE_WISH: Duration = Duration::from_secs(1);

/// What a signal asks for, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To end in good order.
    Stop(&'static str),
    /// To end at once.
    Kill(&'static str),
    /// To read again what can be read again.
    Reread,
}

/// SIGHUP. Its receiver stands apart, so that a program may have it before it listens to the others.
pub(crate) struct HangUp {
    received: Option<Signal>,
    rereads: bool,
}

impl HangUp {
    /// From now on SIGHUP asks to read again. It never ends the process.
    pub(crate) fn rereads() -> Self {
        Self { received: Some(install(SignalKind::hangup())), rereads: true }
    }

    /// From now on SIGHUP stops like SIGTERM, unless the program was started to outlive its terminal (`nohup`).
    pub(crate) fn stops() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let received = if is_ignored(SIGHUP, &status) { None } else { Some(install(SignalKind::hangup())) };
        Self { received, rereads: false }
    }

    async fn next(&mut self) {
        match &mut self.received {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

const SIGHUP: u32 = 1;

/// Whether a signal is ignored, by what Linux tells of a process: a mask in hexadecimal, whose lowest bit is signal 1.
/// There is no other way to ask that leaves it as it is, and needs no unsafe code.
fn is_ignored(signal: u32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Waits for signals.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
    hang_up: HangUp,
    stopping_since: Option<Instant>,
}

impl Signals {
    /// From now on signals no longer end the process by themselves.
    pub(crate) fn install(hang_up: HangUp) -> Self {
        let (term, int) = (install(SignalKind::terminate()), install(SignalKind::interrupt()));
        Self { term, int, hang_up, stopping_since: None }
    }

    /// The next signal that asks for something new.
    pub(crate) async fn next(&mut self) -> Wish {
        loop {
            let name = tokio::select! {
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
                () = self.hang_up.next() => {
                    if self.hang_up.rereads {
                        return Wish::Reread;
                    }
                    "SIGHUP"
                }
            };
            match self.stopping_since {
                None => {
                    self.stopping_since = Some(Instant::now());
                    return Wish::Stop(name);
                }
                Some(since) if since.elapsed() >= ONE_WISH => return Wish::Kill(name),
                Some(_) => tracing::debug!(event = "signal.repeated", signal = name, "stopping already"),
            }
        }
    }
}

fn install(kind: SignalKind) -> Signal {
    signal(kind).expect("a handler for SIGTERM, SIGINT and SIGHUP can be installed")
}

#[cfg(test)]
mod tests {
    use super::{SIGHUP, is_ignored};

    #[test]
    fn a_signal_is_ignored_if_its_bit_is_in_the_mask() {
        let status = |mask: &str| format!("Name:\tfoxden\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        assert!(is_ignored(SIGHUP, &status("0000000000001001")));
        assert!(!is_ignored(SIGHUP, &status("0000000000001000")));
        assert!(!is_ignored(SIGHUP, "") && !is_ignored(SIGHUP, &status("?")));
    }
}
