//! What the plan decides by: where a provisioning stands.

use std::time::Duration;

use foxden_custody::Payload;
use foxden_ledger::{Provisioning, State, Step};

use crate::policy::Policy;

/// Where a provisioning stands when something is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The step.
    pub step: Step,
    /// The state.
    pub state: State,
    /// Whether a call on the current natural key ever ended unknown.
    pub in_doubt: bool,
    /// Whether each of those calls was lost with a connection that had been kept from an earlier call, so that none of
    /// them may have been read.
    pub may_be_unread: bool,
    /// How many lookups have found nothing of ours, not counting the one just made.
    pub lookups: u32,
    /// Whether the last call in doubt ended longer ago than any listing lags behind.
    pub is_past_lag: bool,
    /// How many derived domains were found taken, not counting the current one.
    pub domain_try: u32,
    /// Whether the event asks for this very domain.
    pub domain_is_exact: bool,
    /// Whether the platform owns the mailbox, so that a lost user can be superseded by one with a new email.
    pub mailbox_is_owned: bool,
    /// Counts the users made for it, from 1.
    pub generation: u32,
    /// Whether it comes from an older copy of the ledger, so that it may have gone further than its row says.
    pub is_restored: bool,
    /// Whether the step was tried for as long as the settings allow. Time in which calls were paused, down or held
    /// back, and time in a queue, is none in which it was tried.
    pub is_too_old: bool,
    /// How often it was tried, not counting what was just seen.
    pub tries: u32,
    /// How many tries or lookups in a row came to nothing, not counting what was just seen.
    pub retries: u32,
    /// How often a call on the current natural key was announced before the present one.
    pub sent_before: u32,
    /// Whether a token of the current natural key was looked for, since what was seen.
    pub token_search: TokenSearch,
    /// Whether this worker is stopping: nothing new is announced.
    pub is_stopping: bool,
    /// Whether Foxy counts as up. A try while it is down says nothing of the signup.
    pub is_foxy_up: bool,
}

/// A look for a token before it is given up for lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSearch {
    /// Not made.
    NotYet,
    /// Made. Had it brought one, that is what is seen now.
    Over,
    /// The ledger or the escrow could not be asked.
    Failed,
}

/// What the plan must know of the worker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worker<'a> {
    /// The operator's decisions.
    pub(crate) policy: &'a Policy,
    /// How long its leases are.
    pub(crate) lease: Duration,
    /// Whether it is stopping.
    pub(crate) is_stopping: bool,
    /// Whether its gate counts Foxy as up.
    pub(crate) is_foxy_up: bool,
}

impl Situation {
    /// Where a row stands that this worker has claimed. `payload` is `None` where it does not open.
    pub(crate) fn of(row: &Provisioning, payload: Option<&Payload>, worker: Worker<'_>) -> Self {
        // Both times are the ledger's: when the row was claimed or written, and when the call had ended.
        let since = |then: i64| Duration::from_millis(row.updated_at_ms.saturating_sub(then).max(0).unsigned_abs());
        // An earlier release wrote down only when the call was announced. It has ended with its lease.
        let announced = row.intent_at_ms.unwrap_or(row.updated_at_ms);
        let lease_ms = i64::try_from(worker.lease.as_millis()).unwrap_or(i64::MAX);
        let doubt_ended = row.doubt_ended_at_ms.unwrap_or_else(|| announced.saturating_add(lease_ms));
        Self {
            step: row.step,
            state: row.state,
            in_doubt: row.in_doubt,
            may_be_unread: false,
            lookups: row.lookups,
            is_past_lag: since(doubt_ended) >= worker.policy.listing_lag,
            domain_try: row.domain_try,
            domain_is_exact: payload.is_some_and(|payload| payload.store.domain.is_some()),
            mailbox_is_owned: row.mailbox.is_some(),
            generation: row.generation,
            is_restored: row.restored_to_ms.is_some(),
            is_too_old: row.tried_for >= worker.policy.give_up_after,
            tries: row.tries,
            retries: row.retries,
            sent_before: row.intents.saturating_sub(row.key_intent),
            token_search: TokenSearch::NotYet,
            is_stopping: worker.is_stopping,
            is_foxy_up: worker.is_foxy_up,
        }
    }
}
