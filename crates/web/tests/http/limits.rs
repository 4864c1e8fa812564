//! How much, how often and how slowly.

use std::time::{Duration, Instant};

use foxden_web::{Forwarding, Rate};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    fake::TICKET,
    site::{PATIENCE, Page, Site},
};

/// Reads until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    drop(timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server did not close"));
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_asks_too_often_waits_and_no_one_else_does() {
    let rate = Rate { burst: 3.try_into().unwrap(), every: Duration::from_secs(3600) };
    let site = Site::with(|settings| settings.limits.rate = rate).await;
    let (mut one, mut other) = (site.browser(), site.browser());
    let get = format!("/grant/{TICKET}");
    for _ in 0..3 {
        assert_eq!(one.get(&get).await.status, 200);
    }
    let page = one.get(&get).await;
    assert_eq!((page.status, page.heading()), (429, "Too many requests"));
    assert!(page.header("retry-after").unwrap().parse::<u64>().unwrap() > 3500);
    // What a client writes before its proxy does changes nothing.
    one.address = "6.6.6.6, 203.0.113.7".to_owned();
    assert_eq!(one.get(&get).await.status, 429);
    other.address = "203.0.113.8".to_owned();
    assert_eq!(other.get(&get).await.status, 200);
}

#[tokio::test]
async fn without_a_proxy_that_is_believed_the_peer_counts() {
    let site = Site::with(|settings| {
        settings.limits.rate = Rate { burst: 2.try_into().unwrap(), every: Duration::from_secs(3600) };
        settings.forwarding = Forwarding::none();
    })
    .await;
    let mut browser = site.browser();
    let mut statuses = Vec::new();
    for number in 0..3 {
        browser.address = format!("203.0.113.{number}");
        statuses.push(browser.get("/").await.status);
    }
    assert_eq!(statuses, [404, 404, 429]);
}

#[tokio::test]
async fn huge_requests_are_refused_before_they_are_read() {
    let site = Site::new().await;
    let huge = "x".repeat(200_000);
    for request in [
        format!("GET /callback?code={huge} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {huge}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(1000)),
        format!("{huge} / HTTP/1.1\r\n\r\n"),
    ] {
        let answer = site.raw(request.as_bytes()).await;
        // One that closes with unread bytes may take its answer back.
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert!(["none", "400", "414", "431"].contains(&status), "{answer}");
        assert!(!answer.contains("xxx"));
    }
    let form = format!("POST /trip/t HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", u64::MAX / 2);
    let page = Page::parse(&site.raw(form.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await);
    assert_eq!(page.status, 413);
    assert!(site.fake.changes().is_empty());
    assert_eq!(site.browser().get(&format!("/grant/{TICKET}")).await.status, 200, "it still serves");
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_cut_at_the_limit() {
    let site = Site::new().await;
    let mut browser = site.browser();
    browser.depart().await;
    let cookie = browser.cookie.as_ref().unwrap();
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(100);
    let request = format!(
        "POST /trip/trip-0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Sec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    let answer = site.raw(request.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(site.fake.changes(), ["begin"]);
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let site = Site::new().await;
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
        "Content-Length: -1\r\n",
        "Bad Header: x\r\n",
        "X: a\u{0}b\r\n",
    ] {
        let answer = site.raw(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\nhello").as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{lines}: {answer}");
    }
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_idle_connections_are_cut() {
    let site = Site::with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut browser = site.browser();
    browser.depart().await;
    let began = Instant::now();
    let idle = TcpStream::connect(site.address).await.unwrap();
    let mut slow_head = TcpStream::connect(site.address).await.unwrap();
    slow_head.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await.unwrap();
    let mut between = TcpStream::connect(site.address).await.unwrap();
    between.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut slow_body = TcpStream::connect(site.address).await.unwrap();
    let cookie = browser.cookie.as_ref().unwrap();
    let head = format!(
        "POST /trip/trip-0 HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Sec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n\r\nchoi"
    );
    slow_body.write_all(head.as_bytes()).await.unwrap();
    for mut stream in [idle, slow_head] {
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert!(rest(&mut between).await.starts_with("HTTP/1.1 404 "));
    assert!(rest(&mut slow_body).await.starts_with("HTTP/1.1 408 "));
    assert!(began.elapsed() < PATIENCE / 2, "they were cut, but late");
    assert_eq!(site.fake.changes(), ["begin"]);
}

#[tokio::test]
async fn a_head_that_drips_for_ever_is_cut() {
    let site = Site::with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let drip = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, drip).await.expect("each byte bought more time");
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait_for_their_turn() {
    let site = Site::with(|settings| settings.limits.connections = 2).await;
    let held = [TcpStream::connect(site.address).await.unwrap(), TcpStream::connect(site.address).await.unwrap()];
    let browser = site.browser();
    let waits = browser.get("/");
    tokio::pin!(waits);
    timeout(Duration::from_millis(300), &mut waits).await.expect_err("there was room for a third");
    drop(held);
    assert_eq!(waits.await.status, 404);
}

#[tokio::test]
async fn a_connection_ends_after_its_time_whatever_is_on_it() {
    let site = Site::with(|settings| settings.limits.connection_time = Duration::from_millis(500)).await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    let busy = async {
        let mut answer = [0; 4096];
        loop {
            if stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.is_err() {
                return;
            }
            if matches!(stream.read(&mut answer).await, Ok(0) | Err(_)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, busy).await.expect("it went on");
}
