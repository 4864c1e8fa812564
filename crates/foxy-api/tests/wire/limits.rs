//! How much of an answer is taken: what goes beyond is an answer that can't be read, never memory or time without end.

use std::time::Duration;

use foxy_api::{Outcome, ReadError, TokenLoss};

use crate::server::{Reply, Server, ann, far};

/// A Foxy whose home document comes with these headers and this body; what the client makes of it.
async fn home(headers: Vec<(&'static str, String)>, body: &str) -> Result<(), ReadError> {
    let body = body.to_owned();
    let server = Server::foxy_but(move |call| {
        let is_ours = call.line == "GET /" && call.header("authorization").starts_with("Bearer ");
        is_ours.then(|| {
            let link = format!(r#"{{"href":"{}/users"}}"#, call.base);
            Reply::Send(200, headers.clone(), body.replace("LINK", &link))
        })
    })
    .await;
    server.client().probe().await
}

const WHOLE: &str = r#"{"_links":{"fx:create_user":LINK}}"#;

#[tokio::test]
async fn headers_beyond_a_hundred_are_not_taken() {
    let headers = |count: usize| vec![("x-filler", "1".to_owned()); count];
    // The length of the body is one, too.
    assert!(home(headers(99), WHOLE).await.is_ok());
    assert!(matches!(home(headers(100), WHOLE).await, Err(ReadError::Unavailable { .. })));
}

#[tokio::test]
async fn a_head_without_end_is_not_taken() {
    let endless = |size: usize| vec![("x-filler", "1".repeat(size))];
    assert!(home(endless(64 * 1024), WHOLE).await.is_ok());
    assert!(matches!(home(endless(1024 * 1024), WHOLE).await, Err(ReadError::Unavailable { .. })));
}

#[tokio::test]
async fn a_document_nested_beyond_reason_is_not_taken() {
    let nested =
        |depth: usize| WHOLE.replacen('{', &format!(r#"{{"deep":{}1{},"#, "[".repeat(depth), "]".repeat(depth)), 1);
    assert!(home(Vec::new(), &nested(100)).await.is_ok());
    assert!(matches!(home(Vec::new(), &nested(100_000)).await, Err(ReadError::Unreadable { .. })));
}

#[tokio::test]
async fn a_body_that_only_claims_to_be_compressed_is_read_as_it_is() {
    assert!(home(vec![("content-encoding", "gzip".to_owned())], WHOLE).await.is_ok());
}

#[tokio::test]
async fn what_a_create_answers_beyond_the_limits_is_a_lost_token_and_never_a_second_call() {
    let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
    for (body, loss) in [(" ".repeat(1024 * 1024 + 1), TokenLoss::BodyTooLarge), (deep, TokenLoss::BodyUnreadable)] {
        let server = Server::foxy_but(move |call| {
            (call.line == "POST /users").then(|| Reply::Send(201, Vec::new(), body.clone()))
        })
        .await;
        assert_eq!(server.client().create_user(&ann(), far()).await.outcome.map(drop), Outcome::TokenLost(loss));
        assert_eq!(server.count("POST /users"), 1);
    }
}

#[tokio::test]
async fn an_answer_whose_body_never_ends_is_cut_off_at_the_call_timeout() {
    let server = Server::foxy_but(|call| (call.line == "POST /users").then_some(Reply::Begin(201, "{".into()))).await;
    let client = server.client_with(Duration::from_secs(1));
    assert_eq!(
        client.create_user(&ann(), far()).await.outcome.map(drop),
        Outcome::TokenLost(TokenLoss::BodyCut),
        "a 201 that breaks off has had its effect"
    );
}
