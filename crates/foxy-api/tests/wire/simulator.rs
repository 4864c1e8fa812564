//! The client against the simulator, which was written from Foxy's documentation by itself, so that it can disagree.

use std::time::Duration;

use foxden_vault::RefreshToken;
use foxy_api::{
    CreatedUser, Foxy, NewStore, NewUser, NoEffect, Outcome, ReadError, RejectionKind, SetupFault, StoreSearch,
};
use foxy_sim::{CaptchaPolicy, Config, Simulator};
use tokio::time::Instant;

use crate::server::{EMAIL, ann, client_of, far, shop};

async fn simulator() -> Simulator {
    Simulator::start(Config::default()).await.unwrap()
}

fn client(sim: &Simulator) -> Foxy {
    let (id, secret) = sim.client();
    client_of(sim.base_url(), id, secret, Duration::from_secs(20))
}

async fn user(foxy: &Foxy) -> CreatedUser {
    match foxy.create_user(&ann(), far()).await.outcome {
        Outcome::Done(user) => user,
        other => panic!("a user was expected: {other:?}"),
    }
}

#[tokio::test]
async fn a_user_and_a_store_are_in_the_books_as_they_are_in_hand() {
    let sim = simulator().await;
    let foxy = client(&sim);
    foxy.probe().await.unwrap();
    let before = sim.total_requests();
    let user = user(&foxy).await;
    let Outcome::Done(store) = user.session().create_store(&shop(), far()).await.outcome else {
        panic!("a store was expected")
    };

    assert_eq!(sim.total_requests() - before, 2);
    let books = sim.books();
    assert_eq!((books.users[0].email.as_str(), books.users[0].answered), (EMAIL, true));
    assert_eq!(books.users[0].uri, user.uri.unwrap().as_str());
    assert_eq!(books.stores[0].uri, store.uri.unwrap().as_str());
    assert_eq!((books.stores[0].owner.as_str(), books.stores[0].domain.as_str()), (&*books.users[0].uri, "anns-shop"));
    assert_eq!((user.token.scope.as_str(), store.token.scope.as_str()), ("user_full_access", "store_full_access"));
    assert!(sim.refresh_token_opens(user.token.refresh.expose()).is_some());
    assert!(sim.refresh_token_opens(store.token.refresh.expose()).is_some());
}

#[tokio::test]
async fn what_is_taken_or_wrong_is_rejected_by_its_kind() {
    let sim = simulator().await;
    let foxy = client(&sim);
    let session = user(&foxy).await.session();
    assert!(matches!(session.create_store(&shop(), far()).await.outcome, Outcome::Done(_)));

    for (user, kind) in [
        (ann(), RejectionKind::EmailTaken),
        (NewUser { last_name: String::new(), email: "bob@example.com".into(), ..ann() }, RejectionKind::InvalidFields),
    ] {
        let Outcome::Rejected(rejection) = foxy.create_user(&user, far()).await.outcome else { panic!("{kind:?}") };
        assert_eq!((rejection.kind, rejection.status), (kind, 400));
    }
    for (store, kind) in [
        (shop(), RejectionKind::DomainTaken),
        (NewStore { domain: "www".into(), ..shop() }, RejectionKind::DomainReserved),
        (NewStore { domain: "bobs".into(), country: "Utopia".into(), ..shop() }, RejectionKind::InvalidFields),
    ] {
        let report = session.create_store(&store, far()).await;
        let Outcome::Rejected(rejection) = report.outcome else { panic!("{kind:?}") };
        assert_eq!((rejection.kind, rejection.status), (kind, 400));
        assert!(report.evidence.logref.is_some());
    }
}

#[tokio::test]
async fn lookups_find_what_exists_and_nothing_else() {
    let sim = simulator().await;
    let foxy = client(&sim);
    let user = user(&foxy).await;
    let session = user.session();
    for n in 0..25 {
        let store = NewStore { domain: format!("shop-{n}"), ..shop() };
        assert!(matches!(session.create_store(&store, far()).await.outcome, Outcome::Done(_)));
    }
    assert!(foxy.email_exists(EMAIL).await.unwrap());
    assert!(!foxy.email_exists("bob@example.com").await.unwrap());
    assert!(foxy.store_domain_exists("shop-7").await.unwrap());
    assert!(!foxy.store_domain_exists("shop-25").await.unwrap());
    // The second page, and by the refresh token alone.
    let kept = foxy.user(user.token.refresh.clone());
    assert!(matches!(kept.find_store("shop-24").await.unwrap(), StoreSearch::Found { .. }));
    assert_eq!(kept.find_store("shop-25").await.unwrap(), StoreSearch::Absent);
}

#[tokio::test]
async fn expired_access_tokens_are_replaced_without_anyone_noticing() {
    let sim = simulator().await;
    let foxy = client(&sim);
    foxy.probe().await.unwrap();
    sim.expire_access_tokens();
    let user = user(&foxy).await;
    sim.expire_access_tokens();
    let store = user.session().create_store(&shop(), far()).await;
    assert!(matches!(store.outcome, Outcome::Done(_)), "{:?}", store.outcome);
    sim.expire_access_tokens();
    assert!(foxy.email_exists(EMAIL).await.unwrap());
    assert_eq!((sim.books().users.len(), sim.books().stores.len()), (1, 1));
}

#[tokio::test]
async fn a_wrong_secret_and_a_demanded_captcha_are_faults_of_the_set_up() {
    let captcha = Config { captcha: CaptchaPolicy::Users, ..Config::default() };
    let sim = Simulator::start(captcha).await.unwrap();
    let fault = |outcome: Outcome<CreatedUser>| match outcome {
        Outcome::NoEffect(NoEffect::SetupFault(fault)) => fault,
        other => panic!("a fault was expected: {other:?}"),
    };
    let stranger = client_of(sim.base_url(), sim.client().0, "wrong", Duration::from_secs(20));
    assert_eq!(fault(stranger.create_user(&ann(), far()).await.outcome), SetupFault::InvalidClient);
    assert_eq!(fault(client(&sim).create_user(&ann(), far()).await.outcome), SetupFault::CaptchaDemanded);
    assert!(sim.books().users.is_empty());
}

#[tokio::test]
async fn a_made_up_refresh_token_is_revoked() {
    let sim = simulator().await;
    let error = client(&sim).access_token(&RefreshToken::new("made-up")).await.unwrap_err();
    assert!(matches!(error, ReadError::Revoked), "{error:?}");
}

/// Every fault the simulator knows: what is said of the call must fit what is in the books.
#[tokio::test]
async fn what_is_said_of_a_call_is_never_contradicted_by_the_books() {
    for (fault, expected) in [
        ("refuse", "Unknown(ConnectionLost)"),
        ("reset_before_work", "Unknown(ConnectionLost)"),
        ("reset_after_work", "Unknown(ConnectionLost)"),
        ("late_work(1ms)", "Unknown(ConnectionLost)"),
        ("stall_before_work(60s)", "Unknown(TimedOut)"),
        ("stall_after_work(60s)", "Unknown(TimedOut)"),
        ("rate_limited(2)", "NoEffect(RateLimited { retry_after: Some(2s) })"),
        ("rate_limited", "NoEffect(RateLimited { retry_after: None })"),
        ("status(500)", "Unknown(Status(500))"),
        ("status_after_work(500)", "Unknown(Status(500))"),
        ("gateway_html(502)", "Unknown(Status(502))"),
        ("gateway_html_after_work(504)", "Unknown(Status(504))"),
        ("cut_body", "TokenLost(BodyCut)"),
        ("no_token", "TokenLost(NoToken)"),
        ("garbage", "TokenLost(BodyUnreadable)"),
        ("invalid_token", "NoEffect(SetupFault(TokenRefused))"),
        ("redirect(307)", "Unknown(Redirected)"),
        ("captcha", "NoEffect(SetupFault(CaptchaDemanded))"),
        ("forbidden", "NoEffect(SetupFault(Forbidden))"),
        ("request_timeout", "Unknown(Status(408))"),
        ("conflict", "Unknown(Status(409))"),
        ("status(404)", "NoEffect(LinksChanged)"),
        ("foreign_link", "Done"),
        ("no_self_link", "Done"),
    ] {
        let sim = simulator().await;
        let foxy = client(&sim);
        foxy.probe().await.unwrap();
        sim.set_faults(format!("POST /users: {fault}").parse().unwrap());
        // Only a stalled call is to be ended by its deadline.
        let deadline = if fault.starts_with("stall") { Instant::now() + Duration::from_secs(1) } else { far() };
        let outcome = foxy.create_user(&ann(), deadline).await.outcome;
        let exists = !sim.books().users.is_empty();
        match &outcome {
            Outcome::Done(user) => assert!(exists && user.uri.is_err(), "{fault}"),
            Outcome::TokenLost(_) => assert!(exists, "{fault}"),
            Outcome::NoEffect(_) | Outcome::Rejected(_) => assert!(!exists, "{fault}"),
            Outcome::Unknown(_) => {}
        }
        let said = format!("{:?}", outcome.map(|_| ()));
        assert_eq!(said.replace("Done(())", "Done"), expected, "{fault}");
        assert!(sim.requests("POST /users") <= 2, "{fault}");
    }
}
