//! Stopping.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foxden_web::{Drained, ForwardedBy, Forwarding, ListenAddress, Listener, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    fake::{Fake, TICKET},
    site::{PATIENCE, Site, settings},
};

#[tokio::test]
async fn what_is_under_way_is_answered_and_idle_connections_are_closed() {
    let site = Site::new().await;
    let (address, fake) = (site.address, Arc::clone(&site.fake));
    *fake.arriving_takes.lock().unwrap() = Duration::from_millis(500);
    let mut browser = site.browser();
    let state = browser.depart().await;
    // One that has said nothing, one between two requests, one within a head.
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut between = TcpStream::connect(address).await.unwrap();
    between.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(between.read(&mut [0; 4096]).await.unwrap() > 0);
    let mut within = TcpStream::connect(address).await.unwrap();
    within.write_all(b"GET / HT").await.unwrap();
    let callback = tokio::spawn(async move { browser.get(&format!("/callback?code=c0de&state={state}")).await });
    while !fake.changes().contains(&"arrive") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    let served = site.stop();
    assert_eq!(callback.await.unwrap().header("location"), Some("/trip/trip-0"));
    assert_eq!(timeout(PATIENCE, served).await.unwrap().unwrap(), Drained::Whole);
    assert!(began.elapsed() < Duration::from_secs(8), "it waited for those that had nothing under way");
    assert_eq!(fake.codes(), ["c0de"]);
    assert!(TcpStream::connect(address).await.is_err(), "no more is taken");
}

#[tokio::test]
async fn what_a_browser_left_behind_is_waited_for_too() {
    let site = Site::new().await;
    let fake = Arc::clone(&site.fake);
    *fake.arriving_takes.lock().unwrap() = Duration::from_millis(500);
    let mut browser = site.browser();
    let state = browser.depart().await;
    let gone = tokio::spawn(async move { browser.get(&format!("/callback?code=c0de&state={state}")).await });
    while !fake.changes().contains(&"arrive") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gone.abort();
    assert_eq!(timeout(PATIENCE, site.stop()).await.unwrap().unwrap(), Drained::Whole);
    assert_eq!(fake.codes(), ["c0de"]);
}

#[tokio::test]
async fn draining_ends_with_its_time_and_says_what_was_left() {
    let site = Site::with(|settings| settings.limits.drain_time = Duration::from_millis(200)).await;
    let fake = Arc::clone(&site.fake);
    *fake.arriving_takes.lock().unwrap() = PATIENCE;
    let mut browser = site.browser();
    let state = browser.depart().await;
    let request = format!(
        "GET /callback?code=c0de&state={state} HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n",
        browser.cookie.as_ref().unwrap()
    );
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    while !fake.changes().contains(&"arrive") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let drained = timeout(PATIENCE / 2, site.stop()).await.unwrap().unwrap();
    assert_eq!(drained, Drained::CutOff { connections: 1, under_way: 1 });
    let closed = timeout(PATIENCE / 2, stream.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_unix_socket_serves_the_same_pages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let listener = Listener::bind(&ListenAddress::Unix(path.clone())).await.unwrap();
    let mut settings = settings();
    settings.forwarding = Forwarding::by(ForwardedBy::Forwarded, []).unwrap();
    settings.limits.rate.burst = 1.try_into().unwrap();
    let served = tokio::spawn(serve(listener, settings, Arc::new(Fake::new()), std::future::pending()));
    for (client, status) in [("203.0.113.1", "200"), ("203.0.113.2", "200"), ("203.0.113.2", "429")] {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let request = format!(
            "GET /grant/{TICKET} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
             Forwarded: for=6.6.6.6, for={client}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{client}: {answer}");
    }
    served.abort();
}
