//! Customers with several signups.

use std::time::Duration;

use foxden_ledger::{ParkedReason, Retried, SignupId, State};
use foxden_provisioning::Ending;

use crate::{
    PROVISIONED,
    world::{World, signup},
};

#[tokio::test]
async fn two_signups_of_one_customer_at_the_same_time_share_one_user() {
    let world = World::with(|policy| policy.keep_user_tokens = true).await;
    let mut second = signup("s1");
    second.store.name = "Another Shop".into();
    world.accept_for(&signup("s1"), "s1", "customer-7").await;
    world.accept_for(&second, "s2", "customer-7").await;
    world.sim.set_faults("POST /stores: status 503 first 1".parse().unwrap());
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.settle("s2").await, PROVISIONED);
    let books = world.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 2));
}

#[tokio::test]
async fn two_signups_of_one_customer_do_not_wait_for_each_other_for_ever() {
    let world = World::new().await;
    world.accept(&signup("s0")).await;
    assert_eq!(world.settle("s0").await, PROVISIONED);
    // The customer has a Foxy user already, and it is not one that was made for them under this account.
    for id in ["s1", "s2"] {
        world.accept_for(&signup("s0"), id, "customer-7").await;
    }
    for id in ["s1", "s2"] {
        assert_eq!(world.settle(id).await, Ending::Parked(ParkedReason::EmailTaken));
    }
}

#[tokio::test]
async fn a_second_store_of_a_customer_is_made_under_the_same_user_if_its_token_was_kept() {
    let world = World::with(|policy| policy.keep_user_tokens = true).await;
    world.accept_for(&signup("s1"), "s1", "customer-7").await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    world.accept_for(&signup("s2"), "s2", "customer-7").await;
    assert_eq!(world.settle("s2").await, PROVISIONED);
    let books = world.sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 2));
    assert!(books.stores.iter().all(|store| store.owner == books.users[0].uri));
}

#[tokio::test]
async fn a_second_store_of_a_customer_whose_token_was_wiped_says_so() {
    let world = World::new().await;
    world.accept_for(&signup("s1"), "s1", "customer-7").await;
    world.settle("s1").await;
    world.accept_for(&signup("s1"), "s2", "customer-7").await;
    assert_eq!(world.settle("s2").await, Ending::Parked(ParkedReason::UserTokenNotKept));
}

#[tokio::test]
async fn a_store_of_another_signup_of_the_same_customer_is_not_our_late_success() {
    let world = World::with(|policy| policy.keep_user_tokens = true).await;
    let mut twin = signup("s1");
    twin.store.name = "Same Name".into();
    world.accept_for(&twin, "s1", "customer-7").await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    world.sim.set_faults("POST /stores: reset_before_work first 1".parse().unwrap());
    world.accept_for(&twin, "s2", "customer-7").await;
    assert_eq!(world.settle("s2").await, PROVISIONED);
    assert_eq!(world.row("s2").await.store_domain.as_deref(), Some("same-name-2"));
}

#[tokio::test]
async fn an_old_refusal_does_not_hide_a_sibling_that_is_making_the_user() {
    let world = World::with(|policy| policy.keep_user_tokens = true).await;
    world.sim.set_faults("POST /users: status(422) nth 1".parse().unwrap());
    world.accept_for(&signup("s0"), "s1", "customer-7").await;
    assert_eq!(world.settle("s1").await, Ending::Parked(ParkedReason::RejectedByFoxy));
    // A sibling's call has made the user, and its answer is still on its way, as the first one is tried again.
    world.sim.set_faults("POST /users: stall_after_work(1s) first 1".parse().unwrap());
    world.clock.advance(Duration::from_secs(3600));
    let sibling = world.lease_for(&signup("s0"), "s2", "customer-7").await;
    let running = world.run_until_a_user_is_made(sibling).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.ledger.retry(&SignupId::parse("s1").unwrap(), "test").await.unwrap(), Retried::Due);
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)], "it may be the sibling's user");
    assert_eq!(running.await.unwrap(), PROVISIONED);
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.sim.books().users.len(), 1);
}

#[tokio::test]
async fn a_further_store_is_made_under_the_oldest_user_whose_token_was_kept() {
    let forgetful = World::new().await;
    forgetful.accept_for(&signup("s1"), "s1", "customer-7").await;
    assert_eq!(forgetful.settle("s1").await, PROVISIONED);
    let world = forgetful.with_policy(|policy| policy.keep_user_tokens = true);
    for id in ["s2", "s3"] {
        world.accept_for(&signup(id), id, "customer-7").await;
        assert_eq!(world.settle(id).await, PROVISIONED);
    }
    let mut same_email = signup("s2");
    same_email.store.name = "Another Shop".into();
    world.accept_for(&same_email, "s4", "customer-7").await;
    assert_eq!(world.settle("s4").await, PROVISIONED);
    let (users, second) = (world.sim.books().users.len(), world.row("s2").await);
    assert_eq!(users, 2, "the first one's token was wiped, the second one's serves the others");
    for id in ["s3", "s4"] {
        assert_eq!(world.row(id).await.user_from, Some(second.id.clone()));
    }
}
