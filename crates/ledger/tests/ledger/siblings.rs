//! Signups whose stores are made under one Foxy user.

use std::time::Duration;

use foxden_custody::Custody;
use foxden_ledger::{
    AttemptOutcome, Claimed, Contention, CorrectedKey, Correction, Doubt, Facts, Hold, Ledger, Next, ParkedReason,
    ProvisioningId, Recorded, Retried, Scope, SignupId, Source, State, Step, StoreClaim, WorkerId,
};

use crate::support::{LEASE, accept, custody, entry, payload, row, token, written};

const STORE: &str = "https://api.foxycart.com/stores/7";
const UNKNOWN: Next = Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call };

/// A provisioned signup, whose user the others use.
async fn owner(ledger: &Ledger, custody: &Custody) -> ProvisioningId {
    let claimed = accept(ledger, custody, &WorkerId::new(), "owner").await;
    let claimed = written(ledger, entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE })).await;
    let done = Next::Provisioned { keep_payload: false, keep_user_token: true };
    written(ledger, entry(&claimed, done)).await.provisioning.id
}

async fn announce(ledger: &Ledger, claimed: &Claimed, user: &ProvisioningId, domain: &str) -> Recorded {
    let mut announced = entry(claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    announced.facts = Facts {
        user_from: Some(user.clone()),
        user_uri: Some("https://api.foxycart.com/users/1".to_owned()),
        store_domain: Some(domain.to_owned()),
        ..Facts::default()
    };
    announced.shared_user = Some(user.clone());
    ledger.record(announced).await.unwrap()
}

/// A signup whose call for a store with this domain is announced.
async fn announced(ledger: &Ledger, custody: &Custody, user: &ProvisioningId, id: &str, domain: &str) -> Claimed {
    let claimed = accept(ledger, custody, &WorkerId::new(), id).await;
    match announce(ledger, &claimed, user, domain).await {
        Recorded::Written(claimed) => *claimed,
        otherwise => panic!("{otherwise:?}"),
    }
}

fn held(recorded: Recorded) -> Option<(String, Hold)> {
    match recorded {
        Recorded::Contended(Contention::Domain { by, hold }) => Some((by.to_string(), hold)),
        Recorded::Written(_) => None,
        otherwise => panic!("{otherwise:?}"),
    }
}

/// An entry of the store step, whose domain stands in the evidence.
fn of_store(claimed: &Claimed, outcome: AttemptOutcome, next: Next) -> foxden_ledger::Entry {
    let mut entry = entry(claimed, next);
    (entry.attempt.outcome, entry.attempt.natural_key) = (outcome, claimed.provisioning.store_domain.clone());
    entry
}

async fn claim_again(ledger: &Ledger) -> Claimed {
    ledger.claim(&WorkerId::new(), 1, LEASE).await.unwrap().claimed.remove(0)
}

fn parked(reason: ParkedReason) -> Next {
    Next::Parked { reason, detail: None }
}

pub(crate) async fn two_open_signups_under_one_user_never_hold_one_domain(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let first = announced(&ledger, &custody, &user, "s1", "engines").await;
    let second = accept(&ledger, &custody, &WorkerId::new(), "s2").await;
    let open = Some(("s1".to_owned(), Hold::Open));
    assert_eq!(held(announce(&ledger, &second, &user, "engines").await), open);
    let untouched = row(&ledger, "s2").await;
    assert_eq!((untouched.step, untouched.intents, untouched.store_domain), (Step::User, 1, None));
    assert!(ledger.attempts(&untouched.id).await.unwrap().is_empty(), "nothing was written");

    written(&ledger, of_store(&first, AttemptOutcome::Unknown, UNKNOWN)).await;
    assert_eq!(held(announce(&ledger, &second, &user, "engines").await), open);
    let first = claim_again(&ledger).await;
    written(&ledger, of_store(&first, AttemptOutcome::Absent, parked(ParkedReason::AttemptsExhausted))).await;
    let doubtful = Some(("s1".to_owned(), Hold::Doubtful));
    assert_eq!(held(announce(&ledger, &second, &user, "engines").await), doubtful);
    assert_eq!(held(announce(&ledger, &second, &user, "engines-2").await), None);
}

pub(crate) async fn of_two_that_choose_a_domain_at_the_same_time_one_has_it(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let mut rows = Vec::new();
    for number in 0..6 {
        rows.push(accept(&ledger, &custody, &WorkerId::new(), &format!("s{number}")).await);
    }
    let mut choosing = tokio::task::JoinSet::new();
    for claimed in rows {
        let (ledger, user) = (ledger.clone(), user.clone());
        choosing.spawn(async move { held(announce(&ledger, &claimed, &user, "engines").await).is_none() });
    }
    let had_it = choosing.join_all().await;
    assert_eq!(had_it.iter().filter(|had_it| **had_it).count(), 1, "{had_it:?}");
}

pub(crate) async fn a_parked_signup_that_made_nothing_gives_its_domain_away(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let first = announced(&ledger, &custody, &user, "s1", "engines").await;
    let parked =
        written(&ledger, of_store(&first, AttemptOutcome::Rejected, parked(ParkedReason::RejectedByFoxy))).await;
    announced(&ledger, &custody, &user, "s2", "engines").await;

    let id = SignupId::parse("s1").unwrap();
    assert_eq!(ledger.retry(&id, "a person").await.unwrap(), Retried::Due);
    assert_eq!(row(&ledger, "s1").await.store_domain, None, "it is chosen again, when the others can be asked");
    let first = claim_again(&ledger).await;
    let open = Some(("s2".to_owned(), Hold::Open));
    assert_eq!(held(announce(&ledger, &first, &user, "engines").await), open);

    written(
        &ledger,
        of_store(&first, AttemptOutcome::Rejected, Next::Parked { reason: ParkedReason::DomainTaken, detail: None }),
    )
    .await;
    let now = ledger.known(&id).await.unwrap();
    let correction = Correction {
        account_id: None,
        source: Source::Submit,
        payload: custody.seal_payload(&parked.provisioning.id, &parked.provisioning.signup_id, &payload()).unwrap(),
        fingerprint: custody.fingerprint(&id, None, &payload()),
        key: CorrectedKey::Store(Some("engines".to_owned())),
    };
    let corrected = ledger.correct(&now.provisioning, &now.fingerprint, correction).await.unwrap().unwrap();
    assert_eq!((corrected.state, corrected.store_domain), (State::Due, None));
}

pub(crate) async fn only_proof_makes_a_store_another_signup_s(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let first = announced(&ledger, &custody, &user, "s1", "engines").await;
    written(&ledger, of_store(&first, AttemptOutcome::Unknown, UNKNOWN)).await;
    let claim = async |domain| ledger.store_claim(&row(&ledger, "s1").await, domain, STORE).await.unwrap();
    assert_eq!(claim("engines").await, StoreClaim::Free);

    // Of an earlier release, which let two hold one domain: with an address that it only found.
    let second = announced(&ledger, &custody, &user, "s2", "other").await;
    let mut looked = of_store(&second, AttemptOutcome::Present, parked(ParkedReason::StoreTokenLost));
    (looked.facts.store_uri, looked.facts.store_domain) = (Some(STORE.to_owned()), Some("engines".to_owned()));
    written(&ledger, looked).await;
    let contended = StoreClaim::Contended(SignupId::parse("s2").unwrap());
    assert_eq!(claim("engines").await, contended);

    let mut late = token(&second, &custody, Scope::Store, "late").unwrap();
    late.resource_uri = Some(STORE.to_owned());
    ledger.keep_credential(&second.provisioning.id, late).await.unwrap();
    assert_eq!(claim("engines").await, StoreClaim::Proven);
}

pub(crate) async fn a_domain_once_in_doubt_is_contended_for_good(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let moved = announced(&ledger, &custody, &user, "s1", "engines").await;
    written(&ledger, of_store(&moved, AttemptOutcome::Unknown, UNKNOWN)).await;
    let moved = claim_again(&ledger).await;
    let mut next =
        of_store(&moved, AttemptOutcome::PresentElsewhere, Next::InFlight { step: Step::Store, lease: LEASE });
    next.facts.store_domain = Some("engines-2".to_owned());
    let moved = written(&ledger, next).await;

    announced(&ledger, &custody, &user, "s2", "engines").await;
    let claim = async || ledger.store_claim(&row(&ledger, "s2").await, "engines", STORE).await.unwrap();
    let contended = StoreClaim::Contended(SignupId::parse("s1").unwrap());
    assert_eq!(claim().await, contended);
    let done = Next::Provisioned { keep_payload: false, keep_user_token: false };
    written(&ledger, of_store(&moved, AttemptOutcome::Done, done)).await;
    assert_eq!(claim().await, contended, "its earlier call may have taken effect late");
}

pub(crate) async fn no_address_stands_on_two_rows(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let lost = announced(&ledger, &custody, &user, "s1", "engines").await;
    let other = announced(&ledger, &custody, &user, "s2", "engines-2").await;
    written(&ledger, of_store(&other, AttemptOutcome::Unknown, UNKNOWN)).await;
    let found = |claimed: &Claimed, kind| {
        let mut found = of_store(claimed, AttemptOutcome::Present, parked(ParkedReason::StoreTokenLost));
        (found.attempt.kind, found.shared_user) = (kind, Some(user.clone()));
        found.facts.store_uri = Some(STORE.to_owned());
        found
    };
    let looked = claim_again(&ledger).await;
    written(&ledger, found(&looked, foxden_ledger::AttemptKind::Lookup)).await;
    // The answer to its own call names the store, so that who only found it was mistaken.
    written(&ledger, found(&lost, foxden_ledger::AttemptKind::Create)).await;
    assert_eq!(row(&ledger, "s1").await.store_uri.as_deref(), Some(STORE));
    assert_eq!(row(&ledger, "s2").await.store_uri, None);

    let third = announced(&ledger, &custody, &user, "s3", "engines-3").await;
    let contended = ledger.record(found(&third, foxden_ledger::AttemptKind::Lookup)).await.unwrap();
    let Recorded::Contended(Contention::Store { by }) = contended else { panic!("{contended:?}") };
    assert_eq!((by.as_str(), row(&ledger, "s3").await.state), ("s1", State::InFlight));
}

/// The same store under Foxy's other name.
const STORE_BY_OTHER_NAME: &str = "https://api.foxy.io/stores/7";

pub(crate) async fn a_store_is_the_same_one_under_each_of_foxys_names(ledger: Ledger) {
    let custody = custody();
    let user = owner(&ledger, &custody).await;
    let first = announced(&ledger, &custody, &user, "s1", "engines").await;
    let second = announced(&ledger, &custody, &user, "s2", "engines-2").await;
    let mut answered = of_store(&first, AttemptOutcome::Present, parked(ParkedReason::StoreTokenLost));
    answered.shared_user = Some(user.clone());
    answered.facts.store_uri = Some(STORE.to_owned());
    written(&ledger, answered).await;
    let mut found = of_store(&second, AttemptOutcome::Present, parked(ParkedReason::StoreTokenLost));
    (found.attempt.kind, found.shared_user) = (foxden_ledger::AttemptKind::Lookup, Some(user.clone()));
    found.facts.store_uri = Some(STORE_BY_OTHER_NAME.to_owned());
    let contended = ledger.record(found).await.unwrap();
    assert!(matches!(contended, Recorded::Contended(Contention::Store { .. })), "{contended:?}");

    let claim = async || ledger.store_claim(&row(&ledger, "s2").await, "engines-2", STORE_BY_OTHER_NAME).await.unwrap();
    assert_eq!(claim().await, StoreClaim::Free, "an address alone proves nothing");
    let mut late = token(&first, &custody, Scope::Store, "late").unwrap();
    late.resource_uri = Some(STORE.to_owned());
    ledger.keep_credential(&first.provisioning.id, late).await.unwrap();
    assert_eq!(claim().await, StoreClaim::Proven);

    // The answer to its own call releases it from the one that only found it, under whatever name.
    let mut own = of_store(&second, AttemptOutcome::Done, parked(ParkedReason::StoreTokenLost));
    own.shared_user = Some(user.clone());
    own.facts.store_uri = Some(STORE_BY_OTHER_NAME.to_owned());
    written(&ledger, own).await;
    assert_eq!(row(&ledger, "s1").await.store_uri, None);
}
