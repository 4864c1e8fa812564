//! What a row is asked for.

use std::time::Duration;

use foxden_ledger::{GrantReason, ParkedReason, Provisioning, ProvisioningId, SignupId, Source, State, Step, Wanted};

use super::{Ask, NoUse};

const STORE: &str = "https://api.foxycart.com/stores/8";
const USER: &str = "https://api.foxycart.com/users/2";

/// A parked signup that knows neither user nor store.
fn parked(step: Step, reason: ParkedReason) -> Provisioning {
    Provisioning {
        id: ProvisioningId::new(),
        signup_id: SignupId::parse("acct_1").unwrap(),
        account_id: None,
        source: Source::Submit,
        step,
        state: State::Parked,
        parked_reason: Some(reason),
        parked_detail: None,
        payload: None,
        mailbox: None,
        generation: 1,
        user_from: None,
        user_uri: None,
        store_uri: None,
        store_domain: None,
        domain_try: 0,
        in_doubt: false,
        doubt_ended_at_ms: None,
        refused: None,
        intents: 1,
        key_intent: 1,
        intent_at_ms: None,
        retries: 0,
        tries: 0,
        tried_for: Duration::ZERO,
        lookups: 0,
        step_since_ms: 0,
        due_at_ms: None,
        not_before_ms: None,
        epoch: 1,
        lease_until_ms: None,
        accepted_at_ms: 0,
        updated_at_ms: 0,
        closed_at_ms: None,
        forgotten_at_ms: None,
        restored_to_ms: None,
    }
}

#[test]
fn a_lost_store_is_asked_for_at_its_address() {
    let mut row = parked(Step::Store, ParkedReason::StoreTokenLost);
    (row.user_uri, row.user_from) = (Some(USER.into()), Some(ProvisioningId::new()));
    let mut asked = Ask { at: None, reason: GrantReason::Recover, wanted: Wanted::Store, expected_uri: None };
    assert_eq!(Ask::of(&row), Ok(asked.clone()));
    row.store_uri = Some(STORE.into());
    asked.expected_uri = row.store_uri.clone();
    assert_eq!(Ask::of(&row), Ok(asked));
}

#[test]
fn a_refused_user_is_asked_for_at_the_signup_whose_user_it_is() {
    let mut row = parked(Step::Store, ParkedReason::UserTokenRefused);
    row.user_uri = Some(USER.into());
    for owner in [None, Some(ProvisioningId::new())] {
        row.user_from = owner.clone();
        let expected_uri = Some(USER.to_owned());
        let asked = Ask { at: owner, reason: GrantReason::Recover, wanted: Wanted::User, expected_uri };
        assert_eq!(Ask::of(&row), Ok(asked));
    }
}

#[test]
fn a_user_to_take_over_is_never_known_by_an_address() {
    let mut row = parked(Step::User, ParkedReason::EmailTaken);
    row.user_uri = Some(USER.into());
    let asked = Ask { at: None, reason: GrantReason::TakeOver, wanted: Wanted::User, expected_uri: None };
    assert_eq!(Ask::of(&row), Ok(asked));
    row.forgotten_at_ms = Some(1);
    assert_eq!(Ask::of(&row), Err(NoUse::Forgotten));
}
