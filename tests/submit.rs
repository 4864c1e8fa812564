//! `foxden submit` of many events: bad lines, and what is cut off.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use foxden_ledger::Filter;
use serde_json::Value;

use crate::support::{PATIENCE, Place, Worker, event, lines};

/// A file that is read as it is written.
pub(crate) fn pipe(place: &Place, name: &str) -> PathBuf {
    let path = place.path(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Begins a submitting that gets one event after the other until `enough`; then it is still reading. Answers what feeds it.
pub(crate) async fn begun(
    place: &Place,
    arguments: &[&str],
    enough: impl AsyncFn(usize) -> bool,
) -> (Worker, std::fs::File, usize) {
    let path = pipe(place, "pipe");
    let submitting = place.start("submit", &[&["submit"], arguments, &[path.to_str().unwrap()]].concat(), &[]);
    // Opening it waits for the reader, which opens it after all that it checks before.
    let open = move || std::fs::File::options().write(true).open(path).unwrap();
    let mut feed = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(open)).await.unwrap().unwrap();
    let (mut fed, started) = (0, Instant::now());
    while !enough(fed).await {
        assert!(started.elapsed() < PATIENCE, "{}", submitting.log());
        feed.write_all(lines([signup_id(fed).as_str()]).as_bytes()).unwrap();
        fed += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (submitting, feed, fed)
}

pub(crate) fn signup_id(number: usize) -> String {
    format!("acct_{number:06}")
}

/// A file of so many events.
pub(crate) fn whole(place: &Place, count: usize) -> String {
    let path = place.path("all.jsonl");
    let ids: Vec<_> = (0..count).map(signup_id).collect();
    std::fs::write(&path, lines(ids.iter().map(String::as_str))).unwrap();
    path.to_str().unwrap().to_owned()
}

/// How many signups are in the ledger.
pub(crate) async fn accepted(place: &Place) -> usize {
    let ledger = place.ledger().await;
    let rows = ledger.list(&Filter { limit: 100_000, ..Filter::default() }).await.unwrap_or_default();
    ledger.close().await.unwrap();
    rows.iter().map(|row| row.signup_id.clone()).collect::<BTreeSet<_>>().len()
}

fn counts(printed: &[u8]) -> Value {
    serde_json::from_slice(printed).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_is_named_and_put_aside_and_the_rest_goes_on() {
    let place = Place::new().await;
    let mut wrong = event("wrong");
    wrong["store"]["country"] = "XX".into();
    let long = "x".repeat(70_000);
    let input = format!("{}{wrong}\n\n{{broken\n{long}\n{}", lines(["s1"]), lines(["s2", "s1"]));
    let rejects = place.path("rejects.jsonl");
    let arguments = ["submit", "--json", "--rejects", rejects.to_str().unwrap(), "-"];
    let ended = place.feed_any(&arguments, &input);
    assert_eq!(ended.status.code(), Some(3));
    let told = counts(&ended.stdout);
    assert_eq!((&told["submitted"], &told["known"], &told["refused"]), (&2.into(), &1.into(), &3.into()));
    let said = String::from_utf8(ended.stderr).unwrap();
    for words in ["line 2: this event is refused:\n  store.country", "line 4: ", "line 5 is too long"] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), format!("{wrong}\n{{broken\n"), "as they are");
    assert_eq!(
        place.feed_any(&["submit", "--rejects", "in", "in"], "").status.code(),
        Some(1),
        "there is no such file"
    );
    std::fs::write(place.path("in"), lines(["s3"])).unwrap();
    let itself = place.feed_any(&["submit", "--rejects", "in", "in"], "");
    assert!(
        String::from_utf8_lossy(&itself.stderr)
            .contains("FILE and --rejects are the same file, in; give each one of its own"),
        "{itself:?}"
    );
    assert_eq!(accepted(&place).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_kill_has_cut_off_goes_on_where_it_was_and_each_signup_is_accepted_once() {
    let place = Place::new().await;
    let state = place.path("state");
    let keeps = ["--state", state.to_str().unwrap()];
    let (killed, _feed, fed) = begun(&place, &keeps, async |_| state.exists()).await;
    killed.crash();
    let before = accepted(&place).await;
    assert!(before > 0 && before <= fed);

    let all = whole(&place, fed + 20);
    let rest = place.run(&[&["submit", "--json"], &keeps[..], &[&all]].concat());
    assert!(rest.status.success(), "{rest:?}");
    assert!(String::from_utf8_lossy(&rest.stderr).contains("resuming from line"), "{rest:?}");
    let told = counts(&rest.stdout);
    let (submitted, known) = (told["submitted"].as_u64().unwrap() as usize, told["known"].as_u64().unwrap() as usize);
    assert_eq!((before + submitted, accepted(&place).await), (fed + 20, fed + 20));
    assert!(submitted + known < fed + 20, "it began where it had been: {told}");

    let again = place.run(&[&["submit", "--json"], &keeps[..], &[&all]].concat());
    assert_eq!(counts(&again.stdout)["submitted"].as_u64(), Some(0), "{again:?}");
    // Of another input, nothing may be passed over.
    std::fs::write(&all, lines(["other"]).repeat(fed + 20)).unwrap();
    let other = place.run(&[&["submit"], &keeps[..], &[&all]].concat());
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("is this the input"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_asked_to_stop_says_from_which_line_to_go_on() {
    let place = Place::new().await;
    let (mut stopped, _feed, fed) = begun(&place, &["--json"], async |_| accepted(&place).await > 0).await;
    stopped.signal("INT");
    assert_eq!(stopped.ended().await, Some(3), "{}", stopped.log());
    let log = stopped.log();
    let next = counts(log.lines().last().unwrap().as_bytes())["next_line"].as_u64().unwrap();
    assert!(log.contains(&format!("resume with --from-line {next}")), "{log}");
    let before = accepted(&place).await;
    assert_eq!(before as u64, next - 1, "what was taken is what was told");

    let all = whole(&place, fed + 5);
    let rest = place.json(&["submit", "--json", "--from-line", &next.to_string(), &all]);
    assert_eq!((rest["submitted"].as_u64(), rest["known"].as_u64()), (Some((fed + 5 - before) as u64), Some(0)));
    assert_eq!(accepted(&place).await, fed + 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_state_file_skips_is_counted_and_what_was_refused_there_is_named() {
    let place = Place::new().await;
    let (state, all) = (place.path("state"), place.path("all.jsonl"));
    let [state, all] = [&state, &all].map(|path| path.to_str().unwrap().to_owned());
    std::fs::write(&all, format!("{}broken\n", lines(["s1", "s2"]))).unwrap();
    let first = place.run(&["submit", "--json", "--state", &state, &all]);
    assert_eq!((&counts(&first.stdout)["refused"], &counts(&first.stdout)["skipped"]), (&1.into(), &0.into()));
    std::fs::write(&all, lines(["s1", "s2", "s3"])).unwrap();
    let again = place.run(&["submit", "--json", "--state", &state, &all]);
    let told = counts(&again.stdout);
    assert_eq!((&told["submitted"], &told["skipped"]), (&0.into(), &3.into()));
    let said = String::from_utf8(again.stderr).unwrap();
    let hint = format!(
        "1 events before it were refused; if they were corrected in place, remove {state} to submit all of it again, \
         which makes nothing twice"
    );
    assert!(said.contains(&hint), "{said}");
    std::fs::remove_file(&state).unwrap();
    let whole = counts(&place.run(&["submit", "--json", "--state", &state, &all]).stdout);
    assert_eq!((&whole["submitted"], &whole["known"]), (&1.into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_belongs_to_one_ledger_however_its_path_is_written() {
    let place = Place::new().await;
    let (state, all) = (place.path("state"), whole(&place, 2));
    let state = state.to_str().unwrap();
    for dir in ["one", "two"] {
        std::fs::create_dir(place.path(dir)).unwrap();
    }
    let submit_in = |dir: &str, url: &str| {
        let mut command = place.command(&["submit", "--json", "--state", state, &all]);
        command.current_dir(place.path(dir)).env("FOXDEN_DATABASE_URL", url).output().unwrap()
    };
    assert_eq!(counts(&submit_in("one", "sqlite:foxden.db").stdout)["submitted"], 2);
    let same = submit_in("one", "sqlite:../one/foxden.db");
    assert_eq!(counts(&same.stdout)["skipped"], 2, "{same:?}");
    let other = submit_in("two", "sqlite:foxden.db");
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert!(String::from_utf8_lossy(&other.stderr).contains("give each a state file of its own"), "{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_another_form_are_refused_in_one_line_that_says_what_is_expected() {
    let place = Place::new().await;
    let pretty = format!("{:#}\n", event("s1")).repeat(100);
    let list = serde_json::json!([event("s1"), event("s2")]).to_string();
    for (input, expected) in [
        (pretty.as_str(), "each event takes several lines; write one event a line: jq -c . FILE | foxden submit -"),
        (list.as_str(), "the input is a list; write one event a line: jq -c '.[]' FILE | foxden submit -"),
    ] {
        let ended = place.feed_any(&["submit", "-"], input);
        assert_eq!(ended.status.code(), Some(1));
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            said.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>(),
            [format!("error: {expected}")]
        );
    }
    let marked = place.feed_any(&["submit", "-"], &format!("\u{feff}{}", lines(["s1", "s2"])));
    assert!(marked.status.success(), "{marked:?}");
}
