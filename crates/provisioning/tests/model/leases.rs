//! A call and its lease: a new owner must never meet a call of the old one that is still under way.

use std::time::Duration;

use crate::{
    director::{Fate, Order, Phase},
    shape::{Shape, signup},
    world::World,
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on a clock that only the test moves.
fn on_a_still_clock(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
}

/// A world whose leases are hardly longer than a call may take (20 s and 5 for what clocks differ), with one signup that
/// the ledger has just accepted.
async fn accepted() -> World {
    let shape = Shape { lease: SECOND * 30, ..Shape::default() };
    let mut world = World::new(shape, vec![signup(1, None, None)], 1).await;
    world.director.settle().await;
    resume(&world, Order::Go).await;
    resume(&world, Order::Go).await;
    world.deliver(0, 0);
    reach(&world, "accept_leased", Phase::After).await;
    world
}

/// Lets everything go on until this operation is held up in this phase.
async fn reach(world: &World, operation: &str, phase: Phase) {
    loop {
        world.director.settle().await;
        let point = world.director.take_of(world.posts[0].boot).unwrap();
        if (point.operation, point.phase) == (operation, phase) {
            world.director.put_back(point);
            return;
        }
        point.resume(Order::Go);
    }
}

/// What is held up goes on.
async fn resume(world: &World, order: Order) {
    world.director.take_of(world.posts[0].boot).unwrap().resume(order);
    world.director.settle().await;
}

#[test]
fn a_call_is_not_sent_with_less_of_its_lease_than_it_may_take() {
    on_a_still_clock(async {
        let world = accepted().await;
        world.pass(SECOND * 4).await;
        resume(&world, Order::Go).await;
        assert_eq!(world.books().calls.len(), 1, "26 s are enough");

        for (order, calls) in [(Order::Go, 1), (Order::Away, 0)] {
            let world = accepted().await;
            world.pass(SECOND * 6).await;
            resume(&world, Order::Go).await;
            assert!(world.books().calls.is_empty(), "24 s are not");
            reach(&world, "renew", Phase::Before).await;
            resume(&world, order).await;
            while world.director.held_up() > 0 && world.books().calls.is_empty() {
                resume(&world, Order::Go).await;
            }
            assert_eq!(world.books().calls.len(), calls, "with a renewed lease, and only then: {order:?}");
        }
    });
}

/// A store that was not sent at first is taken up again by one who must ask the ledger for the user's token, with a lease of
/// 30 s; the ledger takes its time.
async fn taken_up_again(slow: Duration) -> World {
    let mut world = accepted().await;
    reach(&world, "create_store", Phase::Before).await;
    resume(&world, Order::Foxy(Fate::NotSent)).await;
    while world.director.held_up() > 0 {
        resume(&world, Order::Go).await;
    }
    world.pass(SECOND * 3).await;
    let director = world.director.clone();
    world.posts[0].claim(&director, 1);
    for phase in [Phase::Before, Phase::After] {
        reach(&world, "credentials", phase).await;
        world.pass(slow / 2).await;
    }
    world
}

#[test]
fn a_call_that_a_slow_ledger_has_left_too_little_time_is_not_sent() {
    on_a_still_clock(async {
        let world = taken_up_again(SECOND * 6).await;
        let calls = world.books().calls.len();
        while world.director.held_up() > 0 {
            resume(&world, Order::Go).await;
        }
        assert_eq!(world.books().calls.len(), calls, "24 s are not enough");
    });
}

#[test]
fn a_call_ends_with_its_lease_whatever_held_it_up() {
    on_a_still_clock(async {
        let world = taken_up_again(SECOND * 4).await;
        reach(&world, "create_store", Phase::Before).await;
        let is_open = |world: &World| world.books().calls.last().unwrap().open;
        world.pass(SECOND * 20).await;
        world.director.settle().await;
        assert!(is_open(&world), "21 of the 26 s that are left are the call's");
        world.pass(SECOND * 2).await;
        world.director.settle().await;
        assert!(!is_open(&world), "and no more");
    });
}
