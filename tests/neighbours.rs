//! Other users of the machine, and anyone who can write to what foxden reads: what they put there gets them nothing.

use std::{
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Command, Output, Stdio},
};

use foxden_ledger::SignupId;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;

use crate::support::{Place, lines, program};

/// Another user of the machine. No account is needed for a number.
const ANOTHER: u32 = 54_321;

/// A directory with no parent that others may write in. Root finds one elsewhere if the build has none.
fn folder_of_ours() -> Option<tempfile::TempDir> {
    let we = our_uid();
    let ours = |path: &Path| {
        let found = path.metadata().unwrap();
        (found.uid() == we || found.uid() == 0) && found.mode() & 0o022 == 0
    };
    let places = [env!("CARGO_TARGET_TMPDIR"), "/root", "/var/lib"];
    let mut folders = places.into_iter().filter_map(|place| tempfile::tempdir_in(place).ok());
    let found = folders.find(|folder| folder.path().ancestors().all(ours));
    if found.is_none() {
        skipped("a settings file that is trusted: others may write on the way to target/tmp");
    }
    found
}

/// Our own number: that of the files which we make.
fn our_uid() -> u32 {
    tempfile::tempfile().unwrap().metadata().unwrap().uid()
}

#[expect(clippy::print_stderr, reason = "what is not tested is said")]
fn skipped(what: &str) {
    eprintln!("SKIPPED: {what}");
}

/// Whether files can be given to another user here.
fn may_give_away() -> bool {
    let is_root = our_uid() == 0;
    if !is_root {
        skipped("files of another user: only root may give them away");
    }
    is_root
}

/// A server of the neighbour's that should never be called.
fn trap() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The program in this directory, with all the place's settings but the one that says which Foxy.
fn run_in(place: &Place, dir: &Path, arguments: &[&str]) -> Output {
    let mut command: Command = program(arguments, dir);
    command.envs(place.settings.iter().filter(|(name, _)| *name != "FOXDEN_FOXY_API"));
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settings_file_of_another_user_gets_nothing_sent_anywhere() {
    let Some(folder) = folder_of_ours() else { return };
    if !may_give_away() {
        return;
    }
    let place = Place::new().await;
    let (trap, url) = trap();
    let file = folder.path().join("foxden.toml");
    write(&file, &format!("[foxy]\napi = \"{url}\"\n"), 0o644);
    chown(&file, Some(ANOTHER), Some(ANOTHER)).unwrap();
    for (owner, mode, why) in [
        (0, 0o755, format!("{} belongs to uid {ANOTHER}", file.display())),
        (0, 0o1777, format!("{} can be written by others (mode 1777)", folder.path().display())),
        (ANOTHER, 0o755, format!("{} belongs to uid {ANOTHER}", folder.path().display())),
    ] {
        chown(folder.path(), Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        for arguments in [&["client", "show"][..], &["token", "acct_1"], &["worker"]] {
            let refused = run_in(&place, folder.path(), arguments);
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains(&format!("./foxden.toml: is not read, since {why}; ")), "{said}");
        }
    }
    let nobody = trap.accept().unwrap_err().kind();
    assert_eq!(nobody, std::io::ErrorKind::WouldBlock, "somebody has called the neighbour's server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_our_own_file_names_the_api_unless_it_is_named_itself() {
    let Some(folder) = folder_of_ours() else { return };
    let place = Place::new().await;
    let file = folder.path().join("foxden.toml");
    write(&file, &format!("[foxy]\napi = \"{}\"\n", place.sim.base_url()), 0o600);

    let refused = run_in(&place, folder.path(), &["client", "show"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("FOXDEN_FOXY_API (foxy.api in foxden.toml): says where secrets go"), "{said}");
    assert_eq!(place.sim.total_requests(), 0);

    let taken = run_in(&place, folder.path(), &["--config", "foxden.toml", "client", "show"]);
    assert!(taken.status.success(), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn which_settings_file_was_read_is_said_beside_the_answer() {
    let Some(folder) = folder_of_ours() else { return };
    let place = Place::new().await;
    write(&folder.path().join("foxden.toml"), "heartbeat = \"5s\"\n", 0o600);
    write(&folder.path().join("other.toml"), "heartbeat = \"6s\"\n", 0o600);
    place.feed(&["migrate", "up"], "");
    for (arguments, path) in [
        (&["status", "--json"][..], folder.path().canonicalize().unwrap().join("foxden.toml").display().to_string()),
        (&["--config", "other.toml", "status", "--json"], "other.toml".to_owned()),
    ] {
        let output = run_in(&place, folder.path(), arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().next(), Some(format!("settings: {path}").as_str()));
        assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok(), "{:?}", output.stdout);
    }
    let mut settings = place.settings.clone();
    settings.insert("FOXDEN_CONFIG".into(), folder.path().join("other.toml").display().to_string());
    let place = Place { settings, ..place };
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    let line = worker.until("settings.read").await;
    assert_eq!(line["file"], folder.path().join("other.toml").display().to_string());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_written_fails_with_the_reason() {
    let place = Place::new().await;
    place.feed(&["migrate", "up"], "");
    for arguments in [&["keys", "generate"][..], &["status"], &["status", "--json"], &["explain"]] {
        let mut command = program(arguments, place.dir.path());
        command.envs(&place.settings).stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let ended = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
    let script = format!("exec {} keys generate >&-", env!("CARGO_BIN_EXE_foxden"));
    let closed = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
    let said = String::from_utf8(closed.stderr).unwrap();
    assert_eq!(closed.status.code(), Some(1), "{said}");
    assert!(said.contains("could not print the key") && said.contains("Bad file descriptor"), "{said}");
    // A reader that has seen enough is no failure.
    let script = format!("{} explain | true", env!("CARGO_BIN_EXE_foxden"));
    let piped = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
    assert!(piped.stderr.is_empty(), "{piped:?}");
}

#[test]
fn a_demo_removes_only_what_bears_the_mark_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let real = [("keys", "k20260101:c2VjcmV0\n"), ("foxden.toml", "heartbeat = \"5s\"\n"), ("ledger.db", "a ledger")];
    for (name, content) in real {
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join(name), content).unwrap();
        let refused = program(&["demo", "--signups", "1", "--json"], dir.path()).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("holds {name:?}, which no demo left there")), "{said}");
        assert_eq!(std::fs::read_to_string(place.join(name)).unwrap(), content);
        std::fs::remove_dir_all(&place).unwrap();
    }
    // A demo's own settings, with a real key beside them.
    let demo = || program(&["demo", "--signups", "1", "--latency", "0ms", "--json"], dir.path()).output().unwrap();
    assert!(demo().status.success());
    assert!(demo().status.success());
    std::fs::write(place.join("keys"), real[0].1).unwrap();
    assert_eq!(demo().status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(place.join("keys")).unwrap(), real[0].1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_others_can_listen_on_is_warned_of_once() {
    let mut place = Place::new().await;
    // Of the block that is kept for documentation: no one is there.
    place.set("FOXDEN_AMQP_URL", "amqp://192.0.2.1");
    let worker = place.worker("worker");
    let warned = worker.until("broker.exposed").await;
    assert_eq!((&warned["level"], &warned["broker"]), (&"warn".into(), &"amqp://192.0.2.1:5672".into()));
    worker.until("worker.started").await;
    worker.until("broker.unreachable").await;
    assert_eq!(worker.events("broker.exposed").len(), 1);
    assert!(worker.events("ledger.exposed").is_empty());
}

/// A place with one signup provisioned, whose row somebody then writes to.
async fn provisioned_then(changes: &[&str]) -> Place {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["acct_1"]));
    let worker = place.worker("worker");
    place.settled(1).await;
    worker.stop().await;
    let database = Database::connect(&place.settings["FOXDEN_DATABASE_URL"]).await.unwrap();
    for change in changes {
        database.execute_unprepared(change).await.unwrap();
    }
    database.close().await.unwrap();
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_written_into_the_ledger_gets_no_token_and_is_shown_as_not_trusted() {
    for evil in ["https://evil.example/stores/1", "blob:http://127.0.0.1/stores/1", "http://u:p@127.0.0.1/stores/1"] {
        let change = format!("UPDATE provisionings SET store_uri = '{evil}\u{1b}[2J\u{202e}', user_uri = '{evil}'");
        let place = provisioned_then(&[&change, "UPDATE credentials SET resource_uri = 'https://evil.example/'"]).await;
        let before = place.sim.requests("POST /token");
        for arguments in
            [&["token", "acct_1"][..], &["token", "acct_1", "--exec", "--", "env"], &["token", "acct_1", "--json"]]
        {
            let refused = place.run(arguments);
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0), "{arguments:?}: {said}");
            assert!(said.contains("is not trusted") && !said.contains("evil.example"), "{said}");
        }
        assert_eq!(place.sim.requests("POST /token"), before, "a token was asked for");
        let ledger = place.ledger().await;
        let opened = ledger.audit_of(&SignupId::parse("acct_1").unwrap(), 10).await.unwrap();
        ledger.close().await.unwrap();
        assert!(opened.is_empty(), "a token was opened");

        let shown = place.feed(&["show", "acct_1"], "");
        assert!(shown.contains(&format!("{evil}\\u{{1b}}[2J\\u{{202e}} (not trusted)")), "{shown}");
        let json = place.json(&["show", "acct_1", "--json"]);
        assert_eq!((&json["store_uri"], &json["user_uri"]), (&Value::Null, &Value::Null));
        assert!(json["not_trusted"]["store_uri"].as_str().unwrap().starts_with(evil), "{json}");
        assert!(json["tokens"].as_array().unwrap().iter().all(|token| token["resource_uri"].is_null()), "{json}");
        let listed = place.json(&["status", "--list", "1", "--json"]);
        assert_eq!(listed["store_uri"], Value::Null);
    }
}

/// The simulator inside the program has another port at each start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_a_simulator_is_its_path_at_the_present_one_with_the_same_books() {
    let mut place = Place::new().await;
    place.set("FOXDEN_FOXY_API", "simulator");
    place.settings.retain(|name, _| !name.starts_with("FOXDEN_FOXY_CLIENT"));
    place.feed(&["submit", "-"], &lines(["acct_1"]));
    let worker = place.worker("worker");
    let row = place.settled(1).await.remove(0);
    worker.stop().await;
    let token = place.json(&["token", "acct_1", "--json"]);
    let (then, now) = (row.store_uri.unwrap(), token["store_uri"].as_str().unwrap().to_owned());
    let path = |uri: &str| url::Url::parse(uri).unwrap().path().to_owned();
    assert_eq!((path(&then), now.starts_with("http://127.0.0.1:")), (path(&now), true));
    assert!(!place.feed(&["show", "acct_1"], "").contains("not trusted"));
    // A store that is not in these books.
    let url = &place.settings["FOXDEN_DATABASE_URL"];
    let meddler = Database::connect(url.as_str()).await.unwrap();
    let statement = "UPDATE provisionings SET store_uri = 'http://127.0.0.1:1/stores/7'";
    meddler.execute_unprepared(statement).await.unwrap();
    meddler.close().await.unwrap();
    let refused = place.run(&["token", "acct_1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not trusted"), "{refused:?}");
}
