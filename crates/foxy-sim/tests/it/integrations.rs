//! The refresh tokens of a store as resources: what is listed, and what one deletion ends.

use serde_json::Value;
use url::Url;

use crate::allows::{Shop, sent};
use crate::foxy::Answer;

impl Shop {
    /// The token that the store's owner grants to the client.
    async fn grant(&self, scope: &str) -> Answer {
        let code = self.code(scope).await;
        self.foxy.token(&[("grant_type", "authorization_code"), ("code", &code)]).await
    }

    async fn code(&self, scope: &str) -> String {
        let (id, _) = self.foxy.sim.client();
        let ask = [
            ("response_type", "code"),
            ("client_id", id),
            ("scope", scope),
            ("state", "s"),
            ("sim_as", "ada@example.com"),
        ];
        let back = sent(self.foxy.http.get(self.foxy.sim.authorize_url()).query(&ask)).await;
        let back = Url::parse(back.header("location")).unwrap();
        back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    async fn listed(&self) -> Vec<Value> {
        let list = self.call("GET", &self.integrations(), &self.store).await.json();
        list["_embedded"]["fx:integrations"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_granted_token_is_listed_even_if_those_of_creations_are_not() {
    let shop = Shop::open("none").await;
    assert_eq!(shop.listed().await.len(), 0);
    shop.grant("store_full_access store_id_1").await;
    let listed = shop.listed().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["client_id"], shop.foxy.sim.client().0);
    assert_eq!(listed[0]["scope"], "store_full_access store_id_1");
}
