//! Why a run stops.

use foxden_custody::{DrainError, EscrowError};
use foxden_ledger::LedgerError;
use foxden_vault::SealError;

use crate::plan::Illegal;

/// Why a run stops without a finding.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The ledger could not be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A token could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A token may lie in our escrow, which could not be looked into.
    #[error(transparent)]
    Escrow(#[from] EscrowError),
    /// A token in our escrow could not be moved into the ledger.
    #[error(transparent)]
    Drain(#[from] DrainError),
    /// The plan refuses.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}
