//! The refresh tokens of a store as resources: what is listed, and what one deletion ends.

use serde_json::Value;
use url::Url;

use crate::allows::{Shop, sent};
use crate::foxy::Answer;

impl Shop {
    /// The token that the store's owner grants to the client.
    pub(crate) async fn grant(&self, scope: &str) -> Answer {
        let code = self.code(scope).await;
        self.foxy.token(&[("grant_type", "authorization_code"), ("code", &code)]).await
    }

    pub(crate) async fn code(&self, scope: &str) -> String {
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

#[tokio::test]
async fn tokens_of_one_client_user_and_scope_are_listed_as_it_is_played() {
    for (allows, listed) in [
        ("X4", 3),
        ("X4,X4-created-hidden", 2),
        ("X4,X4-granted-hidden", 1),
        ("X4,X4-created-hidden,X4-granted-hidden", 0),
        ("X4,X4-one-entry", 1),
        ("X4,X4-same-token", 1),
    ] {
        let shop = Shop::open(allows).await;
        let first = shop.grant("store_full_access").await.text_at("/refresh_token");
        let second = shop.grant("store_full_access store_id_1").await.text_at("/refresh_token");
        assert_eq!(shop.listed().await.len(), listed, "{allows}");
        let are_one = allows.contains("X4-same-token");
        assert_eq!((first == second, first == shop.store.text_at("/token/refresh_token")), (are_one, are_one));
        // Less access is another scope.
        assert_ne!(shop.grant("transaction_read").await.text_at("/refresh_token"), first);
        let more = usize::from(!allows.contains("granted-hidden"));
        assert_eq!(shop.listed().await.len(), listed + more, "{allows}");
    }
}

#[tokio::test]
async fn a_deletion_ends_as_many_tokens_as_it_is_played() {
    for (allows, others_live, access_lives) in [
        ("X4", true, false),
        ("X4,X4-late", true, true),
        ("X4,X4-one-entry", false, false),
        ("X4,X4-ends-same", false, false),
        ("X4,X4-ends-same,X4-late", false, true),
    ] {
        let shop = Shop::open(allows).await;
        let granted = shop.grant("store_full_access store_id_1").await;
        let narrow = shop.grant("transaction_read").await;
        let entry = shop.listed().await.iter().rfind(|entry| entry["scope"] != "transaction_read").unwrap().clone();
        let entry = entry["_links"]["self"]["href"].as_str().unwrap();
        assert_eq!(shop.call("DELETE", entry, &shop.store).await.status, 200);
        let opens = |token: &str| shop.foxy.sim.refresh_token_opens(token).is_some();
        assert!(!opens(&granted.text_at("/refresh_token")), "{allows}");
        assert_eq!(opens(&shop.store.text_at("/token/refresh_token")), others_live, "{allows}");
        for access in [granted.text_at("/access_token"), shop.store.access_token()] {
            assert_eq!(shop.foxy.sim.access_token_is_valid(&access).is_some(), access_lives, "{allows}");
        }
        assert!(opens(&narrow.text_at("/refresh_token")), "another scope");
        assert!(shop.foxy.sim.access_token_is_valid(&narrow.text_at("/access_token")).is_some(), "another scope");
    }
}
