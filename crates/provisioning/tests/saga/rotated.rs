//! A Foxy that answers other refresh tokens than those that were used.

use foxden_ledger::{Scope, State};
use foxden_provisioning::Ending;

use crate::{
    PROVISIONED,
    world::{World, signup},
};

/// A customer with one store and a user whose token is kept.
async fn customer() -> World {
    let world = World::with(|policy| policy.keep_user_tokens = true).await;
    world.accept_for(&signup("s1"), "s1", "customer").await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    world
}

/// The user's token in use, opened.
async fn user_token(world: &World) -> String {
    let id = world.row("s1").await.id;
    let held = world.ledger.credentials(&id).await.unwrap();
    let sealed = held.into_iter().rfind(|held| held.scope == Scope::User).unwrap().sealed.unwrap();
    world.custody.open_token(&id, Scope::User, &sealed).unwrap().expose().to_owned()
}

#[tokio::test]
async fn a_user_whose_token_is_replaced_at_each_use_gets_further_stores() {
    for faults in ["POST /token: rotate", "POST /token: rotate(later)"] {
        let world = customer().await;
        world.sim.set_faults(faults.parse().unwrap());
        let mut before = user_token(&world).await;
        for id in ["s2", "s3", "s4"] {
            world.accept_for(&signup(id), id, "customer").await;
            assert_eq!(world.settle(id).await, PROVISIONED, "{faults}");
            let now = user_token(&world).await;
            assert_ne!(now, before, "{faults}");
            before = now;
        }
        assert!(world.sim.refresh_token_opens(&before).is_some(), "{faults}");
        assert_eq!((world.sim.books().users.len(), world.sim.books().stores.len()), (1, 4));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_that_use_one_user_s_token_at_once_both_go_on() {
    let world = customer().await;
    let other = world.restarted();
    world.sim.set_faults("POST /token: rotate".parse().unwrap());
    let (one, two) = (world.lease_for(&signup("s2"), "s2", "customer").await, {
        other.lease_for(&signup("s3"), "s3", "customer").await
    });
    let endings = tokio::join!(world.runner.run(one), other.runner.run(two));
    assert_eq!(endings, (PROVISIONED, PROVISIONED));
    world.accept_for(&signup("s4"), "s4", "customer").await;
    assert_eq!(world.settle("s4").await, PROVISIONED);
}

#[tokio::test]
async fn a_token_of_another_scope_or_type_makes_no_store_and_takes_no_place() {
    for faults in ["POST /token: scope(store_full_access)", "POST /token: token_type(mac)"] {
        let world = customer().await;
        let before = user_token(&world).await;
        world.sim.set_faults(faults.parse().unwrap());
        world.accept_for(&signup("s2"), "s2", "customer").await;
        assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
        let said = world.ledger.attempts(&world.row("s2").await.id).await.unwrap().pop().unwrap().note.unwrap();
        assert!(said.starts_with("Foxy's token endpoint "), "{said}");
        assert!(world.gate.is_open(), "the user may be alone with it");
        assert_eq!((world.sim.requests("POST /stores"), user_token(&world).await), (1, before), "{faults}");
        world.sim.set_faults("".parse().unwrap());
        assert_eq!(world.settle("s2").await, PROVISIONED);
    }
}
