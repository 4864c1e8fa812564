//! Builders: what the rules are not about.

use std::{sync::Arc, time::Duration};

use foxden_custody::{Custody, Payload, StoreDetails, TokenRow, UserDetails};
use foxden_ledger::{
    Accepted, Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, Ledger, NewCredential, NewSignup,
    Next, Provisioning, ProvisioningId, Recorded, Scope, SignupId, Source, Step, WorkerId,
};
use foxden_vault::{KeyRing, RefreshToken};
use sea_orm::{ConnectionTrait as _, Database};

pub(crate) const LEASE: Duration = Duration::from_secs(60);
pub(crate) const START_MS: i64 = 1_800_000_000_000;

pub(crate) fn custody() -> Custody {
    let entry = foxden_vault::generate_key("test").unwrap();
    Custody::new(Arc::new(KeyRing::parse(&entry).unwrap()), "test")
}

pub(crate) fn payload() -> Payload {
    Payload {
        user: UserDetails {
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            email: "ada@example.com".into(),
            phone: None,
            extra: Default::default(),
        },
        store: StoreDetails {
            name: "Engines".into(),
            domain: None,
            url: "https://engines.example".into(),
            email: "shop@engines.example".into(),
            country: "GB".into(),
            region: "London".into(),
            postal_code: "W1".into(),
            extra: Default::default(),
        },
        captcha: Default::default(),
    }
}

pub(crate) fn signup(custody: &Custody, signup_id: &str) -> NewSignup {
    let (id, signup_id) = (ProvisioningId::new(), SignupId::parse(signup_id).unwrap());
    NewSignup {
        payload: custody.seal_payload(&id, &signup_id, &payload()).unwrap(),
        fingerprint: custody.fingerprint(&signup_id, None, &payload()),
        id,
        signup_id,
        account_id: None,
        source: Source::Submit,
    }
}

pub(crate) async fn accept(ledger: &Ledger, custody: &Custody, owner: &WorkerId, signup_id: &str) -> Claimed {
    match ledger.accept_leased(signup(custody, signup_id), owner, LEASE).await.unwrap() {
        Accepted::Leased(claimed) => *claimed,
        other => panic!("expected a lease, got {other:?}"),
    }
}

pub(crate) fn attempt(step: Step, intent: u32, outcome: AttemptOutcome) -> Attempt {
    Attempt {
        id: AttemptId::new(),
        kind: AttemptKind::Create,
        step,
        intent,
        natural_key: None,
        took: Duration::from_millis(5),
        outcome,
        http_status: Some(201),
        logref: None,
        note: None,
    }
}

pub(crate) fn entry(claimed: &Claimed, next: Next) -> Entry {
    Entry {
        lease: claimed.lease.clone(),
        attempt: attempt(claimed.provisioning.step, claimed.provisioning.intents, AttemptOutcome::Done),
        credential: None,
        facts: Facts::default(),
        refused_token: None,
        shared_user: None,
        next,
        event: None,
    }
}

pub(crate) fn token(claimed: &Claimed, custody: &Custody, scope: Scope, text: &str) -> Option<NewCredential> {
    let row = &claimed.provisioning;
    Some(token_of(row, custody, (scope, row.intents), Some(&format!("https://api.foxycart.com/{scope}/1")), text))
}

/// A token of this row's, sealed as what it is.
pub(crate) fn token_of(
    row: &Provisioning,
    custody: &Custody,
    (scope, intent): (Scope, u32),
    resource_uri: Option<&str>,
    text: &str,
) -> NewCredential {
    let around = TokenRow::of_call(row, scope, intent, resource_uri);
    let sealed = custody.seal_token(&around, &RefreshToken::new(text)).unwrap();
    NewCredential { scope, intent, resource_uri: resource_uri.map(str::to_owned), client: None, sealed }
}

pub(crate) async fn written(ledger: &Ledger, entry: Entry) -> Claimed {
    match ledger.record(entry).await.unwrap() {
        Recorded::Written(claimed) => *claimed,
        Recorded::LeaseLost => panic!("the lease was lost"),
        Recorded::Contended(contention) => panic!("{contention:?}"),
    }
}

pub(crate) async fn row(ledger: &Ledger, signup_id: &str) -> Provisioning {
    ledger.find(&SignupId::parse(signup_id).unwrap()).await.unwrap().unwrap()
}

/// What nobody but a later release, or a person with a database client, would do.
pub(crate) async fn meddle(url: &str, statement: &str) {
    let meddler = Database::connect(url).await.unwrap();
    meddler.execute_unprepared(statement).await.unwrap();
    meddler.close().await.unwrap();
}
