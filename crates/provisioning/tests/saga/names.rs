//! Names that two signups of one customer want.

use std::time::Duration;

use foxden_custody::Payload;
use foxden_ledger::{
    Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, Next, ParkedReason, Recorded, Retried,
    SignupId, State, Step,
};
use foxden_provisioning::Ending;

use crate::{
    PROVISIONED, STORE_LOST,
    world::{World, signup},
};

const CUSTOMER: &str = "customer-7";

/// A customer with a user and one store, for whom more stores of one name are wanted.
async fn world() -> World {
    let world = World::with(|policy| {
        (policy.keep_user_tokens, policy.give_up_after) = (true, Duration::from_secs(7200));
    })
    .await;
    world.accept_for(&signup("s1"), "s1", CUSTOMER).await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    world
}

fn twin(exact: Option<&str>) -> Payload {
    let mut twin = signup("s1");
    (twin.store.name, twin.store.domain) = ("Same Name".into(), exact.map(str::to_owned));
    twin
}

/// Announces a store as an earlier release did: without a look at who else wants its domain.
async fn announce_unasked(world: &World, id: &str, domain: &str) -> Claimed {
    let claimed = world.lease_for(&twin(None), id, CUSTOMER).await;
    let user = world.row("s1").await;
    let announced = Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: Step::User,
            intent: 1,
            natural_key: None,
            took: Duration::ZERO,
            outcome: AttemptOutcome::UserReused,
            http_status: None,
            logref: None,
            note: None,
        },
        credential: None,
        facts: Facts {
            user_uri: user.user_uri,
            user_from: Some(user.id),
            store_domain: Some(domain.to_owned()),
            ..Facts::default()
        },
        refused_token: None,
        shared_user: None,
        next: Next::InFlight { step: Step::Store, lease: Duration::from_secs(60) },
        event: None,
    };
    let Recorded::Written(claimed) = world.ledger.record(announced).await.unwrap() else { panic!("not written") };
    *claimed
}

#[tokio::test]
async fn two_signups_of_one_customer_lose_their_own_stores_and_never_each_others() {
    let world = world().await;
    // Of two calls that lose their answers, only the second one's takes effect.
    world
        .sim
        .set_faults("POST /stores: reset_before_work nth 1; POST /stores: reset_after_work nth 2".parse().unwrap());
    for id in ["s2", "s3"] {
        world.accept_for(&twin(None), id, CUSTOMER).await;
    }
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown); 2]);
    let (mut ends, books) = ([world.settle("s2").await, world.settle("s3").await], world.sim.books());
    ends.sort_by_key(|end| *end != PROVISIONED);
    assert_eq!(ends, [PROVISIONED, STORE_LOST]);
    assert_eq!(books.stores.len(), 3, "one for each signup");
    let (one, two) = (world.row("s2").await, world.row("s3").await);
    assert!(one.store_uri.is_some() && one.store_uri != two.store_uri);
    world.books_agree().await;
}

#[tokio::test]
async fn a_store_whose_maker_is_only_slow_is_not_lost_to_another_signup() {
    let world = world().await;
    world
        .sim
        .set_faults("POST /stores: reset_before_work nth 1; POST /stores: stall_after_work(1s) nth 2".parse().unwrap());
    let slow = announce_unasked(&world, "s3", "same-name").await;
    let doubted = announce_unasked(&world, "s2", "same-name").await;
    assert_eq!(world.runner.run(doubted).await, Ending::Waiting(State::Unknown));
    let runner = world.runner.clone();
    let running = tokio::spawn(async move { runner.run(slow).await });
    while world.sim.books().stores.len() < 2 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Unknown)], "either may have made it");
    assert_eq!(running.await.unwrap(), PROVISIONED);
    assert_eq!(world.settle("s2").await, PROVISIONED);
    assert_eq!(world.row("s2").await.store_domain.as_deref(), Some("same-name-2"));
    world.books_agree().await;
}

#[tokio::test]
async fn a_store_that_two_may_have_made_is_looked_at_until_given_up_and_never_claimed() {
    let world = world().await;
    world
        .sim
        .set_faults("POST /stores: reset_before_work nth 1; POST /stores: reset_after_work nth 2".parse().unwrap());
    for id in ["s2", "s3"] {
        let claimed = announce_unasked(&world, id, "same-name").await;
        assert_eq!(world.runner.run(claimed).await, Ending::Waiting(State::Unknown));
    }
    for id in ["s2", "s3"] {
        assert_eq!(world.settle(id).await, Ending::Parked(ParkedReason::StoreUnclear));
        let row = world.row(id).await;
        let detail = row.parked_detail.unwrap();
        assert!(detail.contains("s2") && detail.contains("s3") && !detail.contains("http"), "{detail}");
        assert_eq!(row.store_uri, None, "it may be the other's");
    }
    assert_eq!(world.sim.books().stores.len(), 2, "no second store for either");
    assert_eq!(world.ledger.retry(&SignupId::parse("s2").unwrap(), "ops").await.unwrap(), Retried::Due);
    assert_eq!(world.settle("s2").await, Ending::Parked(ParkedReason::StoreUnclear), "it is as unclear as before");
}

#[tokio::test]
async fn a_domain_of_the_event_waits_for_the_signup_that_is_out_for_it() {
    let world = world().await;
    world.sim.set_faults("POST /stores: status 500 nth 1".parse().unwrap());
    for id in ["s2", "s3"] {
        world.accept_for(&twin(Some("wanted")), id, CUSTOMER).await;
    }
    let mut ends = world.run_due().await;
    ends.sort_by_key(|end| *end == Ending::Waiting(State::Due));
    assert_eq!(ends, [Ending::Waiting(State::Unknown), Ending::Waiting(State::Due)]);
    assert_eq!(world.sim.requests("POST /stores"), 2, "one for the first store, one for the domain");
    let mut ends = [world.settle("s2").await, world.settle("s3").await];
    ends.sort_by_key(|end| *end != PROVISIONED);
    assert_eq!(ends, [PROVISIONED, Ending::Parked(ParkedReason::DomainTaken)]);
    world.books_agree().await;
}
