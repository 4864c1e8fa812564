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
