//! Tokens that were given to several OAuth clients.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{Scope, SignupId};
use foxden_vault::KeyRing;
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::{Place, lines};

/// A signup whose store was made by the client of the place's settings. Then another one creates; answers the first
/// one.
async fn moved_to_another_client() -> (Place, String, String) {
    let mut place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["acct_1"]));
    let worker = place.worker("first");
    place.settled(1).await;
    worker.stop().await;
    let made = crate::client::create(&place, &["--yes", "--json"]);
    assert!(made.status.success(), "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let (id, secret) = place.sim.client();
    let first = (id.to_owned(), secret.to_owned());
    place.set("FOXDEN_FOXY_CLIENT_ID", made["client_id"].as_str().unwrap());
    place.set("FOXDEN_FOXY_CLIENT_SECRET", made["client_secret"].as_str().unwrap());
    (place, first.0, first.1)
}

async fn client_of_store(place: &Place) -> Option<String> {
    let ledger = place.ledger().await;
    let row = ledger.find(&SignupId::parse("acct_1").unwrap()).await.unwrap().unwrap();
    let held = ledger.credentials(&row.id).await.unwrap();
    let store = held.into_iter().rfind(|held| held.sealed.is_some()).unwrap();
    ledger.close().await.unwrap();
    store.client.map(|client| client.id.to_string())
}

/// The store's token as it was kept before its client was: neither its row nor its envelope says which one it is.
async fn forget_the_client(place: &Place) {
    let ledger = place.ledger().await;
    let row = ledger.find(&SignupId::parse("acct_1").unwrap()).await.unwrap().unwrap();
    let token = place.store_token(&ledger, &row).await;
    let held = ledger.credentials(&row.id).await.unwrap();
    let store = held.iter().find(|held| held.scope == Scope::Store).unwrap();
    let custody = Custody::new(Arc::new(KeyRing::parse(&place.settings["FOXDEN_KEYS"]).unwrap()), "production");
    let sealed = custody.seal_token(&TokenRow::of(&row, store).given_to(None), &token).unwrap();
    ledger.close().await.unwrap();
    let sealed: String = sealed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let meddler = Database::connect(place.settings["FOXDEN_DATABASE_URL"].as_str()).await.unwrap();
    let statement = format!(
        "UPDATE credentials SET client_id = NULL, which_foxy = NULL, sealed = x'{sealed}' \
         WHERE scope = 'store_full_access'"
    );
    meddler.execute_unprepared(&statement).await.unwrap();
    meddler.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_refreshed_by_the_client_that_it_was_given_to() {
    let (mut place, first, secret) = moved_to_another_client().await;
    let refused = place.run(&["token", "acct_1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let why = format!("the token was given to the client {first}, whose secret is not among those of other clients");
    assert!(said.contains(&why), "{said}");
    let refused = place.run(&["worker"]);
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("and no secret of theirs: {first}. Nothing was started")), "{said}");

    let file = place.path("clients");
    let write = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    place.set("FOXDEN_FOXY_OTHER_CLIENTS_FILE", file.to_str().unwrap());
    write(&format!("{first}:not-its-secret\n"));
    let refused = place.run(&["token", "acct_1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("Foxy refuses the client {first}, to which the token was given")), "{said}");
    write(&format!("{first}:{secret}\n"));
    place.feed(&["token", "acct_1"], "");
    assert_eq!(client_of_store(&place).await, Some(first));

    // The other one creates.
    place.feed(&["submit", "-"], &lines(["acct_2"]));
    let worker = place.worker("second");
    place.settled(2).await;
    worker.stop().await;
    place.feed(&["token", "acct_1"], "");
    place.feed(&["token", "acct_2"], "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_a_client_is_tried_with_the_creating_one_whose_id_is_written_once_foxy_accepts_it() {
    let (mut place, first, secret) = moved_to_another_client().await;
    forget_the_client(&place).await;
    let refused = place.run(&["token", "acct_1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && !said.contains("custody.mismatch"), "{said}");
    assert_eq!(client_of_store(&place).await, None, "a refusal says nothing of a client");
    place.set("FOXDEN_FOXY_CLIENT_ID", &first);
    place.set("FOXDEN_FOXY_CLIENT_SECRET", &secret);
    place.feed(&["token", "acct_1"], "");
    assert_eq!(client_of_store(&place).await, Some(first));
}
