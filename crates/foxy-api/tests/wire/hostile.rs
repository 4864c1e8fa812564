//! A Foxy that lies, or somebody in its place: what is ours goes nowhere else.

use foxy_api::{LinkProblem, NoEffect, Outcome, ReadError, SetupFault, StoreSearch};
use serde_json::json;

use crate::server::{Reply, SECRET, Server, ann, far, shop};

/// Another origin, which must hear nothing: not even a connection is made to it.
struct Elsewhere(Server);

impl Elsewhere {
    async fn start() -> Self {
        Self(Server::foxy().await)
    }

    /// A link there, with a path and query that no message of ours may repeat.
    fn link(&self) -> String {
        format!("{}/users?steal=everything", self.0.base())
    }

    fn heard_nothing(&self) {
        assert_eq!(self.0.connections(), 0);
    }

    fn fault(&self, rel: &'static str) -> SetupFault {
        SetupFault::ForeignLink { rel, origin: self.0.base().to_owned() }
    }
}

#[tokio::test]
async fn a_token_goes_only_to_the_configured_origin() {
    let elsewhere = Elsewhere::start().await;
    for (line, rel) in [("GET /", "fx:create_user"), ("GET /", "fx:token")] {
        let href = elsewhere.link();
        let server = Server::foxy_but(move |call| {
            let own = |path: &str| json!({"href": format!("{}{path}", call.base)});
            let mut links = json!({"fx:token": own("/token"), "fx:create_user": own("/users")});
            links[rel] = json!({"href": href});
            (call.line == line).then(|| Reply::json(200, &json!({"_links": links})))
        })
        .await;
        let outcome = server.client().create_user(&ann(), far()).await.outcome;
        let Outcome::NoEffect(NoEffect::SetupFault(fault)) = outcome else { panic!("{rel}: {outcome:?}") };
        assert_eq!(fault, elsewhere.fault(rel));
        assert_eq!(server.count("POST /users"), 0);
    }
    elsewhere.heard_nothing();
}

#[tokio::test]
async fn a_foreign_link_is_named_by_its_origin_and_nothing_else() {
    let server = Server::foxy_but(|call| {
        let link = json!({"_links": {"fx:token": {"href": "https://ann:pw@evil.example/steal?all=1"}}});
        (call.line == "GET /").then(|| Reply::json(200, &link))
    })
    .await;
    let error = server.client().probe().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fx:token link leads to https://evil.example, which is not the API; nothing was sent there"
    );
    assert!(error.is_setup_fault());
}

#[tokio::test]
async fn a_link_with_credentials_in_it_is_foreign_even_on_our_origin() {
    let server = Server::foxy_but(|call| {
        let href = format!("{}/token", call.base).replace("http://", "http://ann:pw@");
        (call.line == "GET /").then(|| Reply::json(200, &json!({"_links": {"fx:token": {"href": href}}})))
    })
    .await;
    assert!(matches!(server.client().probe().await, Err(ReadError::SetupFault(SetupFault::ForeignLink { .. }))));
    assert_eq!(server.count("POST /token"), 0);
}

#[tokio::test]
async fn a_user_with_a_foreign_address_still_has_its_token() {
    let elsewhere = Elsewhere::start().await;
    let href = elsewhere.link();
    let server = Server::foxy_but(move |call| {
        let links = json!({"self": {"href": href}, "fx:stores": {"href": href}});
        let token = json!({"access_token": "user-a", "refresh_token": "user-refresh"});
        (call.line == "POST /users").then(|| Reply::json(201, &json!({"token": token, "_links": links})))
    })
    .await;
    let report = server.client().create_user(&ann(), far()).await;
    assert!(report.evidence.resource.is_none());
    let Outcome::Done(user) = report.outcome else { panic!("a user was expected") };
    assert_eq!(user.uri, Err(LinkProblem::Foreign { rel: "self", origin: elsewhere.0.base().to_owned() }));
    assert_eq!(user.token.refresh.expose(), "user-refresh");

    let outcome = user.session().create_store(&shop(), far()).await.outcome;
    let Outcome::NoEffect(NoEffect::SetupFault(fault)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault, elsewhere.fault("fx:stores"));
    elsewhere.heard_nothing();
}

#[tokio::test]
async fn a_store_without_an_address_still_has_its_token() {
    let server = Server::foxy_but(|call| {
        let body = json!({"token": {"refresh_token": "store-refresh"}});
        (call.line == "POST /users/1/stores").then(|| Reply::json(201, &body))
    })
    .await;
    let report = server.session().create_store(&shop(), far()).await;
    let Outcome::Done(store) = report.outcome else { panic!("a store was expected") };
    assert_eq!(store.uri, Err(LinkProblem::Missing { rel: "self" }));
    assert_eq!(store.token.refresh.expose(), "store-refresh");
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = Elsewhere::start().await;
    for status in [301, 302, 303, 307, 308] {
        for line in ["GET /", "POST /token", "POST /users"] {
            let href = elsewhere.link();
            let server = Server::foxy_but(move |call| {
                let away = || Reply::Send(status, vec![("location", href.clone())], String::new());
                (call.line == line).then(away)
            })
            .await;
            let outcome = server.client().create_user(&ann(), far()).await.outcome;
            match (line, &outcome) {
                ("POST /users", Outcome::Unknown(_)) => {}
                ("GET /" | "POST /token", Outcome::NoEffect(NoEffect::Unavailable { .. })) => {}
                _ => panic!("{status} {line}: {outcome:?}"),
            }
        }
    }
    elsewhere.heard_nothing();
}

#[tokio::test]
async fn reporting_links_and_next_pages_are_checked_too() {
    let elsewhere = Elsewhere::start().await;
    let href = elsewhere.link();
    let server = Server::foxy_but(move |call| match call.line.as_str() {
        "GET /reporting" => Some(Reply::json(200, &json!({"_links": {"fx:reporting_email_exists": {"href": href}}}))),
        "GET /users/1/stores" => Some(Reply::json(
            200,
            &json!({
                "_embedded": {"fx:stores": [{"store_domain": "other"}]}, "_links": {"next": {"href": href}},
            }),
        )),
        _ => None,
    })
    .await;
    for (error, rel) in [
        (server.client().email_exists("ann@example.com").await.unwrap_err(), "fx:reporting_email_exists"),
        (server.session().find_store("anns-shop").await.unwrap_err(), "next"),
    ] {
        let ReadError::SetupFault(fault) = error else { panic!("{rel}: {error:?}") };
        assert_eq!(fault, elsewhere.fault(rel));
    }
    elsewhere.heard_nothing();
}

#[tokio::test]
async fn a_found_store_with_a_foreign_address_is_an_error() {
    let server = Server::foxy_but(|call| {
        let store = json!({"store_domain": "anns-shop", "_links": {"self": {"href": "https://evil.example/stores/1"}}});
        let page = json!({"_embedded": {"fx:stores": [store]}});
        (call.line == "GET /users/1/stores").then(|| Reply::json(200, &page))
    })
    .await;
    let result: Result<StoreSearch, _> = server.session().find_store("anns-shop").await;
    assert!(result.unwrap_err().is_setup_fault());
}

#[tokio::test]
async fn a_read_stops_at_a_mebibyte() {
    let server = Server::foxy_but(|call| {
        let flood = Reply::Send(200, Vec::new(), " ".repeat(1024 * 1024 + 1));
        (call.line == "GET /").then_some(flood)
    })
    .await;
    let ReadError::Unreadable { source } = server.client().probe().await.unwrap_err() else { panic!("unreadable") };
    assert_eq!(source.to_string(), "the answer's body is larger than 1 MiB");
}

#[tokio::test]
async fn an_answer_that_echoes_the_secret_does_not_get_it_into_an_error() {
    let echo = format!(r#"{{"access_token":7,"{SECRET}":"{SECRET}","expires_in":"{SECRET}"}}"#);
    let server =
        Server::foxy_but(move |call| (call.line == "POST /token").then(|| Reply::Send(200, Vec::new(), echo.clone())))
            .await;
    let error = server.client().probe().await.unwrap_err();
    assert!(matches!(error, ReadError::Unreadable { .. }));
    assert!(!format!("{error} {error:?}").contains(SECRET));
}
