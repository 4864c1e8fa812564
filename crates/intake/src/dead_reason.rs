//! Why foxden puts a message aside.

use std::fmt;

/// foxden's own reasons for a dead letter. The broker has others, such as `delivery_limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadReason {
    /// No JSON, not UTF-8, too large, or nested too deep.
    Unreadable,
    /// It breaks the contract.
    Invalid,
    /// Its media type is not one that is read.
    UnknownContentType,
    /// It is a CloudEvent of another version of CloudEvents.
    UnknownSpecversion,
    /// It is a CloudEvent of another type.
    UnknownType,
    /// Its signup id was accepted with other content.
    Conflict,
    /// Its signup id was accepted, and the row can't be read by this release.
    LedgerRowDamaged,
}

impl DeadReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::Invalid,
        Self::UnknownContentType,
        Self::UnknownSpecversion,
        Self::UnknownType,
        Self::Conflict,
        Self::LedgerRowDamaged,
    ];

    /// The word in logs and in the `x-foxden-reason` header; part of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Invalid => "invalid",
            Self::UnknownContentType => "unknown_content_type",
            Self::UnknownSpecversion => "unknown_specversion",
            Self::UnknownType => "unknown_type",
            Self::Conflict => "conflict",
            Self::LedgerRowDamaged => "ledger_row_damaged",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
