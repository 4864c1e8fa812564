//! A natural key whose earlier call ended unknown.

use std::time::Duration;

use foxden_ledger::{ParkedReason, Retried, State};
use foxden_provisioning::{Ending, Schedule};

use crate::{
    PROVISIONED, STORE_LOST, USER_LOST,
    world::{World, signup},
};

#[tokio::test]
async fn a_refusal_in_doubt_whose_reason_can_not_be_read_is_looked_up() {
    let world = World::new().await;
    let faults = "POST /stores: late_work(300ms) nth 1; POST /stores: gateway_html(400) nth 2";
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

#[tokio::test]
async fn a_call_that_works_after_its_lookup_said_absent_is_taken_for_our_own() {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: late_work(3s) first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    // The lookup comes too early and believes that nothing was made.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    while world.sim.books().stores.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.settle("s1").await, STORE_LOST);
    assert_eq!(world.sim.books().stores.len(), 1, "no second store under another domain");
}

#[tokio::test]
async fn a_listing_that_lags_is_not_believed_at_once() {
    let world = World::new().await;
    world.accept(&signup("s1")).await;
    world.sim.set_faults("POST /stores: reset_after_work first 1; * : listing_lag(400ms)".parse().unwrap());
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.settle("s1").await, STORE_LOST);
}

#[tokio::test]
async fn a_changed_mailbox_makes_no_second_user_of_a_call_in_doubt() {
    let world = World::new().await;
    world.sim.set_faults("POST /users: reset_after_work first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    // The operator, having met a lost user, sets FOXDEN_USER_EMAIL and starts the workers again.
    let next = world.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    assert_eq!(next.settle("s1").await, USER_LOST, "the email that was sent is the one that is looked up");
    next.accept_and_run(&signup("s2")).await;
    let emails: Vec<_> = next.sim.books().users.into_iter().map(|user| user.email).collect();
    assert_eq!(emails, ["s1@customers.example", "shop+s2.1@platform.example"]);
}

#[tokio::test]
async fn unclear_lookups_do_not_make_a_domain_believed_to_be_another_s() {
    let world = World::new().await;
    world.sim.set_faults(
        "POST /stores: reset_after_work nth 1; GET /users/{id}/stores: status(503) first 5; \
         GET /users/{id}/stores: listing_lag(3600s)"
            .parse()
            .unwrap(),
    );
    world.accept(&signup("s1")).await;
    for _ in 0..8 {
        world.run_due().await;
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(world.row("s1").await.state, State::Unknown);
    assert_eq!(world.sim.books().stores.len(), 1, "one signup, one store");
}

#[tokio::test]
async fn what_is_refused_in_doubt_and_not_there_is_not_sent_for_ever() {
    let world = World::new().await;
    let mut wrong = signup("s1");
    wrong.user.email = "s1@".into();
    world.sim.set_faults("POST /users: reset_before_work nth 1; POST /users: gateway_html(400)".parse().unwrap());
    world.accept(&wrong).await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::RejectedByFoxy));
    assert_eq!(world.sim.requests("POST /users"), 2);
}

#[tokio::test]
async fn a_refusal_whose_reasons_were_damaged_on_the_way_is_asked_for_again() {
    for fault in ["cut_body", "garbage"] {
        let world = World::new().await;
        for (id, fault) in [("s1", String::new()), ("s2", format!("POST /stores: {fault} first 1"))] {
            world.sim.set_faults(fault.parse().unwrap());
            let mut wanted = signup(id);
            wanted.store.name = "Engines".into();
            world.accept(&wanted).await;
            assert_eq!(world.settle(id).await, Ending::Provisioned, "{fault}");
        }
        world.books_agree().await;
    }
}

#[tokio::test]
async fn what_was_refused_in_doubt_is_sent_again_when_a_person_asks_for_it() {
    let world = World::new().await;
    let faults = "POST /users: reset_before_work nth 1; POST /users: status(422) nth 2";
    world.sim.set_faults(faults.parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::RejectedByFoxy));
    assert!(world.row("s1").await.in_doubt);
    assert_eq!(world.ledger.retry(&world.row("s1").await.signup_id, "ops").await.unwrap(), Retried::Due);
    assert_eq!(world.settle("s1").await, Ending::Provisioned);
    assert_eq!(world.sim.requests("POST /users"), 3);
}

/// A call without effect leaves a doubt, and another customer takes the domain before it is sent again.
async fn a_stranger_comes_first(domain: Option<&str>) -> World {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: status 500 nth 1".parse().unwrap());
    let (mut ours, mut strangers) = (signup("s1"), signup("s2"));
    (ours.store.domain, strangers.store.domain) = (domain.map(str::to_owned), Some("engines-s1".into()));
    world.accept(&ours).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)]);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)], "the lookup finds nothing");
    assert_eq!(world.accept_and_run(&strangers).await, PROVISIONED);
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)], "a refusal in doubt settles nothing");
    world
}

#[tokio::test]
async fn a_domain_that_another_customer_takes_between_two_calls_gives_way_to_the_next() {
    let world = a_stranger_comes_first(None).await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.row("s1").await.store_domain.as_deref(), Some("engines-s1-2"));
    world.books_agree().await;
}

#[tokio::test]
async fn a_domain_of_the_event_that_another_customer_takes_between_two_calls_is_taken_and_not_lost() {
    let world = a_stranger_comes_first(Some("engines-s1")).await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::DomainTaken));
    assert_eq!(world.row("s1").await.store_uri, None, "another customer's address is never ours");
}

#[tokio::test]
async fn a_listing_may_lag_from_the_end_of_a_call_and_not_from_its_announcement() {
    let lag = Duration::from_secs(20);
    let world = World::with(|policy| {
        (policy.listing_lag, policy.lookup_delay) = (lag, Duration::from_secs(1));
        policy.retry = Schedule::new(Duration::from_secs(1), Duration::from_secs(1)).steady();
    })
    .await;
    let faults = "POST /stores: stall_after_work(3s) nth 1; GET /users/{id}/stores: listing_lag(3600s)";
    world.sim.set_faults(faults.parse().unwrap());
    let (claimed, runner) = (world.lease(&signup("s1")).await, world.runner.clone());
    let running = tokio::spawn(async move { runner.run(claimed).await });
    while world.sim.books().stores.is_empty() {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(14));
    assert_eq!(running.await.unwrap(), Ending::Waiting(State::Unknown));
    for _ in 0..19 {
        world.clock.advance(Duration::from_secs(1));
        world.run_due().await;
        assert_eq!(world.row("s1").await.state, State::Unknown);
    }
    assert_eq!(world.sim.books().stores.len(), 1, "no second store while the first may not be listed yet");
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(1));
        world.run_due().await;
    }
    assert_eq!(world.row("s1").await.store_domain.as_deref(), Some("engines-s1-2"), "then it is somebody else's");
}
