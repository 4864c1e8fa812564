//! Files in the escrow whose address somebody has edited.

use std::{fs, time::Duration};

use foxden_custody::Escrow;
use foxden_ledger::{NewCredential, ParkedReason, Scope, State};
use foxden_provisioning::Ending;
use foxden_vault::RefreshToken;

use crate::{
    with_a_token_in_escrow,
    world::{World, signup},
};

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
    let sealed = world.custody.seal_token(&row.id, Scope::Store, &RefreshToken::new("of the store")).unwrap();
    let resource_uri = Some(EVIL.to_owned());
    let edited = NewCredential { scope: Scope::Store, intent: row.intents, resource_uri, client: None, sealed };
    let escrow = Escrow::open(&world.escrow_dir.path().join("escrow")).unwrap();
    escrow.keep(&row.id, &edited).await.unwrap();
    assert_eq!(escrow.drain(&world.ledger, &world.custody).await.unwrap(), 1);
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::SuspiciousLink));
    assert_eq!(world.row("s1").await.store_uri, None);
}
