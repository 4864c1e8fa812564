//! What a grant opens: its own access token says it, and nothing else does.

use foxden_vault::{AccessToken, RefreshToken};
use foxy_api::{Granted, LinkProblem, Opened, OpenedStore, OpenedUser, ReadError, SetupFault, TokenScope};
use serde_json::{Value, json};

use crate::exchange::{brought, code_for, shops};
use crate::server::{Call, EMAIL, Reply, Server};

fn granted(access: &str) -> Granted {
    Granted {
        access: AccessToken::new(access),
        refresh: RefreshToken::new("refresh-of-a-grant"),
        scope: String::new(),
        expires_in: std::time::Duration::from_secs(7200),
    }
}

/// A Foxy whose home document has these links for the token of a grant, and these documents behind them.
async fn foxy_with(links: fn(&str) -> Value, document: fn(&Call) -> Option<Reply>) -> Server {
    Server::foxy_but(move |call| {
        if call.header("authorization") != "Bearer access-of-a-grant" {
            return Some(Reply::oauth(401, "invalid_token"));
        }
        match call.line.as_str() {
            "GET /" => Some(Reply::json(200, &json!({"_links": links(&call.base)}))),
            _ => document(call),
        }
    })
    .await
}

#[tokio::test]
async fn a_grant_opens_what_its_home_document_links() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    let code = code_for(&sim, id, "user_full_access", None).await;
    let user = foxy.exchange_code(brought(&code, id, TokenScope::User)).await.unwrap();
    let Opened::User(user) = foxy.opened_user(&user).await.unwrap() else { panic!("a user was granted") };
    assert_eq!((user.uri.as_str(), user.email.as_deref()), (sim.books().users[0].uri.as_str(), Some(EMAIL)));

    let code = code_for(&sim, id, "store_full_access store_id_1", None).await;
    let store = foxy.exchange_code(brought(&code, id, TokenScope::Store)).await.unwrap();
    let before = sim.total_requests();
    let Opened::Store(opened) = foxy.opened_store(&store).await.unwrap() else { panic!("a store was granted") };
    assert_eq!(sim.total_requests() - before, 2, "the home document and the store, and no token");
    assert_eq!(opened.uri.as_str(), sim.books().stores[0].uri);
    assert_eq!((opened.domain.as_deref(), opened.name.as_deref()), (Some("anns-shop"), Some("Ann's shop")));
    assert_eq!(format!("{user:?}"), format!("OpenedUser {{ uri: {:?}, .. }}", user.uri));
    assert_eq!(format!("{opened:?}"), format!("OpenedStore {{ uri: {:?}, .. }}", opened.uri));
}

#[tokio::test]
async fn a_grant_of_another_store_opens_that_one_whatever_was_asked_for() {
    let (sim, foxy) = shops().await;
    let id = sim.client().0;
    sim.set_faults(format!("POST /token: other_grant({EMAIL})").parse().unwrap());
    let code = code_for(&sim, id, "store_full_access store_id_1", None).await;
    let error = foxy.exchange_code(brought(&code, id, TokenScope::Store)).await.unwrap_err();
    assert_eq!(error.to_string(), "Foxy granted something else than was asked for");
    let code = code_for(&sim, id, "user_full_access", None).await;
    let granted = foxy.exchange_code(brought(&code, id, TokenScope::User)).await.unwrap();
    let missing = Opened::Unproven(LinkProblem::Missing { rel: "fx:store" });
    assert_eq!(foxy.opened_store(&granted).await.unwrap(), missing);
}

#[tokio::test]
async fn other_links_of_the_home_document_prove_nothing() {
    let of_store = |base: &str| {
        json!({
            "fx:user": {"href": format!("{base}/users/2")}, "fx:store": {"href": format!("{base}/stores/8?zoom=all")},
            "fx:stores": {"href": format!("{base}/users/2/stores")},
        })
    };
    let documents = |call: &Call| match call.line.as_str() {
        "GET /stores/8" => Some(Reply::json(200, &json!({"store_domain": "", "store_name": 7}))),
        "GET /users/2" => Some(Reply::json(200, &json!({"email": EMAIL}))),
        _ => None,
    };
    let server = foxy_with(of_store, documents).await;
    let foxy = server.client();
    let grant = granted("access-of-a-grant");
    let Opened::Store(OpenedStore { uri, domain, name }) = foxy.opened_store(&grant).await.unwrap() else {
        panic!("it links a store")
    };
    assert_eq!((uri.as_str(), domain, name), (format!("{}/stores/8", server.base()).as_str(), None, None));
    let Opened::User(OpenedUser { email, .. }) = foxy.opened_user(&grant).await.unwrap() else { panic!("a user") };
    assert_eq!(email.as_deref(), Some(EMAIL));
    assert_eq!(server.count("GET /users/2/stores"), 0);
    assert_eq!(server.count("POST /token"), 0);

    let bare = foxy_with(|base| json!({"fx:stores": {"href": format!("{base}/users/2/stores")}}), |_| None).await;
    let missing = |rel| Opened::Unproven(LinkProblem::Missing { rel });
    assert_eq!(bare.client().opened_store(&grant).await.unwrap(), missing("fx:store"));
    assert_eq!(bare.client().opened_user(&grant).await.unwrap(), missing("fx:user"));
}

#[tokio::test]
async fn a_grants_token_goes_to_no_address_elsewhere() {
    let links = |_: &str| json!({"fx:store": {"href": "https://elsewhere.example/stores/8"}});
    let server = foxy_with(links, |_| None).await;
    let origin = "https://elsewhere.example".to_owned();
    assert_eq!(
        server.client().opened_store(&granted("access-of-a-grant")).await.unwrap(),
        Opened::Unproven(LinkProblem::Foreign { rel: "fx:store", origin })
    );
    assert_eq!(server.total(), 1);
}

#[tokio::test]
async fn a_grant_whose_token_is_refused_is_not_asked_about_with_another() {
    let server = foxy_with(|_| json!({}), |_| None).await;
    let error = server.client().opened_user(&granted("access-of-another")).await.unwrap_err();
    assert!(matches!(error, ReadError::SetupFault(SetupFault::TokenRefused)), "{error:?}");
    assert_eq!((server.count("GET /"), server.count("POST /token")), (1, 0));
}

#[tokio::test]
async fn a_document_that_repeats_a_grants_tokens_gives_none_away() {
    let echo = |call: &Call| {
        let said = format!("{} refresh-of-a-grant", call.header("authorization"));
        Some(Reply::json(200, &json!({"email": said})))
    };
    let server = foxy_with(|base| json!({"fx:user": {"href": format!("{base}/users/2")}}), echo).await;
    let opened = server.client().opened_user(&granted("access-of-a-grant")).await.unwrap();
    let Opened::User(user) = opened else { panic!("{opened:?}") };
    assert_eq!(user.email.as_deref(), Some("Bearer […] […]"));
}
