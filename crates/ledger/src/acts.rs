//! What people do to signups, sweeps after vanished workers, and the pruning of what is old.

pub(crate) mod alone;
pub(crate) mod cancel;
pub(crate) mod forget;
pub(crate) mod parked;
pub(crate) mod prune;
pub(crate) mod rebind;
pub(crate) mod restored;
pub(crate) mod sweep;
