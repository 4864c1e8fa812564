//! Custody: what the ledger holds sealed, and what each envelope is bound to.
//!
//! [`Custody`] seals and opens payloads and tokens, each for its row. [`Escrow`] keeps sealed tokens while the ledger
//! is away; [`TokenPlace`] puts a token in the place of another; [`open_store_token`] hands one out on the record;
//! [`Reseal`] moves envelopes to another key; [`SecretRotation`] keeps a client secret on its way to Foxy. What a link
//! to a grant carries is made and read by it, too ([`Custody::ticket`]).
//!
//! It drives the ledger's transactions, and the ledger knows nothing of it: what arrives there is sealed, and no
//! function of the ledger takes a plaintext (decision 0024). It has no connection to a database of its own.

mod content;
mod custody;
mod deposit;
mod draining;
mod escrow;
mod fingerprints;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod on_disk;
mod opening;
mod payload;
mod pending;
mod renewal;
mod reseal;
mod rotation;
mod ticket;

pub use content::{Mismatch, TokenRow, TokenSource};
pub use custody::{Custody, CustodyError};
pub use draining::DrainError;
pub use escrow::{Escrow, EscrowError};
pub use opening::{OpenTokenError, StoreToken, open_store_token};
pub use payload::{CaptchaCodes, Payload, StoreDetails, UserDetails};
pub use renewal::{RenewError, Renewed, TokenPlace};
pub use reseal::{Page, Refused, Reseal, ResealError};
pub use rotation::{PendingSecret, RotationError, RotationOf, SecretRotation};
