//! The saga against the simulator: every way a create call can end, on a ledger whose clock the test moves.

#![expect(clippy::unwrap_used, reason = "a test that fails says where it stopped")]

mod ages;
mod customers;
mod edited;
mod full_disk;
mod in_doubt;
mod kept_connections;
mod names;
mod outages;
mod restored;
mod rotated;
mod setup_faults;
#[path = "../../../../tests/servers/small_disk.rs"]
mod small_disk;
mod sweeping;
mod unsent;
mod world;

use std::{path::Path, time::Duration};

use foxden_custody::TokenRow;
use foxden_ledger::{AttemptKind, Ledger, OutcomeKind, ParkedReason, Scope, State, Step};
use foxden_provisioning::Ending;

use world::{World, signup};

/// A fault on the create call of a step, and what the provisioning comes to.
async fn comes_to(fault: &str, expected: Ending) -> World {
    let world = World::new().await;
    world.sim.set_faults(fault.parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.settle("s1").await, expected, "{fault}");
    world.books_agree().await;
    world
}

const PROVISIONED: Ending = Ending::Provisioned;
const USER_LOST: Ending = Ending::Parked(ParkedReason::UserTokenLost);
const STORE_LOST: Ending = Ending::Parked(ParkedReason::StoreTokenLost);

async fn a_clean_provisioning_costs_two_requests_and_three_transactions(ledger: Ledger) {
    let world = World::on(ledger).await;
    // The first one fetches the client's token and the links, which are kept.
    world.accept_and_run(&signup("s0")).await;
    for number in 1..=5 {
        let (requests, commits) = (world.sim.total_requests(), world.ledger.commits());
        let ending = world.accept_and_run(&signup(&format!("s{number}"))).await;
        assert_eq!(ending, PROVISIONED);
        assert_eq!(world.sim.total_requests() - requests, 2);
        assert_eq!(world.ledger.commits() - commits, 3);
    }
    world.books_agree().await;
}

async fn a_provisioned_signup_keeps_one_token_that_opens_its_store(ledger: Ledger) {
    let world = World::on(ledger).await;
    world.accept_and_run(&signup("s1")).await;
    let row = world.row("s1").await;
    assert_eq!((row.step, row.state), (Step::Done, State::Closed));
    assert!(row.payload.is_none(), "the event is wiped");
    let kept = world.ledger.credentials(&row.id).await.unwrap();
    assert!(kept[0].scope == Scope::User && kept[0].sealed.is_none(), "the user's token is wiped");
    let token = world.custody.open_token(&TokenRow::of(&row, &kept[1]), kept[1].sealed.as_ref().unwrap()).unwrap();
    let opens = world.sim.refresh_token_opens(token.expose()).unwrap();
    assert_eq!((Some(opens.uri), kept.len()), (row.store_uri, 2));
    let event = world.ledger.waiting_events(10).await.unwrap().remove(0).event;
    assert_eq!((event.kind, event.data.store_domain.as_deref()), (OutcomeKind::Provisioned, Some("engines-s1")));
}

#[tokio::test]
async fn a_call_that_had_no_effect_is_sent_again() {
    for fault in [
        "POST /users: rate_limited(1) first 2",
        "POST /stores: rate_limited first 2",
        "POST /users: invalid_token first 1",
        "POST /stores: invalid_token first 1",
        "POST /token: status 503 first 2",
        "GET /: status 502 first 2",
    ] {
        let world = comes_to(fault, PROVISIONED).await;
        assert_eq!(world.attempts("s1", AttemptKind::Lookup).await, 0, "{fault}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_without_effect_is_looked_up_and_then_sent_again() {
    for fault in [
        "POST /users: reset_before_work first 1",
        "POST /users: refuse first 2",
        "POST /users: status 500 first 1",
        "POST /users: gateway_html 502 first 1",
        "POST /users: conflict first 1",
        "POST /users: request_timeout first 1",
        "POST /users: redirect(307) first 1",
        "POST /stores: reset_before_work first 1",
        "POST /stores: status 500 first 1",
        "POST /stores: gateway_html 504 first 2",
        "POST /stores: redirect(301) first 1",
    ] {
        let world = comes_to(fault, PROVISIONED).await;
        assert!(world.attempts("s1", AttemptKind::Lookup).await > 0, "{fault}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_never_answered_with_a_second_call() {
    for (fault, expected) in [
        ("POST /users: reset_after_work first 1", USER_LOST),
        ("POST /users: status_after_work 500 first 1", USER_LOST),
        ("POST /users: gateway_html_after_work 504 first 1", USER_LOST),
        ("POST /users: stall_after_work(3s) first 1", USER_LOST),
        ("POST /users: cut_body first 1", USER_LOST),
        ("POST /users: garbage first 1", USER_LOST),
        ("POST /users: no_token first 1", USER_LOST),
        ("POST /stores: reset_after_work first 1", STORE_LOST),
        ("POST /stores: gateway_html_after_work 504 first 1", STORE_LOST),
        ("POST /stores: cut_body first 1", STORE_LOST),
        ("POST /stores: no_token first 1", STORE_LOST),
    ] {
        let world = comes_to(fault, expected).await;
        let calls = world.sim.requests("POST /users") + world.sim.requests("POST /stores");
        assert_eq!(calls, if expected == USER_LOST { 1 } else { 2 }, "{fault}");
        if expected == STORE_LOST {
            let (row, made) = (world.row("s1").await, world.sim.books().stores.remove(0));
            assert_eq!(row.store_domain, Some(made.domain), "the lost store is named: {fault}");
            assert!(row.store_uri.is_none_or(|uri| uri == made.uri));
        }
        let event = world.ledger.waiting_events(10).await.unwrap().remove(0).event;
        assert_eq!(event.kind, OutcomeKind::Parked);
    }
}

#[tokio::test]
async fn a_lost_user_in_an_owned_mailbox_is_superseded_without_a_person() {
    let world = World::new().await.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    world.sim.set_faults("POST /users: reset_after_work first 2".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    let emails: Vec<_> = world.sim.books().users.into_iter().map(|user| user.email).collect();
    assert_eq!(emails, ["shop+s1.1@platform.example", "shop+s1.2@platform.example", "shop+s1.3@platform.example"]);
    assert_eq!((world.row("s1").await.generation, world.sim.books().stores.len()), (3, 1));
}

#[tokio::test]
async fn users_are_not_made_without_end_where_something_takes_their_tokens() {
    let world = World::new().await.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    world.sim.set_faults("POST /users: no_token".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.settle("s1").await, USER_LOST);
    assert_eq!(world.sim.books().users.len(), 5);
}

#[tokio::test]
async fn a_derived_domain_that_is_taken_gives_way_to_the_next() {
    let world = World::new().await;
    for id in ["s1", "s2", "s3"] {
        let mut twin = signup(id);
        twin.store.name = "Same Name".into();
        assert_eq!(world.accept_and_run_as(id, &twin).await, PROVISIONED);
    }
    let domains: Vec<_> = world.sim.books().stores.into_iter().map(|store| store.domain).collect();
    assert_eq!(domains, ["same-name", "same-name-2", "same-name-3"]);
    world.books_agree().await;
}

#[tokio::test]
async fn a_rejection_parks_with_its_reason_and_without_personal_data() {
    let world = World::new().await;
    world.accept_and_run(&signup("s1")).await;

    let mut same_email = signup("s2");
    same_email.user.email = signup("s1").user.email;
    let mut same_domain = signup("s3");
    same_domain.store.domain = Some("engines-s1".into());
    let mut nameless = signup("s4");
    nameless.user.first_name = "x".repeat(51);
    for (id, payload, reason) in [
        ("s2", same_email, ParkedReason::EmailTaken),
        ("s3", same_domain, ParkedReason::DomainTaken),
        ("s4", nameless, ParkedReason::RejectedByFoxy),
    ] {
        assert_eq!(world.accept_and_run_as(id, &payload).await, Ending::Parked(reason));
        let detail = world.row(id).await.parked_detail.unwrap();
        assert!(!detail.is_empty() && !detail.contains('@') && !detail.contains("xxxx"), "{detail}");
    }
    assert_eq!(world.sim.books().stores.len(), 1);
}

#[tokio::test]
async fn a_link_to_elsewhere_parks_but_the_token_is_sealed_first() {
    for fault in ["POST /stores: foreign_link first 1", "POST /stores: no_self_link first 1"] {
        let world = comes_to(fault, Ending::Parked(ParkedReason::SuspiciousLink)).await;
        let row = world.row("s1").await;
        let kept = world.ledger.credentials(&row.id).await.unwrap();
        let store = kept.iter().find(|held| held.scope == Scope::Store).unwrap();
        assert!(store.sealed.is_some() && store.resource_uri.is_none() && row.store_uri.is_none());
    }
}

#[tokio::test]
async fn a_fault_of_the_set_up_pauses_all_calls_and_keeps_every_signup() {
    for fault in ["POST /users: captcha"] {
        let world = World::new().await;
        world.sim.set_faults(fault.parse().unwrap());
        for id in ["s1", "s2"] {
            world.accept(&signup(id)).await;
        }
        assert_eq!(world.run_due().await, [Ending::Waiting(State::Due); 2]);
        assert!(!world.gate.is_open());
        assert_eq!(world.sim.requests("POST /users"), 1, "only the first one met the fault: {fault}");
        // However long it takes, no signup is given up for it.
        world.clock.advance(Duration::from_secs(3600 * 24 * 365));
        assert_eq!(world.run_due().await, [Ending::Waiting(State::Due); 2]);
    }
}

#[tokio::test]
async fn a_fault_met_under_one_user_s_token_does_not_pause_the_others() {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: forbidden first 1".parse().unwrap());
    for id in ["s1", "s2"] {
        world.accept(&signup(id)).await;
    }
    let endings = world.run_due().await;
    assert!(endings.contains(&Ending::Waiting(State::Due)) && endings.contains(&PROVISIONED), "{endings:?}");
    assert!(world.gate.is_open());
    assert_eq!(world.settle("s1").await, PROVISIONED);
}

#[tokio::test]
async fn what_can_not_be_reached_is_given_up_by_how_long_it_was_tried() {
    let world = World::with(|policy| policy.give_up_after = Duration::from_secs(3600)).await;
    world.sim.set_faults("POST /token: status 503".parse().unwrap());
    world.accept(&signup("s1")).await;
    let mut tries = 1;
    while world.run_due().await == [Ending::Waiting(State::Due)] {
        tries += 1;
        assert!(world.row("s1").await.tried_for < Duration::from_secs(3900));
        world.clock.advance(Duration::from_secs(301));
    }
    assert_eq!(world.row("s1").await.parked_reason, Some(ParkedReason::AttemptsExhausted));
    // Some 8 minutes of waits that double, and then 5 minutes less 20 % at the least for each.
    assert!((18..=24).contains(&tries), "{tries}");
    assert_eq!(world.sim.requests("POST /users"), 0);
}

#[tokio::test]
async fn a_token_recorded_by_a_late_worker_is_found_before_anything_is_looked_up() {
    let world = World::new().await;
    world.sim.set_faults("POST /users: stall_after_work(300ms) first 1".parse().unwrap());
    let claimed = world.lease(&signup("s1")).await;
    let late = world.run_until_a_user_is_made(claimed).await;
    // The lease expires in the ledger while the answer is on its way.
    world.clock.advance(Duration::from_secs(61));
    world.ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(late.await.unwrap(), Ending::LeaseLost);
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!((world.sim.requests("POST /users"), world.sim.requests("GET /reporting/email_exists")), (1, 0));
    world.books_agree().await;
}

#[tokio::test]
async fn a_stopping_worker_sends_nothing_new_and_gives_its_leases_back() {
    let world = World::new().await;
    let claimed = world.lease(&signup("s1")).await;
    world.stop.cancel();
    assert_eq!(world.runner.run(claimed).await, Ending::Waiting(State::Due));
    assert_eq!((world.sim.requests("POST /users"), world.row("s1").await.lease_until_ms), (0, None));
}

#[tokio::test]
async fn a_worker_that_stops_between_the_steps_leaves_the_store_to_the_next() {
    let world = World::new().await;
    world.sim.set_faults("POST /users: stall_after_work(200ms) first 1".parse().unwrap());
    let claimed = world.lease(&signup("s1")).await;
    let running = world.run_until_a_user_is_made(claimed).await;
    world.stop.cancel();
    assert_eq!(running.await.unwrap(), Ending::Waiting(State::Due));
    let row = world.row("s1").await;
    assert_eq!((row.step, row.in_doubt, world.sim.requests("POST /stores")), (Step::Store, false, 0));
    let next = world.restarted();
    assert_eq!(next.settle("s1").await, PROVISIONED);
    assert_eq!(next.sim.requests("POST /users"), 1);
    next.books_agree().await;
}

#[tokio::test]
async fn data_sealed_with_a_key_that_is_gone_parks_and_goes_on_when_the_key_is_back() {
    let world = World::new().await;
    world.accept(&signup("s1")).await;
    let other = world.with_other_keys();
    assert_eq!(other.run_due().await, [Ending::Parked(ParkedReason::KeyMissing)]);
    let id = foxden_ledger::SignupId::parse("s1").unwrap();
    world.ledger.retry(&id, "a person").await.unwrap();
    assert_eq!(world.settle("s1").await, PROVISIONED);
}

#[tokio::test]
async fn a_token_that_the_ledger_does_not_take_goes_to_the_escrow_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = with_a_token_in_escrow(&dir.path().join("ledger.db")).await;
    let files = || std::fs::read_dir(world.escrow_dir.path().join("escrow")).unwrap().count();
    assert_eq!(files(), 1);

    // Another boot, on the same machine.
    let escrow = foxden_custody::Escrow::open(&world.escrow_dir.path().join("escrow")).unwrap();
    let next = world.restarted();
    assert_eq!(escrow.drain(&next.ledger, &next.custody).await.unwrap(), 1);
    assert_eq!(files(), 0);
    next.clock.advance(Duration::from_secs(61));
    next.ledger.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(next.settle("s1").await, PROVISIONED);
    assert_eq!(next.sim.requests("POST /users"), 1);
    next.books_agree().await;
}

/// A world whose ledger has not taken the token of a user, and works again.
async fn with_a_token_in_escrow(database: &Path) -> World {
    let url = format!("sqlite:{}", database.display());
    let ledger = Ledger::connect(&url, 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    let world = World::on(ledger).await;
    let claimed = world.lease(&signup("s1")).await;
    // A database that refuses what a record needs, as a full or broken one does.
    meddle(&url, "ALTER TABLE attempts RENAME TO mislaid").await;
    assert_eq!(world.runner.run(claimed).await, Ending::Abandoned);
    meddle(&url, "ALTER TABLE mislaid RENAME TO attempts").await;
    world
}

/// What a broken disk or a person with a database client does.
async fn meddle(url: &str, statement: &str) {
    use sea_orm::ConnectionTrait as _;
    let meddler = sea_orm::Database::connect(url).await.unwrap();
    meddler.execute_unprepared(statement).await.unwrap();
    meddler.close().await.unwrap();
}

#[tokio::test]
async fn a_token_that_comes_while_its_call_is_looked_up_is_found() {
    let world = World::new().await;
    world.sim.set_faults(
        "POST /users: stall_after_work(300ms) first 1; GET /reporting/email_exists: stall_after_work(800ms)"
            .parse()
            .unwrap(),
    );
    let claimed = world.lease(&signup("s1")).await;
    let late = world.run_until_a_user_is_made(claimed).await;
    world.clock.advance(Duration::from_secs(61));
    world.ledger.sweep(Duration::ZERO).await.unwrap();
    // This worker asks before the late one has its answer, and is answered after.
    world.restarted().run_due().await;
    assert_eq!(late.await.unwrap(), Ending::LeaseLost);
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.sim.requests("POST /users"), 1);
}

#[tokio::test]
async fn a_late_token_of_an_earlier_generation_is_not_taken_for_the_user_s() {
    let world = World::new().await.with_mailbox("shop+{signup_id}.{generation}@platform.example");
    world.sim.set_faults("POST /users: reset_after_work nth 1; POST /stores: reset_after_work nth 1".parse().unwrap());
    let first = world.lease(&signup("s1")).await;
    let late = foxden_ledger::NewCredential {
        scope: Scope::User,
        intent: first.provisioning.intents,
        resource_uri: None,
        client: None,
        sealed: world
            .custody
            .seal_token(
                &TokenRow::of_call(&first.provisioning, Scope::User, first.provisioning.intents, None),
                &foxden_vault::RefreshToken::new("first-generation"),
            )
            .unwrap(),
    };
    world.runner.run(first).await;
    world.clock.advance(Duration::from_secs(10));
    world.run_due().await;
    world.clock.advance(Duration::from_secs(10));
    world.run_due().await;
    let row = world.row("s1").await;
    assert_eq!((row.step, row.state, row.generation), (Step::Store, State::Unknown, 2));
    world.ledger.keep_credential(&row.id, late).await.unwrap();
    assert_eq!(world.settle("s1").await, STORE_LOST, "found among the stores of the second generation");
}

#[tokio::test]
async fn a_user_token_that_foxy_refuses_parks_with_a_reason_that_can_be_retried() {
    let world = World::new().await;
    world.sim.set_faults("POST /stores: status 503 first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    world.run_due().await;
    world.clock.advance(Duration::from_secs(60));
    // The next worker has lost the access token, and Foxy refuses the refresh token to it.
    let stranger = world.with_another_client().await;
    assert_eq!(stranger.settle("s1").await, Ending::Parked(ParkedReason::UserTokenRefused));
    let id = foxden_ledger::SignupId::parse("s1").unwrap();
    world.ledger.retry(&id, "a person").await.unwrap();
    assert_eq!(world.restarted().settle("s1").await, PROVISIONED);
    let kinds: Vec<_> = world.ledger.waiting_events(10).await.unwrap().into_iter().map(|row| row.event.kind).collect();
    assert_eq!(kinds, [OutcomeKind::Parked, OutcomeKind::Resumed, OutcomeKind::Provisioned]);
}

mod sqlite {
    #[tokio::test]
    async fn a_clean_provisioning_costs_two_requests_and_three_transactions() {
        super::a_clean_provisioning_costs_two_requests_and_three_transactions(super::world::memory().await).await;
    }

    #[tokio::test]
    async fn a_provisioned_signup_keeps_one_token_that_opens_its_store() {
        super::a_provisioned_signup_keeps_one_token_that_opens_its_store(super::world::memory().await).await;
    }
}

/// Needs the server that `DATABASE_URL` names; `make test` brings one up.
mod servers {
    #[tokio::test]
    async fn a_clean_provisioning_costs_two_requests_and_three_transactions() {
        crate::a_clean_provisioning_costs_two_requests_and_three_transactions(crate::world::postgres().await).await;
    }

    #[tokio::test]
    async fn a_provisioned_signup_keeps_one_token_that_opens_its_store() {
        crate::a_provisioned_signup_keeps_one_token_that_opens_its_store(crate::world::postgres().await).await;
    }
}
