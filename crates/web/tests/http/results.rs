//! How it ended, in words; and the way to the platform with a signed result.

use foxden_web::{Ending, ResultKey, ReturnTo, ReturnUrl};

use crate::{
    fake::TICKET,
    site::{Page, Site},
};

pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

/// Comes back with a code and sees this ending.
async fn ending(site: &Site, ending: Ending) -> Page {
    site.fake.ends(ending);
    let mut browser = site.browser();
    let state = browser.depart().await;
    browser.come_back(&format!("code=c0de&state={state}")).await
}

#[tokio::test]
async fn every_ending_has_its_words_and_a_way_on() {
    let site = Site::new().await;
    let again = format!(r#"href="/grant/{TICKET}">Try again"#);
    for (end, status, heading, part) in [
        (Ending::Granted, 200, "Thank you, that worked", "your store <strong><bdi>Ada’s shop</bdi></strong>"),
        (Ending::AlreadyDone, 200, "This was already done", "nothing more to do"),
        (Ending::Denied, 200, "Access was not given", again.as_str()),
        (Ending::Failed, 200, "That did not work", again.as_str()),
        (Ending::Wrong, 200, "That was another store", "This link is for <strong><bdi>Ada’s shop"),
        (Ending::Wrong, 200, "That was another store", again.as_str()),
        (Ending::Expired, 410, "That took too long", again.as_str()),
        (Ending::Pending, 200, "Almost done", r#"<meta http-equiv="refresh" content="3">"#),
    ] {
        let page = ending(&site, end).await;
        assert_eq!((page.status, page.heading()), (status, heading));
        assert!(page.body.contains(part), "{heading}: {part}");
    }
}

#[tokio::test]
async fn a_no_spends_the_trip_and_not_the_link() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    let denied = browser.come_back(&format!("error=access_denied&error_description=x&state={state}")).await;
    assert_eq!(denied.heading(), "Access was not given");
    // The code of a trip that was denied is worth nothing.
    assert_eq!(browser.come_back(&format!("code=c0de&state={state}")).await.heading(), "Access was not given");
    let state = browser.depart().await;
    assert_eq!(browser.come_back(&format!("code=c0de&state={state}")).await.heading(), "Thank you, that worked");
    assert_eq!(site.fake.codes(), ["c0de"]);
}

async fn with_return_url() -> Site {
    Site::with(|settings| {
        let url = ReturnUrl::parse("https://shops.example/connected?tab=stores").unwrap();
        settings.return_to = Some(ReturnTo { url, key: ResultKey::parse(KEY).unwrap() });
    })
    .await
}

/// What a person brings to the platform.
pub(crate) async fn signed_result() -> String {
    let site = with_return_url().await;
    let page = ending(&site, Ending::Granted).await;
    let location = page.header("location").unwrap().to_owned();
    location.strip_prefix("https://shops.example/connected?tab=stores&foxden_result=").unwrap().to_owned()
}

#[tokio::test]
async fn with_a_return_url_a_person_goes_there_with_the_result_and_a_reload_does_no_harm() {
    let site = with_return_url().await;
    for end in [Ending::Granted, Ending::AlreadyDone, Ending::Denied, Ending::Failed, Ending::Wrong, Ending::Expired] {
        let page = ending(&site, end).await;
        let location = page.header("location").unwrap();
        assert!(location.starts_with("https://shops.example/connected?tab=stores&foxden_result=FXR1."), "{location}");
        assert_eq!((page.status, page.header("referrer-policy")), (303, Some("no-referrer")));
    }
    // What has not ended is no result.
    assert_eq!(ending(&site, Ending::Pending).await.status, 200);
    assert_eq!(ending(&site, Ending::Choose(Vec::new())).await.status, 200);
    let page = site.browser().get("/trip/trip-0").await;
    assert_eq!((page.status, page.header("location")), (403, None), "another browser learns nothing");
}

#[tokio::test]
async fn no_parameter_of_a_request_says_where_a_person_goes() {
    let site = with_return_url().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    let evil = "redirect_uri=https://evil.example&return_to=//evil.example&next=https:evil.example";
    let lines = "X-Forwarded-Host: evil.example\r\nX-Original-URL: //evil.example\r\n";
    let page = browser.send("GET", &format!("/callback?code=c0de&state={state}&{evil}"), lines, "").await;
    assert_eq!(page.header("location"), Some("/trip/trip-0"));
    let page = browser.send("GET", &format!("/trip/trip-0?{evil}"), lines, "").await;
    assert!(page.header("location").unwrap().starts_with("https://shops.example/connected?"));
    let page = browser.send("GET", &format!("/grant/{TICKET}?{evil}"), lines, "").await;
    assert!(!page.body.contains("evil"));
}
