//! Events that are not taken: named with every mistake, counted, and put aside where that is asked for.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::events::Document;
use crate::{output, private_file::append_to, terminal::printable};

/// A terminal shows so many in full; a file with a wrong column would otherwise fill it. Elsewhere all are named.
const SHOWN: u64 = 20;

/// What was refused so far.
pub(super) struct Refusals {
    count: u64,
    file: Option<(PathBuf, BufWriter<File>)>,
    is_seen: bool,
}

impl Refusals {
    /// Puts refused events into a file, behind what is there already. They are personal data, so it is its owner's alone.
    pub(super) fn open(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let open = |path: PathBuf| {
            let opened = append_to(&path);
            let opened = opened.with_context(|| format!("could not open {} for refused events", path.display()))?;
            anyhow::Ok((path, BufWriter::new(opened)))
        };
        Ok(Self { count: 0, file: file.map(open).transpose()?, is_seen: io::stderr().is_terminal() })
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Names one, and puts it aside.
    pub(super) fn add(&mut self, document: &Document, why: &str) -> anyhow::Result<()> {
        self.count += 1;
        if !self.is_seen || self.count <= SHOWN {
            let lines: Vec<_> = why.lines().map(|line| printable(line).into_owned()).collect();
            output::note(format!("line {}: {}", document.line, lines.join("\n  ")));
        } else if self.count == SHOWN + 1 {
            output::note("further refused events are only counted; --rejects FILE puts them aside");
        }
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        if document.is_cut {
            output::note(format!("line {} is too long to be put into {}", document.line, path.display()));
            return Ok(());
        }
        let text = document.bytes.strip_suffix(b"\n").unwrap_or(&document.bytes);
        let written = file.write_all(text).and_then(|()| file.write_all(b"\n"));
        written.with_context(|| format!("could not write to {}", path.display()))
    }

    /// Hands what was put aside to the system, before it counts as done with.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.flush().with_context(|| format!("could not write to {}", path.display()))
    }
}
