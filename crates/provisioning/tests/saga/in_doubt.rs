//! A natural key whose earlier call ended unknown.

use std::time::Duration;

use foxden_ledger::{ParkedReason, State};
use foxden_provisioning::Ending;

use crate::world::{World, signup};

#[tokio::test]
async fn a_refusal_in_doubt_whose_reason_can_not_be_read_is_looked_up() {
    let world = World::new().await;
    let faults = "POST /stores: late_work(300ms) nth 1; POST /stores: garbage nth 2";
    world.sim.set_faults(faults.parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    // The lookup comes too early and believes that nothing was made.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    while world.sim.books().stores.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::StoreTokenLost));
    assert_eq!((world.sim.books().stores.len(), world.sim.requests("POST /stores")), (1, 2));
}
