//! Transitions: how a row changes when an entry is recorded, as pure functions over the row.
//!
//! The row is locked when they run, so what they make of it can be written as it is. Each owns a group of columns that
//! change together.

use crate::{
    connect::millis,
    entity::provisioning::Model,
    record::{Doubt, Facts, Next},
    state::{RefusedFor, State, Step},
};

/// Writes what was learned into the row, and where it goes from here.
pub(crate) fn advance(row: &mut Model, facts: &Facts, next: &Next, now: i64) {
    learn(row, facts);
    let has_new_key = facts.store_domain.is_some() || facts.generation.is_some();
    if has_new_key {
        begin_key(row, now);
    } else if let Some(pause) = facts.tried {
        row.tries = row.tries.saturating_add(1);
        row.tried_ms = row.tried_ms.saturating_add(millis(pause));
    }
    row.updated_at = now;
    match next {
        Next::InFlight { step, lease } => {
            row.step = step.as_str().to_owned();
            row.state = State::InFlight.as_str().to_owned();
            row.intents = row.intents.saturating_add(1);
            row.intent_at = Some(now);
            row.lookups = 0;
            row.lease_until = Some(now + millis(*lease));
        }
        Next::Due { step, delay, at_least } => {
            release(row, State::Due, Some(now + millis(*delay)));
            if !has_new_key {
                row.retries = row.retries.saturating_add(1);
            }
            row.not_before = (!at_least.is_zero()).then(|| now + millis(*at_least));
            row.step = step.as_str().to_owned();
            row.lookups = 0;
        }
        Next::Unknown { delay, doubt } => {
            release(row, State::Unknown, Some(now + millis(*delay)));
            look(row, *doubt, now);
        }
        Next::Parked { reason, detail } => {
            release(row, State::Parked, None);
            row.parked_reason = Some(reason.as_str().to_owned());
            row.parked_detail.clone_from(detail);
        }
        Next::Provisioned { keep_payload, .. } => {
            release(row, State::Closed, None);
            row.step = Step::Done.as_str().to_owned();
            row.closed_at = Some(now);
            if !keep_payload {
                row.payload = None;
            }
        }
    }
}

/// What is not in the facts stays as it was.
fn learn(row: &mut Model, facts: &Facts) {
    for (column, value) in [
        (&mut row.user_uri, &facts.user_uri),
        (&mut row.store_uri, &facts.store_uri),
        (&mut row.store_domain, &facts.store_domain),
    ] {
        if value.is_some() {
            column.clone_from(value);
        }
    }
    if let Some(from) = &facts.user_from {
        row.user_from = Some(from.to_string());
    }
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    row.domain_try = facts.domain_try.map_or(row.domain_try, count);
    row.generation = facts.generation.map_or(row.generation, count);
}

/// The step begins again with a new natural key.
const fn begin_key(row: &mut Model, now: i64) {
    // A row of an older copy of the ledger may have tried the new key, too, after the copy was made.
    row.in_doubt = row.restored_to.is_some();
    if !row.in_doubt {
        row.doubt_ended_at = None;
    }
    row.key_intent = row.intents.saturating_add(1);
    row.retries = 0;
    row.tries = 0;
    row.tried_ms = 0;
    row.step_since = now;
}

/// Leaves the row in `state` for whichever worker comes next.
fn release(row: &mut Model, state: State, due_at: Option<i64>) {
    row.state = state.as_str().to_owned();
    row.due_at = due_at;
    row.lease_owner = None;
    row.lease_until = None;
}

/// What is in doubt is looked up. A new doubt begins at no looks.
fn look(row: &mut Model, doubt: Doubt, now: i64) {
    row.in_doubt = true;
    let refused = match doubt {
        Doubt::Look { counts } => {
            row.lookups = row.lookups.saturating_add(i32::from(counts));
            row.retries = row.retries.saturating_add(1);
            return;
        }
        Doubt::Call => {
            row.doubt_ended_at = Some(now);
            None
        }
        Doubt::Store => {
            row.step = Step::Store.as_str().to_owned();
            None
        }
        Doubt::Refusal(refused) => Some(refused),
    };
    row.lookups = 0;
    row.retries = 0;
    row.refused = refused.map(RefusedFor::as_str).map(str::to_owned);
}

#[cfg(test)]
mod tests;
