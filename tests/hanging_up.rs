//! SIGHUP: a worker reads again what it can, and what a person has begun in a terminal ends with that.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use foxden_ledger::State;

use crate::{
    client::{ROTATE, with_secret_file},
    submit::{accepted, begun},
    support::{PATIENCE, Place, lines, program},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_ends_no_worker_and_has_it_read_the_clients_secret_again() {
    let (place, path) = with_secret_file().await;
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    worker.signal("HUP");
    assert_eq!(worker.until("settings.reread").await["files"], 1);

    let secret = fs::read(&path).unwrap();
    fs::write(&path, "\n").unwrap();
    worker.signal("HUP");
    let line = worker.until("settings.not_reread").await;
    assert_eq!((&line["level"], &line["problem"]), (&"error".into(), &format!("{path} is empty").into()));
    place.feed(&["submit", "-"], &lines(["with-the-old-one"]));
    assert_eq!(place.settled(1).await[0].state, State::Closed);
    assert!(worker.events("foxy.secret_unreadable").is_empty(), "it is said once");

    fs::write(&path, secret).unwrap();
    place.feed(&ROTATE, "");
    worker.signal("HUP");
    worker.until_after("settings.reread", 1).await;
    place.sim.expire_access_tokens();
    place.feed(&["submit", "-"], &lines(["with-the-new-one"]));
    assert!(place.settled(2).await.iter().all(|row| row.state == State::Closed));
    assert_eq!(worker.events("foxy.secret_reloaded").len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_with_nothing_to_read_again_ends_no_worker_either() {
    let place = Place::new().await;
    let worker = place.worker("worker");
    worker.until("worker.started").await;
    worker.signal("HUP");
    assert_eq!(worker.until("settings.reread").await["files"], 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitting_ends_in_order_when_its_terminal_closes_but_not_under_nohup() {
    let place = Place::new().await;
    let (mut submitting, feed, _) = begun(&place, &[], async |_| accepted(&place).await > 0).await;
    submitting.signal("HUP");
    assert_eq!(submitting.ended().await, Some(3), "{}", submitting.log());
    assert!(submitting.log().contains("stopped before the end, as asked; resume with --from-line"));
    drop(feed);

    let place = Place::new().await;
    let mut outlives = Command::new("nohup")
        .arg(program(&[], place.dir.path()).get_program())
        .args(["submit", "-"])
        .current_dir(place.dir.path())
        .env_clear()
        .envs(&place.settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut feed = outlives.stdin.take().unwrap();
    feed.write_all(lines(["one"]).as_bytes()).unwrap();
    let started = std::time::Instant::now();
    while accepted(&place).await < 1 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let pid = outlives.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    feed.write_all(lines(["two"]).as_bytes()).unwrap();
    drop(feed);
    assert_eq!(outlives.wait().unwrap().code(), Some(0));
    assert_eq!(accepted(&place).await, 2);
}
