//! Lookups: what exists, said only when it is known.

use foxy_api::{Outcome, ReadError, StoreSearch};
use serde_json::{Value, json};

use crate::server::{Call, Reply, Server, ann, far};

/// A Foxy whose user has these stores, two a page, with Foxy's page links.
async fn with_stores(domains: &'static [&'static str]) -> Server {
    Server::foxy_but(move |call| {
        (call.line == "GET /users/1/stores").then(|| Reply::json(200, &page(call, domains, domains.len())))
    })
    .await
}

fn page(call: &Call, domains: &[&str], total: usize) -> Value {
    let offset: usize = call.query.strip_prefix("offset=").map_or(0, |offset| offset.parse().unwrap());
    let entry = |domain: &&str| json!({"store_domain": domain, "_links": {"self": {"href": format!("{}/stores/{domain}", call.base)}}});
    let entries: Vec<_> = domains.iter().skip(offset).take(2).map(entry).collect();
    // The last page links itself as its next.
    let next = if offset + 2 < domains.len() { offset + 2 } else { offset };
    let next = format!("{}/users/1/stores?offset={next}", call.base);
    json!({"total_items": total, "_embedded": {"fx:stores": entries}, "_links": {"next": {"href": next}}})
}

fn unreadable<T>(result: Result<T, ReadError>) -> String {
    match result {
        Err(ReadError::Unreadable { source }) => source.to_string(),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("an error was expected"),
    }
}

#[tokio::test]
async fn a_store_is_found_on_whichever_page() {
    let server = with_stores(&["a", "b", "c", "d", "e"]).await;
    for domain in ["a", "d", "e", "E"] {
        let uri = format!("{}/stores/{}", server.base(), domain.to_lowercase());
        let StoreSearch::Found { uri: found } = server.session().find_store(domain).await.unwrap() else {
            panic!("{domain}")
        };
        assert_eq!(found.as_str(), uri);
    }
}

#[tokio::test]
async fn a_store_is_absent_only_after_the_last_page() {
    let server = with_stores(&["a", "b", "c", "d", "e"]).await;
    assert_eq!(server.session().find_store("anns-shop").await.unwrap(), StoreSearch::Absent);
    let queries: Vec<_> = server.calls("GET /users/1/stores").into_iter().map(|call| call.query).collect();
    // The third page was reached by this address, and links it again.
    assert_eq!(queries, ["", "offset=2", "offset=4"]);
    assert_eq!(with_stores(&[]).await.session().find_store("a").await.unwrap(), StoreSearch::Absent);
}

#[tokio::test]
async fn a_listing_that_ends_early_proves_no_absence() {
    let server = Server::foxy_but(|call| {
        (call.line == "GET /users/1/stores").then(|| Reply::json(200, &page(call, &["a", "b", "c"], 9)))
    })
    .await;
    let said = unreadable(server.session().find_store("anns-shop").await);
    assert_eq!(said, "the listing ended before all of it was seen");
}

#[tokio::test]
async fn a_listing_that_cannot_be_read_proves_no_absence() {
    for (body, expected) in [
        (json!({}), "the answer has no usable list of stores"),
        (json!({"_embedded": {"fx:stores": 7}}), "the answer has no usable list of stores"),
        (json!({"_embedded": {"fx:stores": [{"store_name": "A"}]}}), "the answer has no usable store_domain"),
    ] {
        let server =
            Server::foxy_but(move |call| (call.line == "GET /users/1/stores").then(|| Reply::json(200, &body))).await;
        assert_eq!(unreadable(server.session().find_store("a").await), expected);
    }
}

#[tokio::test]
async fn a_listing_is_read_in_every_form_that_hal_and_php_give_it() {
    let shop = |base: &str| json!({"store_domain": "a", "_links": {"self": {"href": format!("{base}/stores/1")}}});
    type Form = fn(&Value) -> Value;
    let forms: [(Form, bool); 8] = [
        (|shop| json!({"_embedded": {"fx:stores": [shop]}}), true),
        (|shop| json!({"_embedded": {"fx:stores": shop}, "total_items": "1"}), true),
        (|_| json!({"_embedded": {"fx:stores": null}}), false),
        (|_| json!({"_embedded": {"fx:stores": {}}}), false),
        (|_| json!({"_embedded": {}}), false),
        (|_| json!({"_embedded": []}), false),
        (|_| json!({"total_items": "0"}), false),
        (|_| json!({"_links": {"self": {"href": "/users/1/stores"}}}), false),
    ];
    for (form, found) in forms {
        let server = Server::foxy_but(move |call| {
            (call.line == "GET /users/1/stores").then(|| Reply::json(200, &form(&shop(&call.base))))
        })
        .await;
        let search = server.session().find_store("a").await.unwrap();
        assert_eq!(matches!(search, StoreSearch::Found { .. }), found, "{}", form(&json!({})));
    }
}

#[tokio::test]
async fn an_empty_listing_that_counts_more_proves_no_absence() {
    for body in [
        json!({"_embedded": {"fx:stores": null}, "total_items": 1}),
        json!({"_embedded": {}, "total_items": "2"}),
        json!({"total_items": 3, "returned_items": 0}),
    ] {
        let server =
            Server::foxy_but(move |call| (call.line == "GET /users/1/stores").then(|| Reply::json(200, &body))).await;
        let said = unreadable(server.session().find_store("a").await);
        assert_eq!(said, "the listing ended before all of it was seen");
    }
}

#[tokio::test]
async fn a_listing_without_end_is_given_up() {
    let server = Server::foxy_but(|call| {
        let next = format!("{}/users/1/stores?offset={}", call.base, call.nth + 1);
        let page = json!({"_embedded": {"fx:stores": [{"store_domain": "x"}]}, "_links": {"next": {"href": next}}});
        (call.line == "GET /users/1/stores").then(|| Reply::json(200, &page))
    })
    .await;
    let said = unreadable(server.session().find_store("a").await);
    assert_eq!(said, "the listing has more pages than anyone has stores");
    assert_eq!(server.count("GET /users/1/stores"), 1000);
}

#[tokio::test]
async fn an_email_and_a_domain_exist_or_do_not() {
    let server = Server::foxy_but(|call| {
        let found = call.query == "email=ann.lee%2B7%40example.com" || call.query == "store_domain=anns-shop";
        found.then(|| Reply::json(200, &json!({"message": "exists", "_links": {}})))
    })
    .await;
    let foxy = server.client();
    assert!(foxy.email_exists("ann.lee+7@example.com").await.unwrap());
    assert!(!foxy.email_exists("bob@example.com").await.unwrap());
    assert!(foxy.store_domain_exists("anns-shop").await.unwrap());
    assert!(!foxy.store_domain_exists("bobs-shop").await.unwrap());
    assert_eq!(server.count("GET /reporting"), 1);
}

#[tokio::test]
async fn a_404_that_does_not_say_absent_is_no_absence() {
    for reply in [Reply::html(404), Reply::status(410), Reply::error(404, "No such page")] {
        let server =
            Server::foxy_but(move |call| (call.line == "GET /reporting/email_exists").then(|| reply.clone())).await;
        let said = unreadable(server.client().email_exists("ann@example.com").await);
        assert!(said.starts_with("Foxy answered with status 4"), "{said}");
        assert_eq!(server.count("GET /reporting"), 2, "the link was discovered anew");
    }
}

#[tokio::test]
async fn a_lookup_link_that_moved_is_discovered_anew() {
    let server = Server::foxy_but(|call| match (call.line.as_str(), call.nth) {
        ("GET /reporting" | "GET /reporting/email_exists", 0) => Some(Reply::status(404)),
        _ => None,
    })
    .await;
    assert!(!server.client().email_exists("ann@example.com").await.unwrap());
}

#[tokio::test]
async fn a_lookup_that_fails_says_so() {
    for (reply, wait) in [
        (Reply::html(502), None),
        (Reply::HangUp, None),
        (Reply::Cut(200, Vec::new(), "{".into()), None),
        (Reply::Send(429, vec![("retry-after", "3".into())], String::new()), Some(3)),
        (Reply::Send(503, vec![("retry-after", "4".into())], String::new()), Some(4)),
    ] {
        let server =
            Server::foxy_but(move |call| (call.line == "GET /reporting/email_exists").then(|| reply.clone())).await;
        let error = server.client().email_exists("ann@example.com").await.unwrap_err();
        assert!(matches!(error, ReadError::Unavailable { .. } | ReadError::RateLimited { .. }), "{error:?}");
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), wait);
    }
}

#[tokio::test]
async fn a_client_that_is_prepared_creates_with_one_request() {
    let server = Server::foxy().await;
    let foxy = server.client();
    foxy.prepare().await.unwrap();
    let before = server.total();
    foxy.prepare().await.unwrap();
    assert_eq!(server.total(), before, "what is kept is not asked for");
    assert!(matches!(foxy.create_user(&ann(), far()).await.outcome, Outcome::Done(_)));
    assert_eq!(server.total() - before, 1);
}

#[tokio::test]
async fn a_probe_asks_foxy_every_time() {
    let server = Server::foxy().await;
    let foxy = server.client();
    foxy.probe().await.unwrap();
    let before = server.total();
    foxy.probe().await.unwrap();
    assert_eq!(server.total() - before, 1);
    server.stop().await;
    assert!(matches!(foxy.probe().await, Err(ReadError::Unavailable { .. })));
}
