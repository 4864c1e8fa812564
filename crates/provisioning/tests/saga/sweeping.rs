//! Sweeping up after workers that vanished.

use std::time::Duration;

use foxden_ledger::{LedgerWatch, State, WorkerId};
use foxden_provisioning::{Capacity, Leases, Worker};
use tokio_util::sync::CancellationToken;

use crate::world::{World, signup};

#[tokio::test]
async fn a_worker_that_starts_looks_for_expired_leases_before_it_waits() {
    let world = World::new().await;
    let vanished = world.lease(&signup("s1")).await;
    drop(vanished);
    world.clock.advance(Duration::from_secs(61));
    let leases = Leases::new(world.ledger.clone(), WorkerId::new(), Duration::from_secs(60));
    let (runner, gate, capacity) = (world.runner.clone(), world.gate.clone(), Capacity::new(1));
    let worker = Worker::new(world.ledger.clone(), LedgerWatch::default(), runner, leases, gate, capacity);
    // Told to stop already, it does only what it does before its first pause.
    let stop = CancellationToken::new();
    stop.cancel();
    worker.sweep(Duration::ZERO, &stop).await;
    assert_eq!(world.row("s1").await.state, State::Unknown);
}
