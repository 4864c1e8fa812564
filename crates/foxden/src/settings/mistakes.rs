//! What is wrong with the settings, all of it at once.

use std::fmt;

use super::given::Origin;
use crate::terminal::printable;

/// One thing to put right.
#[derive(Debug)]
pub(super) struct Mistake {
    variable: String,
    origin: Option<Origin>,
    problem: String,
}

impl Mistake {
    /// A mistake in what was given for a variable, or in its not being given.
    ///
    /// `problem` goes on from the variable's name. It says what is expected and never repeats a value.
    pub(super) fn new(variable: impl Into<String>, origin: Option<Origin>, problem: impl Into<String>) -> Self {
        Self { variable: variable.into(), origin, problem: problem.into() }
    }
}

impl fmt::Display for Mistake {
    /// One line, whatever characters names and paths are made of.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.variable))?;
        if let Some(origin) = &self.origin {
            write!(f, " ({})", printable(&origin.to_string()))?;
        }
        write!(f, ": {}", printable(&self.problem))
    }
}

/// All mistakes in the settings: a heading, then a line for each.
///
/// No line holds what may be a secret, so the text may go to a terminal or a log.
#[derive(Debug)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// `Ok` if there is none.
    pub(super) fn check(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self(mistakes)) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("there is a mistake in the settings:")?,
            count => write!(f, "there are {count} mistakes in the settings:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
