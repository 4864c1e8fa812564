//! Clients, users, stores and their attributes: what is made, read and changed beside the saga's own calls.

use std::time::Duration;

use foxden_vault::ClientSecret;
use foxy_api::{
    ApiOrigins, Attribute, CreatedUser, Foxy, NewClient, NewStore, NoEffect, Outcome, ReadError, Registrar, Report,
    SetupFault, TokenLoss, Visibility,
};
use foxy_sim::{Config, Simulator};
use serde_json::{Map, json};

use crate::server::{EMAIL, Reply, SECRET, Server, ann, client_of, far, shop};

pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/back";

fn client(sim: &Simulator) -> Foxy {
    let (id, secret) = sim.client();
    client_of(sim.base_url(), id, secret, Duration::from_secs(20))
}

pub(crate) fn registrar(base: &str) -> Registrar {
    // A second installation of the same provider is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (api, long) = (ApiOrigins::explicit(base).unwrap(), Duration::from_secs(20));
    Registrar::try_new(api, long, long, "foxy-api-test/1").unwrap()
}

pub(crate) fn integration(id: Option<&str>) -> NewClient {
    NewClient {
        id: id.map(str::to_owned),
        redirect_uri: CALLBACK.into(),
        project_name: "Shops".into(),
        company_name: "Platform".into(),
        contact_name: "Ann Lee".into(),
        contact_email: EMAIL.into(),
        contact_phone: "555 0100".into(),
        extra: Map::new(),
    }
}

pub(crate) fn done<T: std::fmt::Debug>(report: Report<T>) -> T {
    match report.outcome {
        Outcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

async fn user(foxy: &Foxy) -> CreatedUser {
    done(foxy.create_user(&ann(), far()).await)
}

#[tokio::test]
async fn a_created_client_lets_us_in_and_can_be_read() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let made = done(registrar(sim.base_url()).create_client(&integration(Some("shops_1")), far()).await);
    assert_eq!(
        (made.id.as_str(), made.uri.unwrap().as_str()),
        ("shops_1", format!("{}/clients/2", sim.base_url()).as_str())
    );
    assert_eq!(made.token.unwrap().scope, "client_full_access");
    let foxy = client_of(sim.base_url(), &made.id, made.secret.expose(), Duration::from_secs(20));
    let read = foxy.read_client().await.unwrap();
    assert_eq!((read.text("client_id"), read.text("project_name")), (Some("shops_1"), Some("Shops")));
    // Readable, and apart from what is printed.
    assert_eq!(read.client_secret().unwrap().expose(), made.secret.expose());
    assert!(!read.properties.contains_key("client_secret"));
    assert!(!format!("{read:?}").contains("Shops") && !format!("{read:?}").contains(made.secret.expose()));
}

#[tokio::test]
async fn a_client_id_that_is_taken_is_refused_with_foxys_words() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let (id, _) = sim.client();
    let report = registrar(sim.base_url()).create_client(&integration(Some(id)), far()).await;
    let Outcome::Rejected(rejection) = report.outcome else { panic!("{:?}", report.outcome) };
    assert_eq!(rejection.errors[0].message(), "client_id is already in use");
}

#[tokio::test]
async fn a_client_whose_answer_is_lost_is_never_taken_for_none() {
    let reply = |reply: fn() -> Reply| async move {
        let server = Server::foxy_but(move |call| match call.line.as_str() {
            "GET /" => {
                let href = format!("{}/clients", call.base);
                Some(Reply::json(200, &json!({"_links": {"fx:create_client": {"href": href}}})))
            }
            "POST /clients" => Some(reply()),
            _ => None,
        })
        .await;
        let outcome = registrar(server.base()).create_client(&integration(None), far()).await.outcome;
        assert_eq!(server.count("POST /clients"), 1);
        assert!(server.all_calls().iter().all(|call| call.header("authorization").is_empty()));
        outcome
    };
    assert!(matches!(reply(|| Reply::HangUp).await, Outcome::Unknown(_)));
    assert!(matches!(reply(|| Reply::html(502)).await, Outcome::Unknown(_)));
    let no_secret = || Reply::json(201, &json!({"client_id": "c"}));
    assert!(matches!(reply(no_secret).await, Outcome::TokenLost(TokenLoss::NoToken)));
    let unasked = reply(|| Reply::oauth(401, "invalid_token")).await;
    assert!(matches!(unasked, Outcome::NoEffect(NoEffect::SetupFault(SetupFault::Forbidden))));
}

#[tokio::test]
async fn a_secret_that_the_answer_left_out_is_read_with_the_token_it_brought() {
    let made = |shown: &'static str, id: &'static str| async move {
        let server = Server::foxy_but(move |call| {
            let link = |path: &str| json!({"href": format!("{}{path}", call.base)});
            let has_token = call.header("authorization") == "Bearer client-access";
            match call.line.as_str() {
                "GET /" if has_token => Some(Reply::json(200, &json!({"_links": {"fx:client": link("/clients/1")}}))),
                "GET /" => Some(Reply::json(200, &json!({"_links": {"fx:create_client": link("/clients")}}))),
                "POST /clients" => {
                    let token = json!({"access_token": "client-access", "refresh_token": "r", "expires_in": 7200});
                    Some(Reply::json(201, &json!({"client_id": "c", "token": token})))
                }
                "GET /clients/1" if has_token => {
                    let links = json!({"self": link("/clients/1")});
                    Some(Reply::json(200, &json!({"client_id": id, "client_secret": shown, "_links": links})))
                }
                _ => None,
            }
        })
        .await;
        let outcome = registrar(server.base()).create_client(&integration(None), far()).await.outcome;
        assert_eq!(server.count("POST /clients"), 1);
        outcome
    };
    let Outcome::Done(client) = made("shown", "c").await else { panic!("the secret was there to be read") };
    assert_eq!((client.id.as_str(), client.secret.expose()), ("c", "shown"));
    for (shown, id) in [("", "c"), ("shown", "another")] {
        assert!(matches!(made(shown, id).await, Outcome::TokenLost(TokenLoss::NoToken)), "{shown} {id}");
    }
}

#[tokio::test]
async fn a_changed_secret_takes_the_old_ones_place() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let foxy = client(&sim);
    foxy.probe().await.unwrap();
    done(foxy.change_client_secret(&ClientSecret::new("another"), far()).await);
    // What was granted before goes on, and so does its access token.
    foxy.probe().await.unwrap();
    let (id, old) = sim.client();
    let refused = client_of(sim.base_url(), id, old, Duration::from_secs(20)).probe().await;
    assert!(matches!(refused, Err(ReadError::SetupFault(SetupFault::InvalidClient))));
    client_of(sim.base_url(), id, "another", Duration::from_secs(20)).probe().await.unwrap();
}

#[tokio::test]
async fn a_secret_whose_change_has_no_answer_is_in_doubt() {
    let server = Server::foxy_but(|call| match call.line.as_str() {
        "GET /" => {
            let link = |path: &str| json!({"href": format!("{}{path}", call.base)});
            let links = json!({"fx:token": link("/token"), "fx:client": link("/clients/1")});
            Some(Reply::json(200, &json!({ "_links": links })))
        }
        "PATCH /clients/1" => Some(Reply::HangUp),
        _ => None,
    })
    .await;
    let report = server.client().change_client_secret(&ClientSecret::new("another"), far()).await;
    assert!(matches!(report.outcome, Outcome::Unknown(_)), "{:?}", report.outcome);
    assert_eq!(server.calls("PATCH /clients/1")[0].body, r#"{"client_secret":"another"}"#);
}

#[tokio::test]
async fn all_of_a_users_stores_are_listed() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let session = user(&client(&sim)).await.session();
    for n in 0..25 {
        done(session.create_store(&NewStore { domain: format!("shop-{n}"), ..shop() }, far()).await);
    }
    let listed = session.stores().await.unwrap();
    let expected: Vec<_> = sim.books().stores.iter().map(|store| (store.uri.clone(), store.domain.clone())).collect();
    assert_eq!(listed.into_iter().map(|store| (store.uri.to_string(), store.domain)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_attribute_is_written_once_and_changed_in_its_place() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let foxy = client(&sim);
    let user = user(&foxy).await;
    let store = done(user.session().create_store(&shop(), far()).await);
    let store = foxy.store(store.token.refresh);
    for value in ["s-1", "s-1", "s-2"] {
        done(store.ensure_attribute(&Attribute::restricted("signup", value), far()).await);
        done(user.session().ensure_attribute(&Attribute::restricted("signup", value), far()).await);
        let read = store.read().await.unwrap();
        let [attribute] = &read.attributes[..] else { panic!("{:?}", read.attributes) };
        assert_eq!((attribute.value.as_str(), attribute.visibility), (value, Visibility::Restricted));
    }
    assert_eq!(sim.requests("POST /stores/{id}/attributes"), 1);
    assert_eq!(user.session().read().await.unwrap().attributes.len(), 1);
}

#[tokio::test]
async fn a_note_of_the_same_name_that_others_see_is_not_ours_and_stays_as_it_is() {
    let sim = Simulator::start(Config::default()).await.unwrap();
    let foxy = client(&sim);
    let made = done(user(&foxy).await.session().create_store(&shop(), far()).await);
    let attributes = format!("{}/attributes", made.uri.unwrap().as_str());
    let raw = reqwest::Client::builder().no_proxy().build().unwrap().post(attributes).header("foxy-api-version", "1");
    let private = json!({"name": "signup", "value": "s-1", "visibility": "private"});
    assert_eq!(raw.bearer_auth(made.token.access.expose()).json(&private).send().await.unwrap().status(), 201);
    let store = foxy.store(made.token.refresh);
    for value in ["s-1", "s-2"] {
        done(store.ensure_attribute(&Attribute::restricted("signup", value), far()).await);
        let notes = store.read().await.unwrap().attributes;
        let notes: Vec<_> = notes.iter().map(|note| (note.value.as_str(), note.visibility)).collect();
        assert_eq!(notes, [("s-1", Visibility::Private), (value, Visibility::Restricted)]);
    }
}

#[tokio::test]
async fn neither_secret_nor_token_goes_to_another_origin() {
    let elsewhere = Server::foxy().await;
    let href = format!("{}/clients?steal=everything", elsewhere.base());
    let foreign = |outcome| matches!(outcome, Outcome::NoEffect(NoEffect::SetupFault(SetupFault::ForeignLink { .. })));
    let server = Server::foxy_but(move |call| {
        let mut links = json!({"fx:token": {"href": format!("{}/token", call.base)}});
        for rel in ["fx:create_client", "fx:client", "fx:user", "fx:store"] {
            links[rel] = json!({ "href": href });
        }
        (call.line == "GET /").then(|| Reply::json(200, &json!({ "_links": links })))
    })
    .await;
    let foxy = server.client();
    assert!(foreign(foxy.change_client_secret(&ClientSecret::new("another"), far()).await.outcome));
    let attribute = Attribute::restricted("a", "b");
    assert!(foreign(server.session().ensure_attribute(&attribute, far()).await.outcome));
    let store = foxy.store(foxden_vault::RefreshToken::new("store-refresh"));
    assert!(foreign(store.ensure_attribute(&attribute, far()).await.outcome));
    for read in [foxy.read_client().await, server.session().read().await, store.read().await] {
        assert!(matches!(read, Err(ReadError::SetupFault(SetupFault::ForeignLink { .. }))));
    }
    let created = registrar(server.base()).create_client(&integration(None), far()).await.outcome;
    assert!(matches!(created, Outcome::NoEffect(NoEffect::SetupFault(SetupFault::ForeignLink { .. }))));
    assert_eq!(elsewhere.connections(), 0);
    assert!(!format!("{foxy:?}").contains(SECRET));
}
