//! Captcha codes: where they go, and where they don't.

use foxy_api::{CaptchaCode, NewStore, NewUser, NoEffect, Outcome, SetupFault};

use crate::creates::word;
use crate::server::{Reply, Server, ann, far, shop};

const DEMAND: &str = "A valid hCaptcha code is required in the h-captcha-code header.";

fn solved(code: &str) -> Option<CaptchaCode> {
    Some(CaptchaCode::parse(code).unwrap())
}

/// The `h-captcha-code` of every request that had one, by its line.
fn codes(server: &Server) -> Vec<(String, String)> {
    let all = server.all_calls().into_iter();
    all.map(|call| (call.header("h-captcha-code").to_owned(), call.line)).filter(|(code, _)| !code.is_empty()).collect()
}

#[tokio::test]
async fn a_code_goes_out_as_a_header_of_its_own_creation_and_of_nothing_else() {
    let server = Server::foxy().await;
    let foxy = server.client();
    let user = NewUser { captcha: solved("of-user"), ..ann() };
    let Outcome::Done(made) = foxy.create_user(&user, far()).await.outcome else { panic!("no user") };
    let store = NewStore { captcha: solved("of-store"), ..shop() };
    made.session().create_store(&store, far()).await;
    made.session().create_store(&shop(), far()).await;
    foxy.probe().await.unwrap();
    foxy.email_exists("a@example.com").await.unwrap();

    let expected = [("of-user", "POST /users"), ("of-store", "POST /users/1/stores")];
    assert_eq!(codes(&server), expected.map(|(code, line)| (code.to_owned(), line.to_owned())));
    assert!(server.all_calls().iter().all(|call| !call.body.contains("of-")));
}

#[tokio::test]
async fn the_code_of_the_settings_stands_in_for_a_creations_own() {
    let server = Server::foxy().await;
    let foxy = server.client_with_captcha("shared");
    let Outcome::Done(made) = foxy.create_user(&ann(), far()).await.outcome else { panic!("no user") };
    made.session().create_store(&NewStore { captcha: solved("own"), ..shop() }, far()).await;
    let expected = [("shared", "POST /users"), ("own", "POST /users/1/stores")];
    assert_eq!(codes(&server), expected.map(|(code, line)| (code.to_owned(), line.to_owned())));
}

#[tokio::test]
async fn a_repeat_within_one_call_sends_the_code_again() {
    for status in [401, 404] {
        let server = Server::foxy_but(move |call| {
            (call.line == "POST /users" && call.nth == 0).then(|| Reply::error(status, "no"))
        })
        .await;
        let user = NewUser { captcha: solved("own"), ..ann() };
        assert_eq!(word(&server.client().create_user(&user, far()).await.outcome), "done");
        let line = || ("own".to_owned(), "POST /users".to_owned());
        assert_eq!(codes(&server), [line(), line()], "{status}");
    }
}

#[tokio::test]
async fn a_code_does_not_follow_a_redirect() {
    let elsewhere = Server::foxy().await;
    let href = format!("{}/users", elsewhere.base());
    let server = Server::foxy_but(move |call| {
        let away = || Reply::Send(307, vec![("location", href.clone())], String::new());
        (call.line == "POST /users").then(away)
    })
    .await;
    let user = NewUser { captcha: solved("own"), ..ann() };
    assert_eq!(word(&server.client().create_user(&user, far()).await.outcome), "unknown Redirected");
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_refused_code_is_the_creations_own_matter_and_that_of_the_settings_everybodys() {
    let server = Server::foxy_but(|call| (call.line == "POST /users").then(|| Reply::error(400, DEMAND))).await;
    let user = NewUser { captcha: solved("own"), ..ann() };
    for foxy in [server.client(), server.client_with_captcha("shared")] {
        assert_eq!(word(&foxy.create_user(&user, far()).await.outcome), "rejected CaptchaRefused 400");
    }
    for (foxy, expected) in [
        (server.client(), SetupFault::CaptchaDemanded),
        (server.client_with_captcha("shared"), SetupFault::CaptchaRefused),
    ] {
        let outcome = foxy.create_user(&ann(), far()).await.outcome;
        let Outcome::NoEffect(NoEffect::SetupFault(fault)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(fault, expected);
    }
    assert!(SetupFault::CaptchaRefused.to_string().contains("h_captcha_code"));
}
