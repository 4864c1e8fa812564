//! How far the submitting of an input has come, in a file that outlives the process.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use foxden_intake::SignupEvent;
use foxden_vault::read_small_file;
use serde::{Deserialize, Serialize};

use super::{events::Document, reader::Start};
use crate::{output, private_file};

/// It is written so often at most. What was submitted since is submitted once more after a kill, which is harmless.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Far more than a state takes; another file, named by mistake, shall not fill the memory.
const STATE_MAX: u64 = 64 * 1024;

/// An event that was submitted: by it the input is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) line: u64,
    pub(super) signup_id: String,
}

impl Mark {
    /// Whether this is that event.
    pub(super) fn is_at(&self, document: &Document) -> bool {
        document.line == self.line
            && SignupEvent::parse(&document.bytes).is_ok_and(|event| event.signup_id.as_str() == self.signup_id)
    }
}

/// What the file holds. No personal data: lines, a signup id, and a place.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Point {
    /// Where it was submitted to.
    #[serde(default)]
    to: Option<String>,
    /// Where to go on.
    next_line: u64,
    /// The last event before that line.
    last: Option<Mark>,
    /// How many events before that line were refused.
    #[serde(default)]
    refused: u64,
}

/// How far it is, and the file that says so, if one is kept.
pub(super) struct Resume {
    file: Option<PathBuf>,
    point: Point,
    saved: Instant,
}

impl Resume {
    /// Reads where to begin: from the file, or from the line that was asked for.
    pub(super) fn open(file: Option<PathBuf>, from_line: Option<u64>) -> anyhow::Result<Self> {
        let point = match &file {
            Some(file) => read(file).with_context(|| format!("could not read the state file {}", file.display()))?,
            None => Point { next_line: from_line.unwrap_or(1), ..Point::default() },
        };
        Ok(Self { file, point, saved: Instant::now() })
    }

    /// Binds it to the place that events go to: what another one has taken must not be passed over for this one.
    pub(super) fn bind(&mut self, place: &str) -> anyhow::Result<()> {
        let begun = self.point.to.get_or_insert_with(|| place.to_owned());
        ensure!(
            begun == place,
            "the state file belongs to {begun}, and this goes to {place}; give each a state file of its own"
        );
        Ok(())
    }

    /// Where to begin.
    pub(super) fn start(&self) -> Start {
        Start { line: self.point.next_line, mark: self.point.last.clone() }
    }

    /// The line to go on from.
    pub(super) fn next_line(&self) -> u64 {
        self.point.next_line
    }

    /// Says at the start what is left out, since correcting it in place has no effect.
    pub(super) fn announce(&self) {
        let Point { next_line, refused, .. } = self.point;
        if next_line <= 1 {
            return;
        }
        output::note(format!("resuming from line {next_line}; what comes before it is skipped"));
        if let (Some(file), 1..) = (&self.file, refused) {
            output::note(format!(
                "{} events before it were refused; if they were corrected in place, remove {} to submit all of it again, \
                 which makes nothing twice",
                output::count(refused),
                file.display()
            ));
        }
    }

    /// Everything up to this line is done with; `last` is the last event among it, if there is one, and `refused`
    /// says how many of it were.
    pub(super) fn reached(&mut self, line: u64, last: Option<Mark>, refused: u64) -> anyhow::Result<()> {
        self.point.next_line = line + 1;
        self.point.refused += refused;
        self.point.last = last.or_else(|| self.point.last.take());
        if self.saved.elapsed() >= SAVE_EVERY { self.save() } else { Ok(()) }
    }

    /// Writes the file.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &self.file {
            write(file, &self.point).with_context(|| format!("could not write the state file {}", file.display()))?;
        }
        self.saved = Instant::now();
        Ok(())
    }

    /// What a person does to go on.
    pub(super) fn hint(&self) -> String {
        let next = self.point.next_line;
        match &self.file {
            Some(_) => format!("run the same command again, it resumes from line {next}"),
            None => format!("resume with --from-line {next}, or submit all of it again: nothing is made twice"),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Point> {
    match read_small_file(file, STATE_MAX) {
        Ok(text) => serde_json::from_slice(&text).context("it is none; remove it to begin again"),
        Err(error) if error.is_not_found() => Ok(Point { next_line: 1, ..Point::default() }),
        Err(error) => Err(error.into()),
    }
}

/// Whole or not at all: a process that is killed half-way leaves the file as it was.
fn write(file: &Path, point: &Point) -> io::Result<()> {
    private_file::put(file, &serde_json::to_string(point)?)
}

#[cfg(test)]
mod tests {
    use super::{Mark, Resume};

    #[test]
    fn what_was_saved_is_gone_on_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state");
        let mut begun = Resume::open(Some(file.clone()), None).unwrap();
        assert_eq!(begun.next_line(), 1);
        let mark = Mark { line: 7, signup_id: "s-7".to_owned() };
        begun.reached(7, Some(mark.clone()), 0).unwrap();
        begun.reached(9, None, 1).unwrap();
        begun.save().unwrap();
        begun.bind("here").unwrap();
        begun.save().unwrap();
        let mut again = Resume::open(Some(file.clone()), None).unwrap();
        assert!(again.bind("here").is_ok() && again.bind("there").is_err());
        let again = again.start();
        assert_eq!((again.line, again.mark), (10, Some(mark)));
        std::fs::write(&file, "").unwrap();
        let Err(error) = Resume::open(Some(file), None) else { panic!("an empty file is no state") };
        assert!(format!("{error:#}").contains("remove it to begin again"), "{error:#}");
    }
}
