//! Files in the escrow whose address somebody has edited.

use std::{fs, time::Duration};

use foxden_custody::{Escrow, TokenRow};
use foxden_ledger::{Ledger, NewCredential, ParkedReason, Scope, SignupId, State};
use foxden_provisioning::Ending;
use foxden_vault::RefreshToken;

use crate::{
    PROVISIONED, meddle, with_a_token_in_escrow,
    world::{World, signup},
};

/// Lets two rows change their signup ids.
async fn swap(url: &str) {
    for (from, to) in [("s1", "aside"), ("s2", "s1"), ("aside", "s2")] {
        meddle(url, &format!("UPDATE provisionings SET signup_id = '{to}' WHERE signup_id = '{from}'")).await;
    }
}

#[tokio::test]
async fn open_rows_with_each_others_signup_ids_send_nothing_and_park() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    let ledger = Ledger::connect(&url, 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    let world = World::on(ledger).await;
    for id in ["s1", "s2"] {
        world.accept(&signup(id)).await;
    }
    swap(&url).await;
    assert_eq!(world.run_due().await, [Ending::Parked(ParkedReason::CustodyMismatch); 2]);
    assert_eq!((world.sim.requests("POST /users"), world.sim.requests("POST /stores")), (0, 0));
    swap(&url).await;
    for id in ["s1", "s2"] {
        world.ledger.retry(&SignupId::parse(id).unwrap(), "a person").await.unwrap();
    }
    assert_eq!(world.run_due().await, [PROVISIONED; 2], "once the rows are put right they go on");
}

const EVIL: &str = "https://evil.example/users/1";

#[tokio::test]
async fn an_edited_address_of_a_user_in_the_escrow_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let world = with_a_token_in_escrow(&dir.path().join("ledger.db")).await;
    let escrow_dir = world.escrow_dir.path().join("escrow");
    let file = fs::read_dir(&escrow_dir).unwrap().next().unwrap().unwrap().path();
    let mut deposit: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    deposit["resource_uri"] = EVIL.into();
    fs::write(&file, deposit.to_string()).unwrap();
    let escrow = Escrow::open(&escrow_dir).unwrap();
    assert_eq!(escrow.drain(&world.ledger, &world.custody).await.unwrap(), 1, "the token itself is ours");
    world.clock.advance(Duration::from_secs(61));
    world.ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::SuspiciousLink));
    assert_eq!(world.row("s1").await.user_uri, None);
    assert_eq!(world.sim.requests("POST /stores"), 0);
}

#[tokio::test]
async fn an_edited_address_of_a_store_in_the_escrow_is_not_trusted() {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: reset_after_work first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    let row = world.row("s1").await;
    // Where nothing but the host was edited, the path is still that of the store.
    let around = TokenRow::of_call(&row, Scope::Store, row.intents, Some("https://api.foxycart.com/users/1"));
    let sealed = world.custody.seal_token(&around, &RefreshToken::new("of the store")).unwrap();
    let resource_uri = Some(EVIL.to_owned());
    let edited = NewCredential { scope: Scope::Store, intent: row.intents, resource_uri, client: None, sealed };
    let escrow = Escrow::open(&world.escrow_dir.path().join("escrow")).unwrap();
    escrow.keep(&row.id, &edited).await.unwrap();
    assert_eq!(escrow.drain(&world.ledger, &world.custody).await.unwrap(), 1);
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::SuspiciousLink));
    assert_eq!(world.row("s1").await.store_uri, None);
}

#[tokio::test]
async fn an_escrow_file_edited_to_another_user_of_the_same_foxy_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let world = with_a_token_in_escrow(&dir.path().join("ledger.db")).await;
    let escrow_dir = world.escrow_dir.path().join("escrow");
    let file = fs::read_dir(&escrow_dir).unwrap().next().unwrap().unwrap().path();
    let mut deposit: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let other = deposit["resource_uri"].as_str().unwrap().replace("/users/1", "/users/2");
    assert_ne!(deposit["resource_uri"], other);
    deposit["resource_uri"] = other.into();
    fs::write(&file, deposit.to_string()).unwrap();
    let escrow = Escrow::open(&escrow_dir).unwrap();
    assert_eq!(escrow.drain(&world.ledger, &world.custody).await.unwrap(), 0);
    assert_eq!(fs::read_dir(escrow_dir.join("rejected")).unwrap().count(), 1, "it is kept for a person to look at");
    assert!(world.ledger.credentials(&world.row("s1").await.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_late_token_whose_row_names_another_store_provisions_nothing() {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: reset_after_work first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    let row = world.row("s1").await;
    let stores = ["1", "2"].map(|number| format!("{}/stores/{number}", world.sim.base_url()));
    let around = TokenRow::of_call(&row, Scope::Store, row.intents, Some(&stores[0]));
    let sealed = world.custody.seal_token(&around, &RefreshToken::new("of the first")).unwrap();
    let resource_uri = Some(stores[1].clone());
    let edited = NewCredential { scope: Scope::Store, intent: row.intents, resource_uri, client: None, sealed };
    world.ledger.keep_credential(&row.id, edited).await.unwrap();
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::CustodyMismatch));
    assert_eq!(world.row("s1").await.store_uri, None);
}
