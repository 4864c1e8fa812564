//! Words of the database as they are read.

use std::fmt;

/// A stored word: one that this release knows, or one that a later release wrote, or that a damaged row holds. For
/// what is only shown: where a word steers, an unknown one makes its row [damaged](crate::LedgerError::Damaged).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<T> {
    /// One of this release.
    Known(T),
    /// Any other, as it stands.
    Unknown(String),
}

impl<T: Copy> Word<T> {
    /// The value, if this release knows the word.
    pub const fn known(&self) -> Option<T> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }
}

/// An unknown word equals no value.
impl<T: PartialEq> PartialEq<T> for Word<T> {
    fn eq(&self, value: &T) -> bool {
        matches!(self, Self::Known(known) if known == value)
    }
}

impl<T: fmt::Display> fmt::Display for Word<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Unknown(word) => f.pad(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::state::AttemptOutcome;

    #[test]
    fn a_word_of_a_later_release_is_kept_as_it_stands() {
        for (stored, known) in [("no_effect", Some(AttemptOutcome::NoEffect)), ("half_done", None)] {
            let word = Word::from(stored.to_owned());
            assert_eq!((word.known(), word.to_string().as_str()), (known, stored));
        }
        assert!(Word::from("done".to_owned()) == AttemptOutcome::Done);
        assert!(Word::from("Done".to_owned()) != AttemptOutcome::Done);
    }
}
