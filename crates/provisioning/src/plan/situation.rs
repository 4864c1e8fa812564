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
    /// How many lookups have found nothing of ours, not counting the one just made.
    pub lookups: u32,
    /// Whether the last call in doubt ended so long ago that no listing can lag behind it any more.
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
    /// Whether the step was tried for as long as the settings allow. Time in which calls were paused, down or held back, and
    /// time in a queue, is none in which it was tried.
    pub is_too_old: bool,
    /// How often it was tried, not counting what was just seen.
    pub tries: u32,
}

impl Situation {
    /// Where a claimed row stands, for a worker whose leases are `lease` long. Without a payload that opens, nothing is
    /// sent.
    pub(crate) fn of(row: &Provisioning, payload: Option<&Payload>, policy: &Policy, lease: Duration) -> Self {
        // Both times are the ledger's: when the row was claimed or written, and when the call had ended.
        let since = |then: i64| Duration::from_millis(row.updated_at_ms.saturating_sub(then).max(0).unsigned_abs());
        // An earlier release wrote down only when the call was announced. It has ended with its lease.
        let announced = row.intent_at_ms.unwrap_or(row.updated_at_ms);
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let doubt_ended = row.doubt_ended_at_ms.unwrap_or_else(|| announced.saturating_add(lease_ms));
        Self {
            step: row.step,
            state: row.state,
            in_doubt: row.in_doubt,
            lookups: row.lookups,
            is_past_lag: since(doubt_ended) >= policy.listing_lag,
            domain_try: row.domain_try,
            domain_is_exact: payload.is_some_and(|payload| payload.store.domain.is_some()),
            mailbox_is_owned: row.mailbox.is_some(),
            generation: row.generation,
            is_restored: row.restored_to_ms.is_some(),
            is_too_old: row.tried_for >= policy.give_up_after,
            tries: row.tries,
        }
    }
}
