//! What is wrong with an event, told by path, all at once, and without repeating what the event says.

use std::fmt;

use foxden_ledger::SignupId;

use super::limits::MISTAKES_MAX;
use crate::dead_reason::DeadReason;

/// One thing that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `store.country`, or `event` for the whole.
    pub path: String,
    /// What: a sentence that continues the path, and never repeats a value.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.problem)
    }
}

/// An event that can't be accepted, with every mistake in it.
///
/// It can be logged, printed and put in a header as it is: the values of an event are personal data and are never
/// repeated here, only paths, limits and positions. `Display` is one line per mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventError {
    /// The signup id, where there is a usable one, so that the sender can be told which event it was.
    pub signup_id: Option<String>,
    /// The mistakes, in the order of the contract; never empty.
    pub mistakes: Vec<Mistake>,
    reason: DeadReason,
}

impl EventError {
    /// A body of which nothing can be told but why it is not read.
    pub(super) fn unreadable(problem: String) -> Self {
        Self::refused(DeadReason::Unreadable, "event", problem)
    }

    /// A message of which nothing more can be told than what it would have to be.
    pub(super) fn refused(reason: DeadReason, path: &str, problem: String) -> Self {
        Self { signup_id: None, mistakes: vec![Mistake { path: path.to_owned(), problem }], reason }
    }

    /// A message that is not what AMQP says, whatever its body is.
    pub(crate) fn of_message(mistakes: Vec<Mistake>, signup_id: Option<String>) -> Self {
        Self { signup_id, mistakes, reason: DeadReason::Unreadable }
    }

    /// What it is, in logs and in the `x-foxden-reason` header.
    pub const fn reason(&self) -> DeadReason {
        self.reason
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EventError {}

/// Collects the mistakes of one event.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    told: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.told.len() < MISTAKES_MAX {
            self.told.push(Mistake { path: path.into(), problem: problem.into() });
        } else {
            self.more += 1;
        }
    }

    /// Ends the collection: nothing if there was none.
    pub(super) fn into_error(mut self, signup_id: Option<SignupId>) -> Option<EventError> {
        if self.told.is_empty() {
            return None;
        }
        if self.more > 0 {
            let problem = format!("has {} more mistakes, which are not listed", self.more);
            self.told.push(Mistake { path: "event".to_owned(), problem });
        }
        Some(EventError {
            signup_id: signup_id.map(|id| id.to_string()),
            mistakes: self.told,
            reason: DeadReason::Invalid,
        })
    }
}
