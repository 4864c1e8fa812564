//! Log lines: one JSON object a line for machines, the same in readable form on a terminal.
//!
//! A line of ours carries a field named `event`: its stable name, which people may alert on. What a span around it
//! holds (`signup_id`, `attempt`) is on the line too, flat. No line ever holds a secret or personal data; what
//! libraries would let out is [capped](ceiling), whatever `FOXDEN_LOG` says.
//!
//! Lines are written with the target that `tracing` gives them, the module's path; one of our own with another target
//! would count as a dependency's.

mod ceiling;
mod fields;
mod filter;
mod human;
mod json;
mod layer;
mod line;
mod panics;

#[cfg(test)]
mod tests;

pub(crate) use filter::LogFilter;

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing_subscriber::{
    filter::filter_fn,
    layer::SubscriberExt,
    registry,
    util::{SubscriberInitExt, TryInitError},
};

use crate::{
    settings::{LogFormat, TelemetrySettings},
    terminal::Painter,
};
use layer::{LineLayer, Rendering};

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output, for the worker: its log is what it puts out.
    Stdout,
    /// Standard error, for commands whose output is their answer.
    Stderr,
}

/// Logging was set up already.
#[derive(Debug, thiserror::Error)]
#[error("could not set up logging")]
pub(crate) struct InitError(#[from] TryInitError);

/// Sets up logging for the whole process, panics included. To be called once, before any thread is started.
///
/// # Errors
/// If it was called before.
pub(crate) fn init(settings: &TelemetrySettings, output: Output) -> Result<(), InitError> {
    let lines = LineLayer::new(rendering(settings, output), output.sink());
    subscriber(&settings.filter, lines).try_init()?;
    panics::install_hook();
    Ok(())
}

/// Lines, under two filters: the ceiling that nothing lifts, and what the settings ask for.
fn subscriber(filter: &LogFilter, lines: LineLayer) -> impl Subscriber + Send + Sync + use<> {
    // Filters of the whole, not of the layer: one layer's filter remembers its last answer, which `enabled!` and
    // `log_enabled!` of a library may leave behind for an event that is not asked about.
    registry().with(lines).with(filter_fn(ceiling::permits)).with(filter.targets().clone())
}

fn rendering(settings: &TelemetrySettings, output: Output) -> Rendering {
    let human = match settings.format {
        LogFormat::Json => false,
        LogFormat::Human => true,
        LogFormat::Auto => output.is_terminal(),
    };
    if human { Rendering::Human(output.painter(settings.no_color)) } else { Rendering::Json }
}

impl Output {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    fn painter(self, no_color: bool) -> Painter {
        match self {
            Self::Stdout => Painter::of(&io::stdout(), no_color),
            Self::Stderr => Painter::of(&io::stderr(), no_color),
        }
    }

    /// Writes whole lines, so that those of several threads don't mix. A line that can't be written is gone: there is
    /// nowhere left to report it, and work goes on.
    fn sink(self) -> layer::Sink {
        match self {
            Self::Stdout => Box::new(|line| drop(io::stdout().lock().write_all(line))),
            Self::Stderr => Box::new(|line| drop(io::stderr().lock().write_all(line))),
        }
    }
}
