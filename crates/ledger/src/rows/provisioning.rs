//! A provisioning as the ledger hands it out, and the lease that comes with it.

use std::time::Duration;

use foxden_vault::Sealed;
use tokio::time::Instant;

use crate::{
    address::is_same_resource,
    entity::provisioning::Model,
    error::LedgerError,
    ids::{ProvisioningId, SignupId, WorkerId},
    query::Credential,
    state::{ParkedReason, RefusedFor, Scope, Source, State, Step},
};

/// One provisioning, as its row stood when it was read.
#[derive(Debug, Clone)]
pub struct Provisioning {
    /// The ledger's key.
    pub id: ProvisioningId,
    /// The parent app's key.
    pub signup_id: SignupId,
    /// The parent app's id of the customer, where the event had one.
    pub account_id: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// What is to be made next.
    pub step: Step,
    /// What may happen next.
    pub state: State,
    /// Why it is parked; of a cancelled one, why it was.
    pub parked_reason: Option<ParkedReason>,
    /// What there is to say about why, free of personal data.
    pub parked_detail: Option<String>,
    /// The sealed event; gone once provisioned, unless settings keep it.
    pub payload: Option<Sealed>,
    /// The template that the user's email is made of, where the platform owns the mailbox: part of the user step's
    /// natural key, so it stays what it was while a call under it is in doubt, whatever the settings say by then.
    pub mailbox: Option<String>,
    /// Counts the users made for it: a lost one may be superseded by the next generation.
    pub generation: u32,
    /// The provisioning whose user this one's store belongs to, if not its own.
    pub user_from: Option<ProvisioningId>,
    /// The Foxy user.
    pub user_uri: Option<String>,
    /// The Foxy store.
    pub store_uri: Option<String>,
    /// The store domain that is tried or made: the natural key of the store step.
    pub store_domain: Option<String>,
    /// How many domains were tried and found taken.
    pub domain_try: u32,
    /// Whether a call on the current natural key ever ended unknown. "Already in use" may then be our own late success.
    pub in_doubt: bool,
    /// When the last call in doubt on the current natural key had ended for certain; epoch milliseconds. `None` if an
    /// earlier release did not say.
    pub doubt_ended_at_ms: Option<i64>,
    /// How Foxy refused the latest create call, where that is being looked up.
    pub refused: Option<RefusedFor>,
    /// How many create calls were announced so far; the number of the current one.
    pub intents: u32,
    /// The number of the first create call on the current natural key. Tokens of earlier calls belong to other keys.
    pub key_intent: u32,
    /// When the current create call was announced; epoch milliseconds.
    pub intent_at_ms: Option<i64>,
    /// How many times in a row this step had no effect; paces the retries.
    pub retries: u32,
    /// How often this step, with this natural key, was tried for nothing. What was not sent, since calls are paused
    /// or held back, is no try.
    pub tries: u32,
    /// For how long it was tried: the pauses between those tries as they were planned, whatever clocks showed. Time in
    /// which it waited for anything else is not in it.
    pub tried_for: Duration,
    /// How many lookups of the current doubt have found nothing of ours, where that alone proves nothing.
    pub lookups: u32,
    /// Since when this step, with this natural key, has been tried; epoch milliseconds.
    pub step_since_ms: i64,
    /// When it is due; epoch milliseconds.
    pub due_at_ms: Option<i64>,
    /// Of one that waits to be tried again: before this time Foxy, or the rate of calls, allows no try; epoch
    /// milliseconds. The rest of its wait is our own pause.
    pub not_before_ms: Option<i64>,
    /// The count of its owners.
    pub epoch: i64,
    /// Whether a worker holds it now or did until it vanished.
    pub lease_until_ms: Option<i64>,
    /// When it was accepted; epoch milliseconds.
    pub accepted_at_ms: i64,
    /// When the row last changed; epoch milliseconds.
    pub updated_at_ms: i64,
    /// When it ended; epoch milliseconds.
    pub closed_at_ms: Option<i64>,
    /// When its customer was forgotten; epoch milliseconds.
    pub forgotten_at_ms: Option<i64>,
    /// The time of the copy of the ledger that the row was restored from; epoch milliseconds. What happened to it
    /// after that is not known, so whatever key it tries is in doubt.
    pub restored_to_ms: Option<i64>,
}

/// A worker's exclusive, expiring right to a provisioning. Every write under it names its epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The provisioning.
    pub id: ProvisioningId,
    /// Whose it is.
    pub owner: WorkerId,
    /// The count of owners when it was taken: a later owner has a higher one.
    pub epoch: i64,
    /// Until when, by this process's monotonic clock. It is reckoned from before the claim was sent, so it ends
    /// no later than the ledger thinks.
    pub until: Instant,
}

impl Lease {
    /// How much of it is left.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// A provisioning with the lease that lets its holder work on it.
///
/// In state `in_flight` the intent of its step's create call is committed, and only the holder may send it, once.
/// In state `unknown` the holder looks up what became of the last one.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The row.
    pub provisioning: Provisioning,
    /// The right to it.
    pub lease: Lease,
}

impl Provisioning {
    /// Whether its user and store are there, and the store's token is sealed.
    pub const fn is_provisioned(&self) -> bool {
        matches!((self.state, self.step), (State::Closed, Step::Done))
    }

    /// Whether a person closed it before it was provisioned. It stays at the step where it stood.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self.state, State::Closed) && !self.is_provisioned()
    }

    /// Where it stands, in a word: its state, with the two ends told apart.
    pub const fn standing(&self) -> &'static str {
        match self.state {
            State::Closed if self.is_provisioned() => "provisioned",
            State::Closed => "cancelled",
            state => state.as_str(),
        }
    }

    /// Whether a token of this call opens a user or a store that this signup has moved on from: another domain's,
    /// another generation's.
    pub fn has_left_behind(&self, scope: Scope, intent: u32, resource_uri: Option<&str>) -> bool {
        let is_another = |own: &Option<String>| own.is_some() && !is_same_resource(own.as_deref(), resource_uri);
        match (scope, self.step) {
            (Scope::User, Step::User) | (Scope::Store, Step::Store) => intent < self.key_intent,
            (Scope::User, Step::Store | Step::Done) => is_another(&self.user_uri),
            (Scope::Store, Step::Done) => is_another(&self.store_uri),
            (Scope::Store, Step::User) => false,
        }
    }

    /// Of the tokens that are kept for this signup, in the order of
    /// [`Ledger::credentials`](crate::Ledger::credentials), the one to use for its store: the last that is not wiped,
    /// unless it came with a call for an earlier domain. Whether it opens the address that the row has is for the one
    /// who opens it to compare.
    pub fn store_token(&self, held: Vec<Credential>) -> Option<Credential> {
        let is_of_this_key = |held: &Credential| self.step != Step::Store || held.intent >= self.key_intent;
        let is_of_store = |held: &Credential| held.scope == Scope::Store && held.sealed.is_some();
        held.into_iter().rfind(|held| is_of_store(held) && is_of_this_key(held))
    }

    pub(crate) fn from_row(row: Model) -> Result<Self, LedgerError> {
        let damaged = |column| LedgerError::Damaged { id: row.id.clone(), column };
        let count = |value: i32, column| u32::try_from(value).map_err(|_| damaged(column));
        Ok(Self {
            source: Source::parse(&row.source).ok_or_else(|| damaged("source"))?,
            step: Step::parse(&row.step).ok_or_else(|| damaged("step"))?,
            state: State::parse(&row.state).ok_or_else(|| damaged("state"))?,
            parked_reason: row
                .parked_reason
                .as_deref()
                .map(|word| ParkedReason::parse(word).ok_or_else(|| damaged("parked_reason")))
                .transpose()?,
            refused: row
                .refused
                .as_deref()
                .map(|word| RefusedFor::parse(word).ok_or_else(|| damaged("refused")))
                .transpose()?,
            payload: row
                .payload
                .clone()
                .map(|bytes| Sealed::from_bytes(bytes).map_err(|_| damaged("payload")))
                .transpose()?,
            generation: count(row.generation, "generation")?,
            domain_try: count(row.domain_try, "domain_try")?,
            intents: count(row.intents, "intents")?,
            key_intent: count(row.key_intent, "key_intent")?,
            intent_at_ms: row.intent_at,
            retries: count(row.retries, "retries")?,
            tries: count(row.tries, "tries")?,
            tried_for: Duration::from_millis(u64::try_from(row.tried_ms).map_err(|_| damaged("tried_ms"))?),
            lookups: count(row.lookups, "lookups")?,
            id: ProvisioningId::from_row(row.id),
            signup_id: SignupId::from_row(row.signup_id),
            account_id: row.account_id,
            mailbox: row.mailbox,
            parked_detail: row.parked_detail,
            user_from: row.user_from.map(ProvisioningId::from_row),
            user_uri: row.user_uri,
            store_uri: row.store_uri,
            store_domain: row.store_domain,
            in_doubt: row.in_doubt,
            doubt_ended_at_ms: row.doubt_ended_at,
            step_since_ms: row.step_since,
            due_at_ms: row.due_at,
            not_before_ms: row.not_before,
            epoch: row.epoch,
            lease_until_ms: row.lease_until,
            accepted_at_ms: row.accepted_at,
            updated_at_ms: row.updated_at,
            closed_at_ms: row.closed_at,
            forgotten_at_ms: row.forgotten_at,
            restored_to_ms: row.restored_to,
        })
    }
}

impl Claimed {
    /// Pairs a row just claimed with its lease, reckoned from `asked_at`, the moment before the claim was sent.
    pub(crate) fn new(row: Model, owner: &WorkerId, asked_at: Instant, lease: Duration) -> Result<Self, LedgerError> {
        let provisioning = Provisioning::from_row(row)?;
        let lease = Lease {
            id: provisioning.id.clone(),
            owner: owner.clone(),
            epoch: provisioning.epoch,
            until: asked_at + lease,
        };
        Ok(Self { provisioning, lease })
    }

    /// The same for a row that was written earlier, read at `now` by the ledger's clock: with what is left of its
    /// lease.
    pub(crate) fn as_it_stands(row: Model, owner: &WorkerId, asked_at: Instant, now: i64) -> Result<Self, LedgerError> {
        let left = row.lease_until.map_or(0, |until| until.saturating_sub(now).max(0));
        Self::new(row, owner, asked_at, Duration::from_millis(left.unsigned_abs()))
    }
}
