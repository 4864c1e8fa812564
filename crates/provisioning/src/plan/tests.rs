use std::time::Duration;

use foxden_ledger::{
    Doubt,
    Hold::{Doubtful, Open, Taken},
    ParkedReason::*,
    RefusedFor, State, Step,
};

use super::{
    Answer,
    Cause::{Passing, SetUp, Stopping, UserTokenRefused as RefusedToken},
    DOMAIN_TRIES, Decision,
    Decision::{AnnounceStore, Finish, LookUp, NextDomain, NextGeneration, Park, Retry},
    GENERATIONS, Illegal, LOOKS_BEFORE_BELIEVING, Refusal, Seen, Situation, TRIES_BEFORE_GIVING_UP, TokenSearch,
    Unopenable, Wait, Whose,
};

mod emails;
mod pauses;
mod tokens;

const SECOND: Duration = Duration::from_secs(1);

const FIRST: Wait = Wait::Backoff { failures: 0 };
const AGAIN: Wait = Wait::Backoff { failures: 1 };
const COUNTS: Doubt = Doubt::Look { counts: true };
const UNSETTLED: Doubt = Doubt::Look { counts: false };

const EVERYTHING: [Seen; 30] = [
    Seen::Done { link_is_trusted: true },
    Seen::Done { link_is_trusted: false },
    Seen::NoEffect(Passing { at_least: None }),
    Seen::NoEffect(Passing { at_least: Some(SECOND) }),
    Seen::NoEffect(SetUp),
    Seen::NoEffect(Stopping),
    Seen::NoEffect(RefusedToken),
    Seen::Rejected(Refusal::EmailTaken(Whose::Strangers)),
    Seen::Rejected(Refusal::DomainTaken),
    Seen::Rejected(Refusal::DomainReserved),
    Seen::Rejected(Refusal::Other),
    Seen::Unknown,
    Seen::TokenLost,
    Seen::TokenHeld { link_is_trusted: true },
    Seen::Absent,
    Seen::Present,
    Seen::PresentElsewhere,
    Seen::Unclear,
    Seen::Sealed(Unopenable::KeyMissing),
    Seen::Sealed(Unopenable::Unreadable),
    Seen::Rejected(Refusal::EmailTaken(Whose::SiblingsNotKept)),
    Seen::Rejected(Refusal::Unread),
    Seen::DomainUnset,
    Seen::AbsentAfterRefusal(RefusedFor::Unread),
    Seen::Rejected(Refusal::CaptchaRefused),
    Seen::PresentUnclear,
    Seen::DomainHeld(Open),
    Seen::DomainHeld(Doubtful),
    Seen::DomainHeld(Taken),
    Seen::UserForgotten,
];

fn at(step: Step, state: State) -> Situation {
    Situation {
        step,
        state,
        in_doubt: state == State::Unknown,
        lookups: 0,
        is_past_lag: true,
        domain_try: 0,
        domain_is_exact: false,
        mailbox_is_owned: false,
        generation: 1,
        is_restored: false,
        may_be_unread: false,
        is_too_old: false,
        tries: 0,
        retries: 0,
        sent_before: 0,
        token_search: TokenSearch::Over,
        is_stopping: false,
        is_foxy_up: true,
    }
}

fn decide(at: &Situation, seen: Seen) -> Result<Decision, Illegal> {
    match super::decide(at, seen)? {
        Answer::Decided(verdict) => Ok(verdict.decision),
        Answer::SeekToken => panic!("the token was looked for"),
    }
}

#[track_caller]
fn check(situation: &Situation, expected: [Option<Decision>; 30]) {
    for (seen, expected) in EVERYTHING.into_iter().zip(expected) {
        assert_eq!(decide(situation, seen).ok(), expected, "{seen:?} at {situation:?}");
    }
}

#[test]
fn every_end_of_a_users_create_call_has_its_next_step() {
    check(
        &at(Step::User, State::InFlight),
        [
            Some(AnnounceStore),
            Some(Park(SuspiciousLink)),
            Some(Retry(FIRST)),
            Some(Retry(Wait::AtLeast { least: SECOND, failures: 0 })),
            Some(Retry(FIRST)),
            Some(Retry(Wait::None)),
            None,
            Some(Park(EmailTaken)),
            Some(Park(RejectedByFoxy)),
            Some(Park(RejectedByFoxy)),
            Some(Park(RejectedByFoxy)),
            Some(LookUp(FIRST, Doubt::Call)),
            Some(Park(UserTokenLost)),
            Some(AnnounceStore),
            None,
            None,
            None,
            None,
            Some(Park(KeyMissing)),
            Some(Park(InvalidEvent)),
            Some(Park(UserTokenNotKept)),
            Some(Park(RejectedByFoxy)),
            None,
            None,
            Some(Park(CaptchaRefused)),
            None,
            Some(NextDomain),
            Some(NextDomain),
            Some(NextDomain),
            Some(Retry(FIRST)),
        ],
    );
}

#[test]
fn every_end_of_a_stores_create_call_has_its_next_step() {
    check(
        &at(Step::Store, State::InFlight),
        [
            Some(Finish),
            Some(Park(SuspiciousLink)),
            Some(Retry(FIRST)),
            Some(Retry(Wait::AtLeast { least: SECOND, failures: 0 })),
            Some(Retry(FIRST)),
            Some(Retry(Wait::None)),
            Some(Park(UserTokenRefused)),
            Some(Park(RejectedByFoxy)),
            Some(NextDomain),
            Some(NextDomain),
            Some(Park(RejectedByFoxy)),
            Some(LookUp(FIRST, Doubt::Call)),
            Some(Park(StoreTokenLost)),
            Some(Finish),
            None,
            None,
            None,
            None,
            Some(Park(KeyMissing)),
            Some(Park(InvalidEvent)),
            Some(Park(RejectedByFoxy)),
            Some(Park(RejectedByFoxy)),
            Some(AnnounceStore),
            None,
            Some(Park(CaptchaRefused)),
            None,
            Some(NextDomain),
            Some(NextDomain),
            Some(NextDomain),
            None,
        ],
    );
}

#[test]
fn every_lookup_of_a_user_has_its_next_step() {
    let mut expected = [None; 30];
    expected[4] = Some(LookUp(AGAIN, UNSETTLED));
    expected[23] = Some(LookUp(AGAIN, COUNTS));
    expected[5] = Some(LookUp(Wait::None, UNSETTLED));
    expected[13] = Some(AnnounceStore);
    expected[14] = Some(Retry(Wait::None));
    expected[15] = Some(Park(UserTokenLost));
    expected[17] = Some(LookUp(AGAIN, UNSETTLED));
    expected[18] = Some(Park(KeyMissing));
    expected[19] = Some(Park(InvalidEvent));
    expected[26..29].fill(Some(NextDomain));
    expected[25] = Some(LookUp(AGAIN, UNSETTLED));
    expected[29] = Some(LookUp(AGAIN, UNSETTLED));
    check(&at(Step::User, State::Unknown), expected);
}

#[test]
fn every_lookup_of_a_store_has_its_next_step() {
    let mut expected = [None; 30];
    expected[4] = Some(LookUp(AGAIN, UNSETTLED));
    expected[23] = Some(LookUp(AGAIN, COUNTS));
    expected[5] = Some(LookUp(Wait::None, UNSETTLED));
    expected[6] = Some(Park(UserTokenRefused));
    expected[13] = Some(Finish);
    expected[14] = Some(Retry(Wait::None));
    expected[15] = Some(Park(StoreTokenLost));
    expected[16] = Some(LookUp(AGAIN, COUNTS));
    expected[17] = Some(LookUp(AGAIN, UNSETTLED));
    expected[18] = Some(Park(KeyMissing));
    expected[19] = Some(Park(InvalidEvent));
    expected[25] = Some(LookUp(AGAIN, UNSETTLED));
    expected[26..29].fill(Some(NextDomain));
    check(&at(Step::Store, State::Unknown), expected);
}

#[test]
fn under_a_user_that_a_restored_signup_did_not_make_just_now_its_store_is_looked_for() {
    for state in [State::InFlight, State::Unknown] {
        let restored = Situation { is_restored: true, ..at(Step::User, state) };
        let held = Seen::TokenHeld { link_is_trusted: true };
        assert_eq!(decide(&restored, held), Ok(Decision::LookForStore));
    }
    let restored = Situation { is_restored: true, ..at(Step::User, State::InFlight) };
    assert_eq!(decide(&restored, Seen::Done { link_is_trusted: true }), Ok(AnnounceStore), "it can't have one yet");
}

#[test]
fn where_nothing_is_under_way_nothing_can_be_seen() {
    for step in Step::ALL {
        for state in [State::Due, State::Parked, State::Closed] {
            check(&at(*step, state), [None; 30]);
        }
    }
    for state in State::ALL {
        check(&at(Step::Done, *state), [None; 30]);
    }
}

#[test]
fn a_refusal_in_doubt_is_looked_up_before_it_is_believed() {
    for (step, refusal, refused) in [
        (Step::User, Refusal::Unread, RefusedFor::Unread),
        (Step::Store, Refusal::Unread, RefusedFor::Unread),
        (Step::Store, Refusal::DomainTaken, RefusedFor::DomainTaken),
        (Step::Store, Refusal::DomainReserved, RefusedFor::DomainReserved),
    ] {
        for domain_is_exact in [false, true] {
            let doubted = Situation { in_doubt: true, domain_is_exact, ..at(step, State::InFlight) };
            assert_eq!(
                decide(&doubted, Seen::Rejected(refusal)),
                Ok(LookUp(FIRST, Doubt::Refusal(refused))),
                "{step} {refusal:?}"
            );
        }
    }
}

#[test]
fn what_was_sealed_for_another_parks_whatever_is_under_way() {
    for step in [Step::User, Step::Store] {
        for state in [State::InFlight, State::Unknown] {
            let seen = Seen::Sealed(Unopenable::Mismatch);
            assert_eq!(decide(&at(step, state), seen), Ok(Park(CustodyMismatch)), "{step} {state}");
        }
    }
}

#[test]
fn a_refused_captcha_parks_in_doubt_too() {
    for step in [Step::User, Step::Store] {
        let doubted = Situation { in_doubt: true, ..at(step, State::InFlight) };
        assert_eq!(decide(&doubted, Seen::Rejected(Refusal::CaptchaRefused)), Ok(Park(CaptchaRefused)));
    }
}

#[test]
fn a_refusal_in_doubt_is_believed_after_enough_looks_and_once_no_listing_can_lag() {
    for (step, refused, derived, exact) in [
        (Step::User, RefusedFor::Unread, Park(RejectedByFoxy), Park(RejectedByFoxy)),
        (Step::Store, RefusedFor::Unread, Park(RejectedByFoxy), Park(RejectedByFoxy)),
        (Step::Store, RefusedFor::DomainTaken, NextDomain, Park(DomainTaken)),
        (Step::Store, RefusedFor::DomainReserved, NextDomain, Park(DomainReserved)),
    ] {
        let seen = Seen::AbsentAfterRefusal(refused);
        let enough = Situation { lookups: LOOKS_BEFORE_BELIEVING - 1, ..at(step, State::Unknown) };
        for (domain_is_exact, believed) in [(false, derived), (true, exact)] {
            let enough = Situation { domain_is_exact, ..enough };
            assert_eq!(decide(&enough, seen), Ok(believed), "{step} {refused}");
            let seldom = Situation { lookups: LOOKS_BEFORE_BELIEVING - 2, ..enough };
            let early = Situation { is_past_lag: false, lookups: 100, ..enough };
            for at in [seldom, early] {
                assert_eq!(decide(&at, seen), Ok(LookUp(AGAIN, COUNTS)), "{step} {refused}");
            }
        }
    }
}

#[test]
fn a_user_is_not_refused_for_a_domain() {
    for refused in [RefusedFor::DomainTaken, RefusedFor::DomainReserved] {
        assert!(decide(&at(Step::User, State::Unknown), Seen::AbsentAfterRefusal(refused)).is_err());
    }
}

#[test]
fn a_domain_that_the_event_asks_for_is_never_replaced() {
    let exact = Situation { domain_is_exact: true, ..at(Step::Store, State::InFlight) };
    for (refusal, reason) in [(Refusal::DomainTaken, DomainTaken), (Refusal::DomainReserved, DomainReserved)] {
        assert_eq!(decide(&exact, Seen::Rejected(refusal)), Ok(Park(reason)));
    }
}

#[test]
fn a_domain_of_the_event_that_another_signup_holds_waits_for_it_or_parks() {
    for step in [Step::User, Step::Store] {
        for (state, wait) in [(State::InFlight, Retry(FIRST)), (State::Unknown, LookUp(AGAIN, UNSETTLED))] {
            let exact = Situation { domain_is_exact: true, is_too_old: true, ..at(step, state) };
            for (hold, expected) in [(Open, wait), (Doubtful, Park(StoreUnclear)), (Taken, Park(DomainTaken))] {
                assert_eq!(decide(&exact, Seen::DomainHeld(hold)), Ok(expected), "{step} {state} {hold:?}");
            }
        }
    }
}

#[test]
fn a_store_that_two_signups_may_have_made_is_looked_at_until_it_is_too_old() {
    let old = Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..at(Step::Store, State::Unknown) };
    assert_eq!(decide(&old, Seen::PresentUnclear), Ok(Park(StoreUnclear)));
    assert_eq!(decide(&old, Seen::Present), Ok(Park(StoreTokenLost)), "what is ours is ours, however old");
}

#[test]
fn a_user_that_two_signups_may_have_made_is_looked_at_until_it_is_too_old() {
    let old = Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..at(Step::User, State::Unknown) };
    assert_eq!(decide(&old, Seen::PresentUnclear), Ok(Park(UserTokenLost)));
}

#[test]
fn derived_domains_come_to_an_end() {
    let last = Situation { domain_try: DOMAIN_TRIES - 1, ..at(Step::Store, State::InFlight) };
    for seen in [Seen::Rejected(Refusal::DomainTaken), Seen::DomainHeld(Open), Seen::DomainHeld(Doubtful)] {
        assert_eq!(decide(&last, seen), Ok(Park(DomainTaken)));
    }
}

#[test]
fn a_domain_present_elsewhere_is_looked_at_again_before_it_is_believed() {
    let looked = |lookups| Situation { lookups, ..at(Step::Store, State::Unknown) };
    for lookups in 0..LOOKS_BEFORE_BELIEVING - 1 {
        assert_eq!(decide(&looked(lookups), Seen::PresentElsewhere), Ok(LookUp(AGAIN, COUNTS)));
    }
    let last = looked(LOOKS_BEFORE_BELIEVING - 1);
    assert_eq!(decide(&last, Seen::PresentElsewhere), Ok(NextDomain));
    let exact = Situation { domain_is_exact: true, ..last };
    assert_eq!(decide(&exact, Seen::PresentElsewhere), Ok(Park(DomainTaken)));
    let soon = Situation { is_past_lag: false, lookups: 100, ..last };
    assert_eq!(
        decide(&soon, Seen::PresentElsewhere),
        Ok(LookUp(AGAIN, COUNTS)),
        "however often, if not for long enough"
    );
}

#[test]
fn a_lost_user_with_an_owned_mailbox_is_superseded() {
    for (state, seen) in [(State::InFlight, Seen::TokenLost), (State::Unknown, Seen::Present)] {
        let owned = Situation { mailbox_is_owned: true, ..at(Step::User, state) };
        assert_eq!(decide(&owned, seen), Ok(NextGeneration(Wait::Backoff { failures: 1 })));
        let last = Situation { generation: GENERATIONS, ..owned };
        assert_eq!(decide(&last, seen), Ok(Park(UserTokenLost)), "users are not made without end");
        let store = Situation { step: Step::Store, ..owned };
        assert_eq!(decide(&store, seen), Ok(Park(StoreTokenLost)));
    }
}

#[test]
fn a_token_behind_a_link_that_is_not_trusted_is_kept_and_not_followed() {
    for step in [Step::User, Step::Store] {
        for (state, seen) in [
            (State::InFlight, Seen::Done { link_is_trusted: false }),
            (State::InFlight, Seen::TokenHeld { link_is_trusted: false }),
            (State::Unknown, Seen::TokenHeld { link_is_trusted: false }),
        ] {
            assert_eq!(decide(&at(step, state), seen), Ok(Park(SuspiciousLink)));
        }
    }
}

#[test]
fn a_refused_transition_says_what_and_where() {
    let refused = decide(&at(Step::Store, State::Due), Seen::Unknown).unwrap_err();
    assert_eq!(refused.to_string(), "Unknown can't be seen at step store in state due");
}
