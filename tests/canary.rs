//! Promise 3: no secret is exposed. Marked values go in; then everything that comes out is searched for them.

use std::{fmt::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

use base64::Engine as _;
use foxy_sim::Simulator;

use crate::{
    support::{Place, event},
    tls::TlsProxy,
};

/// A value that must not be found, and what it is.
pub(crate) struct Canary {
    pub(crate) what: String,
    pub(crate) value: String,
}

/// The forms in which a value may leak: as it is, base64 at each of its three alignments, hex, URL-encoded, and the
/// decimal byte lists in which some libraries log buffers.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut all = vec![bytes.to_vec()];
    for shift in 0..3_usize {
        let mut shifted = vec![b'x'; shift];
        shifted.extend(bytes);
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(shifted);
        // The characters at either end also hold bits of the neighbours.
        let (start, end) = (if shift == 0 { 0 } else { shift + 1 }, encoded.len() - 2);
        all.push(encoded.as_bytes()[start..end].to_vec());
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    all.push(hex.to_uppercase().into_bytes());
    all.push(hex.into_bytes());
    let url: String = bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(*byte)),
            other => write!(text, "%{other:02X}").unwrap(),
        }
        text
    });
    all.push(url.into_bytes());
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    all.push(decimal.join(", ").into_bytes());
    all
}

pub(crate) fn search(canaries: &[Canary], place: &str, haystack: &[u8]) {
    for canary in canaries {
        for form in forms(&canary.value) {
            let found = haystack.windows(form.len()).any(|window| window == form);
            assert!(!found, "{place} holds {} ({})", canary.what, String::from_utf8_lossy(&form));
        }
    }
}

/// Every file below the test's directory that the program has written.
pub(crate) fn search_files(canaries: &[Canary], dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The simulator's own books stand for Foxy's database: that is where the tokens to search for come from.
        if path.is_dir() {
            search_files(canaries, &path);
        } else if name != "books.jsonl" {
            search(canaries, &name, &std::fs::read(&path).unwrap());
        }
    }
}

/// All tokens that the simulator has given out. Access tokens are in no books.
pub(crate) fn tokens(sim: &Simulator, books: &Path) -> Vec<Canary> {
    let mut found = booked_tokens(books);
    let access = sim.access_tokens();
    assert!(access.len() >= 4, "users, stores and the client had access tokens");
    found.extend(access.into_iter().map(|value| Canary { what: "an access token".into(), value }));
    found
}

fn booked_tokens(books: &Path) -> Vec<Canary> {
    let text = std::fs::read_to_string(books).unwrap();
    let mut found = Vec::new();
    for line in text.lines() {
        collect_tokens(&serde_json::from_str(line).unwrap(), &mut found);
    }
    assert!(found.len() >= 4, "the books hold users' and stores' tokens");
    found
}

fn collect_tokens(value: &serde_json::Value, found: &mut Vec<Canary>) {
    let serde_json::Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match value.as_str() {
            Some(text) if name.contains("token") || name.contains("secret") => {
                found.push(Canary { what: format!("a {name}"), value: text.to_owned() });
            }
            _ => collect_tokens(value, found),
        }
    }
}

/// What `FOXDEN_FOXY_H_CAPTCHA_CODE` is set to.
const SHARED_CODE: &str = "P1_canary-of-the-settings";

/// What the program is told in confidence.
pub(crate) fn secrets(place: &Place) -> Vec<Canary> {
    let key = place.settings["FOXDEN_KEYS"].split(':').nth(1).unwrap().to_owned();
    vec![
        Canary { what: "the captcha code of the settings".into(), value: SHARED_CODE.into() },
        Canary { what: "the client secret".into(), value: place.settings["FOXDEN_FOXY_CLIENT_SECRET"].clone() },
        Canary { what: "the key".into(), value: key },
    ]
}

/// A signup event of a person who can be recognized everywhere.
pub(crate) fn marked(number: usize, canaries: &mut Vec<Canary>) -> serde_json::Value {
    let mut marked = event(&format!("acct_{number}"));
    for (part, field, value) in [
        ("user", "first_name", format!("Firstcanary{number}")),
        ("user", "last_name", format!("Lastcanary{number}")),
        ("user", "email", format!("mailcanary{number}@people.example")),
        ("user", "phone", format!("+4420794600{number:02}")),
        ("store", "email", format!("shopcanary{number}@people.example")),
        ("store", "postal_code", format!("ZIPCANARY{number}")),
    ] {
        canaries.push(Canary { what: format!("{part}.{field}"), value: value.clone() });
        marked[part][field] = value.into();
    }
    for name in ["user_code", "store_code"] {
        let value = format!("P1_canary-{name}-{number}");
        canaries.push(Canary { what: format!("captcha.{name}"), value: value.clone() });
        marked["captcha"][name] = value.into();
    }
    marked
}

#[test]
fn the_search_finds_every_form() {
    let value = "s3cr3t-Value/9";
    for (form, planted) in forms(value).into_iter().zip(0..) {
        let haystack = [b"{\"x\":\"".to_vec(), form, b"\"}".to_vec()].concat();
        let canary = [Canary { what: "it".into(), value: value.into() }];
        let caught = std::panic::catch_unwind(|| search(&canary, "here", &haystack));
        assert!(caught.is_err(), "form {planted} is not found");
    }
}

/// A directory for what holds secrets by right, which lies elsewhere than what is searched; and a simulator's settings
/// that keep its books there.
fn elsewhere() -> (tempfile::TempDir, foxy_sim::Config) {
    let elsewhere = tempfile::tempdir().unwrap();
    let books = Some(elsewhere.path().join("books.jsonl"));
    (elsewhere, foxy_sim::Config { books, ..foxy_sim::Config::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_leaves_the_program_at_any_level() {
    let (elsewhere, config) = elsewhere();
    searched_on_every_path(&mut Place::with(config).await, elsewhere.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_and_no_personal_data_leaves_the_program_over_http_2() {
    let (elsewhere, config) = elsewhere();
    let (mut place, proxy) = TlsProxy::place(config).await;
    searched_on_every_path(&mut place, elsewhere.path()).await;
    assert_http_2_was_searched(&place, &proxy);
}

/// Reads go over HTTP/2; a call that changes something has a connection of its own, over HTTP/1.1.
fn assert_http_2_was_searched(place: &Place, proxy: &TlsProxy) {
    let (http_1, http_2) = proxy.connections();
    assert!(http_1 > 0 && http_2 > 0, "{http_1} connections over HTTP/1.1, {http_2} over HTTP/2");
    // Where headers and bodies would be: what the library of HTTP/2 logs of its frames.
    let log = std::fs::read_to_string(place.path("worker.log")).unwrap();
    assert!(log.contains(r#""target":"h2::codec"#), "the log has no frames");
}

/// What every library is asked to log, in either way of asking.
fn log_everything(place: &mut Place) {
    place.set("FOXDEN_LOG", "trace,dependencies=trace");
    place.set("RUST_LOG", "trace");
}

async fn searched_on_every_path(place: &mut Place, elsewhere: &Path) {
    let books = elsewhere.join("books.jsonl");
    log_everything(place);
    place.set("FOXDEN_FOXY_H_CAPTCHA_CODE", SHARED_CODE);
    // Each path of the saga: clean, refused, lost, unknown, cut, foreign, and the looks and retries that follow.
    place.sim.set_faults(
        "POST /users: status 500 nth 2; POST /users: reset_after_work nth 4; POST /stores: cut_body nth 2; \
         POST /stores: foreign_link nth 3; POST /token: status 503 nth 1; POST /stores: status 400 nth 4; \
         POST /stores: captcha nth 5"
            .parse()
            .unwrap(),
    );
    let mut canaries = secrets(place);
    let mut input = String::new();
    for number in 1..=8 {
        input.push_str(&format!("{}\n", marked(number, &mut canaries)));
    }
    // One that Foxy refuses for its email, and one that is refused before it is sealed.
    let mut twin = event("acct_twin");
    twin["user"]["email"] = "mailcanary1@people.example".into();
    let mut wrong = event("acct_wrong");
    wrong["user"]["email"] = "mailcanary2@people.example@".into();
    input.push_str(&format!("{twin}\n{wrong}\n"));

    let refused = place.feed_any(&["submit", "-"], &input);
    let worker = place.worker("worker");
    let rows = place.settled(9).await;
    assert!(rows.iter().any(|row| row.closed_at_ms.is_some()) && rows.iter().any(|row| row.parked_reason.is_some()));
    worker.stop().await;

    canaries.extend(tokens(&place.sim, &books));
    search(&canaries, "submit's output", &[refused.stdout, refused.stderr].concat());
    search_files(&canaries, place.dir.path());
    for row in &rows {
        let id = row.signup_id.as_str();
        for arguments in [&["show", id][..], &["show", id, "--json"], &["retry", id]] {
            let said = place.run(arguments);
            search(&canaries, &format!("{arguments:?}"), &[said.stdout, said.stderr].concat());
        }
    }
    let done = rows.iter().find(|row| row.closed_at_ms.is_some()).unwrap().signup_id.as_str();
    let parked = rows.iter().find(|row| row.parked_reason.is_some()).unwrap().signup_id.as_str();
    for arguments in [
        &["token", done, "--reason", "a test", "--exec", "--", "true"][..],
        // The command's own output is its own affair; foxden's is not to hold what it was given.
        &["token", done, "--exec", "--", "sh", "-c", "echo ${#FOXY_ACCESS_TOKEN}; exit 3"],
        &["token", done, "--exec", "--", "./is-not-there"],
        &["forget", done],
        &["cancel", parked, "--reason", "a test", "--yes"],
        &["forget", parked],
        &["forget", done, "--tokens", "--links", "--yes", "--json"],
        &["show", done],
        &["show", done, "--json"],
    ] {
        let said = place.run(arguments);
        search(&canaries, &format!("{arguments:?}"), &[said.stdout, said.stderr].concat());
    }
    // The client's secret changes, and is a secret as before.
    let secret = elsewhere.join("client-secret");
    std::fs::write(&secret, place.settings.remove("FOXDEN_FOXY_CLIENT_SECRET").unwrap()).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    place.set("FOXDEN_FOXY_CLIENT_SECRET_FILE", secret.to_str().unwrap());
    let rotated = place.run(&["client", "rotate-secret", "--reason", "a test", "--yes"]);
    assert!(rotated.status.success(), "{rotated:?}");
    canaries.push(Canary { what: "the new client secret".into(), value: std::fs::read_to_string(&secret).unwrap() });
    search(&canaries, "client rotate-secret", &[rotated.stdout, rotated.stderr].concat());
    for arguments in [&["client", "show"][..], &["client", "show", "--json"]] {
        let said = place.run(arguments);
        search(&canaries, &format!("{arguments:?}"), &[said.stdout, said.stderr].concat());
    }
    canaries.extend(tokens(&place.sim, &books));
    search_files(&canaries, place.dir.path());
    for arguments in [&["status"][..], &["status", "--json"], &["status", "--list", "20", "--json"]] {
        let said = place.run(arguments);
        search(&canaries, &format!("{arguments:?}"), &[said.stdout, said.stderr].concat());
    }
}

/// A Foxy that repeats every request in its answers, secrets and all, wherever a server may do so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_foxy_repeats_of_a_request_stays_where_the_call_is_made() {
    let (elsewhere, config) = elsewhere();
    searched_after_every_echo(&mut Place::with(config).await, elsewhere.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_foxy_repeats_over_http_2_stays_where_the_call_is_made() {
    let (elsewhere, config) = elsewhere();
    let (mut place, proxy) = TlsProxy::place(config).await;
    searched_after_every_echo(&mut place, elsewhere.path()).await;
    assert_http_2_was_searched(&place, &proxy);
}

/// Each kind of call is answered by an echo, with each kind of status; then everything is searched.
async fn searched_after_every_echo(place: &mut Place, elsewhere: &Path) {
    let books = elsewhere.join("books.jsonl");
    log_everything(place);
    place.set("FOXDEN_FOXY_H_CAPTCHA_CODE", SHARED_CODE);
    place.sim.set_faults(
        "POST /token: echo(400) nth 2; POST /token: echo(503) nth 3; GET /: echo(400) nth 2; GET /: echo_links nth 3; \
         POST /users: echo_links nth 1; POST /users: echo(400) nth 2; POST /users: echo(500) nth 3; \
         POST /users: echo(307) nth 4; POST /users: echo(429) nth 5; POST /stores: echo_links nth 1; \
         POST /stores: echo(400) nth 2; POST /stores: echo(502) nth 3; POST /stores: echo(422) nth 4; \
         GET /reporting: echo(400) nth 1; GET /reporting: echo_links nth 2; GET /clients/{id}: echo_links nth 1; \
         GET /clients/{id}: echo(400) nth 2"
            .parse()
            .unwrap(),
    );
    let mut canaries = secrets(place);
    let input: String = (1..=8).map(|number| format!("{}\n", marked(number, &mut canaries))).collect();
    place.feed(&["submit", "-"], &input);
    let worker = place.worker("worker");
    let rows = place.settled(8).await;
    worker.stop().await;
    assert!(rows.iter().any(|row| row.parked_reason.is_some()), "no echo was believed: {rows:#?}");
    canaries.extend(tokens(&place.sim, &books));
    let mut said = Vec::new();
    for row in &rows {
        for arguments in [&["show", row.signup_id.as_str()][..], &["show", row.signup_id.as_str(), "--json"]] {
            said.push((format!("{arguments:?}"), place.run(arguments)));
        }
    }
    let shown = said.iter().any(|(_, said)| String::from_utf8_lossy(&said.stdout).contains("[…]"));
    assert!(shown, "nothing that Foxy repeated came as far as `show`");
    for arguments in [&["client", "show"][..], &["client", "show"], &["client", "show", "--json"]] {
        said.push((format!("{arguments:?}"), place.run(arguments)));
    }
    let done = rows.iter().find(|row| row.closed_at_ms.is_some()).unwrap().signup_id.as_str();
    for echo in ["echo(400)", "echo(401)", "echo(500)"] {
        place.sim.set_faults(format!("POST /token: {echo}").parse().unwrap());
        let arguments = ["token", done, "--exec", "--", "true"];
        said.push((format!("{arguments:?} under {echo}"), place.run(&arguments)));
    }
    for (what, said) in said {
        search(&canaries, &what, &[said.stdout, said.stderr].concat());
    }
    search_files(&canaries, place.dir.path());
}
