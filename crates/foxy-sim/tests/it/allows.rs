//! What Foxy's documentation leaves open, played both ways.

use foxy_sim::{Allows, Config};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::clients::new_client;
use crate::foxy::{Answer, Foxy, send};

async fn foxy(allows: &str) -> Foxy {
    Foxy::with(Config { seed: 1, allows: allows.parse().unwrap(), ..Config::default() }).await
}

pub(crate) async fn sent(request: RequestBuilder) -> Answer {
    send(request).await.unwrap()
}

/// A user with a store, and the access tokens and addresses of both.
pub(crate) struct Shop {
    pub(crate) foxy: Foxy,
    pub(crate) user: Answer,
    pub(crate) store: Answer,
}

impl Shop {
    pub(crate) async fn open(allows: &str) -> Self {
        let foxy = foxy(allows).await;
        let user = foxy.user("ada@example.com").await;
        let store = foxy.store(&user, "ada").await;
        Self { foxy, user, store }
    }

    pub(crate) async fn call(&self, method: &str, uri: &str, by: &Answer) -> Answer {
        sent(self.foxy.request(method, uri).bearer_auth(by.access_token())).await
    }

    async fn offers(&self, method: &str, uri: &str, by: &Answer) -> bool {
        let answer = self.call("OPTIONS", uri, by).await;
        assert_eq!(answer.status, 204);
        answer.header("allow").split(", ").any(|offered| offered == method)
    }

    pub(crate) fn integrations(&self) -> String {
        self.store.text_at("/_links/fx:integrations/href")
    }

    async fn add(&self, by: &Answer) -> Answer {
        let request = self.foxy.request("POST", &self.integrations()).bearer_auth(by.access_token());
        sent(request.json(&json!({"project_name": "Another"}))).await
    }

    async fn refresh(&self, of: &Answer) -> Answer {
        let (id, secret) = (of.text_at("/client_id"), of.text_at("/client_secret"));
        let token = of.text_at("/refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        sent(self.foxy.request("POST", "/token").basic_auth(id, Some(secret)).form(&form)).await
    }
}

pub(crate) fn own(answer: &Answer) -> String {
    answer.text_at("/_links/self/href")
}

#[tokio::test]
async fn a_users_token_adds_an_integration_only_if_it_may() {
    for (allows, status) in [("none", 403), ("X1", 201)] {
        let shop = Shop::open(allows).await;
        assert_eq!(shop.offers("POST", &shop.integrations(), &shop.user).await, status == 201);
        let added = shop.add(&shop.user).await;
        assert_eq!(added.status, status, "{allows}");
        let by_store = shop.add(&shop.store).await;
        assert_eq!(
            (by_store.status, shop.refresh(&by_store).await.status),
            (201, 200),
            "a store's own token always may"
        );
        if status == 201 {
            assert_eq!(shop.refresh(&added).await.status, 200);
        }
        let stranger = shop.foxy.user("eve@example.com").await;
        assert_eq!(shop.add(&stranger).await.status, 403);
    }
}

#[tokio::test]
async fn a_stores_token_creates_stores_only_if_it_may() {
    for (allows, status) in [("none", 403), ("X2", 201)] {
        let shop = Shop::open(allows).await;
        let stores = shop.call("GET", "/", &shop.store).await.text_at("/_links/fx:stores/href");
        assert_eq!(shop.offers("POST", &stores, &shop.store).await, status == 201);
        let body = json!({
            "store_name": "Two", "store_domain": "two", "store_url": "https://two.example",
            "store_email": "two@example.com", "postal_code": "55401", "country": "US", "region": "MN",
        });
        let made = sent(shop.foxy.request("POST", &stores).bearer_auth(shop.store.access_token()).json(&body)).await;
        assert_eq!(made.status, status, "{allows}: {}", made.text);
    }
}

#[tokio::test]
async fn users_and_stores_are_deleted_and_their_names_freed_or_kept() {
    for (allows, status, again) in [("none", 405, 400), ("X3-kept", 200, 400), ("X3", 200, 201)] {
        let shop = Shop::open(allows).await;
        let (user, store) = (own(&shop.user), own(&shop.store));
        assert_eq!(shop.offers("DELETE", &user, &shop.user).await, status == 200);
        if status == 200 {
            assert_eq!(shop.call("DELETE", &user, &shop.user).await.status, 400, "it still has a store");
        }
        assert_eq!(shop.call("DELETE", &store, &shop.store).await.status, status);
        assert_eq!(shop.call("DELETE", &user, &shop.user).await.status, status);
        let seen = shop.call("GET", &user, &shop.user).await.status;
        assert_eq!(seen, if status == 200 { 401 } else { 200 });
        let body = json!({"first_name": "A", "last_name": "B", "email": "Ada@example.com"});
        let client = shop.foxy.client_token().await;
        let made = sent(shop.foxy.request("POST", "/users").bearer_auth(client).json(&body)).await;
        assert_eq!(made.status, again, "{allows}");
        if again == 201 {
            assert_ne!(own(&made), user, "no number is used again");
        }
    }
}

#[tokio::test]
async fn a_token_is_listed_and_ended_at_once_only_if_it_can_be() {
    for (allows, listed, deleted, then) in [("none", 1, 405, 200), ("X4", 2, 200, 401)] {
        let shop = Shop::open(allows).await;
        let added = shop.add(&shop.store).await;
        let list = shop.call("GET", &shop.integrations(), &shop.store).await.json();
        assert_eq!(list["total_items"], listed, "{list}");
        let entry = &list["_embedded"]["fx:integrations"][0];
        assert!(entry["scope"] == "store_full_access" && entry["expires"].is_string(), "{entry}");
        assert_eq!(shop.offers("DELETE", &own(&added), &shop.store).await, deleted == 200);
        assert_eq!(shop.call("DELETE", &own(&added), &shop.store).await.status, deleted);
        let store = own(&shop.store);
        let read = sent(shop.foxy.request("GET", &store).bearer_auth(added.text_at("/access_token"))).await;
        assert_eq!(read.status, then);
        assert_eq!(shop.refresh(&added).await.status, if then == 200 { 200 } else { 400 });
        assert_eq!(shop.call("GET", &store, &shop.store).await.status, 200, "the store's own token lives");
    }
}

#[tokio::test]
async fn a_client_reads_and_changes_its_secret_only_if_it_may() {
    for (allows, shown, changed) in [("none", false, 400), ("X5", true, 200)] {
        let foxy = foxy(allows).await;
        let client = sent(foxy.request("POST", "/clients").json(&new_client())).await;
        let (uri, token) = (own(&client), client.access_token());
        let read = sent(foxy.request("GET", &uri).bearer_auth(&token)).await.json();
        assert_eq!(read.get("client_secret").is_some(), shown);
        let change = foxy.request("PATCH", &uri).bearer_auth(&token).json(&json!({"client_secret": "another"}));
        assert_eq!(sent(change).await.status, changed);
    }
}

#[tokio::test]
async fn a_restricted_attribute_is_hidden_from_another_client_only_if_it_is_to_be() {
    for (allows, seen) in [("none", 2), ("X6", 1)] {
        let shop = Shop::open(allows).await;
        let attributes = shop.store.text_at("/_links/fx:attributes/href");
        for visibility in ["restricted", "private"] {
            let body = json!({"name": visibility, "value": "1", "visibility": visibility});
            let post = shop.foxy.request("POST", &attributes).bearer_auth(shop.store.access_token());
            assert_eq!(sent(post.json(&body)).await.status, 201);
        }
        let other = shop.add(&shop.store).await.text_at("/access_token");
        let list = sent(shop.foxy.request("GET", &attributes).bearer_auth(other)).await.json();
        assert_eq!(list["total_items"], seen, "{allows}");
    }
}

#[tokio::test]
async fn what_was_deleted_and_ended_stays_so_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { books: Some(dir.path().join("books")), allows: Allows::all(), ..Config::default() };
    let foxy = Foxy::with(config.clone()).await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "ada").await;
    sent(foxy.request("DELETE", &own(&store)).bearer_auth(store.access_token())).await;
    let opens = |foxy: &Foxy| foxy.sim.refresh_token_opens(&store.text_at("/token/refresh_token"));
    assert_eq!((foxy.sim.books().stores.len(), opens(&foxy)), (0, None));
    foxy.sim.shutdown().await;
    let foxy = Foxy::with(config).await;
    assert_eq!((foxy.sim.books().users.len(), foxy.sim.books().stores.len(), opens(&foxy)), (1, 0, None));
}
