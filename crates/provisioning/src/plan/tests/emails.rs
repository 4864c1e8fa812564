//! Whose an email is that Foxy calls taken.

use foxden_ledger::{
    Doubt,
    ParkedReason::{AttemptsExhausted, EmailInDoubt, EmailTaken, StoreTokenLost, UserTokenLost, UserTokenNotKept},
    State, Step,
};

use super::{FIRST, at, decide};
use crate::plan::{
    Decision::{LookUp, NextGeneration, Park, Retry},
    Refusal, Seen, Situation, TRIES_BEFORE_GIVING_UP,
    Whose::{self, PerhapsSiblings, SiblingsKept, SiblingsNotKept, Strangers, Unclear},
};

const fn taken(whose: Whose) -> Seen {
    Seen::Rejected(Refusal::EmailTaken(whose))
}

#[test]
fn an_email_that_is_taken_parks_unless_another_signup_of_the_customer_may_bring_the_user() {
    let fresh = at(Step::User, State::InFlight);
    let old = Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..fresh };
    for (whose, first, at_last) in [
        (Strangers, Park(EmailTaken), Park(EmailTaken)),
        (SiblingsNotKept, Park(UserTokenNotKept), Park(UserTokenNotKept)),
        (PerhapsSiblings, Retry(FIRST), Park(AttemptsExhausted)),
        (SiblingsKept, Retry(FIRST), Park(AttemptsExhausted)),
        (Unclear, Retry(FIRST), Park(AttemptsExhausted)),
    ] {
        assert_eq!(decide(&fresh, taken(whose)), Ok(first), "{whose:?}");
        assert_eq!(decide(&old, taken(whose)), Ok(at_last), "{whose:?}");
    }
}

#[test]
fn an_email_in_use_after_an_unknown_outcome_is_our_own_late_success() {
    let doubted = Situation { in_doubt: true, ..at(Step::User, State::InFlight) };
    for whose in [Strangers, SiblingsNotKept] {
        assert_eq!(decide(&doubted, taken(whose)), Ok(Park(UserTokenLost)), "{whose:?}");
    }
}

#[test]
fn a_user_that_a_lost_kept_connection_may_not_have_made_is_not_called_lost() {
    for (step, state, seen) in [
        (Step::User, State::InFlight, taken(Strangers)),
        (Step::User, State::Unknown, Seen::Present),
        (Step::User, State::Unknown, Seen::PresentUnclear),
        (Step::Store, State::Unknown, Seen::Present),
    ] {
        let old = Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..at(step, state) };
        let unread = Situation { in_doubt: true, may_be_unread: true, ..old };
        let found = if step == Step::User { EmailInDoubt } else { StoreTokenLost };
        assert_eq!(decide(&unread, seen), Ok(Park(found)), "{step} {seen:?}");
        // Only a call of this very signup names a mailbox of the platform's.
        let owned = Situation { mailbox_is_owned: true, ..unread };
        assert_ne!(decide(&owned, seen), Ok(Park(EmailInDoubt)), "{step} {seen:?}");
    }
    let unread = Situation { in_doubt: true, may_be_unread: true, ..at(Step::User, State::InFlight) };
    assert_eq!(decide(&unread, Seen::TokenLost), Ok(Park(UserTokenLost)), "an answer came, so it was read");
}

#[test]
fn in_doubt_an_email_is_looked_up_while_another_signup_may_bring_its_token() {
    let doubted = Situation { in_doubt: true, ..at(Step::User, State::InFlight) };
    let restored = Situation { is_restored: true, ..doubted };
    let owned = Situation { mailbox_is_owned: true, ..doubted };
    for whose in [PerhapsSiblings, SiblingsKept, Unclear] {
        assert_eq!(decide(&doubted, taken(whose)), Ok(LookUp(FIRST, Doubt::Call)), "{whose:?}");
        // No other signup can have made these users, or must not be given them.
        assert_eq!(decide(&restored, taken(whose)), Ok(Park(UserTokenLost)), "{whose:?}");
        assert!(matches!(decide(&owned, taken(whose)), Ok(NextGeneration(_))), "{whose:?}");
    }
}

#[test]
fn a_store_has_no_email_that_could_be_taken() {
    for whose in [Strangers, PerhapsSiblings] {
        let refused = decide(&at(Step::Store, State::InFlight), taken(whose));
        assert_eq!(refused, Ok(Park(foxden_ledger::ParkedReason::RejectedByFoxy)));
    }
}
