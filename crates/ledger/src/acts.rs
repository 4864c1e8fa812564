//! What people, and sweeps after vanished workers, do to signups.

pub(crate) mod alone;
pub(crate) mod cancel;
pub(crate) mod forget;
pub(crate) mod parked;
pub(crate) mod rebind;
pub(crate) mod restored;
pub(crate) mod sweep;
