use std::fs;
use std::path::Path;

use foxy_sim::{Config, Simulator, StartError, books_id};
use serde_json::json;

use crate::foxy::{Foxy, new_user, send};

async fn with_books(path: &Path) -> Foxy {
    Foxy::with(Config { books: Some(path.to_owned()), ..Config::default() }).await
}

#[tokio::test]
async fn what_was_made_and_its_refresh_tokens_outlive_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    let first = with_books(&path).await;
    let user = first.user("ada@example.com").await;
    let store = first.store(&user, "ada").await;
    let body = json!({ "name": "n", "value": "v" });
    first.post(&store.text_at("/_links/fx:attributes/href"), &store.access_token(), &body).await;
    let client = {
        let (id, secret) = first.sim.client();
        (id.to_owned(), secret.to_owned())
    };
    assert!(first.sim.books_are_saved());
    first.sim.shutdown().await;

    let second = with_books(&path).await;
    assert_eq!(second.sim.client(), (client.0.as_str(), client.1.as_str()));
    let books = second.sim.books();
    assert!(books.users[0].answered && books.stores[0].answered);
    assert_eq!(books.stores[0].owner, format!("{}/users/1", second.sim.base_url()));
    let refresh_token = store.text_at("/token/refresh_token");
    let token = second.token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh_token)]).await;
    let read = second.get("/stores/1", &token.text_at("/access_token")).await;
    assert_eq!(read.text_at("/_embedded/fx:attributes/0/value"), "v");
    assert!(read.text_at("/_links/self/href").starts_with(second.sim.base_url()));
    let again = second.post("/users", &second.client_token().await, &new_user("ada@example.com")).await;
    assert_eq!(again.messages(), ["email is already in use"]);
    assert_eq!(
        second.user("bob@example.com").await.text_at("/_links/self/href"),
        format!("{}/users/2", second.sim.base_url())
    );
}

#[tokio::test]
async fn books_keep_their_id_and_no_two_have_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("books.jsonl"), folder.path().join("other.jsonl"));
    assert_eq!(books_id(&path).unwrap(), None);
    let seeded = |path: &Path| Config { books: Some(path.to_owned()), seed: 7, ..Config::default() };
    let first = Foxy::with(seeded(&path)).await;
    let id = first.sim.books_id().to_owned();
    // Beside the first one, which holds the file's lock.
    assert_eq!((with_books(&path).await.sim.books_id(), books_id(&path).unwrap()), (id.as_str(), Some(id.clone())));
    first.sim.shutdown().await;
    assert_eq!(with_books(&path).await.sim.books_id(), id);
    assert_ne!(Foxy::with(seeded(&other)).await.sim.books_id(), id);
}

#[tokio::test]
async fn books_of_an_earlier_release_are_given_an_id_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    let first = with_books(&path).await;
    first.user("ada@example.com").await;
    first.sim.shutdown().await;
    let lines = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        lines.lines().filter(|line| !line.contains("books")).fold(String::new(), |all, line| all + line + "\n"),
    )
    .unwrap();
    assert_eq!(books_id(&path).unwrap(), None);

    // While such a release is still writing them, no one else can.
    let lock = fs::File::open(&path).unwrap();
    lock.lock().unwrap();
    let error = Simulator::start(Config { books: Some(path.clone()), ..Config::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::NoBooksId { .. }), "{error}");
    drop(lock);

    let named = with_books(&path).await.sim.books_id().to_owned();
    assert_eq!(books_id(&path).unwrap(), Some(named.clone()));
    let again = with_books(&path).await;
    assert_eq!((again.sim.books_id(), again.sim.books().users.len()), (named.as_str(), 1));
}

#[tokio::test]
async fn a_granted_refresh_token_outlives_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    let first = with_books(&path).await;
    first.user("ada@example.com").await;
    let (id, _) = first.sim.client();
    let query = [
        ("response_type", "code"),
        ("client_id", id),
        ("scope", "user_full_access"),
        ("state", "s"),
        ("sim_as", "ada@example.com"),
    ];
    let back = send(first.http.get(first.sim.authorize_url()).query(&query)).await.unwrap();
    let code = back.header("location").split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let token = first.token(&[("grant_type", "authorization_code"), ("code", &code)]).await;
    first.sim.shutdown().await;
    // An earlier release says neither where it comes from nor since when.
    let granted = fs::read_to_string(&path).unwrap();
    let (before, after) = granted.split_once(",\"source\":\"granted\",\"since_ms\":").unwrap();
    fs::write(&path, format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))).unwrap();
    let second = with_books(&path).await;
    assert!(second.sim.refresh_token_opens(&token.text_at("/refresh_token")).is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn the_books_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let _foxy = with_books(&path).await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_torn_last_line_is_dropped_and_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    let first = with_books(&path).await;
    first.user("ada@example.com").await;
    first.sim.shutdown().await;
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"user\":{{\"id\":2,")).unwrap();
    let second = with_books(&path).await;
    second.user("bob@example.com").await;
    second.sim.shutdown().await;
    let third = with_books(&path).await;
    let emails: Vec<_> = third.sim.books().users.into_iter().map(|user| user.email).collect();
    assert_eq!(emails, ["ada@example.com", "bob@example.com"]);
}

#[cfg(unix)]
#[tokio::test]
async fn books_are_not_opened_through_a_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (theirs, link) = (folder.path().join("theirs"), folder.path().join("books"));
    fs::write(&theirs, "a last line without its end").unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&theirs, &link).unwrap();
    assert!(books_id(&link).is_err(), "nor looked into");
    let error = Simulator::start(Config { books: Some(link), ..Config::default() }).await.err().unwrap();
    assert!(matches!(error, StartError::Books { .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "a last line without its end");
    assert_eq!(fs::metadata(&theirs).unwrap().permissions().mode() & 0o777, 0o644);
}

#[tokio::test]
async fn a_file_that_is_no_books_file_is_refused_by_line_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "a secret\nmore\n").unwrap();
    let config = Config { books: Some(path.clone()), ..Config::default() };
    let error = Simulator::start(config).await.unwrap_err();
    assert_eq!(error.to_string(), format!("line 1 of the books file {} is not a journal entry", path.display()));
    assert!(!format!("{error:?}").contains("secret"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "a secret\nmore\n");
}

#[tokio::test]
async fn a_second_simulator_on_the_same_books_keeps_its_own_additions_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.jsonl");
    let writer = with_books(&path).await;
    let user = writer.user("ada@example.com").await;
    let reader = with_books(&path).await;
    assert!(writer.sim.books_are_saved() && !reader.sim.books_are_saved());
    assert!(reader.sim.refresh_token_opens(&user.text_at("/token/refresh_token")).is_some());
    let before = fs::read(&path).unwrap();
    reader.user("bob@example.com").await;
    assert_eq!(fs::read(&path).unwrap(), before);
    writer.sim.shutdown().await;
    assert!(with_books(&path).await.sim.books_are_saved());
}

#[tokio::test]
async fn a_taken_address_is_named_in_the_error() {
    let foxy = Foxy::start().await;
    let addr = foxy.sim.base_url().strip_prefix("http://").unwrap();
    let error = Simulator::start(Config { bind: addr.parse().unwrap(), ..Config::default() }).await.unwrap_err();
    assert!(matches!(error, StartError::Bind { .. }));
    assert_eq!(error.to_string(), format!("binding the simulator to {addr}"));
}

#[tokio::test]
async fn a_simulator_that_was_shut_down_frees_its_port_at_once() {
    let foxy = Foxy::start().await;
    let addr = foxy.sim.base_url().strip_prefix("http://").unwrap().parse().unwrap();
    foxy.client_token().await;
    foxy.sim.shutdown().await;
    let second = Simulator::start(Config { bind: addr, ..Config::default() }).await.unwrap();
    assert_eq!(second.base_url(), foxy.sim.base_url());
}

#[tokio::test]
async fn a_connection_is_counted_once_however_many_requests_it_carries() {
    let foxy = Foxy::start().await;
    for expected in [1, 1] {
        send(foxy.request("GET", "/")).await.unwrap();
        assert_eq!(foxy.sim.connections(), expected);
    }
    let another = Foxy::with(Config::default()).await;
    let request = another.http.get(foxy.sim.base_url()).header("foxy-api-version", "1");
    send(request).await.unwrap();
    assert_eq!((foxy.sim.connections(), foxy.sim.total_requests()), (2, 3));
}
