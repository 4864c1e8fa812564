//! Sweeping up after workers that vanished.

use std::time::Duration;

use foxden_ledger::{LedgerWatch, State, WorkerId};
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
    let leases = Leases::new(world.ledger.clone(), WorkerId::new(), Duration::from_secs(60));
    let (runner, gate, capacity) = (world.runner.clone(), world.gate.clone(), Capacity::new(1));
    let worker = Worker::new(world.ledger.clone(), LedgerWatch::default(), runner, leases, gate, capacity);
    // Stopped already, it does only what it does before its first pause.
    let stop = CancellationToken::new();
    stop.cancel();
    worker.sweep(Duration::ZERO, &stop).await;
    assert_eq!(world.row("s1").await.state, State::Unknown);
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
