//! The rate of calls on the wire: what is held back is not sent, and says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foxy_api::{Line, NoEffect, NotSent, Outcome, Rate, ReadError};
use tokio::time::Instant;

use crate::server::{Reply, Server, ann, far, shop};

/// A rate at which the next request after these is hours away.
const FIVE: Option<Rate> = Some(Rate { per_second: 0.001, burst: 5 });

#[tokio::test]
async fn creates_reads_and_what_they_need_are_all_counted() {
    let server = Server::foxy().await;
    let foxy = server.client_at(FIVE);
    // Links, a token, links once more, and the user.
    assert!(matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)));
    assert_eq!(server.total(), 4);
    assert!(foxy.probe().await.is_ok());
    let sent = server.total();
    for outcome in
        [foxy.create_user(&ann(), far()).await.outcome, foxy.clone().create_user(&ann(), far()).await.outcome]
    {
        assert!(matches!(outcome, Outcome::NoEffect(NoEffect::HeldBack { wait }) if wait > Duration::from_secs(900)));
    }
    assert!(matches!(foxy.probe().await, Err(ReadError::HeldBack { .. })));
    assert!(matches!(foxy.email_exists("ann@example.com").await, Err(ReadError::HeldBack { .. })));
    assert_eq!(server.total(), sent);
}

#[tokio::test]
async fn a_create_that_waits_for_its_turn_keeps_its_whole_time_or_is_not_sent() {
    let server = Server::foxy().await;
    let foxy = server.client_at(Some(Rate { per_second: 2.0, burst: 4 }));
    assert!(matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)));
    // Its call timeout is 20 s, and the next turn is half a second away.
    let short = Instant::now() + Duration::from_secs(20);
    let outcome = foxy.create_user(&ann(), short).await.outcome;
    assert!(matches!(outcome, Outcome::NoEffect(NoEffect::HeldBack { .. })), "{outcome:?}");
    assert_eq!(server.count("POST /users"), 1);
    let outcome = foxy.create_user(&ann(), short + Duration::from_secs(20)).await.outcome;
    assert!(matches!(outcome, Outcome::Done(_)));
}

#[tokio::test]
async fn a_retry_after_of_one_call_holds_back_all_the_others() {
    for (line, status) in [("POST /users", 429), ("POST /users", 503), ("POST /token", 429), ("GET /", 429)] {
        let server = Server::foxy_but(move |call| {
            let wait = vec![("retry-after", "1800".to_owned())];
            (call.line == line).then(|| Reply::Send(status, wait, String::new()))
        })
        .await;
        let foxy = server.client();
        let session = foxy.user(foxden_vault::RefreshToken::new("user-refresh"));
        drop(foxy.create_user(&ann(), far()).await);
        let sent = server.total();
        let held = |wait: Duration| (1700..=1800).contains(&wait.as_secs());
        let outcome = session.create_store(&shop(), far()).await.outcome;
        assert!(matches!(outcome, Outcome::NoEffect(NoEffect::HeldBack { wait }) if held(wait)), "{line}: {outcome:?}");
        let read = session.find_store("anns-shop").await.unwrap_err();
        assert!(matches!(read, ReadError::HeldBack { wait } if held(wait)), "{line}: {read:?}");
        assert_eq!(server.total(), sent, "{line} {status}");
    }
}

#[tokio::test]
async fn a_503_that_names_no_wait_holds_back_nobody() {
    let server = Server::foxy_but(|call| (call.line == "POST /users").then(|| Reply::status(503))).await;
    let foxy = server.client();
    drop(foxy.create_user(&ann(), far()).await);
    assert!(foxy.probe().await.is_ok());
}

#[tokio::test]
async fn once_it_is_told_to_stop_waiting_nothing_waits() {
    let server = Server::foxy().await;
    let foxy = server.client_at(Some(Rate { per_second: 0.1, burst: 4 }));
    assert!(matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)));
    let late = far() + Duration::from_secs(60);
    let user = ann();
    let (outcome, ()) =
        tokio::join!(async { foxy.create_user(&user, late).await.outcome }, async { foxy.stop_waiting() });
    assert!(matches!(outcome, Outcome::NoEffect(NoEffect::HeldBack { .. })), "{outcome:?}");
    assert_eq!(server.count("POST /users"), 1);
}

#[tokio::test]
async fn a_create_that_is_withdrawn_while_it_waits_is_not_sent() {
    let server = Server::foxy().await;
    let foxy = server.client_at(Some(Rate { per_second: 2.0, burst: 4 }));
    assert!(matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)));
    // The next turn is half a second away; by then it is not wanted any more.
    let withdrawn = AtomicBool::new(false);
    let wanted = || !withdrawn.load(Ordering::Relaxed);
    let user = ann();
    let create = foxy.create_user_if(&user, Line::New, far() + Duration::from_secs(20), &wanted);
    let (report, ()) = tokio::join!(create, async { withdrawn.store(true, Ordering::Relaxed) });
    assert_eq!(report.outcome.map(drop), Outcome::NoEffect(NoEffect::NotSent(NotSent::Withdrawn)));
    assert_eq!(server.count("POST /users"), 1);
}
