//! Tokens are opened on the record, or not at all.

use foxden_custody::{Custody, OpenTokenError, open_store_token};
use foxden_ledger::{Act, By, Ledger, Next, Scope, SignupId, Step, Word, WorkerId};

use crate::{
    support::{LEASE, accept, custody, entry, meddle, token, token_of, written},
    two_tokens::{at_the_store, finish},
};

fn s1() -> SignupId {
    SignupId::parse("s1").unwrap()
}

/// For tests that are not about addresses.
fn trusted(address: &str) -> Option<String> {
    Some(address.to_owned())
}

/// A provisioned signup.
async fn provisioned(ledger: &Ledger, custody: &Custody) {
    let claimed = accept(ledger, custody, &WorkerId::new(), "s1").await;
    let mut record = entry(&claimed, Next::Provisioned { keep_user_token: false, keep_payload: false });
    let (row, uri) = (&claimed.provisioning, "https://api.foxycart.com/stores/1");
    record.credential = Some(token_of(row, custody, (Scope::Store, row.intents), Some(uri), "store token"));
    record.facts.store_uri = Some(uri.into());
    written(ledger, record).await;
}

pub(crate) async fn a_token_is_opened_on_the_record(ledger: Ledger) {
    let custody = custody();
    let by = By::new("billing").because("nightly export");
    let none = open_store_token(&ledger, &custody, &s1(), &by, trusted).await;
    assert!(matches!(none, Err(OpenTokenError::NotFound(_))), "{none:?}");
    accept(&ledger, &custody, &WorkerId::new(), "s0").await;
    let none = open_store_token(&ledger, &custody, &SignupId::parse("s0").unwrap(), &by, trusted).await;
    assert!(matches!(none, Err(OpenTokenError::NoToken(_))), "{none:?}");

    provisioned(&ledger, &custody).await;
    let shut = open_store_token(&ledger, &crate::support::custody(), &s1(), &by, trusted).await;
    assert!(matches!(shut, Err(OpenTokenError::Sealed { .. })), "{shut:?}");
    assert!(ledger.audit_of(&s1(), 10).await.unwrap().is_empty(), "nothing was opened yet");
    let store = open_store_token(&ledger, &custody, &s1(), &by, trusted).await.unwrap();
    assert_eq!(
        (store.token.expose(), store.store_uri.unwrap().as_str()),
        ("store token", "https://api.foxycart.com/stores/1")
    );
    open_store_token(&ledger, &custody, &s1(), &By::new("ada"), trusted).await.unwrap();
    let audit = ledger.audit_of(&s1(), 10).await.unwrap();
    let told: Vec<_> = audit.iter().map(|entry| (entry.who.as_str(), entry.reason.as_deref())).collect();
    assert_eq!(told, [("ada", None), ("billing", Some("nightly export"))]);
    assert_eq!((&audit[0].act, &audit[0].scope), (&Word::Known(Act::OpenToken), &Some(Word::Known(Scope::Store))));
    assert_eq!(ledger.audit_of(&s1(), 1).await.unwrap(), audit[..1]);
}

pub(crate) async fn no_token_is_opened_for_an_address_that_is_not_foxys(ledger: Ledger) {
    let custody = custody();
    provisioned(&ledger, &custody).await;
    let refused = open_store_token(&ledger, &custody, &s1(), &By::new("ada"), |_| None).await;
    assert!(matches!(refused, Err(OpenTokenError::NotTrusted(_))), "{refused:?}");
    assert!(ledger.audit_of(&s1(), 10).await.unwrap().is_empty(), "nothing was opened");
    let here = |_: &str| Some("http://127.0.0.1:35501/stores/1".to_owned());
    let store = open_store_token(&ledger, &custody, &s1(), &By::new("ada"), here).await.unwrap();
    assert_eq!(store.store_uri.as_deref(), Some("http://127.0.0.1:35501/stores/1"), "as it is to be used");
}

pub(crate) async fn without_a_record_no_token_is_opened(ledger: Ledger, url: &str) {
    let custody = custody();
    provisioned(&ledger, &custody).await;
    meddle(url, "DROP TABLE audit").await;
    let refused = open_store_token(&ledger, &custody, &s1(), &By::new("ada"), trusted).await;
    assert!(matches!(refused, Err(OpenTokenError::NotRecorded(_))), "{refused:?}");
}

#[expect(dead_code, reason = "its `main` is for those who run it as a program")]
#[path = "../../examples/open_store_token.rs"]
mod example;

/// The example as it stands there, on a ledger with a store.
pub(crate) async fn the_example_opens_a_stores_token(ledger: Ledger, url: &str) {
    let key = foxden_vault::generate_key("test").unwrap();
    let ring = foxden_vault::KeyRing::parse(&key).unwrap();
    provisioned(&ledger, &Custody::new(std::sync::Arc::new(ring), "production")).await;
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), key.as_str()).unwrap();
    let store = example::store_token(url, keys.path(), "s1").await.unwrap();
    assert_eq!(store.token.expose(), "store token");
    assert_eq!(ledger.audit_of(&s1(), 10).await.unwrap()[0].who, "example");
}

pub(crate) async fn a_store_that_was_left_behind_gives_no_token(ledger: Ledger) {
    let custody = custody();
    let first = at_the_store(&ledger, &custody).await;
    let mut next_domain = entry(&first, Next::InFlight { step: Step::Store, lease: LEASE });
    next_domain.facts.store_domain = Some("engines-2".into());
    let second = written(&ledger, next_domain).await;
    let late = token(&first, &custody, Scope::Store, "of the first").unwrap();
    ledger.keep_credential(&first.provisioning.id, late).await.unwrap();
    let none = open_store_token(&ledger, &custody, &s1(), &By::new("ada"), trusted).await;
    assert!(matches!(none, Err(OpenTokenError::NoToken(_))), "{none:?}");
    finish(&ledger, &custody, &second, "of the second").await;
    let store = open_store_token(&ledger, &custody, &s1(), &By::new("ada"), trusted).await.unwrap();
    assert_eq!(store.token.expose(), "of the second");
}
