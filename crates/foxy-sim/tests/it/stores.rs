use serde_json::{Value, json};

use crate::foxy::{Foxy, new_store};

#[tokio::test]
async fn a_created_store_comes_with_its_token_and_is_booked_to_its_owner() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "Ada-Shop").await;
    let uri = store.text_at("/_links/self/href");
    assert_eq!(uri, format!("{}/stores/1", foxy.sim.base_url()));
    assert_eq!(store.text_at("/token/scope"), "store_full_access");
    let read = foxy.get(&uri, &store.access_token()).await.json();
    assert_eq!((&read["store_domain"], &read["is_active"]), (&json!("Ada-Shop"), &json!(false)));
    let booked = &foxy.sim.books().stores[0];
    assert_eq!((booked.uri.as_str(), booked.domain.as_str()), (uri.as_str(), "Ada-Shop"));
    assert_eq!(booked.owner, user.text_at("/_links/self/href"));
    assert_eq!(booked.properties["region"], "MN");
    let users = foxy.get("/stores/1/users", &store.access_token()).await.json();
    assert_eq!(users["_embedded"]["fx:users"][0]["email"], "ada@example.com");
}

#[tokio::test]
async fn every_mistake_in_a_store_is_one_error() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let body = json!({
        "store_name": "x".repeat(51), "store_domain": "-a", "store_url": "ftp://shop.example", "country": "USA",
        "store_email": "a@shop.example, b", "region": "MN", "logo_url": format!("https://shop.example/{}", "x".repeat(200)),
    });
    let answer = foxy.post("/stores", &user.access_token(), &body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.messages(),
        [
            "store_name can not be longer than 50 characters",
            "store_url must be a valid URL",
            "store_email must be a valid email address",
            "postal_code is required",
            "country can not be longer than 2 characters",
            "logo_url can not be longer than 200 characters",
            "store_domain must be 1 to 63 letters, digits and hyphens, without a hyphen at either end",
        ]
    );
}

async fn refusal(change: &[(&str, Value)]) -> Vec<String> {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    foxy.store(&user, "taken").await;
    let mut body = new_store("free");
    for (name, value) in change {
        body[name] = value.clone();
    }
    let answer = foxy.post("/stores", &user.access_token(), &body).await;
    if answer.status == 201 { Vec::new() } else { answer.messages() }
}

#[tokio::test]
async fn a_domain_is_unique_whatever_its_case() {
    assert_eq!(refusal(&[("store_domain", json!("TAKEN"))]).await, ["store_domain is already in use"]);
    assert_eq!(refusal(&[]).await, [""; 0]);
}

#[tokio::test]
async fn what_is_longer_than_foxy_takes_is_refused() {
    let url = |length: usize| json!(format!("https://a.example/{}", "p".repeat(length - 18)));
    let text = |length: usize| json!("x".repeat(length));
    for (name, most, of_length) in [
        ("webhook_url", 300, &url as &dyn Fn(usize) -> Value),
        ("single_sign_on_url", 300, &url),
        ("smtp_config", 1000, &text),
        ("customer_password_hash_config", 100, &text),
        ("unified_order_entry_password", 100, &text),
        ("webhook_key", 100, &text),
    ] {
        assert_eq!(refusal(&[(name, of_length(most))]).await, [""; 0]);
        let long = format!("{name} can not be longer than {most} characters");
        assert_eq!(refusal(&[(name, of_length(most + 1))]).await, [long]);
    }
    assert_eq!(refusal(&[("app_session_time", json!(259_200))]).await, [""; 0]);
    let long = refusal(&[("app_session_time", json!(259_201))]).await;
    assert_eq!(long, ["app_session_time must be an integer from 0 to 259200"]);
}

#[tokio::test]
async fn a_new_store_has_a_secret_of_its_own_and_signs_nothing_without_one() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let mut secrets = Vec::new();
    for domain in ["one", "two"] {
        let store = foxy.store(&user, domain).await;
        let read = foxy.get(&store.text_at("/_links/self/href"), &store.access_token()).await;
        secrets.push(read.text_at("/webhook_key"));
    }
    assert!(secrets.iter().all(|secret| secret.len() == 60) && secrets[0] != secrets[1]);
    let store = foxy.store(&user, "three").await;
    let change = async |body| foxy.patch(&store.text_at("/_links/self/href"), &store.access_token(), &body).await;
    assert_eq!(change(json!({ "use_cart_validation": true })).await.status, 200);
    let needs = change(json!({ "webhook_key": "" })).await;
    assert_eq!((needs.status, needs.messages()), (400, vec!["use_cart_validation needs a webhook_key".to_owned()]));
}

#[tokio::test]
async fn reserved_and_foreign_domains_are_refused_with_the_documented_texts() {
    let reserved = "store_domain is invalid because it has a reserved format";
    assert_eq!(refusal(&[("store_domain", json!("www"))]).await, [reserved]);
    let foxys = [("store_domain", json!("a.foxycart.com")), ("use_remote_domain", json!(true))];
    assert_eq!(refusal(&foxys).await, [reserved]);
    let internal = [("store_domain", json!("shop-internal"))];
    assert_eq!(refusal(&internal).await, ["store_domain can not end with -internal"]);
    let own = [("store_domain", json!("store.example.com")), ("use_remote_domain", json!(true))];
    assert_eq!(refusal(&own).await, [""; 0]);
}

#[tokio::test]
async fn a_region_is_a_two_letter_code_in_the_us_only() {
    let text = "region must be a two character code for stores in the US";
    assert_eq!(refusal(&[("region", json!("Minnesota"))]).await, [text]);
    assert_eq!(refusal(&[("region", json!("Bayern")), ("country", json!("DE"))]).await, [""; 0]);
}

#[tokio::test]
async fn collections_come_in_pages_with_all_four_links() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    for number in 0..5 {
        foxy.store(&user, &format!("shop-{number}")).await;
    }
    let token = user.access_token();
    let stores = user.text_at("/_links/fx:stores/href");
    let mut uri = format!("{stores}?limit=2");
    let mut seen = Vec::new();
    loop {
        let page = foxy.get(&uri, &token).await;
        let body = page.json();
        assert_eq!((&body["total_items"], &body["limit"]), (&json!(5), &json!(2)));
        let items = body["_embedded"]["fx:stores"].as_array().unwrap();
        assert_eq!(body["returned_items"], items.len());
        seen.extend(items.iter().map(|store| store["store_domain"].as_str().unwrap().to_owned()));
        assert_eq!(page.text_at("/_links/first/href"), format!("{stores}?limit=2&offset=0"));
        assert_eq!(page.text_at("/_links/last/href"), format!("{stores}?limit=2&offset=4"));
        let next = page.text_at("/_links/next/href");
        if next.ends_with(&format!("offset={}", body["offset"])) {
            assert_eq!(page.text_at("/_links/prev/href"), format!("{stores}?limit=2&offset=2"));
            break;
        }
        uri = next;
    }
    assert_eq!(seen, ["shop-0", "shop-1", "shop-2", "shop-3", "shop-4"]);
    let whole = foxy.get(&stores, &token).await.json();
    assert_eq!((&whole["limit"], &whole["offset"], &whole["returned_items"]), (&json!(20), &json!(0), &json!(5)));
    let filtered = foxy.get(&format!("{stores}?store_domain=shop-3"), &token).await.json();
    assert_eq!(filtered["_embedded"]["fx:stores"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_says_whether_a_domain_exists() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    foxy.store(&user, "ada").await;
    let path = "/reporting/store_domain_exists?store_domain=";
    let found = foxy.get(&format!("{path}ADA"), &user.access_token()).await;
    assert_eq!(found.text_at("/_links/fx:store/href"), format!("{}/stores/1", foxy.sim.base_url()));
    let absent = foxy.get(&format!("{path}bob"), &user.access_token()).await;
    assert_eq!((absent.status, absent.messages()), (404, vec!["This store was not found.".to_owned()]));
}

#[tokio::test]
async fn a_store_can_be_changed_within_the_same_rules() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "ada").await;
    foxy.store(&user, "bob").await;
    let token = store.access_token();
    let changed = foxy.patch("/stores/1", &token, &json!({ "store_name": "New", "store_domain": "ada-2" })).await;
    assert_eq!((changed.status, changed.text_at("/store_domain").as_str()), (200, "ada-2"));
    let taken = foxy.patch("/stores/1", &token, &json!({ "store_domain": "bob" })).await;
    assert_eq!(taken.messages(), ["store_domain is already in use"]);
    assert_eq!(foxy.store(&user, "ada").await.status, 201);
}

#[tokio::test]
async fn a_zoom_embeds_what_is_linked_and_only_that() {
    let foxy = Foxy::start().await;
    let user = foxy.user("ada@example.com").await;
    let store = foxy.store(&user, "one").await;
    foxy.store(&user, "two").await;
    let read = foxy.get("/users/1?zoom=stores:attributes", &user.access_token()).await.json();
    let domains: Vec<_> =
        read["_embedded"]["fx:stores"].as_array().unwrap().iter().map(|s| &s["store_domain"]).collect();
    assert_eq!(domains, ["one", "two"]);
    let read = foxy.get("/stores/1?zoom=attributes,users", &store.access_token()).await.json();
    assert_eq!(read["_embedded"]["fx:users"][0]["email"], "ada@example.com");
    for plain in ["/users/1", "/users/1?zoom=users", "/users/1?zoom=store"] {
        assert_eq!(foxy.get(plain, &user.access_token()).await.json()["_embedded"], Value::Null, "{plain}");
    }
}
