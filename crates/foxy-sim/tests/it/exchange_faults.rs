//! What can go wrong when a code is exchanged.

use crate::allows::Shop;
use crate::foxy::Answer;

const STORE: &str = "store_full_access store_id_1";
const EXCHANGE: &str = "POST /token?grant_type=authorization_code";
const REFRESH: &str = "POST /token?grant_type=refresh_token";

impl Shop {
    /// One whose exchanges of codes fail in this way.
    async fn failing(fault: &str) -> Self {
        let shop = Self::open("none").await;
        shop.foxy.sim.set_faults(format!("{EXCHANGE}: {fault}").parse().unwrap());
        shop
    }

    async fn exchange(&self) -> Result<Answer, reqwest::Error> {
        let (code, (id, secret)) = (self.code(STORE).await, self.foxy.sim.client());
        let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
        let request = self.foxy.request("POST", "/token").basic_auth(id, Some(secret)).form(&form);
        crate::foxy::send(request).await
    }

    async fn refresh_store(&self) -> Answer {
        let token = self.store.text_at("/token/refresh_token");
        self.foxy.token(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await
    }
}

#[tokio::test]
async fn exchanges_fail_and_are_counted_apart_from_refreshes() {
    let shop = Shop::failing("status(500) first 1").await;
    let (id, secret) = shop.foxy.sim.client();
    assert_eq!(shop.refresh_store().await.status, 200);
    assert_eq!(shop.exchange().await.unwrap().status, 500);
    assert_eq!(shop.exchange().await.unwrap().status, 200);
    let requests = [EXCHANGE, REFRESH, "POST /token"].map(|route| shop.foxy.sim.requests(route));
    // One more had a token for the client, which made the user.
    assert_eq!(requests, [2, 1, 4]);
    shop.foxy.sim.set_faults(format!("{REFRESH}: refuse").parse().unwrap());
    assert_eq!(shop.exchange().await.unwrap().status, 200);
    let token = shop.store.text_at("/token/refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    let refresh = shop.foxy.request("POST", "/token").basic_auth(id, Some(secret)).form(&form);
    assert!(crate::foxy::send(refresh).await.is_err());
}

#[tokio::test]
async fn a_lost_answer_to_an_exchange_leaves_a_token_that_no_one_has() {
    let shop = Shop::failing("reset_after_work").await;
    assert!(shop.exchange().await.is_err());
    let list = shop.call("GET", &shop.integrations(), &shop.store).await.json();
    assert_eq!(list["total_items"], 1, "{list}");
}

#[tokio::test]
async fn a_code_can_be_refused_while_refreshes_work() {
    let shop = Shop::failing("oauth_error(invalid_grant)").await;
    let refused = shop.exchange().await.unwrap();
    assert_eq!((refused.status, refused.text_at("/error").as_str()), (400, "invalid_grant"));
    assert_eq!(shop.refresh_store().await.status, 200);
}

#[tokio::test]
async fn a_code_can_open_something_else_than_was_granted() {
    let shop = Shop::open("none").await;
    let base = shop.foxy.sim.base_url();
    shop.foxy.store(&shop.user, "two").await;
    let eve = shop.foxy.user("eve@example.com").await;
    for (named, scope, path) in
        [("two", STORE, "/stores/2"), ("eve@example.com", "user_full_access", "/users/2"), ("none", STORE, "/stores/1")]
    {
        shop.foxy.sim.set_faults(format!("{EXCHANGE}: other_grant({named})").parse().unwrap());
        let code = shop.code(STORE).await;
        let token = shop.foxy.token(&[("grant_type", "authorization_code"), ("code", &code)]).await;
        let opened = shop.foxy.sim.refresh_token_opens(&token.text_at("/refresh_token")).unwrap();
        assert_eq!((opened.uri, token.text_at("/scope").as_str()), (format!("{base}{path}"), scope));
        // Its home document tells what it opens, whatever its scope says.
        let home = shop.foxy.get("/", &token.text_at("/access_token")).await.json();
        let rel = if path.starts_with("/users") { "fx:user" } else { "fx:store" };
        assert_eq!(home["_links"][rel]["href"], format!("{base}{path}"));
    }
    assert_eq!(eve.text_at("/_links/self/href"), format!("{base}/users/2"));
}
