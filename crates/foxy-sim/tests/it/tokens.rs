use std::time::Duration;

use foxy_sim::Config;

use crate::foxy::{Foxy, send};

const CREDENTIALS: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "client_full_access")];

#[tokio::test]
async fn a_client_token_is_of_the_clients_scope_and_comes_with_the_clients_refresh_token() {
    let foxy = Foxy::start().await;
    let answer = foxy.token(&CREDENTIALS).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let token = answer.json();
    assert_eq!(token["scope"], "client_full_access");
    assert_eq!(token["expires_in"], 7200);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(token["access_token"].as_str().unwrap().len(), 40);
    let grant = foxy.sim.refresh_token_opens(token["refresh_token"].as_str().unwrap()).unwrap();
    assert_eq!((grant.scope.as_str(), grant.uri), ("client_full_access", format!("{}/clients/1", foxy.sim.base_url())));
    let grant = foxy.sim.access_token_is_valid(token["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(grant.uri, format!("{}/clients/1", foxy.sim.base_url()));
}

#[tokio::test]
async fn a_refresh_gives_a_new_access_token_and_the_same_refresh_token() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let refresh_token = user.text_at("/token/refresh_token");
    let answer = foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await;
    assert_eq!(answer.text_at("/refresh_token"), refresh_token);
    assert_ne!(answer.text_at("/access_token"), user.access_token());
    assert_eq!(answer.text_at("/scope"), "user_full_access");
    let grant = foxy.sim.refresh_token_opens(&refresh_token).unwrap();
    assert_eq!((grant.scope.as_str(), grant.uri), ("user_full_access", user.text_at("/_links/self/href")));
}

#[tokio::test]
async fn a_client_may_authenticate_in_the_form() {
    let foxy = Foxy::start().await;
    let (id, secret) = foxy.sim.client();
    let form = [CREDENTIALS[0], ("client_id", id), ("client_secret", secret)];
    let answer = send(foxy.request("POST", "/token").form(&form)).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_wrong_secret_is_invalid_client() {
    let foxy = Foxy::start().await;
    let (id, _) = foxy.sim.client();
    let basic = foxy.request("POST", "/token").basic_auth(id, Some("wrong")).form(&CREDENTIALS);
    let answer = send(basic).await.unwrap();
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (401, "invalid_client"));
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    let form = foxy.request("POST", "/token").form(&[CREDENTIALS[0], ("client_id", id), ("client_secret", "wrong")]);
    let answer = send(form).await.unwrap();
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (400, "invalid_client"));
}

#[tokio::test]
async fn grants_that_make_no_sense_have_their_own_errors() {
    let foxy = Foxy::start().await;
    for (form, error) in [
        (vec![("grant_type", "")], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "unknown")], "invalid_grant"),
        (vec![("grant_type", "authorization_code"), ("code", "unknown")], "invalid_grant"),
        (vec![("grant_type", "client_credentials"), ("scope", "store_full_access")], "invalid_scope"),
    ] {
        let answer = foxy.token(&form).await;
        assert_eq!((answer.status, answer.text_at("/error").as_str()), (400, error), "{form:?}");
    }
    let (id, secret) = foxy.sim.client();
    let json = foxy.request("POST", "/token").basic_auth(id, Some(secret)).body("{}");
    assert_eq!(send(json).await.unwrap().text_at("/error"), "invalid_request");
}

#[tokio::test]
async fn access_tokens_end_when_their_lifetime_is_over() {
    let foxy = Foxy::with(Config { access_token_lifetime: Duration::ZERO, ..Config::default() }).await;
    let token = foxy.client_token().await;
    let answer = foxy.get("/", &token).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.text_at("/error_description"), "The access token provided has expired");
}

#[tokio::test]
async fn expiring_access_tokens_leaves_refresh_tokens() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    foxy.sim.expire_access_tokens();
    assert_eq!(foxy.sim.access_token_is_valid(&user.access_token()), None);
    assert_eq!(foxy.get("/", &user.access_token()).await.status, 401);
    let refresh_token = user.text_at("/token/refresh_token");
    let answer = foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await;
    assert_eq!(foxy.get("/", &answer.text_at("/access_token")).await.status, 200);
}

#[tokio::test]
async fn equal_seeds_give_equal_tokens() {
    let (one, two) = (Foxy::start().await, Foxy::start().await);
    assert_eq!(one.sim.client(), two.sim.client());
    assert_eq!(one.client_token().await, two.client_token().await);
    let other = Foxy::with(Config::default()).await;
    assert_ne!(one.sim.client(), other.sim.client());
}

/// What a refresh token is answered with.
async fn refreshed(foxy: &Foxy, refresh_token: &str) -> crate::foxy::Answer {
    foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

#[tokio::test]
async fn a_rotated_refresh_token_ends_at_once_and_stays_ended_when_its_record_changes() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let first = user.text_at("/token/refresh_token");
    foxy.sim.set_faults("POST /token: rotate first 1".parse().unwrap());
    let second = refreshed(&foxy, &first).await.text_at("/refresh_token");
    assert_ne!(second, first);
    let changed = foxy.request("PATCH", "/users/1").bearer_auth(user.access_token());
    assert_eq!(send(changed.json(&serde_json::json!({"first_name": "Ada"}))).await.unwrap().status, 200);
    assert_eq!(refreshed(&foxy, &first).await.text_at("/error"), "invalid_grant");
    assert_eq!(refreshed(&foxy, &second).await.text_at("/refresh_token"), second);
    assert!(foxy.sim.refresh_token_opens(&first).is_none());
}

#[tokio::test]
async fn a_refresh_token_that_is_rotated_later_ends_with_the_first_use_of_its_successor() {
    let foxy = Foxy::start().await;
    let first = foxy.user("ada@example.com").await.text_at("/token/refresh_token");
    foxy.sim.set_faults("POST /token: rotate(later) first 2".parse().unwrap());
    let second = refreshed(&foxy, &first).await.text_at("/refresh_token");
    let third = refreshed(&foxy, &first).await.text_at("/refresh_token");
    assert!(first != second && second != third && foxy.sim.refresh_token_opens(&first).is_some());
    assert_eq!(refreshed(&foxy, &second).await.status, 200);
    assert_eq!(refreshed(&foxy, &first).await.text_at("/error"), "invalid_grant");
}

#[tokio::test]
async fn a_token_says_of_itself_what_the_script_wants() {
    let foxy = Foxy::start().await;
    foxy.sim.set_faults("POST /token: token_type(mac); POST /users: scope(resource_read)".parse().unwrap());
    let user = foxy.user("ada@example.com").await;
    assert_eq!(user.text_at("/token/scope"), "resource_read");
    let answer = refreshed(&foxy, &user.text_at("/token/refresh_token")).await;
    assert_eq!((answer.text_at("/token_type"), answer.text_at("/scope")), ("mac".into(), "user_full_access".into()));
}
