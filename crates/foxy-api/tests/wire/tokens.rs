//! Tokens: asked for as the RFC says, once for all who wait, and again in time.

use std::time::Duration;

use foxden_vault::RefreshToken;
use foxy_api::{Foxy, NoEffect, Outcome, ReadError, SetupFault, TokenScope};
use serde_json::json;
use tokio::task::JoinSet;

use crate::server::{Reply, SECRET, Server, ann, far, shop};

/// Creates twenty users at once; how many were made.
async fn twenty_at_once(foxy: &Foxy) -> usize {
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let foxy = foxy.clone();
        calls.spawn(async move { matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)) });
    }
    calls.join_all().await.into_iter().filter(|done| *done).count()
}

#[tokio::test]
async fn twenty_calls_at_once_fetch_links_and_token_once() {
    let server = Server::foxy().await;
    assert_eq!(twenty_at_once(&server.client()).await, 20);
    assert_eq!(server.count("POST /token"), 1);
    assert_eq!(server.count("GET /"), 2, "the public home, then the client's");
    assert_eq!(server.count("POST /users"), 20);
}

#[tokio::test]
async fn twenty_calls_with_an_expired_token_fetch_one_new_token() {
    let server = Server::foxy_but(|call| {
        let expired = call.header("authorization") == "Bearer client-access-0";
        (call.line == "POST /users" && expired).then(|| Reply::oauth(401, "invalid_token"))
    })
    .await;
    assert_eq!(twenty_at_once(&server.client()).await, 20);
    assert_eq!(server.count("POST /token"), 2);
}

#[tokio::test]
async fn the_client_authenticates_by_http_basic_and_only_at_the_token_endpoint() {
    let server = Server::foxy().await;
    server.client().probe().await.unwrap();
    let [call] = &server.calls("POST /token")[..] else { panic!("one call was expected") };
    // client-1:client-s3cret
    assert_eq!(call.header("authorization"), "Basic Y2xpZW50LTE6Y2xpZW50LXMzY3JldA==");
    assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(call.body, "grant_type=client_credentials&scope=client_full_access");
    for other in server.all_calls().iter().filter(|other| other.line != "POST /token") {
        assert!(!other.header("authorization").starts_with("Basic"), "{}", other.line);
        assert!(!other.body.contains(SECRET));
    }
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires() {
    // Half of a short life counts as its end, so a life of a second is over after 500 ms; zero is over at once.
    let server = Server::foxy_but(|call| {
        let short = json!({"access_token": format!("client-{}", call.nth), "expires_in": 0});
        (call.line == "POST /token").then(|| Reply::json(200, &short))
    })
    .await;
    let foxy = server.client();
    foxy.probe().await.unwrap();
    foxy.probe().await.unwrap();
    assert_eq!(server.count("POST /token"), 2);
    assert_eq!(server.calls("GET /").pop().unwrap().header("authorization"), "Bearer client-1");
}

#[tokio::test]
async fn a_refresh_token_makes_an_access_token() {
    let server = Server::foxy().await;
    let granted = server.client().access_token(RefreshToken::new("user-refresh"), TokenScope::User).await.unwrap();
    assert_eq!((granted.access.expose(), granted.refresh.expose()), ("user-access-0", "user-refresh"));
    assert_eq!((granted.scope.as_str(), granted.expires_in), ("user_full_access", Duration::from_secs(7200)));
}

#[tokio::test]
async fn a_revoked_refresh_token_is_its_users_matter_not_the_set_ups() {
    let server = Server::foxy_but(|call| {
        let user = call.line == "POST /token" && call.body.contains("user-refresh");
        user.then(|| Reply::oauth(400, "invalid_grant"))
    })
    .await;
    let error = server.client().access_token(RefreshToken::new("user-refresh"), TokenScope::User).await.unwrap_err();
    assert!(matches!(error, ReadError::Revoked) && !error.is_setup_fault());
    let outcome = server.session().create_store(&shop(), far()).await.outcome;
    assert!(matches!(outcome, Outcome::NoEffect(NoEffect::TokenRefused)), "{outcome:?}");
    assert!(matches!(server.session().find_store("a").await, Err(ReadError::Revoked)));
}

#[tokio::test]
async fn a_token_endpoint_that_moved_is_discovered_anew_once() {
    let server =
        Server::foxy_but(|call| (call.line == "POST /token" && call.nth == 0).then(|| Reply::status(404))).await;
    server.client().probe().await.unwrap();
    assert_eq!(server.count("POST /token"), 2);

    let server = Server::foxy_but(|call| (call.line == "POST /token").then(|| Reply::status(404))).await;
    assert!(matches!(server.client().probe().await, Err(ReadError::Unreadable { .. })));
    assert_eq!(server.count("POST /token"), 2);
}

#[tokio::test]
async fn a_read_whose_fresh_token_is_refused_too_is_a_fault_of_the_set_up() {
    let server = Server::foxy_but(|call| {
        let authorized = call.line == "GET /" && !call.header("authorization").is_empty();
        authorized.then(|| Reply::oauth(401, "invalid_token"))
    })
    .await;
    let error = server.client().probe().await.unwrap_err();
    assert!(matches!(error, ReadError::SetupFault(SetupFault::TokenRefused)), "{error:?}");
    assert_eq!(server.count("POST /token"), 2);
}

#[tokio::test]
async fn a_kept_users_session_discovers_its_stores_once() {
    let server = Server::foxy().await;
    let session = server.session();
    for _ in 0..2 {
        assert!(matches!(session.create_store(&shop(), far()).await.outcome, Outcome::Done(_)));
    }
    assert_eq!((server.count("POST /token"), server.count("GET /")), (1, 2));
}
