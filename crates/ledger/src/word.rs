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

/// A word that stands in the database, in logs and in `--json` output under one and the same name.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word as it is stored, logged and printed.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }

            /// The value that a stored word stands for; `None` for a word of a later release or a damaged row.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl From<String> for $crate::word::Word<$name> {
            fn from(word: String) -> Self {
                $name::parse(&word).map_or(Self::Unknown(word), Self::Known)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;

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
