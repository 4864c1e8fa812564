//! Create calls, over a real connection.

use std::time::Duration;

use foxy_api::{Doubt, Foxy, NoEffect, NotSent, Outcome, Rejection, SetupFault, TokenLoss};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::{Reply, Server, ann, far, shop};

/// The outcome of `create_user` in one line.
async fn create_user(foxy: &Foxy) -> String {
    word(&foxy.create_user(&ann(), far()).await.outcome)
}

/// An outcome in one line.
pub(crate) fn word<T>(outcome: &Outcome<T>) -> String {
    match outcome {
        Outcome::Done(_) => "done".into(),
        Outcome::NoEffect(reason) => format!("no effect {reason:?}"),
        Outcome::Rejected(Rejection { kind, status, .. }) => format!("rejected {kind:?} {status}"),
        Outcome::Unknown(doubt) => format!("unknown {doubt:?}"),
        Outcome::TokenLost(loss) => format!("token lost {loss:?}"),
    }
}

/// A Foxy that gives every `POST /users` this reply.
async fn always(reply: Reply) -> Server {
    Server::foxy_but(move |call| (call.line == "POST /users").then(|| reply.clone())).await
}

/// A Foxy that gives only the first `POST /users` this reply.
async fn once(reply: Reply) -> Server {
    Server::foxy_but(move |call| (call.line == "POST /users" && call.nth == 0).then(|| reply.clone())).await
}

#[tokio::test]
async fn a_clean_user_and_store_cost_two_requests_once_links_and_token_are_cached() {
    let server = Server::foxy().await;
    let foxy = server.client();
    foxy.probe().await.unwrap();
    assert_eq!(create_user(&foxy).await, "done");
    let before = server.total();

    let Outcome::Done(user) = foxy.create_user(&ann(), far()).await.outcome else { panic!("a user was expected") };
    let Outcome::Done(store) = user.session().create_store(&shop(), far()).await.outcome else {
        panic!("a store was expected")
    };

    assert_eq!(server.total() - before, 2, "{:?}", server.all_calls());
    assert_eq!(user.uri.unwrap().to_string(), format!("{}/users/1", server.base()));
    assert_eq!(store.uri.unwrap().to_string(), format!("{}/stores/1", server.base()));
    assert_eq!((user.token.refresh.expose(), user.token.scope.as_str()), ("user-refresh", "user_full_access"));
    assert_eq!((store.token.refresh.expose(), store.token.scope.as_str()), ("store-refresh", "store_full_access"));
}

#[tokio::test]
async fn a_create_is_sent_as_foxy_wants_it() {
    let server = Server::foxy().await;
    let Outcome::Done(user) = server.client().create_user(&ann(), far()).await.outcome else { panic!("no user") };
    user.session().create_store(&shop(), far()).await;

    let [user_call] = &server.calls("POST /users")[..] else { panic!("one call was expected") };
    assert_eq!(user_call.header("authorization"), "Bearer client-access-0");
    assert_eq!(user_call.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&user_call.body).unwrap();
    assert_eq!(body, json!({"first_name": "Ann", "last_name": "Lee", "email": "ann.lee+7@example.com"}));
    let [store_call] = &server.calls("POST /users/1/stores")[..] else { panic!("one call was expected") };
    assert_eq!(store_call.header("authorization"), "Bearer user-access-100");
    assert!(store_call.body.contains(r#""store_domain":"anns-shop""#));
    for call in server.all_calls() {
        assert_eq!(call.header("foxy-api-version"), "1", "{}", call.line);
        assert_eq!(call.header("accept-encoding"), "identity", "{}", call.line);
        assert_eq!(call.header("user-agent"), "foxy-api-test/1", "{}", call.line);
    }
}

#[tokio::test]
async fn what_no_simulator_answers_leaves_doubt_too_and_is_not_sent_again() {
    let large = Reply::Send(201, Vec::new(), "x".repeat(1024 * 1024 + 1));
    for (reply, expected) in [
        (Reply::status(200), "unknown Status(200)"),
        (Reply::Cut(504, Vec::new(), "<html>".into()), "unknown Status(504)"),
        (large, "token lost BodyTooLarge"),
        (Reply::html(201), "token lost BodyUnreadable"),
    ] {
        let server = always(reply).await;
        assert_eq!(create_user(&server.client()).await, expected);
        assert_eq!(server.count("POST /users"), 1, "{expected}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_call_timeout_or_the_deadline_whichever_is_nearer() {
    let server = always(Reply::Stall).await;
    let foxy = server.client_with(Duration::from_secs(1));
    assert_eq!(create_user(&foxy).await, "unknown TimedOut");

    let foxy = server.client();
    foxy.probe().await.unwrap();
    let report = foxy.create_user(&ann(), Instant::now() + Duration::from_secs(1)).await;
    assert!(matches!(report.outcome, Outcome::Unknown(Doubt::TimedOut)), "{:?}", report.outcome);
    assert!(report.evidence.elapsed < Duration::from_secs(10));
    assert!(report.evidence.cause.is_some());
}

#[tokio::test]
async fn a_lost_answer_still_says_where_the_user_is() {
    let server = always(Reply::Cut(201, vec![("location", "/users/9".into())], "{".into())).await;
    let report = server.client().create_user(&ann(), far()).await;
    assert!(matches!(report.outcome, Outcome::TokenLost(TokenLoss::BodyCut)));
    assert_eq!(report.evidence.http_status, Some(201));
    assert_eq!(report.evidence.resource.unwrap().to_string(), format!("{}/users/9", server.base()));
}

#[tokio::test]
async fn a_refusal_comes_with_its_reasons_and_its_evidence() {
    for (reply, expected) in [
        (Reply::status(422), "rejected Unread 422"),
        (Reply::oauth(400, "invalid_client"), "no effect SetupFault(InvalidClient)"),
        (Reply::Cut(400, Vec::new(), "{".into()), "no effect ReasonsLost { status: 400 }"),
    ] {
        let server = always(reply).await;
        assert_eq!(create_user(&server.client()).await, expected);
        assert_eq!(server.count("POST /users"), 1, "{expected}");
    }

    let server = always(Reply::error(400, "email is already in use")).await;
    let report = server.client().create_user(&ann(), far()).await;
    assert_eq!((report.evidence.http_status, report.evidence.logref.as_deref()), (Some(400), Some("id-9")));
    let Outcome::Rejected(rejection) = report.outcome else { panic!("a rejection was expected") };
    assert_eq!(rejection.errors[0].message(), "email is already in use");
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait() {
    for (value, expected) in [("30", Some(30)), ("86400", Some(3600)), ("soon", None)] {
        let server = always(Reply::Send(429, vec![("retry-after", value.into())], String::new())).await;
        let report = server.client().create_user(&ann(), far()).await;
        let Outcome::NoEffect(NoEffect::RateLimited { retry_after }) = report.outcome else { panic!("no rate limit") };
        assert_eq!(retry_after, expected.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_the_call_sent_again_once() {
    let server = once(Reply::oauth(401, "invalid_token")).await;
    let foxy = server.client();
    assert_eq!(create_user(&foxy).await, "done");
    let tokens: Vec<_> = server.calls("POST /users").iter().map(|c| c.header("authorization").to_owned()).collect();
    assert_eq!(tokens, ["Bearer client-access-0", "Bearer client-access-1"]);

    let server = always(Reply::oauth(401, "invalid_token")).await;
    let report = server.client().create_user(&ann(), far()).await;
    assert_eq!(word(&report.outcome), "no effect SetupFault(TokenRefused)");
    assert_eq!(report.evidence.http_status, Some(401));
    assert_eq!((server.count("POST /users"), server.count("POST /token")), (2, 2));
}

#[tokio::test]
async fn a_users_expired_token_is_replaced_with_its_refresh_token() {
    let server = Server::foxy_but(|call| {
        let stale = call.line == "POST /users/1/stores" && call.nth == 0;
        stale.then(|| Reply::oauth(401, "invalid_token"))
    })
    .await;
    let Outcome::Done(user) = server.client().create_user(&ann(), far()).await.outcome else { panic!("no user") };
    let report = user.session().create_store(&shop(), far()).await;
    assert_eq!(word(&report.outcome), "done");
    let refresh = server.calls("POST /token").pop().unwrap();
    assert_eq!(refresh.body, "grant_type=refresh_token&refresh_token=user-refresh");
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_discovered_anew_once() {
    for status in [404, 410] {
        let server = once(Reply::status(status)).await;
        assert_eq!(create_user(&server.client()).await, "done");
        // The public home, the client's, and the client's again.
        assert_eq!((server.count("POST /users"), server.count("GET /")), (2, 3));

        let server = always(Reply::status(status)).await;
        assert_eq!(create_user(&server.client()).await, "no effect LinksChanged");
        assert_eq!(server.count("POST /users"), 2);
    }
}

#[tokio::test]
async fn a_users_stale_stores_link_is_discovered_anew_from_the_users_home() {
    let server = Server::foxy_but(|call| {
        let moved = json!({"href": format!("{}/old/stores", call.base)});
        (call.line == "POST /users").then(|| {
            Reply::json(
                201,
                &json!({"token": {"access_token": "user-a", "refresh_token": "user-refresh"},
                "_links": {"fx:stores": moved}}),
            )
        })
    })
    .await;
    let Outcome::Done(user) = server.client().create_user(&ann(), far()).await.outcome else { panic!("no user") };
    assert_eq!(word(&user.session().create_store(&shop(), far()).await.outcome), "done");
    assert_eq!((server.count("POST /old/stores"), server.count("POST /users/1/stores")), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_prepared_is_not_sent() {
    for (line, reply, expected) in [
        ("GET /", Reply::html(503), "no effect Unavailable { retry_after: None }"),
        ("GET /", Reply::HangUp, "no effect Unavailable { retry_after: None }"),
        ("POST /token", Reply::HangUp, "no effect Unavailable { retry_after: None }"),
        ("POST /token", Reply::html(502), "no effect Unavailable { retry_after: None }"),
        ("POST /token", Reply::oauth(401, "invalid_client"), "no effect SetupFault(InvalidClient)"),
        ("POST /token", Reply::oauth(400, "invalid_scope"), "no effect SetupFault(InsufficientScope)"),
        (
            "POST /token",
            Reply::Send(429, vec![("retry-after", "5".into())], String::new()),
            "no effect RateLimited { retry_after: Some(5s) }",
        ),
        (
            "POST /token",
            Reply::Send(503, vec![("retry-after", "9".into())], String::new()),
            "no effect Unavailable { retry_after: Some(9s) }",
        ),
        ("GET /", Reply::json(200, &json!({"_links": {}})), "no effect SetupFault(MissingLink(\"fx:token\"))"),
    ] {
        let server = Server::foxy_but(move |call| (call.line == line).then(|| reply.clone())).await;
        let report = server.client().create_user(&ann(), far()).await;
        assert_eq!(word(&report.outcome), expected, "{line}");
        assert_eq!((server.count("POST /users"), report.evidence.http_status), (0, None), "{line}");
    }
}

#[tokio::test]
async fn a_set_up_that_was_mended_needs_no_restart() {
    let server = Server::foxy_but(|call| {
        (call.line == "GET /" && call.nth == 0).then(|| Reply::json(200, &json!({"_links": {}})))
    })
    .await;
    let foxy = server.client();
    assert_eq!(create_user(&foxy).await, "no effect SetupFault(MissingLink(\"fx:token\"))");
    assert_eq!(create_user(&foxy).await, "done");
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing_at_all() {
    let server = Server::foxy().await;
    let report = server.client().create_user(&ann(), Instant::now()).await;
    assert!(matches!(report.outcome, Outcome::NoEffect(NoEffect::NotSent(NotSent::DeadlinePassed))));
    assert_eq!(server.total(), 0);
}

#[tokio::test]
async fn a_deadline_that_passes_during_preparations_sends_no_create() {
    let server = Server::foxy_but(|call| (call.line == "POST /token").then_some(Reply::Stall)).await;
    let report = server.client().create_user(&ann(), Instant::now() + Duration::from_millis(200)).await;
    assert!(matches!(report.outcome, Outcome::NoEffect(NoEffect::NotSent(NotSent::DeadlinePassed))));
    assert_eq!(server.count("POST /users"), 0);
}

#[tokio::test]
async fn creates_one_after_the_other_share_a_connection_and_reads_another() {
    let server = Server::foxy().await;
    let foxy = server.client();
    for _ in 0..3 {
        assert_eq!(create_user(&foxy).await, "done");
        foxy.probe().await.unwrap();
    }
    let mut creates: Vec<_> = server.calls("POST /users").iter().map(|call| call.connection).collect();
    let reads: Vec<_> = server.calls("GET /").iter().map(|call| call.connection).collect();
    assert!(creates.iter().all(|connection| !reads.contains(connection)));
    creates.dedup();
    assert_eq!(creates.len(), 1);
    assert!(reads.iter().all(|connection| *connection == reads[0]), "{reads:?}");
    // That of the creates is closed when its time is over.
    server.open_connections_are(1).await;
}

#[tokio::test]
async fn calls_may_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let foxy = Server::foxy().await.client();
    let (user, store) = (ann(), shop());
    let session = foxy.user(foxden_vault::RefreshToken::new("r"));
    is_send(&foxy.create_user(&user, Instant::now()));
    is_send(&session.create_store(&store, Instant::now()));
    is_send(&session.find_store("a"));
    is_send(&foxy.email_exists("a"));
    is_send(&foxy.probe());
}

#[tokio::test]
async fn a_fault_of_the_set_up_is_named_in_words_that_help() {
    let server =
        Server::foxy_but(|call| (call.line == "POST /token").then(|| Reply::oauth(401, "invalid_client"))).await;
    let report = server.client().create_user(&ann(), far()).await;
    let Outcome::NoEffect(reason) = report.outcome else { panic!("no effect was expected") };
    assert_eq!(reason, NoEffect::SetupFault(SetupFault::InvalidClient));
    assert_eq!(
        reason.to_string(),
        "Foxy refuses the client id or the client secret; compare them with the OAuth client's own"
    );
}
