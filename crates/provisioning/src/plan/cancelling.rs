//! Closing for good what is not provisioned: whether that may be, and what is left at Foxy afterwards.

use foxden_ledger::{ParkedReason, Provisioning, State, Step};

/// Why a provisioning is not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCancellable {
    /// A worker holds it, and a call may be under way.
    #[error("a worker is at work on it")]
    Held,
    /// It is provisioned: there is a store.
    #[error("it is provisioned already")]
    Provisioned,
    /// It was cancelled before.
    #[error("it is cancelled already")]
    Cancelled,
}

/// Whether something is at Foxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Nothing was made.
    Absent,
    /// A call for it is in doubt.
    Perhaps,
    /// It was made.
    There,
}

impl Presence {
    /// The word in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Perhaps => "perhaps",
            Self::There => "there",
        }
    }
}

/// What a cancelled signup leaves at Foxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftBehind {
    /// The user that it uses, be it its own or that of another signup of the customer.
    pub user: Presence,
    /// The store.
    pub store: Presence,
}

/// Whether a provisioning may be closed for good. `is_held`: a lease on it has not run out. Without one, a call that was
/// announced is over, since a lease outlasts every call; what became of it is not looked up any more.
///
/// # Errors
/// [`NotCancellable`] says what stands against it.
pub const fn may_cancel(step: Step, state: State, is_held: bool) -> Result<(), NotCancellable> {
    match (state, step) {
        (_, Step::Done) => Err(NotCancellable::Provisioned),
        (State::Closed, Step::User | Step::Store) => Err(NotCancellable::Cancelled),
        (State::Due | State::InFlight | State::Unknown | State::Parked, Step::User | Step::Store) => {
            if is_held {
                Err(NotCancellable::Held)
            } else {
                Ok(())
            }
        }
    }
}

/// What this signup has at Foxy, as far as its row shows; the same before it is cancelled and after.
pub fn left_behind(row: &Provisioning) -> LeftBehind {
    left_by(row.step, row.state, row.in_doubt, row.parked_reason, row.store_uri.is_some())
}

fn left_by(
    step: Step,
    state: State,
    in_doubt: bool,
    parked: Option<ParkedReason>,
    store_has_address: bool,
) -> LeftBehind {
    let in_doubt = in_doubt || matches!(state, State::InFlight | State::Unknown);
    let perhaps = if in_doubt { Presence::Perhaps } else { Presence::Absent };
    match (step, parked) {
        // The answer came with a token, so there is something that it opens.
        (Step::User, Some(ParkedReason::SuspiciousLink)) => {
            LeftBehind { user: Presence::There, store: Presence::Absent }
        }
        // There is a user with this email, who may be somebody else's.
        (Step::User, Some(ParkedReason::UserTokenLost | ParkedReason::EmailInDoubt)) => {
            LeftBehind { user: Presence::Perhaps, store: Presence::Absent }
        }
        (Step::User, _) => LeftBehind { user: perhaps, store: Presence::Absent },
        (Step::Done, _) | (Step::Store, Some(ParkedReason::SuspiciousLink | ParkedReason::StoreTokenLost)) => {
            LeftBehind { user: Presence::There, store: Presence::There }
        }
        (Step::Store, _) if store_has_address => LeftBehind { user: Presence::There, store: Presence::There },
        // Believed by now to be another's.
        (Step::Store, Some(ParkedReason::DomainTaken | ParkedReason::DomainReserved)) => {
            LeftBehind { user: Presence::There, store: Presence::Absent }
        }
        (Step::Store, _) => LeftBehind { user: Presence::There, store: perhaps },
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{ParkedReason::*, State, Step};

    use super::{NotCancellable, may_cancel};

    #[test]
    fn only_what_is_neither_ended_nor_held_is_cancelled() {
        for step in Step::ALL.iter().copied() {
            for state in State::ALL.iter().copied() {
                for is_held in [false, true] {
                    let expected = match (step, state, is_held) {
                        (Step::Done, _, _) => Err(NotCancellable::Provisioned),
                        (_, State::Closed, _) => Err(NotCancellable::Cancelled),
                        (_, _, true) => Err(NotCancellable::Held),
                        (_, _, false) => Ok(()),
                    };
                    assert_eq!(may_cancel(step, state, is_held), expected, "{step} {state} {is_held}");
                }
            }
        }
    }

    #[test]
    fn what_is_left_at_foxy_follows_from_the_row() {
        use super::{
            LeftBehind,
            Presence::{Absent, Perhaps, There},
            left_by,
        };
        for (step, state, in_doubt, reason, user, store) in [
            (Step::User, State::Due, false, None, Absent, Absent),
            (Step::User, State::Unknown, false, None, Perhaps, Absent),
            (Step::User, State::InFlight, false, None, Perhaps, Absent),
            (Step::User, State::Closed, true, None, Perhaps, Absent),
            (Step::User, State::Parked, false, Some(EmailTaken), Absent, Absent),
            (Step::User, State::Closed, true, Some(UserTokenLost), Perhaps, Absent),
            (Step::User, State::Parked, false, Some(UserTokenLost), Perhaps, Absent),
            (Step::User, State::Parked, true, Some(EmailInDoubt), Perhaps, Absent),
            (Step::User, State::Parked, false, Some(SuspiciousLink), There, Absent),
            (Step::Store, State::Due, false, None, There, Absent),
            (Step::Store, State::Closed, false, Some(RejectedByFoxy), There, Absent),
            (Step::Store, State::Closed, true, Some(AttemptsExhausted), There, Perhaps),
            (Step::Store, State::Parked, true, Some(DomainTaken), There, Absent),
            (Step::Store, State::Closed, false, Some(StoreTokenLost), There, There),
            (Step::Store, State::Parked, false, Some(SuspiciousLink), There, There),
            (Step::Done, State::Closed, false, None, There, There),
        ] {
            let left = left_by(step, state, in_doubt, reason, false);
            assert_eq!(left, LeftBehind { user, store }, "{step} {state} {in_doubt} {reason:?}");
        }
        let known = left_by(Step::Store, State::Parked, false, Some(AttemptsExhausted), true);
        assert_eq!(known.store, There, "it has an address");
    }
}
