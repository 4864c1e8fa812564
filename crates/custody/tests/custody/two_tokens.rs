//! Files in the escrow that are no tokens, and two tokens of one call.

use std::fs;
use std::path::Path;
use std::time::Duration;

use foxden_custody::{Custody, CustodyError, Escrow, TokenRow, open_store_token};
use foxden_ledger::{
    By, Claimed, Doubt, Ledger, ManualClock, NewCredential, Next, Recorded, Scope, SignupId, WorkerId,
};

use crate::support::{LEASE, START_MS, accept, custody, entry, token, written};

/// A signup at its store step, its call announced.
pub(crate) async fn at_the_store(ledger: &Ledger, custody: &Custody) -> Claimed {
    let claimed = accept(ledger, custody, &WorkerId::new(), "s1").await;
    let mut user = entry(&claimed, Next::InFlight { step: foxden_ledger::Step::Store, lease: LEASE });
    user.credential = token(&claimed, custody, Scope::User, "user");
    user.facts.user_uri = Some("https://api.foxycart.com/user_full_access/1".into());
    user.facts.store_domain = Some("engines".into());
    written(ledger, user).await
}

pub(crate) fn escrow() -> (Escrow, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Escrow::open(&dir.path().join("escrow")).unwrap(), dir)
}

pub(crate) fn only_file(dir: &Path) -> std::path::PathBuf {
    let files: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|it| it.is_file()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

pub(crate) async fn stores_of(ledger: &Ledger, custody: &Custody, claimed: &Claimed) -> Vec<(String, u32)> {
    let id = &claimed.provisioning.id;
    let held = ledger.credentials(id).await.unwrap();
    let stores = held.into_iter().filter(|held| held.scope == Scope::Store);
    stores
        .map(|held| {
            let around = TokenRow::of(&claimed.provisioning, &held);
            let opened = custody.open_token(&around, held.sealed.as_ref().unwrap()).unwrap();
            (opened.expose().to_owned(), held.serial)
        })
        .collect()
}

pub(crate) async fn finish(ledger: &Ledger, custody: &Custody, claimed: &Claimed, text: &str) {
    let mut store = entry(claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    store.credential = token(claimed, custody, Scope::Store, text);
    store.facts.store_uri = Some("https://api.foxycart.com/store_full_access/1".into());
    written(ledger, store).await;
}

pub(crate) async fn in_use(ledger: &Ledger, custody: &Custody) -> String {
    let signup_id = SignupId::parse("s1").unwrap();
    let opened =
        open_store_token(ledger, custody, &signup_id, &By::new("a test"), |uri| Some(uri.to_owned())).await.unwrap();
    opened.token.expose().to_owned()
}

pub(crate) async fn what_does_not_open_in_its_place_takes_no_token_s_key_and_is_put_aside(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    let id = &claimed.provisioning.id;
    let real = token(&claimed, &custody, Scope::Store, "real").unwrap();
    let (escrow, dir) = escrow();
    let dir = dir.path().join("escrow");
    escrow.keep(id, &real).await.unwrap();
    let file = only_file(&dir);
    let good = fs::read_to_string(&file).unwrap();
    let of_a_user = token(&claimed, &custody, Scope::User, "real").unwrap().sealed;
    let elsewhere = file.with_file_name(format!("{id}.store_full_access.99.escrow"));
    let mut moved = NewCredential { sealed: of_a_user, ..real.clone() };
    escrow.keep(id, &moved).await.unwrap();
    let of_another_scope = fs::read_to_string(&file).unwrap();
    moved.sealed = token(&claimed, &crate::support::custody(), Scope::Store, "real").unwrap().sealed;
    let around = TokenRow::of_call(&claimed.provisioning, Scope::Store, moved.intent, moved.resource_uri.as_deref());
    assert!(matches!(custody.open_token(&around, &moved.sealed), Err(CustodyError::KeyMissing(_))));

    let altered = good.replacen("\"sealed\":\"", "\"sealed\":\"AAAA", 1);
    for (path, content) in [
        (&file, "junk"),
        (&file, "{\"version\":3}"),
        (&file, altered.as_str()),
        (&file, of_another_scope.as_str()),
        (&elsewhere, good.as_str()),
    ] {
        fs::write(path, content).unwrap();
        assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 0, "{content}");
        assert!(!path.exists(), "{content}");
    }
    assert_eq!(fs::read_dir(dir.join("rejected")).unwrap().count(), 5, "they are kept for a person to look at");
    assert_eq!(stores_of(&ledger, &custody, &claimed).await, []);
    finish(&ledger, &custody, &claimed, "real").await;
    assert_eq!(in_use(&ledger, &custody).await, "real");
}

pub(crate) async fn a_file_that_can_not_be_put_aside_holds_up_none_behind_it(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    let id = &claimed.provisioning.id;
    let (escrow, dir) = escrow();
    let dir = dir.path().join("escrow");
    fs::write(dir.join("rejected"), "no directory can be made here").unwrap();
    // By their names before and behind the token.
    for planted in ["00000000-0000-0000-0000-000000000000.store_full_access.1.escrow", "planted.escrow"] {
        fs::write(dir.join(planted), "junk").unwrap();
    }
    escrow.keep(id, &token(&claimed, &custody, Scope::Store, "real").unwrap()).await.unwrap();
    let said = escrow.drain(&ledger, &custody).await.unwrap_err().to_string();
    assert!(said.ends_with("can't be used to move a file aside that holds no token"), "{said}");
    assert_eq!(stores_of(&ledger, &custody, &claimed).await, [("real".to_owned(), 0)]);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 3, "the token's own file is gone");
    fs::remove_file(dir.join("rejected")).unwrap();
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 0);
    assert_eq!(fs::read_dir(dir.join("rejected")).unwrap().count(), 2);
}

pub(crate) async fn a_file_under_a_key_that_is_not_here_stays_where_it_is(ledger: Ledger) {
    let (one, other) = (custody(), custody());
    let claimed = at_the_store(&ledger, &one).await;
    let (escrow, dir) = escrow();
    escrow.keep(&claimed.provisioning.id, &token(&claimed, &one, Scope::Store, "real").unwrap()).await.unwrap();
    let said = escrow.drain(&ledger, &other).await.unwrap_err().to_string();
    assert!(said.ends_with("which is not in the key ring: add it"), "{said}");
    only_file(&dir.path().join("escrow"));
    assert_eq!(escrow.drain(&ledger, &one).await.unwrap(), 1);
}

pub(crate) async fn of_two_tokens_of_one_call_both_are_kept_and_that_of_its_answer_is_used(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    let id = &claimed.provisioning.id;
    let (escrow, _dir) = escrow();
    let put = async |text: &str| {
        escrow.keep(id, &token(&claimed, &custody, Scope::Store, text).unwrap()).await.unwrap();
        assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 1);
    };
    put("planted").await;
    put("planted too").await;
    finish(&ledger, &custody, &claimed, "real").await;
    put("planted late").await;
    let mut kept = stores_of(&ledger, &custody, &claimed).await;
    assert_eq!(kept.last(), Some(&("real".to_owned(), 0)));
    kept.sort();
    assert_eq!(
        kept.iter().map(|kept| kept.0.as_str()).collect::<Vec<_>>(),
        ["planted", "planted late", "planted too", "real"]
    );
    assert_eq!(in_use(&ledger, &custody).await, "real");
}

pub(crate) async fn a_token_that_is_here_under_another_envelope_is_no_second_one(ledger: Ledger) {
    let custody = custody();
    let claimed = at_the_store(&ledger, &custody).await;
    finish(&ledger, &custody, &claimed, "real").await;
    let (escrow, _dir) = escrow();
    escrow.keep(&claimed.provisioning.id, &token(&claimed, &custody, Scope::Store, "real").unwrap()).await.unwrap();
    assert_eq!(escrow.drain(&ledger, &custody).await.unwrap(), 1);
    assert_eq!(stores_of(&ledger, &custody, &claimed).await, [("real".to_owned(), 0)]);
}

pub(crate) async fn a_store_of_a_domain_that_was_given_up_is_listed_once_its_token_comes(ledger: Ledger) {
    let custody = custody();
    let first = at_the_store(&ledger, &custody).await;
    let mut next_domain = entry(&first, Next::InFlight { step: foxden_ledger::Step::Store, lease: LEASE });
    next_domain.attempt.natural_key = Some("engines".into());
    next_domain.facts.store_domain = Some("engines-2".into());
    let second = written(&ledger, next_domain).await;
    assert!(ledger.left_stores().await.unwrap().is_empty());
    let mut late = token(&first, &custody, Scope::Store, "of the first").unwrap();
    late.resource_uri = Some("https://api.foxycart.com/stores/7".into());
    ledger.keep_credential(&first.provisioning.id, late).await.unwrap();
    for finished in [false, true] {
        if finished {
            finish(&ledger, &custody, &second, "of the second").await;
            assert_eq!(in_use(&ledger, &custody).await, "of the second");
        }
        let left = ledger.left_stores().await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!((left[0].signup_id.as_str(), left[0].intent), ("s1", first.provisioning.intents));
        assert_eq!(left[0].domain.as_deref(), Some("engines"));
        assert_eq!(left[0].store_uri.as_deref(), Some("https://api.foxycart.com/stores/7"));
        assert!(left[0].has_token);
    }
    written_elsewhere(&ledger, &custody).await;
}

/// A late token of the present domain is of use, so it is not among those.
async fn written_elsewhere(ledger: &Ledger, custody: &Custody) {
    let claimed = accept(ledger, custody, &WorkerId::new(), "s2").await;
    let mut user = entry(&claimed, Next::InFlight { step: foxden_ledger::Step::Store, lease: LEASE });
    user.facts.store_domain = Some("other".into());
    let claimed = written(ledger, user).await;
    written(ledger, entry(&claimed, Next::Unknown { delay: Duration::ZERO, doubt: Doubt::Call })).await;
    let late = token(&claimed, custody, Scope::Store, "of use").unwrap();
    ledger.keep_credential(&claimed.provisioning.id, late).await.unwrap();
    assert_eq!(ledger.left_stores().await.unwrap().len(), 1);
}

pub(crate) async fn a_store_whose_domain_is_given_up_after_its_token_came_is_listed(ledger: Ledger) {
    let (custody, clock) = (custody(), ManualClock::new(START_MS));
    let ledger = ledger.with_clock(&clock);
    let first = at_the_store(&ledger, &custody).await;
    clock.advance(LEASE + Duration::from_secs(1));
    ledger.sweep(Duration::ZERO).await.unwrap();
    let owner = WorkerId::new();
    let second = ledger.claim(&owner, 1, LEASE).await.unwrap().claimed.remove(0);
    // The first owner answers while the second one looks.
    let mut late = entry(&first, Next::Provisioned { keep_payload: false, keep_user_token: false });
    late.credential = token(&first, &custody, Scope::Store, "of the first");
    assert!(matches!(ledger.record(late).await.unwrap(), Recorded::LeaseLost));
    assert!(ledger.left_stores().await.unwrap().is_empty(), "the next look finds it");
    let mut next_domain = entry(&second, Next::InFlight { step: foxden_ledger::Step::Store, lease: LEASE });
    next_domain.facts.store_domain = Some("engines-2".into());
    written(&ledger, next_domain).await;
    assert_eq!(ledger.left_stores().await.unwrap().len(), 1);
}
