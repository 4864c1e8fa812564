//! Outcome events: what the parent app learns of a signup.

use foxden_ledger::{Facts, Grant, Next, OutcomeData, OutcomeEvent, OutcomeKind, Provisioning};

use crate::grants::can_help;

/// What the parent app can do: have a person grant access.
const AUTHORIZE: &str = "authorize";

/// The event of what comes next, if the parent app has to know it.
pub(crate) fn outcome_event(row: &Provisioning, facts: &Facts, next: &Next) -> Option<OutcomeEvent> {
    let (kind, reason) = match next {
        Next::Provisioned { .. } => (OutcomeKind::Provisioned, None),
        Next::Parked { reason, .. } => (OutcomeKind::Parked, Some(*reason)),
        Next::InFlight { .. } | Next::Due { .. } | Next::Unknown { .. } => return None,
    };
    let newest = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
    Some(OutcomeEvent {
        kind,
        data: OutcomeData {
            signup_id: row.signup_id.to_string(),
            user_id: row.account_id.clone(),
            user_uri: newest(&facts.user_uri, &row.user_uri),
            store_uri: newest(&facts.store_uri, &row.store_uri),
            store_domain: newest(&facts.store_domain, &row.store_domain),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            advice: reason.map(|reason| reason.advice().to_owned()),
            action: reason.filter(|reason| can_help(*reason, row.step)).map(|_| AUTHORIZE.to_owned()),
            ..OutcomeData::default()
        },
    })
}

/// The event that a person closed a signup, with what they wrote about why.
pub fn cancelled_event(row: &Provisioning, why: &str) -> OutcomeEvent {
    let data = OutcomeData { reason: Some(why.to_owned()), ..OutcomeData::of(row) };
    OutcomeEvent { kind: OutcomeKind::Cancelled, data }
}

/// The event that a person is asked to grant access. The link that leads them there is not in it: it opens a door.
pub fn grant_requested_event(row: &Provisioning, grant: &Grant) -> OutcomeEvent {
    let data = OutcomeData { action: Some(AUTHORIZE.to_owned()), ..OutcomeData::of_grant(row, grant) };
    OutcomeEvent { kind: OutcomeKind::GrantRequested, data }
}

/// The event that no one granted access in time.
pub fn grant_expired_event(row: &Provisioning, grant: &Grant) -> OutcomeEvent {
    OutcomeEvent { kind: OutcomeKind::GrantExpired, data: OutcomeData::of_grant(row, grant) }
}

/// The event of a signup that was closed as provisioned by what a person granted.
pub fn provisioned_event(row: &Provisioning) -> OutcomeEvent {
    OutcomeEvent { kind: OutcomeKind::Provisioned, data: OutcomeData::of(row) }
}
