//! `client create` at a server that answers something else than what was asked for.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use serde_json::{Value, json};

use crate::support::Place;

/// A server with one link, which answers creations with the id that was asked for, or this one, and this secret. It
/// ends with the test.
fn server(id: Option<&'static str>, secret: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let here = base.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut asked) = (stream.unwrap(), Vec::new());
            let body = loop {
                let mut some = [0; 4096];
                let read = stream.read(&mut some).unwrap();
                asked.extend_from_slice(&some[..read]);
                let text = String::from_utf8_lossy(&asked).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break body.to_owned();
                }
            };
            let (status, answer) = match serde_json::from_str::<Value>(&body) {
                Err(_) => ("200 OK", json!({"_links": {"fx:create_client": {"href": format!("{here}/clients")}}})),
                Ok(wanted) => {
                    let id = id.map_or_else(|| wanted["client_id"].clone(), Value::from);
                    ("201 Created", json!({"client_id": id, "client_secret": secret}))
                }
            };
            let (answer, close) = (answer.to_string(), "connection: close\r\ncontent-type: application/json");
            write!(stream, "HTTP/1.1 {status}\r\n{close}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_of_a_client_that_is_not_the_one_asked_for_or_whose_secret_is_no_plain_text() {
    let mut place = Place::new().await;
    for (id, secret, problem) in [
        (Some("$(touch owned)"), "s3cret-s3cret", "it has another id"),
        (Some("acme_other"), "s3cret-s3cret", "it has another id"),
        (None, "a\nFOXDEN_FOXY_API=http://evil.example", "its secret is empty"),
        (None, "a'; touch owned; '", "its secret is empty"),
        (None, "\u{1b}[2J", "its secret is empty"),
        (None, "caf\u{e9}", "its secret is empty"),
    ] {
        place.set("FOXDEN_FOXY_API", &server(id, secret));
        for to in [&["--env-file", "odd.env"][..], &["--secret-file", "odd.secret"], &[], &["--json"]] {
            let said = crate::client::create(&place, &[&["--yes"], to].concat());
            let told = String::from_utf8(said.stderr).unwrap();
            assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(1), &b""[..]), "{secret:?} {to:?}: {told}");
            assert!(told.contains(problem) && !told.contains(secret), "{told}");
            assert!(!place.path("odd.env").exists() && !place.path("odd.secret").exists());
        }
    }
    place.set("FOXDEN_FOXY_API", &server(None, "$plain(enough)"));
    assert!(crate::client::create(&place, &["--yes", "--env-file", "good.env"]).status.success());
    let lines = std::fs::read_to_string(place.path("good.env")).unwrap();
    assert!(lines.ends_with("\nFOXDEN_FOXY_CLIENT_SECRET='$plain(enough)'\n"), "{lines}");
}
