//! How far it is: a bar on a terminal, else a line in the log now and then.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where there is no bar, the log is told so often.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Progress {
    bar: ProgressBar,
    size: Option<u64>,
    started: Instant,
    told: Instant,
    /// Where in the input this run began, once it has.
    from: Option<u64>,
    events: u64,
}

impl Progress {
    /// For an input of so many bytes, if that is known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let bar = if io::stderr().is_terminal() {
            let template = match size {
                Some(_) => "{bar:40} {bytes}/{total_bytes} {msg}, {eta} left",
                None => "{spinner} {bytes} {msg}",
            };
            let style = ProgressStyle::with_template(template).expect("the template names fields that exist");
            ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr()).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        Self { bar, size, started: now, told: now, from: None, events: 0 }
    }

    /// So many more events are done with; the next line is this one, and the input is read up to `end`.
    pub(super) fn at(&mut self, events: u64, next_line: u64, end: u64) {
        self.events += events;
        let from = *self.from.get_or_insert_with(|| {
            // What an earlier run did says nothing about how long the rest takes.
            self.bar.set_position(end);
            self.bar.reset_eta();
            end
        });
        let rate = self.events as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        self.bar.set_position(end);
        self.bar.set_message(format!("line {next_line}, {rate:.0}/s"));
        if !self.bar.is_hidden() || self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        let left_s = self.size.filter(|_| end > from).map(|size| {
            let bytes_a_second = (end - from) as f64 / self.started.elapsed().as_secs_f64();
            (size.saturating_sub(end) as f64 / bytes_a_second).round() as u64
        });
        let per_s = rate.round() as u64;
        tracing::info!(event = "submit.progress", events = self.events, next_line, per_s, left_s, "at work");
    }

    /// Does something that writes to the terminal.
    pub(super) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        self.bar.suspend(what)
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
