//! Grants: a person's consent at Foxy, asked for, given and kept.
//!
//! A *grant* is one ask for one provisioning; a *trip* is one person's way to Foxy and back. The ledger knows no secret
//! of either: it has hashes, which callers compute, and sealed tokens. Which signup may ask for what, and whether what
//! was granted is what was wanted, is for others to judge; here is refused what only a transaction can see.

pub(crate) mod ask;
pub(crate) mod counts;
pub(crate) mod effects;
pub(crate) mod ending;
pub(crate) mod grant;
pub(crate) mod keep;
pub(crate) mod past;
pub(crate) mod taken_over;
pub(crate) mod trips;
pub(crate) mod words;
