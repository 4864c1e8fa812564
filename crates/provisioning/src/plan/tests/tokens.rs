//! Before a token is given up for lost it is looked for.

use foxden_ledger::{
    Doubt,
    ParkedReason::{AttemptsExhausted, DomainReserved, DomainTaken, StoreTokenLost, StoreUnclear, UserTokenLost},
    State, Step,
};

use super::{AGAIN, EVERYTHING, FIRST, UNSETTLED, at, decide};
use crate::plan::{
    self, Answer, Decision,
    Decision::{LookUp, NextDomain, NextGeneration, Park},
    Seen, Situation, TRIES_BEFORE_GIVING_UP, TokenSearch,
};

fn gives_up_a_token(decision: Decision) -> bool {
    let reasons = [UserTokenLost, StoreTokenLost, StoreUnclear, DomainTaken, DomainReserved];
    match decision {
        NextDomain | NextGeneration(_) => true,
        Park(reason) => reasons.contains(&reason),
        _ => false,
    }
}

/// All that can be seen of calls in doubt, and what is decided once the token was looked for.
fn in_doubt() -> Vec<(Situation, Seen, Decision)> {
    let mut all = Vec::new();
    for step in [Step::User, Step::Store] {
        for state in [State::InFlight, State::Unknown] {
            for is_free in [false, true] {
                let doubted = Situation {
                    in_doubt: true,
                    mailbox_is_owned: is_free,
                    domain_is_exact: !is_free,
                    lookups: 100,
                    ..at(step, state)
                };
                let decided = EVERYTHING.into_iter().filter_map(|seen| Some((seen, decide(&doubted, seen).ok()?)));
                all.extend(decided.map(|(seen, decision)| (doubted, seen, decision)));
            }
        }
    }
    all
}

#[test]
fn in_doubt_a_token_is_looked_for_before_it_is_given_up() {
    let mut sought = 0;
    for (doubted, seen, decision) in in_doubt() {
        // No call was made for a domain that another signup holds.
        let seeks = gives_up_a_token(decision) && !matches!(seen, Seen::DomainHeld(_));
        let before = Situation { token_search: TokenSearch::NotYet, ..doubted };
        assert_eq!(plan::decide(&before, seen) == Ok(Answer::SeekToken), seeks, "{seen:?} at {before:?}");
        let sure = Situation { in_doubt: false, ..before };
        assert_ne!(plan::decide(&sure, seen), Ok(Answer::SeekToken), "{seen:?} at {sure:?}");
        sought += usize::from(seeks);
    }
    assert!(sought >= 10, "{sought}");
}

#[test]
fn a_token_that_could_not_be_looked_for_is_not_given_up() {
    for (doubted, seen, decision) in in_doubt() {
        let failed = Situation { token_search: TokenSearch::Failed, ..doubted };
        let expected = match failed.state {
            _ if !gives_up_a_token(decision) || matches!(seen, Seen::DomainHeld(_)) => decision,
            State::Unknown => LookUp(AGAIN, UNSETTLED),
            _ => LookUp(FIRST, Doubt::Call),
        };
        assert_eq!(decide(&failed, seen), Ok(expected), "{seen:?} at {failed:?}");
        let old = Situation { is_too_old: true, tries: TRIES_BEFORE_GIVING_UP - 1, ..failed };
        if decision != expected && old.state == State::Unknown {
            assert_eq!(decide(&old, seen), Ok(Park(AttemptsExhausted)), "{seen:?}");
        }
    }
}
