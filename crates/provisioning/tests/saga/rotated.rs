//! A Foxy that answers other refresh tokens than those that were used.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use foxden_custody::TokenRow;
use foxden_ledger::{LedgerWatch, Pause, Scope, State, StepIn, WorkerId};
use foxden_provisioning::{Capacity, Ending, Leases, Worker};
use tokio::sync::{Notify, Semaphore};

use crate::{
    PROVISIONED,
    world::{World, memory, signup},
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
    let row = world.row("s1").await;
    let held = world.ledger.credentials(&row.id).await.unwrap();
    let held = held.into_iter().rfind(|held| held.scope == Scope::User).unwrap();
    let opened = world.custody.open_token(&TokenRow::of(&row, &held), held.sealed.as_ref().unwrap());
    opened.unwrap().expose().to_owned()
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

/// Holds up every successor on its way into the ledger.
struct HoldsUp {
    has_come: Notify,
    may_pass: Semaphore,
}

/// The same, as the ledger takes it.
struct OnTheWay(Arc<HoldsUp>);

impl StepIn for OnTheWay {
    fn before(&self, operation: &'static str) -> Pause {
        let step = Arc::clone(&self.0);
        Box::pin(async move {
            if operation == "replace_token" {
                step.has_come.notify_one();
                step.may_pass.acquire().await.unwrap().forget();
            }
            ControlFlow::Continue(())
        })
    }

    fn after(&self, _operation: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }
}

#[tokio::test]
async fn a_worker_that_stops_waits_for_a_successor_whose_caller_is_gone() {
    let way = Arc::new(HoldsUp { has_come: Notify::new(), may_pass: Semaphore::new(0) });
    let world = World::on(memory().await.with_steps(Arc::new(OnTheWay(way.clone())))).await;
    world.sim.set_faults("POST /stores: reset_before_work first 1; POST /token: rotate".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    let before = user_token(&world).await;
    // The disk takes nothing either, so that it is in memory only.
    std::fs::remove_dir_all(world.escrow_dir.path()).unwrap();
    world.clock.advance(Duration::from_secs(60));
    let (owner, lease) = (WorkerId::new(), Duration::from_secs(60));
    let claimed = world.ledger.claim(&owner, 1, lease).await.unwrap().claimed.remove(0);
    let runner = world.runner.clone();
    let caller = tokio::spawn(async move { runner.run(claimed).await });
    way.has_come.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());

    let leases = Leases::new(world.ledger.clone(), owner, lease);
    let (runner, gate, capacity) = (world.runner.clone(), world.gate.clone(), Capacity::new(1));
    let worker = Worker::new(world.ledger.clone(), LedgerWatch::default(), runner, leases, gate, capacity);
    assert!(!worker.drain(Duration::from_millis(50)).await, "no longer than its grace");
    way.may_pass.add_permits(1);
    assert!(worker.drain(Duration::from_secs(60)).await);
    assert_ne!(user_token(&world).await, before);
}
