//! Why a simulator could not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why [`Simulator::start`](crate::Simulator::start) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken, or not ours to bind.
    #[error("binding the simulator to {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The books file can't be opened, read or locked.
    #[error("opening the books file {}", path.display())]
    Books {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line before the last isn't a journal entry: the file is no books file, or it was edited.
    ///
    /// The parser's message isn't kept, because it quotes the line, and the line holds tokens.
    #[error("line {line} of the books file {} is not a journal entry", path.display())]
    NotBooks {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Another process writes the books, and has not given them an id: it is of an earlier release, which gives none.
    #[error("the books file {} has no id yet, and another process is writing it; stop that one first", path.display())]
    NoBooksId {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no randomness for tokens; a `seed` in the settings does without.
    #[error("drawing randomness for tokens from the operating system")]
    Randomness(#[source] Box<dyn std::error::Error + Send + Sync>),
}
