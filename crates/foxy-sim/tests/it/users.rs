use serde_json::json;

use crate::foxy::{Foxy, new_user};

#[tokio::test]
async fn a_created_user_comes_with_its_token_and_links() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let body = user.json();
    let uri = format!("{}/users/1", foxy.sim.base_url());
    assert_eq!(body["_links"]["self"]["href"], uri.as_str());
    assert_eq!(body["_links"]["fx:stores"]["href"], format!("{uri}/stores"));
    assert_eq!(body["_links"]["fx:attributes"]["href"], format!("{uri}/attributes"));
    assert_eq!(body["_links"]["curies"][0]["href"], "https://api.foxycart.com/rels/{rel}");
    assert_eq!(body["token"]["scope"], "user_full_access");
    assert!(body["message"].is_string());
    let read = foxy.get(&uri, &user.access_token()).await.json();
    assert_eq!((&read["first_name"], &read["email"]), (&json!("Ada"), &json!("ada@example.com")));
    assert!(read["date_created"].is_string());
}

#[tokio::test]
async fn every_mistake_in_a_user_is_one_error() {
    let foxy = Foxy::start().await;
    let token = foxy.client_token().await;
    let body = json!({ "first_name": "x".repeat(51), "email": "nobody", "phone": "1".repeat(51), "is_merchant": "so" });
    let answer = foxy.post("/users", &token, &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.messages(),
        [
            "first_name can not be longer than 50 characters",
            "last_name is required",
            "email must be a valid email address",
            "phone can not be longer than 50 characters",
            "is_merchant must be true or false",
        ]
    );
    assert!(foxy.sim.books().users.is_empty());
}

#[tokio::test]
async fn an_email_is_unique_whatever_its_case() {
    let foxy = Foxy::start().await;
    foxy.user("ada@example.com").await;
    let answer = foxy.post("/users", &foxy.client_token().await, &new_user("ADA@Example.com")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.messages(), ["email is already in use"]);
}

#[tokio::test]
async fn a_user_can_be_changed_but_not_its_affiliate_id() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    foxy.user("bob@example.com").await;
    let change = |body| {
        let (foxy, token) = (&foxy, user.access_token());
        async move { foxy.patch("/users/1", &token, &body).await }
    };
    assert_eq!(change(json!({ "email": "Ada@example.com" })).await.text_at("/email"), "Ada@example.com");
    assert_eq!(change(json!({ "email": "bob@example.com" })).await.messages(), ["email is already in use"]);
    let answer = change(json!({ "affiliate_id": 7 })).await;
    assert_eq!(answer.messages(), ["affiliate_id can only be set on creation"]);
}

#[tokio::test]
async fn a_report_says_whether_an_email_exists_and_gives_no_token() {
    let foxy = Foxy::start().await;
    foxy.user("ada+shop@example.com").await;
    let token = foxy.client_token().await;
    let reporting = foxy.get("/reporting", &token).await.text_at("/_links/fx:reporting_email_exists/href");
    let found = foxy.get(&format!("{reporting}?email=Ada%2Bshop%40example.com"), &token).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.text_at("/_links/fx:user/href"), format!("{}/users/1", foxy.sim.base_url()));
    assert!(found.json().get("token").is_none() && found.json()["message"].is_string());
    let absent = foxy.get(&format!("{reporting}?email=bob%40example.com"), &token).await;
    assert_eq!((absent.status, absent.messages()), (404, vec!["This user was not found".to_owned()]));
    assert_eq!(foxy.get(&reporting, &token).await.messages(), ["email is required"]);
}

#[tokio::test]
async fn attributes_are_listed_embedded_changed_and_deleted() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let token = user.access_token();
    let attributes = user.text_at("/_links/fx:attributes/href");
    let body = json!({ "name": "signup_id", "value": "42", "visibility": "restricted" });
    let created = foxy.post(&attributes, &token, &body).await;
    assert_eq!(created.status, 201);
    let uri = created.text_at("/_links/self/href");
    assert_eq!(uri, format!("{}/user_attributes/1", foxy.sim.base_url()));

    foxy.post(&attributes, &token, &json!({ "name": "other", "value": "1" })).await;
    let listed = foxy.get(&format!("{attributes}?name=signup_id"), &token).await.json();
    assert_eq!((&listed["total_items"], &listed["_embedded"]["fx:attributes"][0]["value"]), (&json!(1), &json!("42")));
    let embedded = foxy.get("/users/1", &token).await.json()["_embedded"]["fx:attributes"].clone();
    assert_eq!(embedded.as_array().unwrap().len(), 2);

    assert_eq!(foxy.patch(&uri, &token, &json!({ "value": "43" })).await.text_at("/value"), "43");
    let answer = foxy.post(&attributes, &token, &json!({ "visibility": "secret" })).await;
    assert_eq!(answer.messages().len(), 3);
    let other = foxy.user("bob@example.com").await.access_token();
    assert_eq!(foxy.get(&uri, &other).await.status, 404);

    let deleted = crate::foxy::send(foxy.request("DELETE", &uri).bearer_auth(&token)).await.unwrap();
    assert_eq!(deleted.status, 200);
    assert_eq!(foxy.get(&uri, &token).await.status, 404);
}
