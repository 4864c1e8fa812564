use std::time::Duration;

use super::advance;
use crate::{
    entity::provisioning::Model,
    record::{Doubt, Facts, Next},
    state::{ParkedReason, RefusedFor, State, Step},
};

const NOW: i64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// One that a worker holds, and that has been through something: no column is what a new row has.
fn held() -> Model {
    Model {
        id: "id".into(),
        signup_id: "s1".into(),
        account_id: Some("a1".into()),
        source: "amqp".into(),
        step: Step::Store.as_str().into(),
        state: State::InFlight.as_str().into(),
        parked_reason: Some("domain_taken".into()),
        parked_detail: Some("detail".into()),
        payload: Some(vec![1]),
        fingerprint: vec![2],
        mailbox: Some("mailbox".into()),
        generation: 2,
        user_from: Some("other".into()),
        user_uri: Some("user".into()),
        store_uri: Some("store".into()),
        store_domain: Some("engines".into()),
        domain_try: 3,
        in_doubt: true,
        doubt_ended_at: Some(4),
        refused: Some("domain_taken".into()),
        intents: 5,
        key_intent: 4,
        retries: 6,
        tries: 7,
        tried_ms: 8,
        lookups: 9,
        step_since: 10,
        due_at: None,
        not_before: Some(11),
        lease_owner: Some("worker".into()),
        lease_until: Some(12),
        epoch: 13,
        intent_at: Some(14),
        accepted_at: 15,
        updated_at: 16,
        closed_at: None,
        forgotten_at: None,
        restored_to: None,
        tokens_forgotten_at: None,
        links_forgotten_at: None,
    }
}

/// The same, at rest in `state`.
fn resting(state: State, due_at: Option<i64>) -> Model {
    Model { state: state.as_str().into(), due_at, lease_owner: None, lease_until: None, updated_at: NOW, ..held() }
}

fn unknown(doubt: Doubt) -> Next {
    Next::Unknown { delay: SECOND, doubt }
}

/// Each way that a provisioning can go, and all columns that change with it.
#[test]
fn a_transition_changes_its_own_columns_and_no_others() {
    let nothing = Facts::default;
    let new_key = || Facts { store_domain: Some("looms".into()), domain_try: Some(4), ..Facts::default() };
    let due = |at_least| Next::Due { step: Step::User, delay: SECOND, at_least };
    let looked_for = |refused: Option<&str>| Model {
        lookups: 0,
        retries: 0,
        refused: refused.map(str::to_owned),
        ..resting(State::Unknown, Some(NOW + 1000))
    };
    let begun = |row: Model| Model {
        store_domain: Some("looms".into()),
        domain_try: 4,
        in_doubt: false,
        doubt_ended_at: None,
        key_intent: 6,
        retries: 0,
        tries: 0,
        tried_ms: 0,
        step_since: NOW,
        ..row
    };
    let called = Model {
        intents: 6,
        intent_at: Some(NOW),
        lookups: 0,
        lease_until: Some(NOW + 1000),
        updated_at: NOW,
        ..held()
    };
    let waiting = Model {
        step: Step::User.as_str().into(),
        retries: 7,
        lookups: 0,
        not_before: None,
        ..resting(State::Due, Some(NOW + 1000))
    };
    let parked = Model {
        parked_reason: Some("store_unclear".into()),
        parked_detail: Some("why".into()),
        ..resting(State::Parked, None)
    };
    let done = Model { step: Step::Done.as_str().into(), closed_at: Some(NOW), ..resting(State::Closed, None) };
    let in_flight = || Next::InFlight { step: Step::Store, lease: SECOND };
    let provisioned = |keep_payload| Next::Provisioned { keep_payload, keep_user_token: true };
    let tried = Facts { tried: Some(SECOND), ..Facts::default() };
    for (facts, next, expected) in [
        (nothing(), in_flight(), called.clone()),
        (new_key(), in_flight(), begun(called)),
        (nothing(), due(Duration::ZERO), waiting.clone()),
        (nothing(), due(SECOND), Model { not_before: Some(NOW + 1000), ..waiting.clone() }),
        (tried, due(Duration::ZERO), Model { tries: 8, tried_ms: 1008, ..waiting.clone() }),
        (new_key(), due(Duration::ZERO), begun(Model { retries: 0, ..waiting })),
        (nothing(), unknown(Doubt::Call), Model { doubt_ended_at: Some(NOW), ..looked_for(None) }),
        (nothing(), unknown(Doubt::Store), looked_for(None)),
        (nothing(), unknown(Doubt::Refusal(RefusedFor::DomainTaken)), looked_for(Some("domain_taken"))),
        (
            nothing(),
            unknown(Doubt::Look { counts: true }),
            Model { lookups: 10, retries: 7, ..resting(State::Unknown, Some(NOW + 1000)) },
        ),
        (
            nothing(),
            unknown(Doubt::Look { counts: false }),
            Model { retries: 7, ..resting(State::Unknown, Some(NOW + 1000)) },
        ),
        (nothing(), Next::Parked { reason: ParkedReason::StoreUnclear, detail: Some("why".into()) }, parked),
        (nothing(), provisioned(true), done.clone()),
        (nothing(), provisioned(false), Model { payload: None, ..done }),
    ] {
        let mut row = held();
        advance(&mut row, &facts, &next, NOW);
        assert_eq!(row, expected, "{facts:?} {next:?}");
    }
}

#[test]
fn a_row_of_an_older_copy_is_in_doubt_under_a_new_key() {
    let mut row = Model { restored_to: Some(1), in_doubt: false, ..held() };
    let facts = Facts { generation: Some(3), ..Facts::default() };
    advance(&mut row, &facts, &Next::InFlight { step: Step::User, lease: SECOND }, NOW);
    assert_eq!((row.in_doubt, row.doubt_ended_at, row.generation), (true, Some(4), 3));
}
