//! What a row is asked for, and what its grant must open.

use std::time::Duration;

use foxden_ledger::{
    ClientId, Grant, GrantId, GrantReason, GrantState, ParkedReason, Provisioning, ProvisioningId, SignupId, Source,
    State, Step, Wanted,
};
use foxy_api::{ApiOrigins, LinkProblem, Opened, OpenedStore, OpenedUser, ResourceUri};

use super::{Ask, Expected, Judgment, NoUse, Wrong, judge};

const STORE: &str = "https://api.foxycart.com/stores/8";
const USER: &str = "https://api.foxycart.com/users/2";
const EMAIL: &str = "ann@example.com";

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

fn grant(reason: GrantReason, wanted: Wanted, expected_uri: Option<&str>) -> Grant {
    Grant {
        id: GrantId::new(),
        provisioning: ProvisioningId::new(),
        reason,
        wanted,
        client_id: ClientId::parse("client").unwrap(),
        expected_uri: expected_uri.map(str::to_owned),
        state: GrantState::Open,
        asked_at_ms: 0,
        expires_at_ms: 1,
        ended_at_ms: None,
    }
}

fn uri(text: &str) -> ResourceUri {
    ResourceUri::parse(text, &ApiOrigins::production()).unwrap()
}

fn store(at: &str, domain: Option<&str>) -> Opened {
    Opened::Store(OpenedStore { uri: uri(at), domain: domain.map(str::to_owned), name: Some("Ann's".to_owned()) })
}

fn user(at: &str, email: Option<&str>) -> Opened {
    Opened::User(OpenedUser { uri: uri(at), email: email.map(str::to_owned) })
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

#[test]
fn what_a_grant_must_open_follows_from_what_is_known() {
    use GrantReason::{Reconnect, Recover, TakeOver};
    use Wanted::{Store, User};
    let bare = parked(Step::User, ParkedReason::UserTokenLost);
    let named = Provisioning { store_domain: Some("anns-shop".into()), ..bare.clone() };
    let whole = Provisioning { store_uri: Some(STORE.into()), user_uri: Some(USER.into()), ..named.clone() };
    let other = "https://api.foxy.io/stores/9";
    for (case, (reason, wanted, asked), row, email, expected) in [
        (1, (Recover, Store, Some(other)), &whole, None, Some(Expected::StoreAt(other))),
        (2, (Recover, Store, None), &whole, None, Some(Expected::StoreAt(STORE))),
        (3, (Reconnect, Store, None), &named, Some(EMAIL), Some(Expected::StoreNamed("anns-shop"))),
        (4, (Recover, Store, None), &bare, Some(EMAIL), None),
        (5, (Recover, User, Some(other)), &whole, Some(EMAIL), Some(Expected::UserAt(other))),
        (6, (Recover, User, None), &whole, Some(EMAIL), Some(Expected::UserAt(USER))),
        (7, (Recover, User, None), &named, Some(EMAIL), Some(Expected::UserWith(EMAIL))),
        (8, (Recover, User, None), &named, None, None),
        (9, (TakeOver, User, Some(other)), &whole, Some(EMAIL), Some(Expected::UserWith(EMAIL))),
        (10, (TakeOver, User, Some(other)), &whole, None, None),
    ] {
        let grant = grant(reason, wanted, asked);
        assert!(Expected::of(&grant, row, email) == expected, "{case}");
    }
}

#[test]
fn only_what_was_expected_is_kept() {
    let (keep, wrong) = (|at: &str| Judgment::Keep(uri(at)), Judgment::Wrong);
    let io = "https://api.foxy.io/stores/8";
    let unproven = Opened::Unproven(LinkProblem::Missing { rel: "fx:store" });
    for (case, expected, opened, judgment) in [
        (1, Expected::StoreAt(STORE), store(STORE, None), keep(STORE)),
        (2, Expected::StoreAt(STORE), store(io, None), keep(io)),
        (3, Expected::StoreAt(STORE), store("https://api.foxycart.com/stores/80", None), wrong(Wrong::AnotherShop)),
        (4, Expected::StoreAt(STORE), user(STORE, Some(EMAIL)), wrong(Wrong::Unproven)),
        (5, Expected::StoreAt(STORE), unproven.clone(), wrong(Wrong::Unproven)),
        (6, Expected::StoreNamed("anns-shop"), store(STORE, Some("Anns-Shop")), keep(STORE)),
        (7, Expected::StoreNamed("anns-shop"), store(STORE, Some("anns-shop-2")), wrong(Wrong::AnotherShop)),
        (8, Expected::StoreNamed("anns-shop"), store(STORE, None), wrong(Wrong::Unproven)),
        (9, Expected::UserAt(USER), user(USER, None), keep(USER)),
        (10, Expected::UserAt(USER), user(USER, Some("new@example.com")), keep(USER)),
        (11, Expected::UserAt(USER), user("https://api.foxy.io/users/3", Some(EMAIL)), wrong(Wrong::AnotherAccount)),
        (12, Expected::UserAt(USER), store(USER, None), wrong(Wrong::Unproven)),
        (13, Expected::UserWith(EMAIL), user(USER, Some("Ann@Example.com")), keep(USER)),
        (14, Expected::UserWith(EMAIL), user(USER, Some("eve@example.com")), wrong(Wrong::AnotherAccount)),
        (15, Expected::UserWith(EMAIL), user(USER, None), wrong(Wrong::Unproven)),
        (16, Expected::UserWith(EMAIL), store(STORE, Some("anns-shop")), wrong(Wrong::Unproven)),
        (17, Expected::UserWith(EMAIL), unproven, wrong(Wrong::Unproven)),
        // What is known of no one proves nothing.
        (18, Expected::UserWith(""), user(USER, Some("")), wrong(Wrong::AnotherAccount)),
    ] {
        assert_eq!(judge(expected, &opened), judgment, "{case}");
    }
}

#[test]
fn a_wrong_grant_is_told_to_a_person_and_names_no_one() {
    assert_eq!(Wrong::AnotherShop.to_string(), "access was granted to another shop than the one that it is needed for");
    assert_eq!(
        Wrong::AnotherAccount.to_string(),
        "access was granted to another Foxy account than the one that it is needed for"
    );
    assert_eq!(
        Wrong::Unproven.to_string(),
        "nothing in Foxy's answer proves to which shop or account access was granted"
    );
}
