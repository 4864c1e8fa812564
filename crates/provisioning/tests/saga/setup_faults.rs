//! Faults that may be of the set-up, or of one signup alone.

use std::time::Duration;

use foxden_ledger::{ParkedReason, State};
use foxden_provisioning::Ending;
use tokio_util::sync::CancellationToken;

use crate::world::{World, signup};

const WAITING: Ending = Ending::Waiting(State::Due);

async fn accept(world: &World, count: usize) {
    for number in 1..=count {
        world.accept(&signup(&format!("s{number}"))).await;
    }
}

#[tokio::test]
async fn one_signup_that_a_firewall_refuses_waits_alone_and_parks_alone() {
    let world = World::with(|policy| policy.give_up_after = Duration::from_secs(30)).await;
    world.sim.set_faults("POST /users: forbidden first 1".parse().unwrap());
    accept(&world, 3).await;
    let endings = world.run_due().await;
    assert_eq!(endings, [WAITING, Ending::Provisioned, Ending::Provisioned]);
    assert!(world.gate.is_open());
    let filter = foxden_ledger::Filter { state: Some(State::Due), limit: 2, ..Default::default() };
    let refused = world.ledger.list(&filter).await.unwrap().remove(0).signup_id;
    world.sim.set_faults("POST /users: forbidden".parse().unwrap());
    assert_eq!(world.settle(refused.as_str()).await, Ending::Parked(ParkedReason::AttemptsExhausted));
    assert!(world.gate.is_open(), "a signup alone with a fault pauses no other, however often it tries");
}

#[tokio::test]
async fn a_fault_that_five_signups_in_a_row_meet_pauses_all_calls() {
    let world = World::new().await;
    world.sim.set_faults("POST /users: forbidden".parse().unwrap());
    accept(&world, 7).await;
    assert_eq!(world.run_due().await, [WAITING; 7]);
    assert_eq!((world.gate.standing(), world.sim.requests("POST /users")), ("paused", 5));
}

#[tokio::test]
async fn a_right_that_was_lost_pauses_all_calls_once_a_harmless_call_meets_it_too() {
    let world = World::new().await;
    accept(&world, 2).await;
    world.sim.set_faults("POST /users: forbidden".parse().unwrap());
    let claimed = world.ledger.claim(&foxden_ledger::WorkerId::new(), 1, Duration::from_secs(60)).await.unwrap();
    for one in claimed.claimed {
        world.runner.run(one).await;
    }
    assert_eq!((world.gate.standing(), world.sim.requests("POST /users")), ("open", 1));
    world.sim.set_faults("GET /: forbidden".parse().unwrap());
    let stop = CancellationToken::new();
    let until_paused = async {
        while world.gate.standing() != "paused" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = world.keep_gate(&stop) => unreachable!("nothing stops it"), () = until_paused => {} }
    assert_eq!(world.sim.requests("POST /users"), 1);
}
