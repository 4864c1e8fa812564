//! The saga: from one signup to a Foxy user, a Foxy store and a sealed token.
//!
//! [`plan`] holds every decision and does no I/O. [`Runner`] carries the decisions out: it sends a create call only
//! under a committed intent, records its outcome with its sealed token before anything else happens, and looks up what
//! it can't know. [`Worker`] feeds it with what is due, under leases and a bounded capacity. [`grants`] says when a
//! person is asked for access instead, and whether they granted the right thing; [`Granting`] takes them there and
//! back.

mod calls;
mod capacity;
mod create;
mod customer;
mod domain;
mod email;
mod finding;
mod gate;
mod granting;
pub mod grants;
mod keeper;
mod kept;
mod leases;
mod log;
mod lookup;
mod mark;
mod observe;
mod outcome;
pub mod plan;
mod policy;
mod recording;
mod request;
mod runner;
mod schedule;
mod scrub;
mod settle;
mod stop;
mod worker;

pub use calls::{Calls, MadeUser};
pub use capacity::Capacity;
pub use email::{EmailTemplate, EmailTemplateError};
pub use gate::{Gate, GateSettings};
pub use granting::{Arrived, Brought, Ended, GrantPolicy, Granting, NotAsked, Returned};
pub use keeper::Keeper;
pub use leases::Leases;
pub use outcome::{cancelled_event, grant_expired_event, grant_requested_event, provisioned_event};
pub use policy::Policy;
pub use runner::{Ending, Parts, Runner};
pub use schedule::Schedule;
pub use worker::Worker;
