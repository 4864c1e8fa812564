//! SIGTERM and SIGINT, and what each of them asks for.

use std::time::{Duration, Instant};

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
}

/// Waits for signals.
pub(crate) struct Signals {
    term: Signal,
    int: Signal,
    stopping_since: Option<Instant>,
}

impl Signals {
    /// From now on signals no longer end the process by themselves.
    pub(crate) fn install() -> Self {
        let install = |kind| signal(kind).expect("a handler for SIGTERM and SIGINT can be installed");
        Self { term: install(SignalKind::terminate()), int: install(SignalKind::interrupt()), stopping_since: None }
    }

    /// The next signal that asks for something new.
    pub(crate) async fn next(&mut self) -> Wish {
        loop {
            let name = tokio::select! { _ = self.term.recv() => "SIGTERM", _ = self.int.recv() => "SIGINT" };
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
