use serde_json::{Value, json};

use crate::foxy::{Answer, Foxy, send};

pub(crate) fn new_client() -> Value {
    json!({
        "redirect_uri": "https://app.example/callback", "project_name": "P", "company_name": "C",
        "contact_name": "Ada", "contact_email": "ada@example.com", "contact_phone": "1",
    })
}

async fn create(foxy: &Foxy, body: &Value) -> Answer {
    send(foxy.request("POST", "/clients").json(body)).await.unwrap()
}

async fn may_log_in(foxy: &Foxy, id: &str, secret: &str) -> bool {
    let form = [("grant_type", "client_credentials")];
    send(foxy.request("POST", "/token").basic_auth(id, Some(secret)).form(&form)).await.unwrap().status == 200
}

#[tokio::test]
async fn a_client_is_made_without_a_token_and_can_log_in() {
    let foxy = Foxy::start().await;
    let made = create(&foxy, &new_client()).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.text_at("/_links/self/href"), format!("{}/clients/2", foxy.sim.base_url()));
    assert_eq!(made.text_at("/token/scope"), "client_full_access");
    assert!(may_log_in(&foxy, &made.text_at("/client_id"), &made.text_at("/client_secret")).await);
    let read = foxy.get("/clients/2", &made.access_token()).await;
    assert_eq!(read.text_at("/project_name"), "P");
}

#[tokio::test]
async fn a_client_token_reads_the_secret_also_one_that_came_after_it() {
    let foxy = Foxy::start().await;
    let made = create(&foxy, &new_client()).await;
    let (token, uri) = (made.access_token(), made.text_at("/_links/self/href"));
    assert_eq!(foxy.get(&uri, &token).await.text_at("/client_secret"), made.text_at("/client_secret"));
    let changed = foxy.patch(&uri, &token, &json!({ "client_secret": "another" })).await;
    assert_eq!(changed.text_at("/client_secret"), "another");
    assert_eq!(foxy.get(&uri, &token).await.text_at("/client_secret"), "another");
    assert_eq!(foxy.get(&uri, &foxy.client_token().await).await.status, 403);
}

#[tokio::test]
async fn a_client_id_can_be_chosen_once() {
    let foxy = Foxy::start().await;
    let mut body = new_client();
    body["client_id"] = json!("myapp_1");
    let made = create(&foxy, &body).await;
    assert_eq!(made.text_at("/client_id"), "myapp_1");
    assert_eq!(create(&foxy, &body).await.messages(), ["client_id is already in use"]);
    let change = foxy.patch("/clients/2", &made.access_token(), &json!({ "client_id": "other" })).await;
    assert_eq!(change.messages(), ["client_id can only be set on creation"]);
    assert_eq!(create(&foxy, &json!({})).await.messages().len(), 6);
}

#[tokio::test]
async fn a_rotated_secret_replaces_the_old_one_and_keeps_the_tokens() {
    let foxy = Foxy::start().await;
    let (id, old) = foxy.sim.client();
    let token = foxy.client_token().await;
    let client = foxy.get("/", &token).await.text_at("/_links/fx:client/href");
    let random = foxy.patch(&client, &token, &json!({ "client_secret": "" })).await.text_at("/client_secret");
    assert!(!may_log_in(&foxy, id, old).await);
    assert!(may_log_in(&foxy, id, &random).await);
    foxy.patch(&client, &token, &json!({ "client_secret": "chosen" })).await;
    assert!(may_log_in(&foxy, id, "chosen").await);
}
