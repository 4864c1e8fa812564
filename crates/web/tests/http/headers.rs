//! The headers of every answer.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foxden_web::{FormTarget, Rate, ResultKey, ReturnTo, ReturnUrl};
use sha2::{Digest as _, Sha256};

use crate::{
    fake::TICKET,
    site::{Page, Site},
};

fn has_strict_headers(page: &Page, referrer: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", referrer),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-robots-tag", "noindex, nofollow"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").unwrap();
    for part in
        ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' https://foxy.example"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'));
    assert!(page.header("server").is_none());
}

#[tokio::test]
async fn every_answer_has_them() {
    let rate = Rate { burst: 13.try_into().unwrap(), every: Duration::from_secs(3600) };
    let site = Site::with(|settings| settings.limits.rate = rate).await;
    let mut browser = site.browser();
    let state = browser.depart().await;
    let grant = format!("/grant/{TICKET}");
    has_strict_headers(&browser.get(&grant).await, "same-origin");
    has_strict_headers(&browser.send("HEAD", &grant, "", "").await, "same-origin");
    for (method, path, status) in [
        ("POST", grant.as_str(), 403),
        ("GET", "/nowhere", 404),
        ("GET", "/grant/%FF", 404),
        ("GET", "/trip/x", 404),
        ("PUT", &grant, 405),
        ("GET", "/callback", 303),
        ("HEAD", "/callback", 405),
        ("GET", &format!("/callback?error=access_denied&state={state}"), 303),
        ("GET", "/trip/trip-0", 200),
    ] {
        let page = browser.send(method, path, "", "").await;
        assert_eq!(page.status, status, "{method} {path}");
        has_strict_headers(&page, "no-referrer");
    }
    let large = browser.send("POST", &grant, "", &"x".repeat(10_000)).await;
    assert_eq!(large.status, 413);
    has_strict_headers(&large, "no-referrer");
    let page = browser.get(&grant).await;
    assert_eq!(page.status, 429);
    has_strict_headers(&page, "no-referrer");
}

#[tokio::test]
async fn the_policy_lets_in_the_style_sheet_alone_and_forms_go_to_all_hosts_on_their_way() {
    let site = Site::with(|settings| {
        settings.authorization.push(FormTarget::parse("https://login.foxy.example/x").unwrap());
        let url = ReturnUrl::parse("https://app.shops.example/connected").unwrap();
        settings.return_to =
            Some(ReturnTo { url, key: ResultKey::parse(b"0123456789abcdef0123456789abcdef").unwrap() });
    })
    .await;
    let page = site.browser().get(&format!("/grant/{TICKET}")).await;
    let style = page.body.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = STANDARD.encode(Sha256::digest(style));
    assert_eq!(
        page.header("content-security-policy").unwrap(),
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' https://foxy.example \
             https://login.foxy.example https://app.shops.example; frame-ancestors 'none'; base-uri 'none'"
        )
    );
    assert!(style.starts_with(":root{--accent:#336699;--upon:#ffffff}"));
    for part in ["prefers-color-scheme:dark", "color-scheme:light dark", "max-width:26rem", ":focus-visible"] {
        assert!(style.contains(part), "{part}");
    }
    assert!(!page.body.contains(" style=") && !page.body.contains(" on"), "the policy would block it");
}
