//! Envelopes that say whose they are, in rows that someone has edited.

use std::{sync::Arc, time::Duration};

use foxden_custody::{
    Custody, CustodyError, Mismatch, OpenTokenError, Page, Payload, Reseal, TokenRow, open_store_token,
};
use foxden_ledger::{By, Ledger, Next, Provisioning, Scope, SignupId, Step, WorkerId};
use foxden_vault::{Binding, Format, KeyRing, Sealed};

use crate::support::{accept, entry, meddle, payload, row, token, written};

const KEY: &str = "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn ring() -> KeyRing {
    KeyRing::parse(KEY).unwrap()
}

pub(crate) fn custody() -> Custody {
    Custody::new(Arc::new(ring()), "test")
}

/// A provisioned signup whose store is the one with this number.
pub(crate) async fn provisioned(ledger: &Ledger, signup_id: &str, store: u32) -> Provisioning {
    let claimed = accept(ledger, &custody(), &WorkerId::new(), signup_id).await;
    let mut record = entry(&claimed, Next::Provisioned { keep_user_token: false, keep_payload: false });
    let uri = format!("https://api.foxycart.com/stores/{store}");
    let text = format!("token of {signup_id}");
    let row = &claimed.provisioning;
    record.credential = Some(crate::support::token_of(row, &custody(), (Scope::Store, row.intents), Some(&uri), &text));
    record.facts.store_uri = Some(uri);
    written(ledger, record).await.provisioning
}

/// An open signup with a user's token, before its store.
pub(crate) async fn signed_up(ledger: &Ledger, signup_id: &str) -> Provisioning {
    let claimed = accept(ledger, &custody(), &WorkerId::new(), signup_id).await;
    let mut record = entry(&claimed, Next::Due { step: Step::Store, delay: Duration::ZERO, at_least: Duration::ZERO });
    record.credential = token(&claimed, &custody(), Scope::User, &format!("token of {signup_id}"));
    written(ledger, record).await.provisioning
}

async fn swap_signup_ids(url: &str) {
    for (from, to) in [("s1", "aside"), ("s2", "s1"), ("aside", "s2")] {
        meddle(url, &format!("UPDATE provisionings SET signup_id = '{to}' WHERE signup_id = '{from}'")).await;
    }
}

pub(crate) async fn opened(ledger: &Ledger, signup_id: &str) -> Result<String, OpenTokenError> {
    let signup_id = SignupId::parse(signup_id).unwrap();
    let by = By::new("a test");
    let opened = open_store_token(ledger, &custody(), &signup_id, &by, |uri| Some(uri.to_owned())).await?;
    Ok(opened.token.expose().to_owned())
}

pub(crate) fn mismatch(error: OpenTokenError) -> Mismatch {
    match error {
        OpenTokenError::Sealed { source: CustodyError::Mismatch(mismatch), .. } => mismatch,
        other => panic!("{other:?}"),
    }
}

fn payload_of(row: &Provisioning) -> Result<Payload, CustodyError> {
    custody().open_payload(&row.id, &row.signup_id, row.payload.as_ref().unwrap())
}

pub(crate) async fn a_closed_row_under_another_signups_id_gives_no_token(ledger: Ledger, url: &str) {
    provisioned(&ledger, "s1", 1).await;
    provisioned(&ledger, "s2", 2).await;
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1");
    swap_signup_ids(url).await;
    for (asked, sealed_for) in [("s1", "s2"), ("s2", "s1")] {
        let error = opened(&ledger, asked).await.unwrap_err();
        assert_eq!(mismatch(error), Mismatch::SignupId(sealed_for.to_owned()));
    }
    let recorded = ledger.audit_of(&SignupId::parse("s1").unwrap(), 10).await.unwrap().len();
    assert_eq!(recorded, 1, "only what was handed out is recorded");
}

pub(crate) async fn an_open_row_under_another_signups_id_gives_neither_contents_nor_token(ledger: Ledger, url: &str) {
    signed_up(&ledger, "s1").await;
    signed_up(&ledger, "s2").await;
    assert!(payload_of(&row(&ledger, "s1").await).unwrap() == payload());
    swap_signup_ids(url).await;
    let row = row(&ledger, "s1").await;
    let Err(CustodyError::Mismatch(mismatch)) = payload_of(&row) else { panic!("its contents are given out") };
    assert_eq!(mismatch, Mismatch::SignupId("s2".to_owned()));
    let held = ledger.credentials(&row.id).await.unwrap().remove(0);
    let opened = custody().open_token(&TokenRow::of(&row, &held), held.sealed.as_ref().unwrap());
    assert!(matches!(opened, Err(CustodyError::Mismatch(Mismatch::SignupId(of))) if of == "s2"));
}

pub(crate) async fn an_address_edited_to_another_store_of_the_same_foxy_gets_no_token(ledger: Ledger, url: &str) {
    provisioned(&ledger, "s1", 1).await;
    let to = |uri: &str| format!("UPDATE provisionings SET store_uri = '{uri}' WHERE signup_id = 's1'");
    meddle(url, &to("https://api.foxy.io/stores/1")).await;
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1", "under another name of Foxy's it is the same");
    meddle(url, &to("https://api.foxycart.com/stores/2")).await;
    assert_eq!(mismatch(opened(&ledger, "s1").await.unwrap_err()), Mismatch::Address);
    meddle(url, &to("https://api.foxycart.com/stores/1")).await;
    meddle(url, "UPDATE credentials SET resource_uri = 'https://api.foxycart.com/stores/2'").await;
    assert_eq!(mismatch(opened(&ledger, "s1").await.unwrap_err()), Mismatch::Address);
}

pub(crate) async fn a_token_of_an_earlier_call_in_a_later_ones_row_is_noticed(ledger: Ledger, url: &str) {
    let row = provisioned(&ledger, "s1", 1).await;
    meddle(url, &format!("UPDATE credentials SET intent = intent + 1 WHERE provisioning_id = '{}'", row.id)).await;
    assert_eq!(mismatch(opened(&ledger, "s1").await.unwrap_err()), Mismatch::Serial(row.intents));
}

/// Puts what an earlier release would have sealed in the place of every envelope.
pub(crate) async fn as_before(ledger: &Ledger, url: &str, rows: &[Provisioning]) {
    let fxd1 = |purpose, owner: &str, scope, plaintext: &[u8]| {
        let sealed = ring().seal_fxd1(&Binding { environment: "test", purpose, owner, scope }, plaintext).unwrap();
        literal(url, &sealed)
    };
    for row in rows {
        let id = row.id.as_str();
        for held in ledger.credentials(&row.id).await.unwrap() {
            let text = format!("token of {}", row.signup_id);
            let scope = held.scope.as_str();
            let sealed = fxd1("credential", id, scope, text.as_bytes());
            let update = format!("UPDATE credentials SET sealed = {sealed} WHERE provisioning_id = '{id}'");
            meddle(url, &format!("{update} AND scope = '{scope}'")).await;
        }
        if row.payload.is_some() {
            let mut contents = serde_json::to_value(payload()).unwrap();
            contents["of_a_later_release"] = true.into();
            let sealed = fxd1("payload", id, "signup", contents.to_string().as_bytes());
            meddle(url, &format!("UPDATE provisionings SET payload = {sealed} WHERE id = '{id}'")).await;
        }
    }
}

pub(crate) async fn reseal(ledger: &Ledger) -> Page {
    let mut walk = Reseal::begin(ledger, &custody()).await.unwrap();
    let mut all = Page::default();
    while let Some(page) = walk.next_page(2).await.unwrap() {
        all.moved += page.moved;
        all.refused.extend(page.refused);
    }
    all
}

/// What is inside an envelope.
fn inside(purpose: &str, row: &Provisioning, scope: &str, sealed: &Sealed) -> serde_json::Value {
    assert_eq!(sealed.format(), Format::Fxd2);
    let place = Binding { environment: "test", purpose, owner: row.id.as_str(), scope };
    serde_json::from_slice(&ring().open(&place, sealed).unwrap()).unwrap()
}

pub(crate) async fn what_an_earlier_release_sealed_says_whose_it_is_once_it_is_resealed(ledger: Ledger, url: &str) {
    let rows = [provisioned(&ledger, "s1", 1).await, signed_up(&ledger, "s2").await];
    as_before(&ledger, url, &rows).await;
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1", "it opens as before");
    assert!(payload_of(&row(&ledger, "s2").await).unwrap() == payload());
    // Foxy's other name.
    meddle(url, "UPDATE provisionings SET store_uri = 'https://api.foxy.io/stores/1' WHERE signup_id = 's1'").await;

    let page = reseal(&ledger).await;
    assert_eq!((page.moved, page.refused.len()), (3, 0));
    let held = ledger.credentials(&rows[0].id).await.unwrap().remove(0);
    let token = inside("credential", &rows[0], "store_full_access", held.sealed.as_ref().unwrap());
    assert_eq!(
        token,
        serde_json::json!({
            "signup_id": "s1", "scope": "store_full_access", "resource_uri": "https://api.foxycart.com/stores/1",
            "source": "created", "serial": rows[0].intents, "obtained_at_ms": held.created_at_ms,
            "refresh_token": "token of s1",
        })
    );
    let row = row(&ledger, "s2").await;
    let event = inside("payload", &row, "signup", row.payload.as_ref().unwrap());
    assert_eq!((&event["signup_id"], &event["contents"]["of_a_later_release"]), (&"s2".into(), &true.into()));
    assert!(payload_of(&row).unwrap() == payload());
    assert_eq!(opened(&ledger, "s1").await.unwrap(), "token of s1");
    assert_eq!(reseal(&ledger).await.moved, 0, "it is not done again");
}

pub(crate) async fn a_row_that_contradicts_itself_is_not_vouched_for(ledger: Ledger, url: &str) {
    let rows = [provisioned(&ledger, "s1", 1).await, signed_up(&ledger, "s2").await, signed_up(&ledger, "s3").await];
    as_before(&ledger, url, &rows).await;
    meddle(url, "UPDATE provisionings SET store_uri = 'https://api.foxycart.com/stores/2' WHERE signup_id = 's1'")
        .await;
    meddle(url, "UPDATE provisionings SET signup_id = 's9' WHERE signup_id = 's2'").await;
    // A fingerprint that names no key proves nothing.
    let none = if url.starts_with("sqlite:") { "zeroblob(40)" } else { "decode(repeat('00', 40), 'hex')" };
    meddle(url, &format!("UPDATE provisionings SET signup_id = 's8', fingerprint = {none} WHERE signup_id = 's3'"))
        .await;
    let page = reseal(&ledger).await;
    let mut refused: Vec<_> = page
        .refused
        .iter()
        .map(|refused| match &refused.reason {
            CustodyError::Mismatch(mismatch) => (refused.signup_id.to_string(), mismatch.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    refused.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("s1", Mismatch::Row), ("s8", Mismatch::Fingerprint), ("s9", Mismatch::Fingerprint)]
        .map(|(id, why)| (id.to_owned(), why));
    assert_eq!(refused, expected, "an event's fingerprint is of its signup id, too");
}

pub(crate) async fn members_of_a_later_release_survive_a_reseal(ledger: Ledger, url: &str) {
    let row = provisioned(&ledger, "s1", 1).await;
    let old = KeyRing::parse("old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap();
    let place =
        Binding { environment: "test", purpose: "credential", owner: row.id.as_str(), scope: "store_full_access" };
    let mut content = serde_json::json!({
        "later": { "a": [1] }, "signup_id": "s1", "scope": "store_full_access", "serial": row.intents,
        "resource_uri": "https://api.foxycart.com/stores/1", "refresh_token": "token of s1",
    });
    let hex: String = old
        .seal(&place, content.to_string().as_bytes())
        .unwrap()
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let bytes = if url.starts_with("sqlite:") { format!("x'{hex}'") } else { format!("'\\x{hex}'") };
    meddle(url, &format!("UPDATE credentials SET sealed = {bytes}")).await;
    let both = KeyRing::parse(&format!("{KEY},old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")).unwrap();
    let mut walk = Reseal::begin(&ledger, &Custody::new(Arc::new(both), "test")).await.unwrap();
    while walk.next_page(10).await.unwrap().is_some() {}
    let held = ledger.credentials(&row.id).await.unwrap().remove(0);
    assert_eq!(inside("credential", &row, "store_full_access", held.sealed.as_ref().unwrap()), content.take());
}

pub(crate) fn literal(url: &str, sealed: &Sealed) -> String {
    let hex: String = sealed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    if url.starts_with("sqlite:") { format!("x'{hex}'") } else { format!("'\\x{hex}'") }
}
