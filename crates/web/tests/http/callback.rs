//! The redirect URI: what may come, and what becomes of it.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use rustix::process::{Resource, Rlimit};

use crate::site::{PATIENCE, Site};

#[tokio::test]
async fn a_reload_or_a_step_back_neither_sends_the_code_again_nor_shows_an_error() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    for _ in 0..3 {
        let page = browser.get(&format!("/callback?code=c0de&state={state}")).await;
        assert_eq!((page.status, page.header("location"), page.body.as_str()), (303, Some("/trip/trip-0"), ""));
        let page = browser.get("/trip/trip-0").await;
        assert_eq!((page.status, page.heading()), (200, "Thank you, that worked"));
        assert!(!page.body.contains("c0de") && !page.body.contains(&state));
    }
    assert_eq!(site.fake.codes(), ["c0de"]);
    // Another code under a state that was spent.
    browser.come_back(&format!("code=other&state={state}")).await;
    assert_eq!(site.fake.codes(), ["c0de"]);
}

#[tokio::test]
async fn another_browsers_trip_can_neither_be_ended_nor_seen() {
    let site = Site::new().await;
    let (mut attacker, mut victim, bare) = (site.browser(), site.browser(), site.browser());
    let state = attacker.depart().await;
    victim.depart().await;
    for browser in [&victim, &bare] {
        let page = browser.come_back(&format!("code=c0de&state={state}")).await;
        assert_eq!((page.status, page.heading()), (403, "Please use one browser from start to end"));
        assert_eq!(browser.get("/trip/trip-0").await.status, 403);
    }
    assert!(site.fake.codes().is_empty() && site.fake.trips()[0].ending.is_none());
    assert_eq!(attacker.come_back(&format!("code=c0de&state={state}")).await.status, 200);
}

#[tokio::test]
async fn a_state_that_is_forged_odd_or_missing_is_asked_about_only_if_it_could_be_ours() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    let cut = &state[..42];
    let long = "x".repeat(6000);
    for answer in [
        String::new(),
        "code=c0de".to_owned(),
        format!("code=c0de&state={cut}"),
        format!("code=c0de&state={state}x"),
        format!("code=c0de&state={long}"),
        format!("code={long}&state={state}"),
        format!("code=c0de&state={state}&state={state}"),
        format!("code=c0de&code=c0de&state={state}"),
        format!("code=c0de&error=access_denied&state={state}"),
        format!("code=%0d%0aSet-Cookie:%20x&state={state}"),
        format!("code=&state={state}"),
        format!("state={state}"),
    ] {
        let page = browser.come_back(&answer).await;
        assert_eq!((page.status, page.heading()), (404, "We don’t know this link"), "{answer}");
    }
    assert_eq!(site.fake.changes(), ["begin"]);
    let forged = browser.come_back(&format!("code=c0de&state={}", "A".repeat(43))).await;
    assert_eq!(forged.status, 404);
    assert!(site.fake.codes().is_empty());
}

#[tokio::test]
async fn head_prefetch_and_post_spend_nothing() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let callback = format!("/callback?code=c0de&state={}", browser.depart().await);
    assert_eq!(browser.send("HEAD", &callback, "", "").await.status, 405);
    assert_eq!(browser.send("GET", &callback, "Sec-Purpose: prefetch\r\n", "").await.status, 503);
    assert_eq!(browser.send("POST", &callback, "Sec-Fetch-Site: same-origin\r\n", "x=y").await.status, 405);
    assert_eq!(site.fake.changes(), ["begin"]);
}

#[tokio::test]
async fn what_a_browser_began_ends_although_it_hangs_up_or_waits_no_longer() {
    let site = Site::with(|settings| settings.limits.request_time = Duration::from_millis(100)).await;
    *site.fake.arriving_takes.lock().unwrap() = Duration::from_millis(400);
    let mut browser = site.browser();
    let state = browser.depart().await;
    let page = browser.get(&format!("/callback?code=c0de&state={state}")).await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("60")));
    assert!(site.fake.codes().is_empty(), "it was to be answered before");
    let ended = async {
        while site.fake.codes().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert_eq!(site.fake.codes(), ["c0de"]);
}

#[tokio::test]
async fn while_grants_cant_be_asked_the_code_can_be_sent_again() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let callback = format!("/callback?code=c0de&state={}", browser.depart().await);
    site.fake.is_away.store(true, Ordering::Relaxed);
    let page = browser.get(&callback).await;
    assert_eq!((page.status, page.heading()), (503, "Please try again in a few minutes"));
    assert!(!page.body.contains("database"));
    site.fake.is_away.store(false, Ordering::Relaxed);
    assert_eq!(browser.get(&callback).await.header("location"), Some("/trip/trip-0"));
    assert_eq!(site.fake.codes(), ["c0de"]);
}

#[tokio::test]
async fn a_fault_is_a_page_and_ends_nothing_else() {
    let site = Site::new().await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    site.fake.panics.store(true, Ordering::Relaxed);
    let page = browser.get(&format!("/callback?code=c0de&state={state}")).await;
    assert_eq!((page.status, page.header("cache-control")), (500, Some("no-store")));
    let page = browser.get("/trip/trip-0").await;
    assert_eq!((page.status, page.heading()), (500, "Please try again in a few minutes"));
    site.fake.panics.store(false, Ordering::Relaxed);
    assert_eq!(browser.get("/trip/trip-0").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callbacks_at_once_end_each_in_its_own_browser() {
    // Each has a connection, and systems let a process have 1,024 unless asked.
    let files = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let site = Site::new().await;
    let browsers = (0..1000).map(|number| {
        let mut browser = site.browser();
        browser.address = format!("198.51.{}.{}", number / 250, number % 250);
        async move {
            let state = browser.depart().await;
            (browser, state)
        }
    });
    let browsers = join_all(browsers).await;
    // Each twice, as a person who presses reload.
    let pages = join_all(browsers.iter().flat_map(|(browser, state)| {
        let answer = format!("code=c-{state}&state={state}");
        [browser.clone(), browser.clone()].map(|browser| {
            let answer = answer.clone();
            async move { browser.come_back(&answer).await }
        })
    }));
    for page in pages.await {
        assert_eq!((page.status, page.heading()), (200, "Thank you, that worked"));
    }
    let mut codes = site.fake.codes();
    codes.sort();
    codes.dedup();
    assert_eq!((codes.len(), site.fake.codes().len()), (1000, 1000));
}
