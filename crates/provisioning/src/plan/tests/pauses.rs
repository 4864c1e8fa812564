//! How long is waited, and what counts as a try.

use foxden_ledger::{Doubt, ParkedReason::AttemptsExhausted, State, Step};

use super::{AGAIN, EVERYTHING, FIRST, SECOND, UNSETTLED, at, decide};
use crate::plan::{
    self, Answer,
    Cause::{HeldBack, Passing, SetUp, Stopping},
    Decision::{AnnounceStore, LeaveStore, LookUp, NextGeneration, Park, Retry},
    Seen, Situation, TRIES_BEFORE_GIVING_UP, Wait,
};

#[test]
fn age_ends_retries_but_hides_no_success_and_blames_no_set_up() {
    for step in [Step::User, Step::Store] {
        let old = |state| Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..at(step, state) };
        let passing = Seen::NoEffect(Passing { at_least: None });
        assert_eq!(decide(&old(State::InFlight), passing), Ok(Park(AttemptsExhausted)));
        assert_eq!(decide(&old(State::InFlight), Seen::NoEffect(SetUp)), Ok(Retry(FIRST)));
        assert_eq!(decide(&old(State::InFlight), Seen::Unknown), Ok(LookUp(FIRST, Doubt::Call)));
        for unclear in [Seen::Absent, Seen::Unclear] {
            assert_eq!(decide(&old(State::Unknown), unclear), Ok(Park(AttemptsExhausted)));
        }
        assert_eq!(
            decide(&old(State::Unknown), Seen::TokenHeld { link_is_trusted: true }),
            decide(&at(step, State::Unknown), Seen::TokenHeld { link_is_trusted: true })
        );
        assert_eq!(decide(&old(State::Unknown), Seen::Present), decide(&at(step, State::Unknown), Seen::Present));
    }
}

#[test]
fn what_is_held_back_waits_however_old_it_is() {
    for step in [Step::User, Step::Store] {
        for at_least in [None, Some(SECOND)] {
            let wait = |failures| match at_least {
                None => Wait::Backoff { failures },
                Some(least) => Wait::AtLeast { least, failures },
            };
            let seen = Seen::NoEffect(HeldBack { at_least });
            let old = |state| Situation { is_too_old: true, tries: 1000, ..at(step, state) };
            assert_eq!(decide(&old(State::InFlight), seen), Ok(Retry(wait(0))));
            assert_eq!(decide(&old(State::Unknown), seen), Ok(LookUp(wait(1), UNSETTLED)));
        }
    }
}

#[test]
fn the_next_worker_waits_for_no_turn_of_one_that_stops() {
    for at_least in [None, Some(SECOND)] {
        let seen = Seen::NoEffect(HeldBack { at_least });
        let stopping = |state| Situation { is_stopping: true, retries: 3, ..at(Step::Store, state) };
        assert_eq!(decide(&stopping(State::InFlight), seen), Ok(Retry(Wait::None)));
        assert_eq!(decide(&stopping(State::Unknown), seen), Ok(LookUp(Wait::None, UNSETTLED)));
    }
}

#[test]
fn nothing_is_given_up_before_it_was_tried_some_times() {
    for step in [Step::User, Step::Store] {
        let old = |state| Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 2, ..at(step, state) };
        let passing = Seen::NoEffect(Passing { at_least: None });
        assert_eq!(decide(&old(State::InFlight), passing), Ok(Retry(FIRST)));
        assert_eq!(decide(&old(State::Unknown), Seen::Unclear), Ok(LookUp(AGAIN, UNSETTLED)));
    }
}

#[test]
fn the_more_often_a_call_was_in_vain_the_longer_the_pause() {
    let passing = Seen::NoEffect(Passing { at_least: None });
    for retries in [0, 1, 7] {
        let tried = |state| Situation { retries, ..at(Step::Store, state) };
        assert_eq!(decide(&tried(State::InFlight), passing), Ok(Retry(Wait::Backoff { failures: retries })));
        // The first look is after `lookup_delay`, whatever was before the call.
        assert_eq!(decide(&tried(State::InFlight), Seen::Unknown), Ok(LookUp(FIRST, Doubt::Call)));
        let longer = Wait::Backoff { failures: retries + 1 };
        assert_eq!(decide(&tried(State::Unknown), Seen::Unclear), Ok(LookUp(longer, UNSETTLED)));
    }
}

#[test]
fn a_call_that_is_found_absent_is_sent_again_at_once_and_then_more_and_more_rarely() {
    for (sent_before, wait) in [(0, Wait::None), (1, FIRST), (2, AGAIN), (9, Wait::Backoff { failures: 8 })] {
        // Other pauses of the key have no say in this.
        let absent = Situation { sent_before, retries: 5, ..at(Step::Store, State::Unknown) };
        assert_eq!(decide(&absent, Seen::Absent), Ok(Retry(wait)));
    }
}

#[test]
fn each_generation_is_waited_for_longer_than_the_one_before() {
    for generation in [1, 2, 4] {
        let owned = Situation { mailbox_is_owned: true, generation, ..at(Step::User, State::InFlight) };
        let longer = Wait::Backoff { failures: generation };
        assert_eq!(decide(&owned, Seen::TokenLost), Ok(NextGeneration(longer)));
    }
}

#[test]
fn a_worker_that_stops_announces_no_store() {
    for (step, seen) in [
        (Step::User, Seen::Done { link_is_trusted: true }),
        (Step::User, Seen::TokenHeld { link_is_trusted: true }),
        (Step::Store, Seen::DomainUnset),
    ] {
        let working = at(step, State::InFlight);
        assert_eq!(decide(&working, seen), Ok(AnnounceStore));
        assert_eq!(decide(&Situation { is_stopping: true, ..working }, seen), Ok(LeaveStore));
    }
}

#[test]
fn only_what_says_something_of_the_signup_while_foxy_is_up_counts_as_a_try() {
    let counts =
        |at: &Situation, seen| matches!(plan::decide(at, seen), Ok(Answer::Decided(verdict)) if verdict.is_a_try);
    for (step, state) in
        [Step::User, Step::Store].into_iter().flat_map(|step| [(step, State::InFlight), (step, State::Unknown)])
    {
        let up = at(step, state);
        let down = Situation { is_foxy_up: false, ..up };
        for seen in EVERYTHING.into_iter().chain([Seen::NoEffect(HeldBack { at_least: Some(SECOND) })]) {
            let says_nothing = matches!(
                seen,
                Seen::NoEffect(SetUp | Stopping | HeldBack { .. }) | Seen::DomainHeld(_) | Seen::UserForgotten
            );
            assert_eq!(counts(&up, seen), decide(&up, seen).is_ok() && !says_nothing, "{seen:?} at {up:?}");
            assert!(!counts(&down, seen), "{seen:?}");
        }
    }
}
