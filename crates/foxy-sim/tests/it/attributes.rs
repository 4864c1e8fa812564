use serde_json::{Value, json};
use url::Url;

use crate::clients::new_client;
use crate::foxy::{Answer, Foxy, send};

const CALLBACK: &str = "http://127.0.0.1:9/back";

/// An access token for the store of this domain in the hands of another OAuth client, which the store's owner let in.
async fn neighbours_token(foxy: &Foxy, domain: &str) -> String {
    let mut body = new_client();
    body["redirect_uri"] = json!(CALLBACK);
    let neighbour = send(foxy.request("POST", "/clients").json(&body)).await.unwrap();
    let (id, secret) = (neighbour.text_at("/client_id"), neighbour.text_at("/client_secret"));
    let ask = [
        ("response_type", "code"),
        ("client_id", id.as_str()),
        ("scope", "store_full_access"),
        ("state", "s"),
        ("sim_as", domain),
    ];
    let back = send(foxy.http.get(foxy.sim.authorize_url()).query(&ask)).await.unwrap();
    let back = Url::parse(back.header("location")).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let token = send(foxy.request("POST", "/token").basic_auth(id, Some(secret)).form(&form)).await.unwrap();
    token.text_at("/access_token")
}

fn names(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let attributes = body["_embedded"]["fx:attributes"].as_array().cloned().unwrap_or_default();
    attributes.iter().map(|attribute| attribute["name"].as_str().unwrap().to_owned()).collect()
}

async fn store_with(foxy: &Foxy, visibilities: &[&str]) -> (Answer, Vec<Answer>) {
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "ada").await;
    let attributes = store.text_at("/_links/fx:attributes/href");
    let mut made = Vec::new();
    for visibility in visibilities {
        let body = json!({ "name": visibility, "value": "v", "visibility": visibility });
        made.push(foxy.post(&attributes, &store.access_token(), &body).await);
    }
    (store, made)
}

#[tokio::test]
async fn only_the_client_that_made_a_restricted_attribute_sees_it() {
    let foxy = Foxy::start().await;
    let (store, made) = store_with(&foxy, &["public", "private", "restricted"]).await;
    let (own, neighbours) = (store.access_token(), neighbours_token(&foxy, "ada").await);
    let (uri, attributes) = (store.text_at("/_links/self/href"), store.text_at("/_links/fx:attributes/href"));
    for to in [&uri, &attributes] {
        assert_eq!(names(&foxy.get(to, &own).await), ["public", "private", "restricted"], "{to}");
        assert_eq!(names(&foxy.get(to, &neighbours).await), ["public", "private"], "{to}");
    }
    let change = json!({ "value": "w" });
    for (made, others) in made.iter().zip([200, 200, 404]) {
        let uri = made.text_at("/_links/self/href");
        assert_eq!(foxy.get(&uri, &own).await.status, 200, "{uri}");
        assert_eq!(foxy.get(&uri, &neighbours).await.status, others, "{uri}");
        assert_eq!(foxy.patch(&uri, &neighbours, &change).await.status, others, "{uri}");
    }
}

#[tokio::test]
async fn only_a_public_attribute_can_be_read_without_access_to_its_owner() {
    let foxy = Foxy::start().await;
    let (_, made) = store_with(&foxy, &["public", "private", "restricted"]).await;
    let stranger = foxy.user("bob@example.com").await.access_token();
    for (made, (without, with)) in made.iter().zip([(200, 200), (401, 404), (401, 404)]) {
        let uri = made.text_at("/_links/self/href");
        assert_eq!(send(foxy.request("GET", &uri)).await.unwrap().status, without, "{uri}");
        assert_eq!(foxy.get(&uri, &stranger).await.status, with, "{uri}");
        assert_eq!(foxy.patch(&uri, &stranger, &json!({ "value": "w" })).await.status, 404, "{uri}");
    }
}

#[tokio::test]
async fn the_visibility_of_an_attribute_stays_as_it_was_made() {
    let foxy = Foxy::start().await;
    let (store, made) = store_with(&foxy, &["private"]).await;
    let (uri, token) = (made[0].text_at("/_links/self/href"), store.access_token());
    let refused = foxy.patch(&uri, &token, &json!({ "value": "w", "visibility": "restricted" })).await;
    assert_eq!((refused.status, refused.messages()), (400, vec!["visibility can only be set on creation".to_owned()]));
    let read: Value = foxy.get(&uri, &token).await.json();
    assert_eq!((&read["value"], &read["visibility"]), (&json!("v"), &json!("private")));
}

#[tokio::test]
async fn an_attribute_is_private_unless_it_says_otherwise() {
    let foxy = Foxy::start().await;
    let (store, _) = store_with(&foxy, &[]).await;
    let attributes = store.text_at("/_links/fx:attributes/href");
    let made = foxy.post(&attributes, &store.access_token(), &json!({ "name": "n", "value": "v" })).await;
    let read = foxy.get(&made.text_at("/_links/self/href"), &store.access_token()).await;
    assert_eq!(read.text_at("/visibility"), "private");
}
