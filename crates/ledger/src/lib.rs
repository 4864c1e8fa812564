//! The ledger: the truth about every provisioning, on SQLite or PostgreSQL from one code path.
//!
//! It keeps the three promises' books. A signup is accepted in one transaction before its message is acknowledged; a
//! create call is announced (its *intent* committed) before it is sent; its outcome is committed with its sealed token
//! before anything else happens; and outcome events are committed with what they tell of.
//!
//! [`Ledger`] takes sealed values only: no method of it accepts a plaintext token or event. [`Custody`] is where they are
//! sealed and opened; it knows what each envelope is bound to, and no database (decision 0009). The ledger makes no
//! decision about what comes next; it carries out those of the saga, under a lease whose epoch fences late writers.

mod accept;
mod address;
mod audit;
mod cancel;
mod claim;
mod connect;
mod connections;
mod credentials;
mod custody;
mod database_url;
mod deposit;
mod diagnosis;
mod draining;
mod durability;
mod entity;
mod envelopes;
mod error;
mod escrow;
mod evidence;
mod exchange;
mod explain;
mod forget;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod keys;
mod listing;
mod newest;
mod next_events;
mod on_disk;
mod opening;
mod orphan;
mod outbox;
mod parked;
mod payload;
mod pool;
mod provisioning;
mod publishing;
mod query;
mod record;
mod renewal;
mod reseal;
mod restored;
mod rotation;
mod siblings;
mod state;
mod step_in;
mod sweep;
mod transactions;
mod watch;
mod word;

pub use accept::{Accepted, Known, NewSignup};
pub use address::is_same_resource;
pub use audit::{Audited, By, Deed};
pub use cancel::Cancellation;
pub use claim::{Claims, Places};
pub use connect::{Ledger, ManualClock};
pub use custody::{Custody, CustodyError};
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use draining::DrainError;
pub use durability::DurabilityRisk;
pub use envelopes::{Around, Replacement, StoredEnvelope};
pub use error::{LedgerError, Opaque};
pub use escrow::{Escrow, EscrowError};
pub use exchange::Exchange;
pub use explain::Sent;
pub use forget::{Forget, Forgetting, Forgotten};
pub use ids::{AttemptId, ProvisioningId, SIGNUP_ID_MAX, SignupId, SignupIdError, WorkerId};
pub use keys::{Contents, KeyUse};
pub use listing::{Filter, Listing};
pub use next_events::{DamagedEvent, Look, Looked};
pub use opening::{OpenTokenError, StoreToken, open_store_token};
pub use orphan::{LeftStore, Orphan};
pub use outbox::{OutcomeData, OutcomeEvent, ToldMistake, Waiting};
pub use parked::{CorrectedKey, Correction, MustWait, Retried};
pub use payload::{CaptchaCodes, Payload, StoreDetails, UserDetails};
pub use provisioning::{Claimed, Lease, Provisioning};
pub use publishing::PublishingLease;
pub use query::{Credential, PastAttempt, Standing};
pub use record::{Attempt, Doubt, Entry, Facts, NewCredential, Next, Recorded};
pub use renewal::{RenewError, Renewed, TokenPlace};
pub use reseal::{Page, Refused, Reseal, ResealError};
pub use restored::{MarkRestored, Marked};
pub use rotation::{PendingSecret, RotationError, RotationOf, SecretRotation};
pub use siblings::{Contention, Hold, StoreClaim};
pub use state::{Act, AttemptKind, AttemptOutcome, OutcomeKind, ParkedReason, RefusedFor, Scope, Source, State, Step};
pub use step_in::{Pause, StepIn};
pub use sweep::Swept;
pub use watch::LedgerWatch;
pub use word::Word;
