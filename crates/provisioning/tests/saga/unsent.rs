//! Calls that were announced and not sent, since the ledger did not answer in between.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};

use foxden_ledger::{AttemptKind, ParkedReason, Pause, State, Step, StepIn};
use foxden_provisioning::Ending;
use tokio::time::Instant;

use crate::{
    PROVISIONED, STORE_LOST,
    world::{World, memory, signup},
};

/// A ledger that does not answer once, when it has been asked for this as often as is left.
#[derive(Default)]
struct Away(Mutex<Option<(&'static str, usize)>>);

impl StepIn for Away {
    fn before(&self, operation: &'static str) -> Pause {
        let is_next = |(away, left): &mut (&'static str, usize)| {
            *left -= usize::from(*away == operation);
            *left == 0
        };
        let is_away = self.0.lock().unwrap().take_if(is_next).is_some();
        Box::pin(std::future::ready(if is_away { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }))
    }

    fn after(&self, _operation: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }
}

/// A world in which Foxy knows the email of the next signup, and the ledger can be made to be away.
async fn world() -> (World, Arc<Away>) {
    let away = Arc::new(Away::default());
    let world = World::on(memory().await.with_steps(away.clone())).await.with_policy(|policy| {
        policy.keep_user_tokens = true;
    });
    world.accept(&signup("s0")).await;
    assert_eq!(world.settle("s0").await, PROVISIONED);
    (world, away)
}

async fn is_recorded_as_not_sent(world: &World, away: &Away, step: Step) {
    assert!(away.0.lock().unwrap().is_none(), "it was asked for");
    let row = world.row("s1").await;
    assert_eq!((row.step, row.state, row.in_doubt), (step, State::Due, false));
    assert_eq!(row.lease_until_ms, None, "it needs no sweep");
}

#[tokio::test]
async fn a_call_that_was_not_sent_since_a_sibling_could_not_be_looked_for_is_in_no_doubt() {
    let (world, away) = world().await;
    let claimed = world.lease_for(&signup("s0"), "s1", "customer-7").await;
    *away.0.lock().unwrap() = Some(("provisioned_for", 1));
    assert_eq!(world.runner.run(claimed).await, Ending::Waiting(State::Due));
    is_recorded_as_not_sent(&world, &away, Step::User).await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::EmailTaken), "and not for a lost token");
    assert_eq!(world.attempts("s1", AttemptKind::Lookup).await, 0);
}

#[tokio::test]
async fn a_call_that_was_not_sent_since_its_lease_could_not_be_renewed_is_in_no_doubt() {
    let (world, away) = world().await;
    let mut claimed = world.lease_for(&signup("s0"), "s1", "customer-7").await;
    claimed.lease.until = Instant::now() + Duration::from_secs(4);
    *away.0.lock().unwrap() = Some(("renew", 1));
    assert_eq!(world.runner.run(claimed).await, Ending::Waiting(State::Due));
    is_recorded_as_not_sent(&world, &away, Step::User).await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::EmailTaken));
}

#[tokio::test]
async fn a_store_that_was_not_asked_for_since_its_user_s_token_could_not_be_read_is_in_no_doubt() {
    let (world, away) = world().await;
    world.sim.set_faults("POST /stores: rate_limited first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    world.clock.advance(Duration::from_secs(60));
    *away.0.lock().unwrap() = Some(("credentials", 1));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    is_recorded_as_not_sent(&world, &away, Step::Store).await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.sim.requests("POST /stores"), 3, "s0's, and two of s1's");
}

#[tokio::test]
async fn a_token_is_not_given_up_for_lost_while_it_can_not_be_looked_for() {
    let (world, away) = world().await;
    world.sim.set_faults("POST /stores: reset_after_work nth 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    world.clock.advance(Duration::from_secs(60));
    // The lookup asks for tokens twice: for one of the store, and for the user's.
    *away.0.lock().unwrap() = Some(("credentials", 3));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    assert!(away.0.lock().unwrap().is_none(), "it was asked for");
    assert_eq!(world.settle("s1").await, STORE_LOST);
}
