//! What is stored: the tables, and the rows that several rooms write.

pub(crate) mod audit;
pub(crate) mod belonging;
pub(crate) mod entity;
pub(crate) mod evidence;
pub(crate) mod provisioning;
