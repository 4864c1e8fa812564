//! Recording: one transaction that commits what a call came to, with its token, before anything else happens.

use std::time::Duration;

use foxden_vault::Sealed;
use tokio::time::Instant;

use crate::{
    batches::{Recording, Work},
    connect::Ledger,
    error::LedgerError,
    ids::{AttemptId, ProvisioningId},
    outbox::OutcomeEvent,
    provisioning::{Claimed, Lease},
    siblings::Contention,
    state::{AttemptKind, AttemptOutcome, ParkedReason, RefusedFor, Scope, Step},
    which_foxy::FoxyClient,
};

/// What is written when a call or a lookup has ended.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The right under which it is written.
    pub lease: Lease,
    /// The evidence.
    pub attempt: Attempt,
    /// A token that Foxy gave. It is kept even if the lease is lost.
    pub credential: Option<NewCredential>,
    /// What was learned and stays so.
    pub facts: Facts,
    /// The user's token as it was kept when it was read, for an entry that parks for its refusal. If another is in
    /// its place by now, the refusal says nothing of that one, and the signup is due instead.
    pub refused_token: Option<Sealed>,
    /// The provisioning that made the Foxy user, if this one's store is made under another's: before a domain is chosen or
    /// a store claimed, the others under that user are asked.
    pub shared_user: Option<ProvisioningId>,
    /// Where the provisioning goes from here.
    pub next: Next,
    /// The outcome event that tells the parent app.
    pub event: Option<OutcomeEvent>,
}

/// Evidence of one call or lookup. Never a secret, never personal data.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its key. The same record written twice is one.
    pub id: AttemptId,
    /// What it was.
    pub kind: AttemptKind,
    /// The step it was for.
    pub step: Step,
    /// The number of the create call it was, or was about.
    pub intent: u32,
    /// The store domain for the store step. The user step's key is an email, which does not belong here.
    pub natural_key: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if there was an answer.
    pub http_status: Option<u16>,
    /// Foxy's own reference of the error, to be quoted to its support.
    pub logref: Option<String>,
    /// What else helps, in our own words or in Foxy's with personal data struck out; cut to 300 characters.
    pub note: Option<String>,
}

/// A sealed token on its way into the ledger.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// What it opens.
    pub scope: Scope,
    /// The create call that Foxy answered with it, or the number of a granted one.
    pub intent: u32,
    /// The user or store it opens, if its link could be trusted.
    pub resource_uri: Option<String>,
    /// To which client of which Foxy it was given; `None` if that was not written down.
    pub client: Option<FoxyClient>,
    /// The token.
    pub sealed: Sealed,
}

/// Columns that a record fills in; what is `None` stays as it was.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The Foxy user.
    pub user_uri: Option<String>,
    /// The provisioning whose user is used.
    pub user_from: Option<ProvisioningId>,
    /// The Foxy store.
    pub store_uri: Option<String>,
    /// A new natural key for the store step; with it `in_doubt` is cleared, unless the row was restored from
    /// an older copy, and the step's clock starts anew.
    pub store_domain: Option<String>,
    /// How many domains were found taken so far.
    pub domain_try: Option<u32>,
    /// A try that came to nothing, and the pause that it has planned. They add up to how long the step was tried.
    pub tried: Option<Duration>,
    /// A new generation of the user: a new natural key for the user step, like `store_domain`.
    pub generation: Option<u32>,
}

/// Where a provisioning goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The intent of this step's create call is committed with this record; the lease is prolonged by `lease`, and the
    /// caller sends the call.
    InFlight {
        /// The step.
        step: Step,
        /// For how long the lease is prolonged.
        lease: Duration,
    },
    /// Back to be taken after a delay.
    Due {
        /// The step.
        step: Step,
        /// After how long.
        delay: Duration,
        /// The part of it that Foxy asked for, or that the rate of calls demands. The rest is our own pause, which a
        /// person may cut short.
        at_least: Duration,
    },
    /// In doubt; looked up after a delay.
    Unknown {
        /// After how long.
        delay: Duration,
        /// What has left it in doubt.
        doubt: Doubt,
    },
    /// Stopped until someone acts.
    Parked {
        /// Why.
        reason: ParkedReason,
        /// What there is to say about it, free of personal data.
        detail: Option<String>,
    },
    /// Provisioned. The payload and the user's token are wiped unless kept.
    Provisioned {
        /// Keep the sealed event.
        keep_payload: bool,
        /// Keep the sealed user token.
        keep_user_token: bool,
    },
}

/// What has left a provisioning in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Its create call has ended, and whether it had an effect is not known.
    Call,
    /// Its create call was refused, perhaps for what an earlier call in doubt has made.
    Refusal(RefusedFor),
    /// It comes from an older copy of the ledger. Its user is there, and its store may be: the step is the store's now.
    Store,
    /// A lookup has not settled it.
    Look {
        /// Whether it found nothing of ours, which is believed only when it was seen often enough.
        counts: bool,
    },
}

/// What recording came to.
#[derive(Debug)]
pub enum Recorded {
    /// Written; the provisioning as it now stands.
    Written(Box<Claimed>),
    /// Another signup under the same user stands in the way. Nothing was written, not even the credential.
    Contended(Contention),
    /// The lease had passed to another worker. Nothing was written but the evidence and the credential, if there was one.
    LeaseLost,
}

impl Ledger {
    /// Writes an entry in one transaction, with the entries of others that wait at the same moment.
    ///
    /// The credential is inserted on its own key, outside the fence of the lease: a token in hand is never dropped.
    /// Recording the same entry again is harmless: the evidence's key tells that it was written, and the answer is the
    /// provisioning as it stands.
    ///
    /// # Errors
    /// When the commit did not happen or is not known to have. An entry with a credential must be tried again.
    pub async fn record(&self, entry: Entry) -> Result<Recorded, LedgerError> {
        let recording = Box::new(Recording { entry, asked_at: Instant::now() });
        self.batched("record", move |reply| Work::Record(recording, reply)).await
    }
}

impl Facts {
    /// Whether they hold a name that signups under one user must not share.
    pub(crate) const fn name_anything(&self) -> bool {
        self.store_domain.is_some() || self.store_uri.is_some()
    }
}
