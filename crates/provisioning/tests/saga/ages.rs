//! How old a step is when it is given up: time in which it was tried, and none in which it waited for something else.

use std::time::Duration;

use foxden_ledger::State;
use foxden_provisioning::Ending;

use crate::world::{World, signup};

const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_secs(3600);
const WAITING: Ending = Ending::Waiting(State::Due);

async fn impatient() -> World {
    World::with(|policy| policy.give_up_after = GIVE_UP_AFTER).await
}

#[tokio::test]
async fn a_long_queue_before_one_refusal_gives_up_nothing() {
    let world = impatient().await;
    world.sim.set_faults("POST /users: rate_limited first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    world.clock.advance(LONGER);
    assert_eq!(world.run_due().await, [WAITING]);
    assert_eq!(world.settle("s1").await, Ending::Provisioned);
}

#[tokio::test]
async fn the_wait_that_foxy_asks_for_is_no_time_of_trying() {
    let world = impatient().await;
    world.sim.set_faults("POST /users: rate_limited(1)".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [WAITING]);
    let row = world.row("s1").await;
    assert!(row.tries == 1 && row.tried_for <= Duration::from_millis(2400), "{:?}", row.tried_for);
}

#[tokio::test]
async fn however_long_a_worker_was_away_between_two_tries_only_their_pause_counts() {
    let world = impatient().await;
    world.sim.set_faults("POST /token: status 503 first 2".parse().unwrap());
    world.accept(&signup("s1")).await;
    for _ in 0..2 {
        assert_eq!(world.run_due().await, [WAITING]);
        world.clock.advance(LONGER);
    }
    assert_eq!(world.settle("s1").await, Ending::Provisioned);
}

#[tokio::test]
async fn a_clock_that_jumps_makes_nothing_older() {
    let world = impatient().await;
    world.sim.set_faults("POST /token: status 503 first 2".parse().unwrap());
    world.accept(&signup("s1")).await;
    world.run_due().await;
    world.clock.advance(Duration::from_secs(3600 * 24 * 365));
    assert_eq!(world.run_due().await, [WAITING]);
}

#[tokio::test]
async fn an_outage_gives_up_nobody_however_often_one_is_tried_in_it() {
    let world = World::with_breaker_and(1, |policy| policy.give_up_after = GIVE_UP_AFTER).await;
    world.sim.set_faults("POST /users: status 503".parse().unwrap());
    world.accept(&signup("s1")).await;
    for _ in 0..6 {
        world.run_due().await;
        world.until_open().await;
        assert_eq!(world.gate.standing(), "trying");
        world.clock.advance(Duration::from_secs(301));
    }
    assert!(world.sim.requests("POST /users") > 2);
    assert_eq!(world.row("s1").await.parked_reason, None);
}
