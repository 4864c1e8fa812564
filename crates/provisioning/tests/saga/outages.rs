//! Outages of Foxy: what the breaker keeps from being sent.

use foxden_ledger::{AttemptKind, AttemptOutcome, State};
use foxden_provisioning::Ending;

use crate::world::{World, signup};

const WAITING: Ending = Ending::Waiting(State::Due);
const IN_DOUBT: Ending = Ending::Waiting(State::Unknown);

async fn accept(world: &World, ids: &[&str]) {
    for id in ids {
        world.accept(&signup(id)).await;
    }
}

#[tokio::test]
async fn while_foxy_is_down_nothing_is_sent_and_afterwards_all_is_made() {
    for (fault, ended) in [
        ("POST /users: status 500", IN_DOUBT),
        ("POST /users: gateway_html 502", IN_DOUBT),
        ("POST /users: reset_before_work", IN_DOUBT),
        ("POST /token: status 503", WAITING),
        ("GET /: refuse", WAITING),
    ] {
        let world = World::with_breaker(3).await;
        world.sim.set_faults(fault.parse().unwrap());
        accept(&world, &["s1", "s2", "s3", "s4", "s5"]).await;
        assert_eq!(world.run_due().await, [ended, ended, ended, WAITING, WAITING], "{fault}");
        assert!(!world.gate.is_open(), "{fault}");
        let sent = world.sim.total_requests();
        world.clock.advance(std::time::Duration::from_secs(3600));
        // Neither creates nor lookups, and no signup is given up.
        assert_eq!(world.run_due().await.len(), 5);
        assert_eq!(world.sim.total_requests(), sent, "{fault}");
        world.sim.set_faults("".parse().unwrap());
        world.until_open().await;
        for id in ["s1", "s2", "s3", "s4", "s5"] {
            assert_eq!(world.settle(id).await, Ending::Provisioned, "{fault}");
        }
        assert_eq!((world.gate.standing(), world.sim.books().users.len()), ("open", 5));
        world.books_agree().await;
    }
}

#[tokio::test]
async fn what_foxy_answers_with_a_4xx_is_no_outage() {
    for fault in ["status 422", "rate_limited", "request_timeout", "conflict", "status 404", "no_token"] {
        let world = World::with_breaker(2).await;
        world.sim.set_faults(format!("POST /users: {fault}").parse().unwrap());
        accept(&world, &["s1", "s2", "s3"]).await;
        world.run_due().await;
        assert_eq!(world.gate.standing(), "open", "{fault}");
    }
}

#[tokio::test]
async fn outages_with_a_success_between_them_do_not_open_it() {
    let world = World::with_breaker(2).await;
    world.sim.set_faults("POST /users: status 500 every 2".parse().unwrap());
    accept(&world, &["s1", "s2", "s3", "s4", "s5", "s6"]).await;
    world.run_due().await;
    assert_eq!(world.gate.standing(), "open");
}

#[tokio::test]
async fn where_reads_are_answered_and_creates_are_not_one_create_at_a_time_is_tried() {
    let world = World::with_breaker(2).await;
    world.sim.set_faults("POST /users: status 500".parse().unwrap());
    accept(&world, &["s1", "s2", "s3", "s4", "s5", "s6"]).await;
    world.run_due().await;
    assert_eq!(world.sim.requests("POST /users"), 2);
    for tried in 3..=4 {
        world.until_open().await;
        assert_eq!(world.gate.standing(), "trying");
        world.clock.advance(std::time::Duration::from_secs(301));
        world.run_due().await;
        assert_eq!((world.gate.standing(), world.sim.requests("POST /users")), ("down", tried));
    }
}

#[tokio::test]
async fn a_call_that_the_breaker_held_back_leaves_its_reason_as_evidence() {
    let world = World::with_breaker(1).await;
    world.sim.set_faults("POST /token: status 503".parse().unwrap());
    accept(&world, &["s1", "s2"]).await;
    assert_eq!(world.run_due().await, [WAITING, WAITING]);
    let attempts = world.ledger.attempts(&world.row("s2").await.id).await.unwrap();
    assert_eq!(
        (attempts[0].kind.known(), attempts[0].outcome.known()),
        (Some(AttemptKind::Create), Some(AttemptOutcome::NoEffect))
    );
    assert_eq!(attempts[0].note.as_deref(), Some("not sent: Foxy is down"));
}

#[tokio::test]
async fn a_set_up_that_is_found_wrong_after_an_outage_pauses_instead() {
    let world = World::with_breaker(1).await;
    world.sim.set_faults("POST /users: status 500".parse().unwrap());
    accept(&world, &["s1", "s2"]).await;
    world.run_due().await;
    assert_eq!(world.gate.standing(), "down");
    world.sim.set_faults("GET /: forbidden".parse().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let until_paused = async {
        while world.gate.standing() != "paused" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = world.keep_gate(&stop) => unreachable!("nothing stops it"), () = until_paused => {} }
    assert!(!world.gate.is_open());
}
