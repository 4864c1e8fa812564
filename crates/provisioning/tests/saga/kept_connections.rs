//! Creates that are sent on a connection which had been kept from an earlier one.

use std::collections::BTreeSet;

use foxden_ledger::{AttemptKind, AttemptOutcome, Filter, ParkedReason, Retried};

use crate::{
    Ending, PROVISIONED, USER_LOST,
    world::{World, signup},
};

const EMAIL_IN_DOUBT: Ending = Ending::Parked(ParkedReason::EmailInDoubt);

/// The first signup leaves a connection behind; the second one's email is that of the first, or its own.
async fn second(world: &World, fault: &str, email_was_there: bool) -> Ending {
    assert_eq!(world.accept_and_run(&signup("s0")).await, PROVISIONED);
    world.sim.set_faults(fault.parse().unwrap());
    let mut event = signup("s1");
    if email_was_there {
        event.user.email = signup("s0").user.email;
    }
    world.accept_for(&event, "s1", "customer-1").await;
    world.settle("s1").await
}

#[tokio::test]
async fn a_lost_answer_leaves_in_doubt_who_made_the_user() {
    for (fault, email_was_there) in [
        ("POST /users: reset_before_work nth 1", true),
        ("POST /users: refuse nth 1", true),
        ("POST /users: reset_after_work nth 1", false),
    ] {
        let world = World::new().await;
        assert_eq!(second(&world, fault, email_was_there).await, EMAIL_IN_DOUBT, "{fault}");
        let row = world.row("s1").await;
        let calls = world.ledger.attempts(&row.id).await.unwrap();
        assert_eq!(calls[0].outcome, AttemptOutcome::UnknownOnKeptConnection, "{fault}");
        assert_eq!(world.sim.requests("POST /users"), 2, "{fault}");
        // Asking again sends nothing before it has looked.
        assert_eq!(world.ledger.retry(&row.signup_id, "ops").await.unwrap(), Retried::Due);
        assert_eq!(world.settle("s1").await, EMAIL_IN_DOUBT, "{fault}");
        assert_eq!(world.sim.requests("POST /users"), 2, "{fault}");
    }
}

#[tokio::test]
async fn a_call_that_never_arrived_is_sent_again() {
    let world = World::new().await;
    assert_eq!(second(&world, "POST /users: reset_before_work nth 1", false).await, PROVISIONED);
    assert!(world.attempts("s1", AttemptKind::Lookup).await > 0);
    world.books_agree().await;
}

#[tokio::test]
async fn an_email_that_is_refused_afterwards_is_in_doubt_too() {
    // The lookup is answered as if the email were free, and the resend is refused.
    let world = World::new().await;
    let faults = "POST /users: reset_before_work nth 1; *: listing_lag(1m)";
    assert_eq!(second(&world, faults, true).await, EMAIL_IN_DOUBT);
}

#[tokio::test]
async fn an_answer_that_came_without_its_token_is_lost_whatever_its_connection() {
    let world = World::new().await;
    assert_eq!(second(&world, "POST /users: no_token nth 1", false).await, USER_LOST);
}

#[tokio::test]
async fn a_connection_of_its_own_loses_as_before() {
    let world = World::new().await;
    let faults = "POST /users: refuse nth 1; POST /users: reset_after_work nth 2";
    // The second call goes out on a new connection, and may have been read.
    assert_eq!(second(&world, faults, false).await, USER_LOST);
}

#[tokio::test]
async fn a_mailbox_of_the_platforms_moves_on_to_the_next_user() {
    let world = World::new().await.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    assert_eq!(second(&world, "POST /users: reset_after_work nth 1", false).await, PROVISIONED);
    assert_eq!(world.row("s1").await.generation, 2);
}

#[tokio::test]
async fn a_store_is_found_among_the_users_own_whatever_its_connection() {
    for (fault, expected) in [
        ("POST /stores: reset_before_work nth 1", PROVISIONED),
        ("POST /stores: reset_after_work nth 1", Ending::Parked(ParkedReason::StoreTokenLost)),
    ] {
        let world = World::new().await;
        assert_eq!(second(&world, fault, false).await, expected, "{fault}");
        world.books_agree().await;
    }
}

/// Signups whose emails Foxy knew before, and others, while the server closes kept connections a moment after each
/// answer, again and again as the next request comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_server_closes_its_connections_no_user_is_wrongly_called_lost() {
    let world = World::new().await;
    let known = signup("known");
    assert_eq!(world.accept_and_run(&known).await, PROVISIONED);
    let lost = async || {
        let mut lost = 0;
        for row in world.ledger.list(&Filter { limit: 10_000, ..Filter::default() }).await.unwrap() {
            let calls = world.ledger.attempts(&row.id).await.unwrap();
            lost += calls.iter().filter(|call| call.outcome == AttemptOutcome::UnknownOnKeptConnection).count();
        }
        lost
    };
    // Each call is under way for a while, for a closing to meet.
    world.sim.set_latency("1..4".parse().unwrap());
    let mut number = 0;
    // Which of them a closing meets is the machine's affair, so until it has met some.
    while lost().await < 30 {
        assert!(number < 3_000, "no closing has met a call");
        let after = [1, 2, 4, 8][number / 20 % 4];
        let faults = format!("POST /users: close_idle({after}ms); POST /stores: close_idle({after}ms)");
        world.sim.set_faults(faults.parse().unwrap());
        for _ in 0..20 {
            number += 1;
            let (mut event, is_known) = (signup(&format!("s{number}")), number % 2 == 0);
            if is_known {
                event.user.email = known.user.email.clone();
            }
            let id = format!("s{number}");
            world.accept_for(&event, &id, &id).await;
            let ending = world.settle(&id).await;
            let may_be = match is_known {
                true => [EMAIL_IN_DOUBT, Ending::Parked(ParkedReason::EmailTaken)].contains(&ending),
                false => [PROVISIONED, EMAIL_IN_DOUBT, Ending::Parked(ParkedReason::StoreTokenLost)].contains(&ending),
            };
            assert!(may_be, "{id}: {ending:?}");
        }
    }
    let books = world.sim.books();
    let emails: BTreeSet<_> = books.users.iter().map(|user| user.email.clone()).collect();
    assert_eq!(emails.len(), books.users.len(), "no user was made twice");
}
