//! Texts from outside that would be markup, headers or other words if they could.

use foxden_web::{Link, Platform};

use crate::{
    fake::{TICKET, asked},
    site::Site,
};

const MARKUP: &str = r#""><script>alert(1)</script><img src=x onerror=alert(1)>&amp;</title></style>"#;

fn is_harmless(body: &str) {
    for part in ["<script", "<img", "\u{202e}"] {
        assert!(!body.contains(part), "{part} in {body}");
    }
    assert_eq!((body.matches("</title>").count(), body.matches("</style>").count()), (1, 1));
}

#[tokio::test]
async fn names_are_shown_as_text() {
    let site = Site::with(|settings| {
        settings.platform = Platform::try_new(MARKUP, "#000000".parse().unwrap(), None).unwrap();
    })
    .await;
    site.fake.set_link(Link::Open(asked(MARKUP)));
    let page = site.browser().get(&format!("/grant/{TICKET}")).await;
    is_harmless(&page.body);
    assert!(page.body.contains("<bdi>&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
    is_harmless(&site.browser().get("/grant/unknown").await.body);
}

#[tokio::test]
async fn a_name_neither_turns_nor_floods_the_page() {
    let site = Site::new().await;
    site.fake.set_link(Link::Open(asked(&format!("a\u{202e}b\r\n\u{0}{}", "x".repeat(100_000)))));
    let page = site.browser().get(&format!("/grant/{TICKET}")).await;
    is_harmless(&page.body);
    assert!(page.body.len() < 10_000 && page.body.contains("<bdi>ab xxx"));
}

#[tokio::test]
async fn an_error_description_is_neither_shown_nor_sent_on() {
    let site = Site::new().await;
    let mut browser = site.browser();
    for text in ["%3Cscript%3Ealert(1)%3C/script%3E", "%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a%3Ch1%3E", "call+555-0100"] {
        let state = browser.depart().await;
        let answer = format!("error={text}&error_description={text}&error_uri={text}&state={state}");
        let answered = browser.get(&format!("/callback?{answer}")).await;
        assert_eq!((answered.status, answered.header("set-cookie")), (303, None));
        let page = browser.get(answered.header("location").unwrap()).await;
        assert_eq!(page.heading(), "That did not work");
        is_harmless(&page.body);
        assert!(!page.body.contains("555-0100"));
    }
}

#[tokio::test]
async fn nothing_of_a_request_appears_on_the_page_of_an_error() {
    let site = Site::new().await;
    let browser = site.browser();
    for path in ["/m4rked", "/m4rked%3Cscript%3E", "/grant/m4rked", "/trouble/m4rked", "/trip/m4rked", "/?q=m4rked"] {
        let page = browser.send("GET", path, "Referer: https://m4rked.example\r\nUser-Agent: m4rked\r\n", "").await;
        assert!(!format!("{:?}{}", page.headers, page.body).contains("m4rked"), "{path}");
    }
}
