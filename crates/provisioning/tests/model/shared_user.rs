//! One Foxy user for all signups of a customer: whose it is when two of them meet over it.

use std::time::Duration;

use foxden_ledger::{By, Filter, Forgetting, ParkedReason, Provisioning, State};

use crate::{
    books::Kind,
    director::{
        Fate, Order,
        Phase::{self, After, Before},
    },
    promises::Promises,
    schedule::{Trace, come_to_rest, finish},
    shape::{Shape, signup},
    world::World,
};

/// Runs a test on a clock that only the test moves.
fn on_a_still_clock(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(test);
}

/// Two signups of one customer, a worker for each, and users' tokens are kept.
async fn world() -> World {
    let shape = Shape { keep_user_tokens: true, ..Shape::default() };
    let world = World::new(shape, vec![signup(1, None, Some("customer")), signup(2, None, Some("customer"))], 2).await;
    finish(&world, &mut Promises::default(), &Trace::default()).await.unwrap();
    world
}

/// Lets the worker at a post go on until this operation is held up in this phase.
async fn reach(world: &World, post: usize, operation: &str, phase: Phase) {
    loop {
        world.director.settle().await;
        let point = world.director.take_of(world.posts[post].boot).unwrap();
        if (point.operation, point.phase) == (operation, phase) {
            world.director.put_back(point);
            return;
        }
        point.resume(Order::Go);
    }
}

/// Lets one operation of the worker at a post go on, and then all that it does by itself.
async fn go_on(world: &World, post: usize, order: Order) {
    let boot = world.posts[post].boot;
    world.director.take_of(boot).unwrap().resume(order);
    world.director.settle().await;
    while let Some(point) = world.director.take_of(boot) {
        point.resume(Order::Go);
        world.director.settle().await;
    }
}

/// The rows in the order of their signups, once all is at rest and every promise was kept.
async fn at_rest(mut world: World, mut promises: Promises) -> (World, Vec<Provisioning>) {
    let trace = Trace::default();
    let rested = come_to_rest(&mut world, &mut promises, &trace).await;
    rested.unwrap_or_else(|broken| panic!("{}\n{broken}", trace.tell()));
    let mut rows = world.ledger.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
    rows.sort_by_key(|row| row.signup_id.to_string());
    (world, rows)
}

async fn is_served_by_the_others_user(world: World) {
    let (world, rows) = at_rest(world, Promises::default()).await;
    assert!(rows.iter().all(Provisioning::is_provisioned), "{rows:?}");
    assert_eq!(rows[1].user_from.as_ref(), Some(&rows[0].id));
    assert_eq!(world.books().things.iter().filter(|thing| thing.kind == Kind::User).count(), 1);
}

#[test]
fn a_user_that_was_forgotten_before_it_was_taken_is_not_taken() {
    on_a_still_clock(async {
        let mut world = world().await;
        let mut promises = Promises::default();
        world.deliver(0, 0);
        finish(&world, &mut promises, &Trace::default()).await.unwrap();
        world.deliver(1, 1);
        reach(&world, 1, "provisioned_for", After).await;
        let id = world.signups[0].id.clone();
        world.ledger.forget(&id, Forgetting::default(), &By::new("a person")).await.unwrap();
        let (_, rows) = at_rest(world, promises).await;
        // Foxy still has the user, and no one knows any more whose it was.
        assert_eq!((rows[1].state, rows[1].parked_reason), (State::Parked, Some(ParkedReason::EmailTaken)));
        assert_eq!(rows[1].user_from, None);
    });
}

/// Both signups make their user at once; the second one's call ends in doubt.
async fn with_one_in_doubt() -> World {
    let mut world = world().await;
    world.deliver(0, 0);
    reach(&world, 0, "create_user", Before).await;
    world.deliver(1, 1);
    reach(&world, 1, "create_user", Before).await;
    go_on(&world, 1, Order::Foxy(Fate::Doubt)).await;
    world
}

#[test]
fn a_user_that_a_signup_in_doubt_finds_may_be_the_one_that_another_is_making() {
    on_a_still_clock(async {
        let mut world = with_one_in_doubt().await;
        reach(&world, 0, "create_user", After).await;
        world.pass(Duration::from_secs(6)).await;
        let director = world.director.clone();
        world.posts[1].claim(&director, 1);
        reach(&world, 1, "email_exists", Before).await;
        go_on(&world, 1, Order::Go).await;
        is_served_by_the_others_user(world).await;
    });
}

#[test]
fn an_email_refused_in_doubt_may_be_the_one_that_another_is_making() {
    on_a_still_clock(async {
        let mut world = with_one_in_doubt().await;
        world.pass(Duration::from_secs(6)).await;
        let director = world.director.clone();
        world.posts[1].claim(&director, 1);
        reach(&world, 1, "email_exists", Before).await;
        go_on(&world, 1, Order::Go).await;
        world.pass(Duration::from_secs(3)).await;
        world.posts[1].claim(&director, 1);
        reach(&world, 1, "create_user", Before).await;
        reach(&world, 0, "create_user", After).await;
        go_on(&world, 1, Order::Go).await;
        is_served_by_the_others_user(world).await;
    });
}
