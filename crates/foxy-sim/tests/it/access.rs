use foxy_sim::{CaptchaPolicy, Config};
use reqwest::{Client, Version};
use serde_json::{Value, json};

use crate::foxy::{Foxy, new_store, new_user, send};

#[tokio::test]
async fn the_home_document_links_what_the_token_can_reach() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "ada").await;
    let client = foxy.client_token().await;
    let nobody = send(foxy.request("GET", "/")).await.unwrap();
    assert_eq!(nobody.header("content-type"), "application/hal+json");
    assert!(nobody.json()["_links"].get("fx:create_client").is_some());
    for (token, rels) in [
        (client, ["fx:client", "fx:create_user"].as_slice()),
        (user.access_token(), ["fx:user", "fx:stores"].as_slice()),
        (store.access_token(), ["fx:store", "fx:user", "fx:stores"].as_slice()),
    ] {
        let links = foxy.get("/", &token).await.json()["_links"].clone();
        let common = ["self", "fx:property_helpers", "fx:reporting", "fx:token", "fx:encode"];
        for rel in common.iter().chain(rels) {
            assert!(links[rel]["href"].as_str().unwrap().starts_with(foxy.sim.base_url()), "{rel} in {links}");
        }
        // The curies, and nothing that belongs to the resource itself, such as a store's attributes.
        assert_eq!(links.as_object().unwrap().len(), 1 + common.len() + rels.len(), "{links}");
    }
}

#[tokio::test]
async fn a_stores_home_document_links_its_user_and_opens_neither_user_nor_stores() {
    let foxy = Foxy::start().await;
    foxy.user("ada@example.com").await;
    let bob = foxy.user("bob@example.com").await;
    let token = foxy.store(&bob, "bob").await.access_token();
    let home = foxy.get("/", &token).await;
    let base = foxy.sim.base_url();
    for (rel, path) in [("fx:user", "/users/2"), ("fx:stores", "/users/2/stores"), ("fx:store", "/stores/1")] {
        assert_eq!(home.text_at(&format!("/_links/{rel}/href")), format!("{base}{path}"));
    }
    assert_eq!(foxy.get("/users/2", &token).await.status, 403);
    assert_eq!(foxy.get("/users/2/stores", &token).await.status, 403);
}

#[tokio::test]
async fn every_request_needs_the_version_header() {
    let foxy = Foxy::start().await;
    let answer = send(foxy.http.get(foxy.sim.base_url())).await.unwrap();
    assert_eq!((answer.status, answer.header("cache-control")), (400, "no-cache"));
    assert_eq!(answer.messages(), ["The FOXY-API-VERSION request header is required, and must be 1."]);
}

#[tokio::test]
async fn a_token_of_another_scope_is_forbidden() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "ada").await;
    let tokens = [foxy.client_token().await, user.access_token(), store.access_token()];
    for (path, allowed) in [("/users/1", 1), ("/users/1/stores", 1), ("/stores/1", 2), ("/clients/1", 0)] {
        for (holder, token) in tokens.iter().enumerate() {
            let answer = foxy.get(path, token).await;
            assert_eq!(answer.status, if holder == allowed { 200 } else { 403 }, "{path} by {holder}");
        }
    }
    let answer = foxy.post("/users", &user.access_token(), &new_user("b@example.com")).await;
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (403, "insufficient_scope"));
    assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\""));
}

#[tokio::test]
async fn one_users_token_does_not_open_another_user() {
    let foxy = Foxy::start().await;
    let ada = foxy.user("ada@example.com").await;
    let bob = foxy.user("bob@example.com").await;
    let bobs_stores = bob.text_at("/_links/fx:stores/href");
    assert_eq!(foxy.get(&bobs_stores, &ada.access_token()).await.status, 403);
    assert_eq!(foxy.post(&bobs_stores, &ada.access_token(), &new_store("ada")).await.status, 403);
}

#[tokio::test]
async fn an_unknown_token_is_401_invalid_token() {
    let foxy = Foxy::start().await;
    let answer = foxy.get("/", "nonsense").await;
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (401, "invalid_token"));
    assert!(answer.header("www-authenticate").starts_with("Bearer "));
    let answer = send(foxy.request("GET", "/users/1")).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"Foxy\"");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let foxy = Foxy::start().await;
    let token = foxy.client_token().await;
    let answer = foxy.get("/nowhere", &token).await;
    assert_eq!((answer.status, answer.messages().len()), (404, 1));
    let answer = foxy.get("/users", &token).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let answer = send(foxy.request("OPTIONS", "/users")).await.unwrap();
    assert_eq!((answer.status, answer.header("allow")), (204, "POST"));
    let answer = foxy.get("/property_helpers", &token).await;
    assert_eq!((answer.status, answer.messages().len()), (501, 1));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let foxy = Foxy::start().await;
    let answer = send(foxy.request("HEAD", "/")).await.unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(foxy.sim.requests("GET /"), 1);
}

#[tokio::test]
async fn creations_take_json_and_forms_and_nothing_else() {
    let foxy = Foxy::start().await;
    let token = foxy.client_token().await;
    let post = || foxy.request("POST", "/users").bearer_auth(&token);
    let form = [("first_name", "Ada"), ("last_name", "E"), ("email", "a@example.com"), ("is_designer", "1")];
    let answer = send(post().form(&form)).await.unwrap();
    assert_eq!(answer.status, 201);
    let user = foxy.get(&answer.text_at("/_links/self/href"), &answer.access_token()).await;
    assert_eq!(user.json()["is_designer"], true);
    // As the official SDK sends it from Node.
    let text = post().header("content-type", "text/plain;charset=UTF-8").body(new_user("b@example.com").to_string());
    assert_eq!(send(text).await.unwrap().status, 201);
    let xml = post().header("content-type", "application/xml").body("<user/>");
    assert_eq!(send(xml).await.unwrap().status, 415);
    let broken = post().header("content-type", "application/json").body("{");
    assert_eq!(send(broken).await.unwrap().status, 400);
    let list = post().json(&json!([1]));
    assert_eq!(send(list).await.unwrap().status, 400);
}

#[tokio::test]
async fn the_captcha_policy_says_which_creations_need_a_code() {
    for (captcha, user_needs, store_needs) in [
        (CaptchaPolicy::Off, false, false),
        (CaptchaPolicy::Users, true, false),
        (CaptchaPolicy::UsersAndStores, true, true),
    ] {
        let foxy = Foxy::with(Config { captcha, ..Config::default() }).await;
        let token = foxy.client_token().await;
        let post = |path: &str, token: &str| foxy.request("POST", path).bearer_auth(token);
        let without = send(post("/users", &token).json(&new_user("a@example.com"))).await.unwrap();
        assert_eq!(without.status, if user_needs { 400 } else { 201 });
        let with = post("/users", &token).header("h-captcha-code", "solved").json(&new_user("b@example.com"));
        let user = send(with).await.unwrap();
        assert_eq!(user.status, 201);
        let store = send(post("/stores", &user.access_token()).json(&new_store("shop"))).await.unwrap();
        assert_eq!(store.status, if store_needs { 400 } else { 201 });
        if store_needs {
            assert_eq!(store.messages(), ["A valid hCaptcha code is required in the h-captcha-code header."]);
        }
    }
}

#[tokio::test]
async fn a_simulator_that_knows_its_captcha_code_takes_no_other() {
    let config = Config { captcha: CaptchaPolicy::Users, captcha_code: Some("solved".into()), ..Config::default() };
    let foxy = Foxy::with(config).await;
    let token = foxy.client_token().await;
    for (code, status) in [("guessed", 400), ("solve", 400), ("solved", 201)] {
        let post = foxy.request("POST", "/users").bearer_auth(&token).header("h-captcha-code", code);
        let user = send(post.json(&new_user("a@example.com"))).await.unwrap();
        assert_eq!(user.status, status, "{code}");
        if status == 400 {
            assert_eq!(user.messages(), ["A valid hCaptcha code is required in the h-captcha-code header."]);
        }
    }
}

/// What a proxy that ends TLS needs.
#[tokio::test]
async fn behind_a_proxy_it_speaks_http_2_and_its_links_begin_with_the_public_address() {
    let public_url = Some("https://foxy.example".to_owned());
    let foxy = Foxy::with(Config { seed: 1, public_url, ..Config::default() }).await;
    assert_eq!(foxy.sim.base_url(), "https://foxy.example");
    let http = Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let home = http.get(format!("http://{}/", foxy.sim.local_addr())).header("foxy-api-version", "1");
    let response = home.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    let home: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(home["_links"]["fx:token"]["href"], "https://foxy.example/token");
}
