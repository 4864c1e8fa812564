use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use foxy_sim::{FaultRule, FaultScript, Latency, RoutePattern};
use serde_json::json;

use crate::foxy::{Answer, Foxy, new_store, new_user, send};

/// Asks a failing simulator for a user.
async fn create(foxy: &Foxy) -> Result<Answer, reqwest::Error> {
    let token = foxy.client_token().await;
    foxy.try_post("/users", &token, &new_user("ada@example.com")).await
}

/// What was made, and whether its answer left.
fn booked(foxy: &Foxy) -> Vec<bool> {
    foxy.sim.books().users.iter().map(|user| user.answered).collect()
}

/// Waits until so many users are in the books.
async fn until_booked(foxy: &Foxy, users: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while foxy.sim.books().users.len() < users {
        assert!(Instant::now() < deadline, "no user was made");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The innermost cause of a failed request.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[tokio::test]
async fn an_answer_that_left_is_booked_as_answered() {
    let foxy = Foxy::start().await;
    assert_eq!(create(&foxy).await.unwrap().status, 201);
    assert_eq!(booked(&foxy), [true]);
}

#[tokio::test]
async fn a_refused_request_has_no_answer_and_no_effect() {
    let foxy = Foxy::failing("POST /users: refuse").await;
    let error = create(&foxy).await.unwrap_err();
    assert!(error.is_request() && !error.is_timeout(), "{error:?}");
    assert_eq!(booked(&foxy), [false; 0]);
    assert_eq!(foxy.sim.requests("POST /users"), 1);
}

#[tokio::test]
async fn a_reset_before_the_work_leaves_nothing() {
    let foxy = Foxy::failing("POST /users: reset_before_work").await;
    let error = create(&foxy).await.unwrap_err();
    assert!(!error.is_connect(), "{error:?}");
    assert!(cause(&error).contains("reset"), "{}", cause(&error));
    assert_eq!(booked(&foxy), [false; 0]);
}

#[tokio::test]
async fn a_reset_after_the_work_leaves_an_unanswered_user() {
    let foxy = Foxy::failing("POST /users: reset_after_work").await;
    let error = create(&foxy).await.unwrap_err();
    assert!(cause(&error).contains("reset"), "{}", cause(&error));
    assert_eq!(booked(&foxy), [false]);
}

/// How long after `since` the first user was made.
fn made_after(foxy: &Foxy, since: SystemTime) -> Duration {
    let made = UNIX_EPOCH + Duration::from_millis(foxy.sim.books().users[0].created_at_ms);
    // The books know whole milliseconds.
    (made + Duration::from_millis(1)).duration_since(since).unwrap()
}

#[tokio::test]
async fn late_work_is_done_after_the_connection_is_closed() {
    let foxy = Foxy::failing("POST /users: late_work(100ms)").await;
    let started = SystemTime::now();
    let error = create(&foxy).await.unwrap_err();
    assert_eq!(cause(&error), "connection closed before message completed");
    until_booked(&foxy, 1).await;
    assert!(made_after(&foxy, started) >= Duration::from_millis(100));
    assert_eq!(booked(&foxy), [false]);
}

#[tokio::test]
async fn a_stall_before_the_work_outlives_an_impatient_client() {
    let foxy = Foxy::failing("POST /users: stall_before_work(100ms)").await;
    let token = foxy.client_token().await;
    let started = SystemTime::now();
    let request = foxy.request("POST", "/users").bearer_auth(token).json(&new_user("ada@example.com"));
    let asking = tokio::spawn(send(request));
    while foxy.sim.requests("POST /users") == 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    until_booked(&foxy, 1).await;
    assert!(made_after(&foxy, started) >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_stall_after_the_work_has_it_done_at_once() {
    let foxy = Foxy::failing("POST /users: stall_after_work(30s)").await;
    let token = foxy.client_token().await;
    let request = foxy.request("POST", "/users").bearer_auth(token).json(&new_user("ada@example.com"));
    let asking = tokio::spawn(send(request));
    until_booked(&foxy, 1).await;
    assert!(!asking.is_finished());
    foxy.sim.shutdown().await;
    assert!(asking.await.unwrap().is_err());
    assert_eq!(booked(&foxy), [false]);
}

#[tokio::test]
async fn a_short_stall_ends_in_the_usual_answer() {
    for fault in ["stall_before_work(20ms)", "stall_after_work(20ms)"] {
        let foxy = Foxy::failing(&format!("POST /users: {fault}")).await;
        let started = Instant::now();
        assert_eq!(create(&foxy).await.unwrap().status, 201);
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(booked(&foxy), [true]);
    }
}

#[tokio::test]
async fn errors_in_place_of_the_work_have_no_effect() {
    for (fault, status) in [
        ("status(503)", 503),
        ("status 418", 418),
        ("request_timeout", 408),
        ("conflict", 409),
        ("forbidden", 403),
        ("captcha", 400),
        ("rate_limited", 429),
    ] {
        let foxy = Foxy::failing(&format!("POST /users: {fault}")).await;
        let answer = create(&foxy).await.unwrap();
        assert_eq!((answer.status, answer.messages().len()), (status, 1), "{fault}");
        assert_eq!(answer.header("retry-after"), "");
        assert_eq!(booked(&foxy), [false; 0]);
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_in_seconds_or_as_a_date() {
    let foxy = Foxy::failing("POST /users: rate_limited(2) first 1; POST /users: rate_limited(date+2s)").await;
    assert_eq!(create(&foxy).await.unwrap().header("retry-after"), "2");
    let date = create(&foxy).await.unwrap().header("retry-after").to_owned();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}

#[tokio::test]
async fn an_invalid_token_is_answered_whatever_the_token() {
    let foxy = Foxy::failing("POST /users: invalid_token nth 1").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!((answer.status, answer.text_at("/error").as_str()), (401, "invalid_token"));
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    assert_eq!(create(&foxy).await.unwrap().status, 201);
}

#[tokio::test]
async fn a_gateway_answers_html_without_the_work_or_after_it() {
    for (fault, status, made) in [("gateway_html(502)", 502, 0), ("gateway_html_after_work(504)", 504, 1)] {
        let foxy = Foxy::failing(&format!("POST /users: {fault}")).await;
        let answer = create(&foxy).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=UTF-8"));
        assert!(answer.text.starts_with("<html>"));
        assert_eq!(booked(&foxy), vec![false; made]);
    }
}

#[tokio::test]
async fn a_status_after_the_work_hides_that_it_was_done() {
    let foxy = Foxy::failing("POST /users: status_after_work(500)").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!((answer.status, answer.messages().len()), (500, 1));
    assert_eq!(booked(&foxy), [false]);
}

#[tokio::test]
async fn a_cut_body_has_its_head_but_not_its_end() {
    let foxy = Foxy::failing("POST /users: cut_body").await;
    let token = foxy.client_token().await;
    let request = foxy.request("POST", "/users").bearer_auth(token).json(&new_user("ada@example.com"));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    let promised = response.content_length().unwrap();
    let mut arrived = 0;
    let error = loop {
        match response.chunk().await {
            Ok(chunk) => arrived += chunk.expect("the body must break, not end").len() as u64,
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(0 < arrived && arrived < promised, "{arrived} of {promised}");
    assert_eq!(booked(&foxy), [false]);
}

#[tokio::test]
async fn a_success_may_lack_its_token() {
    let foxy = Foxy::failing("POST /users: no_token; POST /token: no_token nth 3").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!(answer.status, 201);
    assert!(answer.json().get("token").is_none());
    assert_eq!(booked(&foxy), [false]);
    foxy.client_token().await;
    let token = foxy.token(&[("grant_type", "client_credentials")]).await;
    assert_eq!((token.status, token.json().get("access_token")), (200, None));
}

#[tokio::test]
async fn a_success_may_be_garbage() {
    let foxy = Foxy::failing("POST /users: garbage").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (201, "application/hal+json"));
    assert!(serde_json::from_str::<serde_json::Value>(&answer.text).is_err());
    assert_eq!(booked(&foxy), [false]);
}

#[tokio::test]
async fn a_success_may_be_wrapped_in_unusual_ways() {
    let foxy = Foxy::failing("POST /users: success(202) nth 1; POST /users: bom nth 2; POST /users: gzip nth 3").await;
    let accepted = create(&foxy).await.unwrap();
    assert_eq!((accepted.status, accepted.json()["token"]["scope"].as_str()), (202, Some("user_full_access")));
    let token = foxy.client_token().await;
    let second = foxy.try_post("/users", &token, &new_user("bob@example.com")).await.unwrap();
    assert!(second.status == 201 && second.text.starts_with("\u{feff}{"), "{}", second.text);
    let third = foxy.try_post("/users", &token, &new_user("cleo@example.com")).await.unwrap();
    assert_eq!((third.status, third.header("content-encoding")), (201, "gzip"));
    assert_eq!(booked(&foxy), [true, true, true]);
}

#[tokio::test]
async fn links_may_lead_to_another_origin() {
    let foxy = Foxy::failing("POST /users: foreign_link; GET /: foreign_link(http://other.invalid:81)").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!(answer.text_at("/_links/self/href"), "http://evil.invalid/users/1");
    assert_eq!(answer.text_at("/_links/fx:stores/href"), "http://evil.invalid/users/1/stores");
    assert_eq!(booked(&foxy), [true]);
    let home = foxy.get("/", &answer.access_token()).await;
    assert_eq!(home.text_at("/_links/fx:token/href"), "http://other.invalid:81/token");
}

#[tokio::test]
async fn a_success_may_lack_its_self_link() {
    let foxy = Foxy::failing("POST /users: no_self_link").await;
    let links = create(&foxy).await.unwrap().json()["_links"].clone();
    assert!(links.get("self").is_none() && links.get("fx:stores").is_some());
}

#[tokio::test]
async fn a_redirect_leads_elsewhere_without_the_work() {
    let foxy =
        Foxy::failing("POST /users: redirect(307) nth 1; POST /users: redirect(301 http://other.invalid/)").await;
    let answer = create(&foxy).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (307, "http://evil.invalid/users"));
    let answer = create(&foxy).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (301, "http://other.invalid/"));
    assert_eq!(booked(&foxy), [false; 0]);
}

#[tokio::test]
async fn listings_and_reports_lag_behind_but_uniqueness_does_not() {
    let foxy = Foxy::failing("*: listing_lag(60m)").await;
    let user = foxy.user("ada@example.com").await;
    foxy.store(&user, "ada").await;
    let token = user.access_token();
    let stores = user.text_at("/_links/fx:stores/href");
    assert_eq!(foxy.get(&stores, &token).await.json()["total_items"], 0);
    assert_eq!(foxy.get("/reporting/email_exists?email=ada@example.com", &token).await.status, 404);
    assert_eq!(foxy.get("/reporting/store_domain_exists?store_domain=ada", &token).await.status, 404);
    let again = foxy.post(&stores, &token, &new_store("ada")).await;
    assert_eq!(again.messages(), ["store_domain is already in use"]);
    foxy.sim.set_faults(FaultScript::default());
    assert_eq!(foxy.get(&stores, &token).await.json()["total_items"], 1);
}

#[tokio::test]
async fn faults_can_be_added_and_cleared_while_it_runs() {
    let foxy = Foxy::start().await;
    let rule: FaultRule = "POST /users: conflict".parse().unwrap();
    let route: RoutePattern = rule.route;
    foxy.sim.add_fault(rule);
    assert_eq!(create(&foxy).await.unwrap().status, 409);
    foxy.sim.clear_faults(route);
    assert_eq!(create(&foxy).await.unwrap().status, 201);
}

#[tokio::test]
async fn both_ways_to_create_a_store_are_one_route_to_the_script_and_the_counts() {
    let foxy = Foxy::failing("POST /stores: status 502 every 2").await;
    let user = foxy.user("ada@example.com").await;
    foxy.store(&user, "one").await;
    assert_eq!(foxy.post("/users/1/stores", &user.access_token(), &new_store("two")).await.status, 502);
    assert_eq!(foxy.post("/stores", &user.access_token(), &new_store("three")).await.status, 201);
    assert_eq!((foxy.sim.requests("POST /stores"), foxy.sim.requests("POST /users/{id}/stores")), (3, 3));
}

#[tokio::test]
#[should_panic(expected = "no route is called \"POST /user\"")]
async fn counting_a_route_that_is_not_there_panics() {
    Foxy::start().await.sim.requests("POST /user");
}

#[tokio::test]
async fn the_latency_can_be_changed_while_it_runs() {
    let foxy = Foxy::start().await;
    let slow = Duration::from_millis(60);
    foxy.sim.set_latency(Latency { min: slow, max: slow });
    let started = Instant::now();
    assert_eq!(foxy.post("/clients", "nonsense", &json!({})).await.status, 401);
    assert!(started.elapsed() >= slow);
}

#[tokio::test]
async fn unknown_paths_are_counted_and_can_fail_too() {
    let foxy = Foxy::failing("*: forbidden nth 2").await;
    assert_eq!(send(foxy.request("GET", "/nowhere")).await.unwrap().status, 404);
    assert_eq!(send(foxy.request("GET", "/nowhere")).await.unwrap().status, 403);
    assert_eq!(foxy.sim.total_requests(), 2);
    assert_eq!(foxy.sim.books().requests["(no route)"], 2);
}

#[tokio::test]
async fn a_connection_is_closed_some_time_after_the_answer_without_a_word() {
    let foxy = Foxy::failing("*: close_idle(50ms)").await;
    let address = foxy.sim.base_url().trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /nothing HTTP/1.1\r\nhost: foxy\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap().to_lowercase();
    assert!(answer.starts_with("http/1.1 40") && !answer.contains("connection: close"), "{answer}");
    assert!(answer.trim_end().ends_with('}'), "{answer}");
}
