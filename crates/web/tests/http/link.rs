//! The page that a link leads to, and its button.

use foxden_web::{Asked, Ended, Link, Reason, StateHash, Wanted};

use crate::{
    fake::{TICKET, asked},
    site::Site,
};

fn grant() -> String {
    format!("/grant/{TICKET}")
}

#[tokio::test]
async fn the_page_says_who_asks_for_what_and_its_button_leads_to_foxy() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let page = browser.get(&grant()).await;
    assert_eq!((page.status, page.heading()), (200, "Give Acme Shops access to your store again"));
    for part in
        ["Ada’s shop", "Full access to this store at Foxy", r#"lang="en""#, r#"name="viewport""#, "mailto:help@"]
    {
        assert!(page.body.contains(part), "{part}");
    }
    let form = format!(r#"<form method="post" action="/grant/{TICKET}">"#);
    assert!(page.body.contains(&form) && !page.body.contains("<script"));
    let page = browser.post(&grant(), "").await;
    assert_eq!(page.status, 303);
    let (url, state) = page.header("location").unwrap().split_once("&state=").unwrap();
    assert_eq!(url, "https://foxy.example/authorize?response_type=code&client_id=c");
    assert_eq!(site.fake.trips()[0].state, StateHash::of(state).unwrap());
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-trip=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
}

#[tokio::test]
async fn each_reason_to_ask_has_its_words() {
    let site = Site::new().await;
    for (reason, wanted, store, heading, access) in [
        (Reason::Connect, Wanted::Store, None, "Connect your store with Acme Shops", "access to this store"),
        (Reason::Connect, Wanted::User, None, "Connect your Foxy account with Acme Shops", "access to your account"),
        (
            Reason::Recover,
            Wanted::Store,
            Some("ada"),
            "Give Acme Shops access to your store again",
            "access to this store",
        ),
        (
            Reason::TakeOver,
            Wanted::User,
            Some("ada"),
            "Let Acme Shops set up your store in your Foxy account",
            "access to your account",
        ),
        (
            Reason::Reconnect,
            Wanted::Store,
            Some("ada"),
            "Renew the access that Acme Shops has to your store",
            "access to this store",
        ),
    ] {
        site.fake.set_link(Link::Open(Asked { reason, wanted, store: store.map(str::to_owned) }));
        let page = site.browser().get(&grant()).await;
        assert_eq!(page.heading(), heading);
        assert!(page.body.contains(access), "{heading}");
        assert_eq!(page.body.contains("<dd><bdi>ada</bdi></dd>"), store.is_some(), "{heading}");
    }
}

#[tokio::test]
async fn opening_the_link_changes_nothing_however_it_is_opened() {
    let site = Site::new().await;
    let browser = site.browser();
    for (method, lines) in [("GET", ""), ("GET", ""), ("HEAD", ""), ("GET", "Sec-Purpose: prefetch\r\n")] {
        let page = browser.send(method, &grant(), lines, "").await;
        assert_eq!((page.status, page.header("set-cookie"), page.body.is_empty()), (200, None, method == "HEAD"));
    }
    for method in ["OPTIONS", "PUT", "DELETE", "TRACE", "PATCH"] {
        assert_eq!(browser.send(method, &grant(), "", "").await.status, 405, "{method}");
    }
    assert!(site.fake.changes().is_empty());
}

#[tokio::test]
async fn a_form_of_another_site_begins_nothing() {
    let site = Site::new().await;
    let browser = site.browser();
    for lines in [
        "",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: https://shops.example\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Referer: https://shops.example/\r\n",
    ] {
        let page = browser.send("POST", &grant(), lines, "").await;
        assert_eq!((page.status, page.header("set-cookie")), (403, None), "{lines}");
    }
    assert!(site.fake.changes().is_empty());
    let older_browser = browser.send("POST", &grant(), "Origin: https://shops.example\r\n", "").await;
    assert_eq!(older_browser.status, 303);
}

#[tokio::test]
async fn two_tabs_share_the_cookie_and_each_has_its_own_state() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let (one, other) = (browser.depart().await, browser.depart().await);
    assert_ne!(one, other);
    let trips = site.fake.trips();
    assert_eq!(trips[0].cookie, trips[1].cookie);
    for state in [other, one] {
        let page = browser.come_back(&format!("code=c-{state}&state={state}")).await;
        assert_eq!(page.heading(), "Thank you, that worked");
    }
    assert_eq!(site.fake.codes().len(), 2);
}

#[tokio::test]
async fn an_odd_ticket_is_refused_before_anyone_is_asked() {
    let site = Site::new().await;
    let mut browser = site.browser();
    // Whoever is asked would panic.
    site.fake.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    for ticket in ["%00", "a%2Fb", "%2e%2e", "%3Cscript%3E", "%0d%0aX:y", "%FF", "a%20b", &"x".repeat(257)] {
        let page = browser.get(&format!("/grant/{ticket}")).await;
        assert!([400, 404].contains(&page.status), "{ticket}: {}", page.status);
        assert_eq!(page.heading(), "We don’t know this link", "{ticket}");
        assert!(!page.body.contains("script>") && page.header("x").is_none());
        assert_eq!(browser.post(&format!("/grant/{ticket}"), "").await.header("set-cookie"), None);
    }
    for path in ["/", "/grant", "/grant/", "/grant/a/b", "//evil.example", "/trouble/no-page", "/.git/config"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_forged_ticket_is_an_unknown_link() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let page = browser.get("/grant/FXT1.good-ticket_2").await;
    assert_eq!((page.status, page.heading()), (404, "We don’t know this link"));
    // The button of a page that has ended meanwhile leads back to the page, which says so.
    let page = browser.post("/grant/FXT1.good-ticket_2", "").await;
    assert_eq!((page.status, page.header("location")), (303, Some("/grant/FXT1.good-ticket_2")));
}

#[tokio::test]
async fn a_link_that_has_ended_says_why() {
    let site = Site::new().await;
    let browser = site.browser();
    for (ended, heading) in [
        (Ended::Done, "This is already done"),
        (Ended::Expired, "This link has expired"),
        (Ended::Withdrawn, "This is no longer needed"),
    ] {
        site.fake.set_link(Link::Ended(asked("Ada’s shop"), ended));
        let page = browser.get(&grant()).await;
        assert_eq!((page.status, page.heading()), (410, heading));
        assert!(!page.body.contains("<form"));
    }
}

#[tokio::test]
async fn a_person_is_sent_to_the_configured_origins_and_nowhere_else() {
    let site = Site::new().await;
    let mut browser = site.browser();
    for url in ["https://evil.example/authorize", "http://foxy.example/authorize", "https://foxy.example:444/"] {
        *site.fake.authorize.lock().unwrap() = url.to_owned();
        let page = browser.post(&grant(), "").await;
        assert_eq!((page.status, page.header("location")), (500, None), "{url}");
    }
}
