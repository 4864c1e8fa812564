//! Which grant can help a signup.

use foxden_ledger::{GrantReason, ParkedReason, Provisioning, ProvisioningId, State, Step, Wanted};

/// A grant that can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The signup that it is asked for at, if it is another one: the user, and so the token, is that one's. Once the
    /// grant is kept there, all that wait for the user continue.
    pub at: Option<ProvisioningId>,
    /// Why a person is asked.
    pub reason: GrantReason,
    /// What for.
    pub wanted: Wanted,
    /// The user or the store that it must be, where its address is known. Else the email or the domain decides.
    pub expected_uri: Option<String>,
}

/// Why no grant can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUse {
    /// It may yet come to its end by itself.
    #[error("it is still at work; a person is asked only once it is parked")]
    AtWork,
    /// Its token is there.
    #[error("nothing is lost: it is provisioned, and its token is kept")]
    Provisioned,
    /// A person closed it for good.
    #[error("it is cancelled")]
    Cancelled,
    /// Nothing of its customer's is kept any more.
    #[error("its customer was forgotten")]
    Forgotten,
    /// A token came and is kept; it is something else that is wrong.
    #[error("nothing is lost: it is parked as {0}, and its token is kept")]
    NothingLost(ParkedReason),
    /// Access is not what it lacks.
    #[error("it is parked as {0}, and access to a user or a store does not mend that")]
    AnotherCause(ParkedReason),
    /// The row is as no release writes it.
    #[error("its row in the ledger is not as it should be")]
    Damaged,
}

/// What the answer depends on.
#[derive(Debug, Clone, Copy)]
struct Place {
    step: Step,
    state: State,
    parked: Option<ParkedReason>,
    is_forgotten: bool,
}

impl Ask {
    /// Which grant can help this signup.
    ///
    /// # Errors
    /// [`NoUse`], in words for a person.
    pub fn of(row: &Provisioning) -> Result<Self, NoUse> {
        let place = Place {
            step: row.step,
            state: row.state,
            parked: row.parked_reason,
            is_forgotten: row.forgotten_at_ms.is_some(),
        };
        let (reason, wanted) = useful(place)?;
        let (at, expected_uri) = match (wanted, reason) {
            (Wanted::Store, _) => (None, row.store_uri.clone()),
            // Whose it is has to be proven by its email, whatever address was seen before.
            (Wanted::User, GrantReason::TakeOver) => (None, None),
            (Wanted::User, _) => (row.user_from.clone(), row.user_uri.clone()),
        };
        Ok(Self { at, reason, wanted, expected_uri })
    }
}

/// Whether a grant can help a signup that is parked at this step for this reason.
pub(crate) fn can_help(reason: ParkedReason, step: Step) -> bool {
    useful(Place { step, state: State::Parked, parked: Some(reason), is_forgotten: false }).is_ok()
}

const fn useful(place: Place) -> Result<(GrantReason, Wanted), NoUse> {
    let reason = match (place.state, place.parked) {
        _ if place.is_forgotten => return Err(NoUse::Forgotten),
        (State::Due | State::InFlight | State::Unknown, _) => return Err(NoUse::AtWork),
        (State::Closed, _) if matches!(place.step, Step::Done) => return Err(NoUse::Provisioned),
        (State::Closed, _) => return Err(NoUse::Cancelled),
        (State::Parked, None) => return Err(NoUse::Damaged),
        (State::Parked, Some(reason)) => reason,
    };
    match (reason, place.step) {
        (ParkedReason::StoreTokenLost, Step::Store) => Ok((GrantReason::Recover, Wanted::Store)),
        (ParkedReason::UserTokenLost | ParkedReason::UserTokenNotKept, Step::User)
        | (ParkedReason::UserTokenRefused, Step::Store) => Ok((GrantReason::Recover, Wanted::User)),
        (ParkedReason::EmailTaken | ParkedReason::EmailInDoubt, Step::User) => {
            Ok((GrantReason::TakeOver, Wanted::User))
        }
        (
            ParkedReason::StoreTokenLost
            | ParkedReason::UserTokenLost
            | ParkedReason::UserTokenNotKept
            | ParkedReason::UserTokenRefused
            | ParkedReason::EmailTaken
            | ParkedReason::EmailInDoubt,
            Step::User | Step::Store | Step::Done,
        ) => Err(NoUse::Damaged),
        (ParkedReason::SuspiciousLink, _) => Err(NoUse::NothingLost(reason)),
        // A store that is granted would not say which of two signups made it.
        (ParkedReason::StoreUnclear, _)
        | (
            ParkedReason::DomainTaken
            | ParkedReason::DomainReserved
            | ParkedReason::RejectedByFoxy
            | ParkedReason::CaptchaRefused
            | ParkedReason::InvalidEvent
            | ParkedReason::AttemptsExhausted
            | ParkedReason::KeyMissing
            | ParkedReason::CustodyMismatch,
            _,
        ) => Err(NoUse::AnotherCause(reason)),
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{GrantReason, ParkedReason, ParkedReason::*, State, Step, Wanted};

    use super::{NoUse, Place, useful};

    fn parked(step: Step, reason: ParkedReason) -> Place {
        Place { step, state: State::Parked, parked: Some(reason), is_forgotten: false }
    }

    #[test]
    fn each_reason_for_which_a_grant_helps_is_asked_for_at_its_step_and_at_no_other() {
        for reason in ParkedReason::ALL.iter().copied() {
            let (step, expected) = match reason {
                StoreTokenLost => (Step::Store, (GrantReason::Recover, Wanted::Store)),
                UserTokenLost | UserTokenNotKept => (Step::User, (GrantReason::Recover, Wanted::User)),
                UserTokenRefused => (Step::Store, (GrantReason::Recover, Wanted::User)),
                EmailTaken | EmailInDoubt => (Step::User, (GrantReason::TakeOver, Wanted::User)),
                SuspiciousLink => {
                    assert_eq!(useful(parked(Step::User, reason)), Err(NoUse::NothingLost(reason)));
                    assert_eq!(useful(parked(Step::Store, reason)), Err(NoUse::NothingLost(reason)));
                    continue;
                }
                StoreUnclear | DomainTaken | DomainReserved | RejectedByFoxy | CaptchaRefused | InvalidEvent
                | AttemptsExhausted | KeyMissing | CustodyMismatch => {
                    assert_eq!(useful(parked(Step::User, reason)), Err(NoUse::AnotherCause(reason)));
                    assert_eq!(useful(parked(Step::Store, reason)), Err(NoUse::AnotherCause(reason)));
                    continue;
                }
            };
            for at in Step::ALL.iter().copied() {
                let answer = if at == step { Ok(expected) } else { Err(NoUse::Damaged) };
                assert_eq!(useful(parked(at, reason)), answer, "{reason} {at}");
            }
        }
    }

    #[test]
    fn the_advice_says_so_where_a_grant_helps_and_nowhere_else_and_foxy_is_asked_last() {
        for reason in ParkedReason::ALL.iter().copied() {
            let helps = Step::ALL.iter().any(|step| useful(parked(*step, reason)).is_ok());
            let advice = reason.advice();
            let says = advice.find("`foxden authorize SIGNUP_ID`");
            assert_eq!(says.is_some(), helps, "{reason}: {advice}");
            if let (Some(says), Some(foxy)) = (says, advice.find("ask Foxy")) {
                assert!(says < foxy, "{reason}: {advice}");
            }
        }
    }

    #[test]
    fn only_what_is_parked_is_asked_for() {
        for (state, step, expected) in [
            (State::Due, Step::User, NoUse::AtWork),
            (State::InFlight, Step::Store, NoUse::AtWork),
            (State::Unknown, Step::User, NoUse::AtWork),
            (State::Closed, Step::Done, NoUse::Provisioned),
            (State::Closed, Step::Store, NoUse::Cancelled),
            (State::Parked, Step::Store, NoUse::Damaged),
        ] {
            // A row keeps the reason why it was parked when it is cancelled.
            let parked = (state == State::Closed).then_some(StoreTokenLost);
            let place = Place { step, state, parked, is_forgotten: false };
            assert_eq!(useful(place), Err(expected), "{state} {step}");
            assert_eq!(useful(Place { is_forgotten: true, ..place }), Err(NoUse::Forgotten), "{state} {step}");
        }
    }

    #[test]
    fn a_refusal_says_why_to_a_person() {
        assert_eq!(
            NoUse::AnotherCause(DomainTaken).to_string(),
            "it is parked as domain_taken, and access to a user or a store does not mend that"
        );
        assert_eq!(
            NoUse::NothingLost(SuspiciousLink).to_string(),
            "nothing is lost: it is parked as suspicious_link, and its token is kept"
        );
    }
}
