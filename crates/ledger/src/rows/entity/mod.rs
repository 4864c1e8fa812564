//! Rows, as sea-orm sees them. They are turned into the ledger's own types at its edge and seen by nobody else.

pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod credential;
pub(crate) mod grant;
pub(crate) mod outbox;
pub(crate) mod provisioning;
pub(crate) mod publishing_lease;
pub(crate) mod superseded;
pub(crate) mod trip;
pub(crate) mod which_foxy;
