//! Grants: a person's consent at Foxy, as the way out where a token is lost or an email has a user already.
//!
//! What can be asked for ([`Ask::of`]), with which words of Foxy's ([`scope_for`]), and whether what was granted is
//! what it had to be ([`judge()`]). Pure: nothing here reads the ledger or asks Foxy.

mod ask;
mod judge;
mod scope;

pub(crate) use ask::can_help;
pub use ask::{Ask, NoUse};
pub use judge::{Expected, Judgment, Wrong, judge};
pub use scope::scope_for;

#[cfg(test)]
mod tests;
