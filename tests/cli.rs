//! The command line: help, settings, exit statuses.

use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{Place, event, lines, program};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn bare(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    program(arguments, dir.path()).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn all_mistakes_in_the_settings_are_listed_at_once_and_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let ended = program(&["worker"], dir.path())
        .env("FOXDEN_FOXY_API", "production")
        .env("FOXDEN_LEASE", "5s")
        .env("FOXDEN_KEYS", "main:c2hvcnQtc2VjcmV0")
        .env("FOXDEN_CONCURENCY", "8")
        .output()
        .unwrap();
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2));
    for name in
        ["FOXDEN_FOXY_CLIENT_ID", "FOXDEN_FOXY_CLIENT_SECRET", "FOXDEN_LEASE", "FOXDEN_KEYS", "FOXDEN_CONCURENCY"]
    {
        assert!(said.contains(name), "{name} is not in:\n{said}");
    }
    assert!(said.contains("FOXDEN_CONCURRENCY"), "it says what may have been meant:\n{said}");
    assert!(!said.contains("c2hvcnQ"), "no value of a secret:\n{said}");
    assert!(ended.stdout.is_empty() && std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn wrong_usage_ends_with_status_2_and_help_with_0() {
    assert_eq!(bare(&["wroker"], &[]).status.code(), Some(2));
    let help = bare(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    for command in [
        "worker",
        "submit",
        "status",
        "show",
        "explain",
        "retry",
        "cancel",
        "forget",
        "token",
        "dead",
        "keys",
        "client",
        "migrate",
        "verify-foxy",
        "demo",
    ] {
        assert!(text(&help.stdout).contains(command));
        assert_eq!(bare(&[command, "--help"], &[]).status.code(), Some(0), "{command}");
    }
}

#[test]
fn a_database_that_does_not_answer_is_named_without_its_password() {
    let url = "postgres://fox:hunter2@127.0.0.1:1/ledger";
    let ended = bare(&["status"], &[("FOXDEN_DATABASE_URL", url)]);
    let said = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("127.0.0.1:1/ledger") && said.contains("FOXDEN_DATABASE_URL"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_reason_to_complain() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = program(&["explain"], dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.stderr.is_empty(), "{}", text(&ended.stderr));
}

#[test]
fn generated_keys_differ_and_are_taken_as_they_are() {
    let keys: Vec<String> = (0..2).map(|_| text(&bare(&["keys", "generate"], &[]).stdout)).collect();
    assert_ne!(keys[0], keys[1]);
    foxden_vault::KeyRing::parse(&format!("{},{}", keys[0].trim(), keys[1].replace(':', "-2:"))).unwrap();
    assert_ne!(bare(&["keys", "generate", "--name", "No Name"], &[]).status.code(), Some(0));
}

#[test]
fn a_key_is_written_to_a_file_of_its_owners_alone_and_over_no_other() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let generate = || program(&["keys", "generate", "--file", "keys"], dir.path()).output().unwrap();
    let ended = generate();
    assert!(ended.status.success(), "{ended:?}");
    let path = dir.path().join("keys");
    let entry = std::fs::read_to_string(&path).unwrap();
    foxden_vault::KeyRing::parse(&entry).unwrap();
    assert!(!text(&ended.stdout).contains(entry.trim()), "{ended:?}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(generate().status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), entry);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_ends_with_status_4_and_says_what_to_do() {
    let place = Place::new().await;
    place.feed(&["migrate", "up"], "");
    for command in ["show", "token", "retry", "forget"] {
        let ended = place.run(&[command, "acct_404"]);
        assert_eq!(ended.status.code(), Some(4), "{command}");
        assert!(text(&ended.stderr).contains("foxden status --list"), "{}", text(&ended.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_ledger_is_marked_for_a_reason_and_the_time_of_its_copy() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &event("acct_1").to_string());
    let ended = place.run(&["migrate", "restored", "--at", "2020-01-01T00:00:00Z"]);
    assert!(ended.status.code() == Some(2) && text(&ended.stderr).contains("--reason"), "{ended:?}");
    let ended = place.run(&["migrate", "restored", "--at", "2020-01-01T00:00:00Z", "--reason", "disk lost"]);
    assert!(ended.status.code() == Some(1) && text(&ended.stderr).contains("give the time of the copy"), "{ended:?}");
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    let asked = ["migrate", "restored", "--at", &now, "--reason", "disk lost", "--json"];
    let said: Value = serde_json::from_str(&place.feed(&asked, "")).unwrap();
    assert_eq!((&said["open"], &said["marked_before"], &said["closed"]), (&1.into(), &0.into(), &0.into()));
    assert!(place.feed(&asked[..6], "").contains("publish every signup since then again"));
    assert!(place.feed(&["show", "acct_1"], "").contains("from a copy of the ledger made at"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_a_ledger_in_the_wrong_directory_makes_none() {
    let place = Place::new().await;
    for arguments in [
        &["status"][..],
        &["show", "s1"],
        &["retry", "s1"],
        &["forget", "s1"],
        &["token", "s1"],
        &["keys", "status"],
        &["keys", "reseal"],
    ] {
        let ended = place.run(arguments);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        assert!(text(&ended.stderr).contains("there is no ledger at sqlite:"), "{}", text(&ended.stderr));
    }
    assert!(!place.path("ledger.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_in_an_event_is_named_by_its_path_and_the_others_are_submitted() {
    let place = Place::new().await;
    let mut wrong = event("bad");
    wrong["store"]["country"] = "Atlantis".into();
    wrong["user"]["email"] = "nobody".into();
    wrong["stroe"] = 1.into();
    let input = format!("{}\n{wrong}\n{{\"version\":1,\n{}\n", event("good_1"), event("good_2"));
    let ended = place.feed_any(&["submit", "-", "--json"], &input);
    assert_eq!(ended.status.code(), Some(3));
    let counts: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&counts["submitted"], &counts["refused"]), (&2.into(), &2.into()));
    let said = text(&ended.stderr);
    for path in ["line 2", "store.country", "user.email", "stroe", "line 3"] {
        assert!(said.contains(path), "{path} is not in:\n{said}");
    }
    assert!(!said.contains("Atlantis") && !said.contains("nobody"), "no value of the event:\n{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitting_twice_is_harmless_and_a_changed_event_needs_a_new_id() {
    let place = Place::new().await;
    let pretty = serde_json::to_string_pretty(&event("s1")).unwrap();
    place.feed(&["submit", "-"], &pretty);
    let again: Value = serde_json::from_str(&place.feed(&["submit", "-", "--json"], &pretty)).unwrap();
    assert_eq!((&again["submitted"], &again["known"]), (&0.into(), &1.into()));
    let mut changed = event("s1");
    changed["store"]["name"] = "Another".into();
    let ended = place.feed_any(&["submit", "-"], &changed.to_string());
    assert_eq!(ended.status.code(), Some(3));
    assert!(text(&ended.stderr).contains("signup s1 is known with other content"), "{}", text(&ended.stderr));
}

#[test]
fn the_demo_makes_what_it_says_and_leaves_commands_that_work() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let ended = program(arguments, dir.path()).output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", text(&ended.stderr));
        text(&ended.stdout)
    };
    let result: Value = serde_json::from_str(&run(&["demo", "--signups", "20", "--latency", "0ms", "--json"])).unwrap();
    for (name, count) in
        [("accepted", 20), ("provisioned", 20), ("parked", 0), ("users_created", 20), ("stores_created", 20)]
    {
        assert_eq!(result[name], count, "{name}");
    }
    assert!(result["elapsed_ms"].is_u64());

    let table = run(&["demo", "--latency", "0ms"]);
    assert!(table.contains("25 of 25 signups provisioned"), "{table}");
    let hints: Vec<&str> = table.lines().filter(|line| line.contains(" --config ")).collect();
    assert_eq!(hints.len(), 3, "{table}");
    for hint in hints {
        let words: Vec<&str> = hint.split('#').next().unwrap().split_whitespace().skip(1).collect();
        let said = run(&words);
        match words[2] {
            "token" => assert!(said.trim().len() > 20),
            _ => assert!(said.contains("provisioned"), "{said}"),
        }
    }
}

#[test]
fn the_demo_touches_nothing_that_is_not_its_own() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("demo")).unwrap();
    std::fs::write(dir.path().join("demo/thesis.txt"), "precious").unwrap();
    let ended = program(&["demo"], dir.path()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("thesis.txt"));
}

#[test]
fn the_demo_comes_through_a_foxy_that_loses_answers() {
    let dir = tempfile::tempdir().unwrap();
    // As in the help of the command; some of the domains are taken when their answer is lost.
    let fault = "POST /stores: reset_before_work every 7";
    let arguments = ["demo", "--signups", "20", "--latency", "0ms", "--fault", fault, "--json"];
    let ended = program(&arguments, dir.path()).output().unwrap();
    let result: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((&result["provisioned"], &result["stores_created"]), (&20.into(), &20.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_many_pages_is_printed_whole_under_one_header() {
    let place = Place::new().await;
    let ids: Vec<String> = (0..1_100).map(|number| format!("s{number:04}")).collect();
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    let text = place.feed(&["status", "--list", "2000", "--state", "due"], "");
    let (header, rows) = text.trim_end().split_once('\n').unwrap();
    assert!(header.trim_start().starts_with("signup"), "{header}");
    let mut listed: Vec<_> = rows.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ids);
    let json = place.feed(&["status", "--list", "1001", "--json"], "");
    let whole = place.feed(&["status", "--list", "2000", "--json"], "");
    assert_eq!((json.lines().count(), whole.lines().count()), (1001, 1100));
    assert!(whole.starts_with(&json), "the newest first, whatever the limit");
}
