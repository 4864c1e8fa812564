//! What a corrected event may change: the same signup id published again, with other content.
//!
//! Foxy takes no repeats, so whatever may have taken effect there binds what comes after it: the email once a user
//! exists or may exist, the store domain once a store may.

use foxden_custody::Payload;
use foxden_ledger::{CorrectedKey, ParkedReason, Provisioning, State, Step};

use crate::event::SignupEvent;

/// Why an event with a known signup id and other content is not taken for a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// It is not parked, so the content that was accepted is at work or has served.
    #[error("the signup is {0}; only a parked signup can be corrected")]
    NotParked(State),
    /// A person closed it for good.
    #[error("the signup was cancelled; publish it under a new signup id")]
    Cancelled,
    /// Other content does not help.
    #[error("the signup is parked as {0}, which other content can't mend; `foxden explain {0}` says what can")]
    NotMended(ParkedReason),
    /// A user exists under the old email, or may exist.
    #[error("user.email can't change: a Foxy user exists for this signup, or a call for one is in doubt")]
    EmailFixed,
    /// The user was made for the old customer.
    #[error("user.id can't change: a Foxy user exists for this signup")]
    AccountFixed,
    /// A store exists under the old domain, or may exist.
    #[error("store.domain can't change: a call for a store with the old one is in doubt")]
    DomainFixed,
    /// What it was accepted with can't be opened, so nobody can tell what would change.
    #[error("what the signup was accepted with can't be read here, and something may exist at Foxy because of it")]
    Unreadable,
}

/// Whether an event may correct a provisioning that was accepted with `old`, which is `None` if it can't be opened; and
/// what natural key that leads to.
pub(crate) fn judge(
    row: &Provisioning,
    old: Option<&Payload>,
    new: &SignupEvent,
) -> Result<CorrectedKey, Contradiction> {
    if row.is_cancelled() {
        return Err(Contradiction::Cancelled);
    }
    let (State::Parked, Some(reason)) = (row.state, row.parked_reason) else {
        return Err(Contradiction::NotParked(row.state));
    };
    if !can_be_corrected(reason) {
        return Err(Contradiction::NotMended(reason));
    }
    match (row.step, old) {
        (Step::Done, _) => Err(Contradiction::NotParked(row.state)),
        (Step::User, None) if row.in_doubt => Err(Contradiction::Unreadable),
        (Step::User, None) => Ok(CorrectedKey::User),
        (Step::User, Some(old)) => match email_changes(row, old, new) {
            // Whether the call in doubt has made a user can't be found out, so a person decides.
            true if row.in_doubt && reason != ParkedReason::EmailInDoubt => Err(Contradiction::EmailFixed),
            true => Ok(CorrectedKey::User),
            false => Ok(CorrectedKey::Kept),
        },
        (Step::Store, None) => Err(Contradiction::Unreadable),
        (Step::Store, Some(old)) => {
            if email_changes(row, old, new) {
                return Err(Contradiction::EmailFixed);
            }
            if new.account_id != row.account_id {
                return Err(Contradiction::AccountFixed);
            }
            // Believed by now to be somebody else's, or nobody's; or not to be found out, so that a person decides.
            let is_given_up =
                matches!(reason, ParkedReason::DomainTaken | ParkedReason::DomainReserved | ParkedReason::StoreUnclear);
            let is_derived_anew = new.payload.store.domain.is_none() && new.payload.store.name != old.store.name;
            match new.payload.store.domain != old.store.domain || (is_given_up && is_derived_anew) {
                true if row.in_doubt && !is_given_up => Err(Contradiction::DomainFixed),
                true => Ok(CorrectedKey::Store(new.payload.store.domain.clone())),
                false => Ok(CorrectedKey::Kept),
            }
        }
    }
}

/// Whether the user's natural key would change. In a mailbox of the platform's the event's email is not it.
fn email_changes(row: &Provisioning, old: &Payload, new: &SignupEvent) -> bool {
    row.mailbox.is_none() && new.payload.user.email != old.user.email
}

/// Whether other content can mend what it was parked for.
const fn can_be_corrected(reason: ParkedReason) -> bool {
    match reason {
        ParkedReason::EmailTaken
        | ParkedReason::EmailInDoubt
        | ParkedReason::UserTokenNotKept
        | ParkedReason::DomainTaken
        | ParkedReason::DomainReserved
        | ParkedReason::StoreUnclear
        | ParkedReason::RejectedByFoxy
        | ParkedReason::CaptchaRefused
        | ParkedReason::InvalidEvent
        | ParkedReason::AttemptsExhausted
        | ParkedReason::KeyMissing => true,
        ParkedReason::UserTokenLost
        | ParkedReason::StoreTokenLost
        | ParkedReason::UserTokenRefused
        | ParkedReason::SuspiciousLink
        // Whose row it is has to be found out first.
        | ParkedReason::CustodyMismatch => false,
    }
}

#[cfg(test)]
mod tests {
    use foxden_ledger::{CorrectedKey, ParkedReason, Provisioning, State, Step};

    use super::{Contradiction, judge};
    use crate::{event::SignupEvent, testing};

    /// A signup that was accepted and parked so.
    async fn parked(step: Step, reason: ParkedReason, in_doubt: bool) -> (Provisioning, SignupEvent) {
        let event = testing::event("s-1", "Ada");
        let row = testing::leased(&event).await;
        let state = State::Parked;
        (Provisioning { step, state, parked_reason: Some(reason), in_doubt, ..row }, event)
    }

    fn changed(event: &SignupEvent, change: impl FnOnce(&mut SignupEvent)) -> SignupEvent {
        let mut changed = event.clone();
        change(&mut changed);
        changed
    }

    fn other_email(event: &SignupEvent) -> SignupEvent {
        changed(event, |new| new.payload.user.email = "other@example.com".into())
    }

    fn other_domain(event: &SignupEvent) -> SignupEvent {
        changed(event, |new| new.payload.store.domain = Some("other".into()))
    }

    #[tokio::test]
    async fn an_email_may_change_until_a_user_exists_or_may_exist() {
        for (step, in_doubt, expected) in [
            (Step::User, false, Ok(CorrectedKey::User)),
            (Step::User, true, Err(Contradiction::EmailFixed)),
            (Step::Store, false, Err(Contradiction::EmailFixed)),
        ] {
            let (row, event) = parked(step, ParkedReason::RejectedByFoxy, in_doubt).await;
            assert_eq!(judge(&row, Some(&event.payload), &other_email(&event)), expected, "{step} {in_doubt}");
        }
        let (row, event) = parked(Step::User, ParkedReason::EmailInDoubt, true).await;
        assert_eq!(judge(&row, Some(&event.payload), &other_email(&event)), Ok(CorrectedKey::User));
        let (row, event) = parked(Step::Store, ParkedReason::RejectedByFoxy, false).await;
        let row = Provisioning { mailbox: Some("shop+{signup_id}.{generation}@platform.example".into()), ..row };
        let judged = judge(&row, Some(&event.payload), &other_email(&event));
        assert_eq!(judged, Ok(CorrectedKey::Kept), "the user's email is the platform's");
    }

    #[tokio::test]
    async fn a_domain_may_change_until_a_store_may_exist() {
        let named = Some("other".to_owned());
        for (reason, in_doubt, expected) in [
            (ParkedReason::RejectedByFoxy, false, Ok(CorrectedKey::Store(named.clone()))),
            (ParkedReason::DomainTaken, false, Ok(CorrectedKey::Store(named.clone()))),
            (ParkedReason::DomainTaken, true, Ok(CorrectedKey::Store(named))),
            (ParkedReason::AttemptsExhausted, true, Err(Contradiction::DomainFixed)),
        ] {
            let (row, event) = parked(Step::Store, reason, in_doubt).await;
            assert_eq!(judge(&row, Some(&event.payload), &other_domain(&event)), expected, "{reason} {in_doubt}");
        }
    }

    #[tokio::test]
    async fn a_domain_may_be_left_to_foxden() {
        let (row, event) = parked(Step::Store, ParkedReason::DomainTaken, false).await;
        let (asked, left) = (other_domain(&event), event);
        assert_eq!(judge(&row, Some(&asked.payload), &left), Ok(CorrectedKey::Store(None)));
        let renamed = changed(&left, |new| new.payload.store.name = "Another Name".into());
        assert_eq!(judge(&row, Some(&left.payload), &renamed), Ok(CorrectedKey::Store(None)));
    }

    #[tokio::test]
    async fn what_is_no_natural_key_may_change_while_its_call_is_in_doubt() {
        for step in [Step::User, Step::Store] {
            let (row, event) = parked(step, ParkedReason::AttemptsExhausted, true).await;
            let new = changed(&event, |new| new.payload.store.postal_code = "N1".into());
            assert_eq!(judge(&row, Some(&event.payload), &new), Ok(CorrectedKey::Kept));
        }
    }

    #[tokio::test]
    async fn a_fresh_captcha_code_mends_a_refused_one_and_leaves_the_natural_key() {
        for step in [Step::User, Step::Store] {
            for in_doubt in [false, true] {
                let (row, event) = parked(step, ParkedReason::CaptchaRefused, in_doubt).await;
                let new = changed(&event, |new| new.payload.captcha.store = Some("fresh".into()));
                assert_eq!(judge(&row, Some(&event.payload), &new), Ok(CorrectedKey::Kept));
            }
        }
    }

    #[tokio::test]
    async fn a_customer_keeps_the_user_that_was_made_for_them() {
        let (row, event) = parked(Step::Store, ParkedReason::DomainTaken, false).await;
        let new = changed(&event, |new| new.account_id = Some("customer-8".into()));
        assert_eq!(judge(&row, Some(&event.payload), &new), Err(Contradiction::AccountFixed));
    }

    #[tokio::test]
    async fn only_what_is_parked_for_something_that_content_mends_is_corrected() {
        let (row, event) = parked(Step::User, ParkedReason::EmailTaken, false).await;
        for state in [State::Due, State::InFlight, State::Unknown, State::Closed] {
            let step = if state == State::Closed { Step::Done } else { Step::User };
            let row = Provisioning { step, state, parked_reason: None, ..row.clone() };
            let judged = judge(&row, Some(&event.payload), &other_email(&event));
            assert_eq!(judged, Err(Contradiction::NotParked(state)));
        }
        for reason in [ParkedReason::UserTokenLost, ParkedReason::StoreTokenLost, ParkedReason::SuspiciousLink] {
            let (row, event) = parked(Step::User, reason, true).await;
            let judged = judge(&row, Some(&event.payload), &other_email(&event));
            assert_eq!(judged, Err(Contradiction::NotMended(reason)));
        }
    }

    #[tokio::test]
    async fn a_cancelled_signup_takes_no_other_content() {
        for step in [Step::User, Step::Store] {
            let (row, event) = parked(step, ParkedReason::DomainTaken, false).await;
            let row = Provisioning { state: State::Closed, ..row };
            assert_eq!(judge(&row, Some(&event.payload), &other_domain(&event)), Err(Contradiction::Cancelled));
        }
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_replaced_only_where_nothing_can_have_come_of_it() {
        let (row, event) = parked(Step::User, ParkedReason::KeyMissing, false).await;
        assert_eq!(judge(&row, None, &event), Ok(CorrectedKey::User));
        for (step, in_doubt) in [(Step::User, true), (Step::Store, false)] {
            let (row, event) = parked(step, ParkedReason::KeyMissing, in_doubt).await;
            assert_eq!(judge(&row, None, &event), Err(Contradiction::Unreadable));
        }
    }
}
