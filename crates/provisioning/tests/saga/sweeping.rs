//! Sweeping up after workers that vanished.

use std::time::Duration;

use foxden_ledger::{
    Asked, Asking, By, ClientId, Grant, GrantId, GrantReason, GrantState, LedgerWatch, OutcomeKind, State, Wanted,
    WorkerId,
};
use foxden_provisioning::{Capacity, Leases, Worker};
use tokio_util::sync::CancellationToken;

use crate::{
    PROVISIONED,
    world::{World, signup},
};

#[tokio::test]
async fn a_worker_that_starts_looks_for_expired_leases_before_it_waits() {
    let world = World::new().await;
    let vanished = world.lease(&signup("s1")).await;
    drop(vanished);
    world.clock.advance(Duration::from_secs(61));
    sweep_once(&world).await;
    assert_eq!(world.row("s1").await.state, State::Unknown);
}

/// What a worker does before its first pause.
async fn sweep_once(world: &World) {
    let leases = Leases::new(world.ledger.clone(), WorkerId::new(), Duration::from_secs(60));
    let (runner, gate, capacity) = (world.runner.clone(), world.gate.clone(), Capacity::new(1));
    let worker = Worker::new(world.ledger.clone(), LedgerWatch::default(), runner, leases, gate, capacity);
    // Stopped already, it does no more than that.
    let stop = CancellationToken::new();
    stop.cancel();
    worker.sweep(Duration::ZERO, &stop).await;
}

/// A signup whose store's token was lost, and for which a person has an hour to grant access.
async fn asked_for_a_grant(world: &World) -> Grant {
    world.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    world.accept_and_run(&signup("s1")).await;
    let row = world.row("s1").await;
    let asking = Asking {
        id: GrantId::new(),
        by: By::new("ada"),
        reason: GrantReason::Recover,
        wanted: Wanted::Store,
        client_id: ClientId::parse("client_1").unwrap(),
        expected_uri: row.store_uri.clone(),
        lifetime: Duration::from_secs(3600),
        requested: None,
        expired: None,
    };
    match world.ledger.ask_for_grant(&row, asking).await.unwrap() {
        Asked::Opened(grant) => grant,
        other => panic!("no grant was opened: {other:?}"),
    }
}

/// How the one grant of `s1` stands, and how many events tell that it has expired.
async fn standing(world: &World) -> (GrantState, usize) {
    let grants = world.ledger.grants_of(&world.row("s1").await.id).await.unwrap();
    let events = world.ledger.waiting_events(100).await.unwrap();
    let told = events.iter().filter(|waiting| waiting.event.kind == OutcomeKind::GrantExpired).count();
    (*GrantState::ALL.iter().find(|state| grants[0].state == **state).unwrap(), told)
}

#[tokio::test]
async fn a_grant_that_no_one_completes_expires_and_the_parent_app_is_told() {
    let world = World::new().await;
    asked_for_a_grant(&world).await;
    // What parking it has told.
    tokio::time::timeout(Duration::from_secs(5), world.outbox_filled.notified()).await.unwrap();
    world.clock.advance(Duration::from_secs(3599));
    sweep_once(&world).await;
    assert_eq!(standing(&world).await, (GrantState::Open, 0));
    world.clock.advance(Duration::from_secs(1));
    sweep_once(&world).await;
    assert_eq!(standing(&world).await, (GrantState::Expired, 1));
    tokio::time::timeout(Duration::from_secs(5), world.outbox_filled.notified()).await.expect("the publisher is rung");
    assert_eq!(world.row("s1").await.state, State::Parked, "it stands where it stood");
    sweep_once(&world).await;
    assert_eq!(standing(&world).await, (GrantState::Expired, 1), "it is told once");
}

#[tokio::test]
async fn where_no_outcome_events_are_made_a_grant_expires_untold() {
    let world = World::with(|policy| policy.outcome_events = false).await;
    asked_for_a_grant(&world).await;
    world.clock.advance(Duration::from_secs(3600));
    sweep_once(&world).await;
    assert_eq!(standing(&world).await, (GrantState::Expired, 0));
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_doubles_nothing_though_leases_look_expired() {
    for (route, fault) in [
        ("POST /users", "stall_after_work(500ms)"),
        ("POST /users", "stall_before_work(500ms)"),
        ("POST /stores", "stall_after_work(500ms)"),
        ("POST /stores", "stall_before_work(500ms)"),
    ] {
        let world = World::new().await;
        world.sim.set_faults(format!("{route}: {fault} nth 1").parse().unwrap());
        let (claimed, runner) = (world.lease(&signup("s1")).await, world.runner.clone());
        let first = tokio::spawn(async move { runner.run(claimed).await });
        while world.sim.requests(route) == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(world.ledger.sweep(Duration::ZERO).await.unwrap().len(), 1, "its lease looks expired");
        // Another worker continues with it, while the call of the first is under way.
        let other = world.restarted();
        other.run_due().await;
        first.await.unwrap();
        assert_eq!(other.settle("s1").await, PROVISIONED, "{route}: {fault}");
        other.books_agree().await;
        assert_eq!((world.sim.books().users.len(), world.sim.books().stores.len()), (1, 1), "{route}: {fault}");
    }
}
