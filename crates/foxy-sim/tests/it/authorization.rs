use std::time::Duration;

use foxy_sim::Config;
use url::Url;

use crate::clients::new_client;
use crate::foxy::{Answer, Foxy, send};

pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/back";

pub(crate) async fn foxy() -> Foxy {
    Foxy::with(Config { redirect_uri: CALLBACK.to_owned(), ..Config::default() }).await
}

async fn ask(foxy: &Foxy, changes: &[(&str, &str)]) -> Answer {
    let (id, _) = foxy.sim.client();
    let mut query = vec![("response_type", "code"), ("client_id", id), ("scope", "user_full_access"), ("state", "s t")];
    query.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    // A browser sends no version header.
    send(foxy.http.get(foxy.sim.authorize_url()).query(&query)).await.unwrap()
}

/// A value in the query of the URI that the browser is sent back to.
pub(crate) fn returned(answer: &Answer, name: &str) -> String {
    let location = answer.header("location");
    assert!(location.starts_with(CALLBACK), "{location}");
    let location = Url::parse(location).unwrap();
    location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_code_comes_back_with_the_state_and_opens_the_user_once() {
    let foxy = foxy().await;
    foxy.user("ada@example.com").await;
    let back = ask(&foxy, &[("sim_as", "ada@example.com")]).await;
    assert_eq!((back.status, returned(&back, "state").as_str()), (302, "s t"));
    let code = returned(&back, "code");
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let token = foxy.token(&form).await;
    assert_eq!(token.text_at("/scope"), "user_full_access");
    let grant = foxy.sim.refresh_token_opens(&token.text_at("/refresh_token")).unwrap();
    assert_eq!(grant.uri, format!("{}/users/1", foxy.sim.base_url()));
    assert_eq!(foxy.token(&form).await.text_at("/error"), "invalid_grant");
}

#[tokio::test]
async fn a_store_is_granted_by_its_domain_or_its_link() {
    let foxy = foxy().await;
    let user = foxy.user("ada@example.com").await;
    foxy.store(&user, "one").await;
    let two = foxy.store(&user, "two").await.text_at("/_links/self/href");
    for name in ["two", two.as_str()] {
        let back = ask(&foxy, &[("scope", "store_full_access"), ("sim_as", name)]).await;
        let form =
            [("grant_type", "authorization_code"), ("code", &*returned(&back, "code")), ("redirect_uri", CALLBACK)];
        let token = foxy.token(&form).await;
        assert_eq!(foxy.sim.refresh_token_opens(&token.text_at("/refresh_token")).unwrap().uri, two);
    }
}

#[tokio::test]
async fn a_scope_may_name_the_store_and_open_less_than_all_of_it() {
    let foxy = foxy().await;
    let user = foxy.user("ada@example.com").await;
    foxy.user("bob@example.com").await;
    foxy.store(&user, "one").await;
    let two = foxy.store(&user, "two").await.text_at("/_links/self/href");
    for (scope, status) in [("store_full_access store_id_2", 200), ("transaction_read store_id_2", 403)] {
        // The user has two stores; the scope says which one.
        let back = ask(&foxy, &[("scope", scope), ("sim_as", "ada@example.com")]).await;
        let token = foxy.token(&[("grant_type", "authorization_code"), ("code", &returned(&back, "code"))]).await;
        assert_eq!(token.text_at("/scope"), scope);
        let refreshed =
            foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", &token.text_at("/refresh_token"))]).await;
        assert_eq!(refreshed.text_at("/scope"), scope);
        let access = refreshed.text_at("/access_token");
        assert_eq!(foxy.get(&two, &access).await.status, status, "{scope}");
        assert_eq!(foxy.get(&format!("{two}/attributes"), &access).await.status, status, "{scope}");
        assert_eq!(foxy.get("/", &access).await.text_at("/_links/fx:store/href"), two);
    }
    for (scope, name) in [
        ("store_full_access store_id_2", "one"),
        ("store_full_access store_id_2", "bob@example.com"),
        ("store_full_access", "ada@example.com"),
    ] {
        let elsewhere = ask(&foxy, &[("scope", scope), ("sim_as", name)]).await;
        assert_eq!(returned(&elsewhere, "error"), "access_denied", "{scope} by {name}");
    }
}

#[tokio::test]
async fn a_code_belongs_to_its_client_and_to_where_it_was_sent() {
    let foxy = foxy().await;
    foxy.user("ada@example.com").await;
    let other = send(foxy.request("POST", "/clients").json(&new_client())).await.unwrap();
    let other = (other.text_at("/client_id"), other.text_at("/client_secret"));
    let (id, secret) = foxy.sim.client();
    let own = (id.to_owned(), secret.to_owned());
    for (asked, client, given, status) in [
        (CALLBACK, &own, CALLBACK, 200),
        (CALLBACK, &own, "http://evil.invalid", 400),
        (CALLBACK, &own, "", 400),
        ("", &own, "", 200),
        ("", &own, CALLBACK, 200),
        ("", &own, "http://evil.invalid", 400),
        (CALLBACK, &other, CALLBACK, 400),
    ] {
        let back = ask(&foxy, &[("redirect_uri", asked), ("sim_as", "ada@example.com")]).await;
        let code = returned(&back, "code");
        let mut form = vec![("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", given)];
        form.retain(|(_, value)| !value.is_empty());
        let request = foxy.request("POST", "/token").basic_auth(&client.0, Some(&client.1)).form(&form);
        let answer = send(request).await.unwrap();
        assert_eq!(answer.status, status, "{asked} {given}");
        assert!(status == 200 || answer.text_at("/error") == "invalid_grant");
    }
}

#[tokio::test]
async fn a_code_that_is_used_again_ends_what_it_was_exchanged_for_only_if_it_is_to() {
    for (allows, lives) in [("none", true), ("code-replay", false)] {
        let allows = allows.parse().unwrap();
        let config = Config { redirect_uri: CALLBACK.to_owned(), allows, ..Config::default() };
        let foxy = Foxy::with(config).await;
        let user = foxy.user("ada@example.com").await;
        let back = ask(&foxy, &[("sim_as", "ada@example.com")]).await;
        let code = returned(&back, "code");
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let token = foxy.token(&form).await;
        let refresh_token = token.text_at("/refresh_token");
        let later = foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await;
        assert_eq!(foxy.token(&form).await.text_at("/error"), "invalid_grant");
        assert_eq!(foxy.sim.refresh_token_opens(&refresh_token).is_some(), lives);
        for token in [&token, &later] {
            assert_eq!(foxy.sim.access_token_is_valid(&token.text_at("/access_token")).is_some(), lives);
        }
        assert!(foxy.sim.access_token_is_valid(&user.access_token()).is_some(), "it came with another refresh token");
    }
}

#[tokio::test]
async fn a_code_ends_when_its_lifetime_is_over() {
    let config = Config { redirect_uri: CALLBACK.to_owned(), code_lifetime: Duration::ZERO, ..Config::default() };
    let foxy = Foxy::with(config).await;
    foxy.user("ada@example.com").await;
    let back = ask(&foxy, &[("sim_as", "ada@example.com")]).await;
    let answer = foxy.token(&[("grant_type", "authorization_code"), ("code", &returned(&back, "code"))]).await;
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (400, "invalid_grant"));
}

#[tokio::test]
async fn refusals_come_back_as_errors() {
    let foxy = foxy().await;
    for (changes, error) in [
        (vec![("sim_deny", "1")], "access_denied"),
        (vec![("sim_as", "nobody@example.com")], "access_denied"),
        (vec![("scope", "client_full_access")], "invalid_scope"),
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("state", "")], "invalid_request"),
    ] {
        let back = ask(&foxy, &changes).await;
        assert_eq!((back.status, returned(&back, "error").as_str()), (302, error), "{changes:?}");
        assert_eq!(returned(&back, "code"), "");
    }
}

#[tokio::test]
async fn the_browser_comes_back_with_the_error_that_the_script_wants() {
    let foxy = foxy().await;
    foxy.user("ada@example.com").await;
    for (fault, error, description) in [
        ("oauth_error(server_error)", "server_error", "The fault script refuses this request"),
        ("oauth_error(access_denied <img src=x> & \"more\")", "access_denied", "<img src=x> & \"more\""),
    ] {
        foxy.sim.set_faults(format!("GET /authorize: {fault}").parse().unwrap());
        let back = ask(&foxy, &[("sim_as", "ada@example.com")]).await;
        assert_eq!((back.status, returned(&back, "error").as_str()), (302, error));
        assert_eq!(
            (returned(&back, "error_description").as_str(), returned(&back, "code").as_str()),
            (description, "")
        );
    }
}

#[tokio::test]
async fn an_unknown_client_or_a_foreign_redirect_uri_is_sent_nowhere() {
    let foxy = foxy().await;
    for change in [("client_id", "unknown"), ("redirect_uri", "http://evil.invalid/")] {
        let answer = ask(&foxy, &[change]).await;
        assert_eq!((answer.status, answer.header("location")), (400, ""));
    }
}
