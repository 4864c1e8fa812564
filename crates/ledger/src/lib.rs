//! The ledger: the truth about every provisioning, on SQLite or PostgreSQL from one code path.
//!
//! It keeps the three promises' books. A signup is accepted in one transaction before its message is acknowledged; a
//! create call is announced (its *intent* committed) before it is sent; its outcome is committed with its sealed token
//! before anything else happens; and outcome events are committed with what they tell of.
//!
//! [`Ledger`] takes sealed values only, as bytes that name their key: no method of it accepts a plaintext token or
//! event, and none opens an envelope. What that takes is in the crate `foxden-custody`, which the ledger does not
//! know (decision 0024). The ledger makes no decision about what comes next; it carries out those of the saga, under
//! a lease whose epoch fences late writers.
//!
//! Its rooms: `database` (connections, transactions), `rows` (what is stored), `batches` (what is committed together),
//! `transitions` (how a row changes when an entry is recorded), `acts` (what people and sweeps do),
//! `tokens`, `grants` (a person's consent), `outcomes` (events for the parent app) and `queries`.

mod accept;
mod acts;
mod address;
mod batches;
mod claim;
mod database;
mod error;
mod grants;
mod ids;
mod outcomes;
mod queries;
mod record;
mod rows;
mod siblings;
mod state;
mod tokens;
mod transitions;
mod which_foxy;
mod word;

// Within the crate, modules go by their own names; their rooms are for people.
use self::{
    acts::{alone, cancel, forget, parked, prune, rebind, restored, sweep},
    database::{
        connect, connections, database_url, diagnosis, durability, explain, pool, step_in, transactions, watch,
    },
    outcomes::{next_events, outbox, publishing},
    queries::{listing, orphan, query, standings},
    rows::{audit, belonging, entity, evidence, provisioning},
    tokens::{clients, credentials, ended, envelopes, exchange, keys},
};

pub use accept::{Accepted, Known, NewSignup};
pub use address::is_same_resource;
pub use alone::InUse;
pub use audit::{Audited, By, Deed};
pub use cancel::Cancellation;
pub use claim::{Claims, Places};
pub use connect::{Ledger, ManualClock};
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use durability::DurabilityRisk;
pub use ended::EndOfFxd1;
pub use envelopes::{Around, Replacement, StoredEnvelope};
pub use error::{LedgerError, Opaque};
pub use exchange::Exchange;
pub use explain::Sent;
pub use forget::{Forget, Forgetting, Forgotten};
pub use grants::{
    ask::{Asked, Asking},
    counts::GrantCount,
    ending::{AsEvent, Overdue},
    grant::{Grant, Trip},
    keep::{Keeping, KeptGrant, Then},
    past::{PastGrant, PastTrip},
    trips::{Back, Begun, Digest, NewTrip, Seen, Spent},
    words::{GrantReason, GrantState, TripEnding, Wanted},
};
pub use ids::{AttemptId, GrantId, ProvisioningId, SIGNUP_ID_MAX, SignupId, SignupIdError, TripId, WorkerId};
pub use keys::{Contents, KeyUse};
pub use listing::{Filter, Listing};
pub use next_events::{DamagedEvent, Look, Looked};
pub use orphan::{LeftStore, Orphan};
pub use outbox::{OutcomeData, OutcomeEvent, ToldMistake, Waiting};
pub use parked::{CorrectedKey, Correction, MustWait, Retried};
pub use provisioning::{Claimed, Lease, Provisioning};
pub use prune::{EventsPage, EvidencePage, PlaceOfEvent};
pub use publishing::PublishingLease;
pub use query::{Credential, PastAttempt};
pub use rebind::Rebind;
pub use record::{Attempt, Doubt, Entry, Facts, NewCredential, Next, Recorded};
pub use restored::{MarkRestored, Marked};
pub use siblings::{Contention, Hold, StoreClaim};
pub use standings::Standing;
pub use state::{Act, AttemptKind, AttemptOutcome, OutcomeKind, ParkedReason, RefusedFor, Scope, Source, State, Step};
pub use step_in::{Pause, StepIn, Steps, between};
pub use sweep::Swept;
pub use watch::LedgerWatch;
pub use which_foxy::{BooksId, ClientId, ClientIdError, FoxyClient, FoxyOrigin, WhichFoxy, WhichFoxyError};
pub use word::Word;
