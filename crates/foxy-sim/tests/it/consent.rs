//! The authorization endpoint as a person's browser meets it.

use foxy_sim::Config;
use reqwest::header::COOKIE;

use crate::authorization::{CALLBACK, foxy, returned};
use crate::clients::new_client;
use crate::foxy::{Answer, Foxy, send};

/// Holds one page and one cookie, and presses its buttons.
struct Browser<'a> {
    foxy: &'a Foxy,
    cookie: String,
    page: Answer,
}

impl<'a> Browser<'a> {
    async fn at(foxy: &'a Foxy, scope: &str) -> Self {
        Self::sent_by(foxy, foxy.sim.client().0, scope).await
    }

    async fn sent_by(foxy: &'a Foxy, client_id: &str, scope: &str) -> Self {
        let query = [("response_type", "code"), ("client_id", client_id), ("scope", scope), ("state", "s\"&<t>")];
        let page = send(foxy.http.get(foxy.sim.authorize_url()).query(&query)).await.unwrap();
        Self { foxy, cookie: String::new(), page }
    }

    /// The same address once more, as another tab of this browser.
    async fn reload(&mut self) {
        let uri = self.action();
        self.open(&uri).await;
    }

    async fn open(&mut self, uri: &str) {
        let request = self.foxy.request("GET", uri).header(COOKIE, &self.cookie);
        self.page = send(request).await.unwrap();
    }

    /// Where the page's forms go.
    fn action(&self) -> String {
        let action = self.page.text.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
        action.replace("&amp;", "&")
    }

    /// Submits a form of the page, and follows where that leads within the simulator.
    async fn submit(&mut self, fields: &[(&str, &str)]) {
        let request = self.foxy.http.post(format!("{}{}", self.foxy.sim.base_url(), self.action()));
        self.page = send(request.header(COOKIE, &self.cookie).form(fields)).await.unwrap();
        if let Some(cookie) = self.page.headers.get("set-cookie") {
            self.cookie = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        }
        if self.page.header("location").starts_with("/authorize?") {
            assert_eq!(self.page.status, 303);
            let next = self.page.header("location").to_owned();
            self.open(&next).await;
        }
    }

    async fn log_in(&mut self, email: &str) {
        self.submit(&[("do", "login"), ("email", email)]).await;
    }

    fn shows(&self, text: &str) -> bool {
        self.page.text.contains(text)
    }
}

/// What the code that the browser brings back opens.
async fn opened(foxy: &Foxy, back: &Answer) -> String {
    assert_eq!((back.status, returned(back, "state").as_str()), (303, "s\"&<t>"), "{}", back.text);
    let token = foxy.token(&[("grant_type", "authorization_code"), ("code", &returned(back, "code"))]).await;
    foxy.sim.refresh_token_opens(&token.text_at("/refresh_token")).unwrap().uri
}

#[tokio::test]
async fn a_person_logs_in_by_email_and_allows() {
    let foxy = foxy().await;
    let user = foxy.user("ada@example.com").await;
    let mut browser = Browser::at(&foxy, "user_full_access").await;
    assert!(browser.shows("No password is needed") && browser.shows("name=\"viewport\" content=\"width=device-width"));
    browser.log_in("eve@example.com").await;
    assert!(browser.page.status == 400 && browser.shows("No user has this email."), "{}", browser.page.text);
    browser.log_in("Ada@example.com").await;
    assert!(browser.page.status == 200 && browser.shows("You are logged in as ada@example.com"));
    assert!(browser.shows("<strong>foxy-sim</strong>") && browser.shows("see and change your user"));
    browser.submit(&[("do", "allow"), ("resource", "/users/1")]).await;
    assert_eq!(opened(&foxy, &browser.page).await, user.text_at("/_links/self/href"));
}

#[tokio::test]
async fn a_browser_stays_logged_in_until_another_account_is_used() {
    let foxy = foxy().await;
    foxy.user("ada@example.com").await;
    foxy.user("bob@example.com").await;
    let mut browser = Browser::at(&foxy, "user_full_access").await;
    browser.log_in("ada@example.com").await;
    browser.reload().await;
    assert!(browser.shows("logged in as ada@example.com") && !browser.shows("type=\"email\""));
    let ada = browser.cookie.clone();
    browser.submit(&[("do", "logout")]).await;
    assert!(browser.shows("type=\"email\""));
    browser.log_in("bob@example.com").await;
    assert!(browser.shows("logged in as bob@example.com"));
    // The cookie itself is worth nothing any more.
    browser.cookie = ada;
    browser.reload().await;
    assert!(browser.shows("type=\"email\""));
    browser.submit(&[("do", "allow"), ("resource", "/users/1")]).await;
    assert!(browser.page.status == 200 && browser.shows("type=\"email\""), "{}", browser.page.text);
}

#[tokio::test]
async fn a_person_chooses_among_their_own_stores_only() {
    let foxy = foxy().await;
    let (ada, bob) = (foxy.user("ada@example.com").await, foxy.user("bob@example.com").await);
    foxy.store(&ada, "one").await;
    foxy.store(&bob, "bobs").await;
    let two = foxy.store(&ada, "two").await.text_at("/_links/self/href");
    let mut browser = Browser::at(&foxy, "store_full_access").await;
    browser.log_in("ada@example.com").await;
    assert!(browser.shows("value=\"/stores/1\"") && browser.shows("Ada&#39;s Shop (two)") && !browser.shows("bobs"));
    for resource in ["/stores/2", "/users/1", ""] {
        browser.submit(&[("do", "allow"), ("resource", resource)]).await;
        assert!(browser.page.status == 200 && browser.shows("Choose a store"), "{resource}");
    }
    browser.submit(&[("do", "allow"), ("resource", "/stores/3")]).await;
    assert_eq!(opened(&foxy, &browser.page).await, two);
}

#[tokio::test]
async fn a_scope_that_names_a_store_leaves_no_other_and_no_strangers() {
    let foxy = foxy().await;
    let (ada, bob) = (foxy.user("ada@example.com").await, foxy.user("bob@example.com").await);
    foxy.store(&ada, "one").await;
    let two = foxy.store(&ada, "two").await.text_at("/_links/self/href");
    foxy.store(&bob, "bobs").await;
    let mut browser = Browser::at(&foxy, "store_full_access store_id_2").await;
    browser.log_in("bob@example.com").await;
    assert!(browser.page.status == 403 && browser.shows("bob@example.com has no access to store 2"));
    browser.submit(&[("do", "allow"), ("resource", "/stores/2")]).await;
    assert_eq!(browser.page.status, 403);
    browser.submit(&[("do", "logout")]).await;
    browser.log_in("ada@example.com").await;
    assert!(browser.shows("(two)") && !browser.shows("(one)"));
    browser.submit(&[("do", "allow"), ("resource", "/stores/1")]).await;
    assert!(browser.page.status == 200 && browser.shows("(two)"));
    browser.submit(&[("do", "allow"), ("resource", "/stores/2")]).await;
    assert_eq!(opened(&foxy, &browser.page).await, two);
}

#[tokio::test]
async fn another_store_than_the_scope_names_can_be_granted_where_that_is_played() {
    let allows = "any-store".parse().unwrap();
    let foxy = Foxy::with(Config { redirect_uri: CALLBACK.to_owned(), allows, ..Config::default() }).await;
    let ada = foxy.user("ada@example.com").await;
    let one = foxy.store(&ada, "one").await.text_at("/_links/self/href");
    foxy.store(&ada, "two").await;
    let mut browser = Browser::at(&foxy, "store_full_access store_id_2").await;
    browser.log_in("ada@example.com").await;
    browser.submit(&[("do", "allow"), ("resource", "/stores/1")]).await;
    assert_eq!(opened(&foxy, &browser.page).await, one);
}

#[tokio::test]
async fn a_person_can_deny_on_every_page() {
    let foxy = foxy().await;
    foxy.user("ada@example.com").await;
    let mut browser = Browser::at(&foxy, "store_full_access").await;
    let deny = [("do", "deny")];
    browser.submit(&deny).await;
    assert_eq!(returned(&browser.page, "error"), "access_denied");
    let mut browser = Browser::at(&foxy, "store_full_access").await;
    browser.log_in("ada@example.com").await;
    assert!(browser.page.status == 403 && browser.shows("ada@example.com has no store"));
    browser.submit(&deny).await;
    assert_eq!((browser.page.status, returned(&browser.page, "error").as_str()), (303, "access_denied"));
    assert_eq!(returned(&browser.page, "state"), "s\"&<t>");
}

#[tokio::test]
async fn what_clients_users_and_stores_are_called_is_text_to_the_pages() {
    let foxy = foxy().await;
    let mut body = new_client();
    body["project_name"] = "<img src=x>".into();
    body["company_name"] = "\"><script>1</script>".into();
    let client = send(foxy.request("POST", "/clients").json(&body)).await.unwrap().text_at("/client_id");
    foxy.user("b<i>b@example.com").await;
    let mut browser = Browser::sent_by(&foxy, &client, "user_full_access").await;
    browser.log_in("\"><b>nobody@example.com").await;
    let login = browser.page.text.clone();
    browser.log_in("b<i>b@example.com").await;
    for page in [&login, &browser.page.text] {
        assert!(page.contains("&lt;img src=x&gt;</strong> by &quot;&gt;&lt;script&gt;"), "{page}");
        assert!(["<img", "<script", "<b>", "<i>"].iter().all(|tag| !page.contains(tag)), "{page}");
    }
    assert!(browser.shows("logged in as b&lt;i&gt;b@example.com"));
    let policy = browser.page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(browser.page.header("cache-control"), "no-store");
}
