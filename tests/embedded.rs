//! The main job without any server: `foxden submit` and a worker on SQLite.

use std::time::Duration;

use foxden_ledger::{ParkedReason, State};

use crate::support::{PATIENCE, Place, event, lines, program, row};

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("acct_{number:03}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_signups_become_users_stores_and_sealed_tokens() {
    let place = Place::new().await;
    let ids = ids(20);
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    let worker = place.worker("worker");
    let rows = place.settled(20).await;
    place.books_agree(&rows).await;
    worker.stop().await;

    let counts = place.json(&["status", "--json"]);
    assert_eq!((&counts["signups"], &counts["closed"]), (&20.into(), &20.into()));
    let shown = place.json(&["show", "acct_007", "--json"]);
    assert_eq!((&shown["state"], &shown["store_domain"]), (&"closed".into(), &"engines-acct-007".into()));
    let token = place.json(&["token", "acct_007", "--json"]);
    let grant = place.sim.access_token_is_valid(token["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(Some(grant.uri.as_str()), shown["store_uri"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_moment_leaves_nothing_undone_and_nothing_doubled() {
    let config = foxy_sim::Config { latency: "5..30".parse().unwrap(), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    place.set("FOXDEN_CONCURRENCY", "4");
    let ids = ids(30);
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    for round in 1..=3 {
        let worker = place.worker(&format!("worker-{round}"));
        let before = place.sim.books().stores.len();
        while place.sim.books().stores.len() < before + 5 {
            tokio::task::yield_now().await;
        }
        worker.crash();
    }
    let last = place.worker("worker-last");
    let rows = place.settled(30).await;
    last.stop().await;
    let books = place.sim.books();
    // A kill between Foxy's answer and the ledger loses a token, which is said; it never makes anything twice.
    assert!(books.users.len() <= 30 && books.stores.len() <= 30);
    let lost = |row: &foxden_ledger::Provisioning| {
        matches!(
            row.parked_reason,
            Some(ParkedReason::UserTokenLost | ParkedReason::EmailInDoubt | ParkedReason::StoreTokenLost)
        )
    };
    for row in &rows {
        assert!(row.state == State::Closed || lost(row), "{row:?}");
    }
    assert!(rows.iter().filter(|row| row.state == State::Closed).count() >= 30 - 3 * 4);
    for table in
        [books.users.iter().map(|user| &user.email).collect::<Vec<_>>(), books.stores.iter().map(|s| &s.name).collect()]
    {
        let mut unique = table.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), table.len(), "made twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_the_clients_token_and_links_before_its_first_signup() {
    let place = Place::new().await;
    let worker = place.worker("worker");
    // The home document without a token, then a token, then the home document with it.
    let started = std::time::Instant::now();
    while place.sim.requests("GET /") < 2 {
        assert!(started.elapsed() < PATIENCE, "it asks Foxy for nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = place.sim.total_requests();
    place.feed(&["submit", "-"], &event("s1").to_string());
    place.settled(1).await;
    worker.stop().await;
    assert_eq!((asked, place.sim.total_requests() - asked), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_what_is_under_way_end() {
    let config = foxy_sim::Config { latency: "200..400".parse().unwrap(), ..foxy_sim::Config::default() };
    let place = Place::with(config).await;
    let ids = ids(12);
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    let worker = place.worker("worker");
    while place.sim.requests("POST /users") == 0 {
        tokio::task::yield_now().await;
    }
    worker.stop().await;
    let (ledger, left) = (place.ledger().await, foxden_ledger::Filter { limit: 100, ..Default::default() });
    for row in ledger.list(&left).await.unwrap() {
        assert!(matches!(row.state, State::Due | State::Closed), "nothing is left in doubt: {row:?}");
        assert!(row.lease_until_ms.is_none(), "its lease is given back: {row:?}");
    }
    ledger.close().await.unwrap();
    let worker = place.worker("next");
    let rows = place.settled(12).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

/// Waits until a call for the signup is announced.
async fn until_under_way(place: &Place, signup_id: &str) {
    while row(place, signup_id).await.state != State::InFlight {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    // Longer than any of this takes, so that a call is under way all the time.
    let config = foxy_sim::Config { latency: "15000".parse().unwrap(), ..foxy_sim::Config::default() };
    let mut place = Place::with(config).await;
    for (name, value) in [("FOXDEN_CALL_TIMEOUT", "30s"), ("FOXDEN_LEASE", "90s"), ("FOXDEN_SHUTDOWN_GRACE", "60s")] {
        place.set(name, value);
    }
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "INT")] {
        let name = &format!("{first}-{second}");
        place.feed(&["submit", "-"], &event(name).to_string());
        let mut worker = place.worker(name);
        until_under_way(&place, name).await;
        worker.signal(first);
        worker.until("worker.stopping").await;
        // Before that it counts as the same wish.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        worker.signal(second);
        assert_eq!(worker.ended().await, Some(1), "{name}");
        assert_eq!(worker.events("worker.killed").len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_that_comes_twice_at_once_is_one() {
    let config = foxy_sim::Config { latency: "300".parse().unwrap(), ..foxy_sim::Config::default() };
    let place = Place::with(config).await;
    let ids: Vec<String> = (1..=4).map(|number| format!("s{number}")).collect();
    place.feed(&["submit", "-"], &lines(ids.iter().map(String::as_str)));
    let mut worker = place.worker("worker");
    until_under_way(&place, "s1").await;
    // As a wrapper and the terminal send it.
    for signal in ["INT", "TERM", "INT", "TERM"] {
        worker.signal(signal);
    }
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    assert!(worker.events("worker.killed").is_empty());
    let worker = place.worker("next");
    let rows = place.settled(4).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_client_secret_pauses_the_worker_and_keeps_the_signups() {
    let mut place = Place::new().await;
    let right = place.settings["FOXDEN_FOXY_CLIENT_SECRET"].clone();
    place.set("FOXDEN_FOXY_CLIENT_SECRET", "not-the-secret");
    place.feed(&["submit", "-"], &lines(["s1", "s2"]));
    let worker = place.worker("wrong");
    let paused = worker.until("foxy.paused").await;
    assert_eq!(paused["level"], "error");
    worker.stop().await;
    assert_eq!(row(&place, "s1").await.state, State::Due);
    place.set("FOXDEN_FOXY_CLIENT_SECRET", &right);
    let worker = place.worker("right");
    let rows = place.settled(2).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_keys_or_environment_start_nothing_and_park_nothing() {
    let mut place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["s1", "s2"]));
    let right = place.settings.clone();
    let other_key = foxden_vault::generate_key("other").unwrap();
    for (name, value) in [("FOXDEN_KEYS", other_key.as_str()), ("FOXDEN_ENVIRONMENT", "staging")] {
        place.settings.clone_from(&right);
        place.set(name, value);
        for arguments in [&["worker"][..], &["submit", "-"]] {
            let ended = place.feed_any(arguments, &event("s3").to_string());
            assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(said.contains(name), "{said}");
        }
    }
    place.settings = right;
    let worker = place.worker("worker");
    let rows = place.settled(2).await;
    worker.stop().await;
    place.books_agree(&rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn show_answers_though_the_evidence_was_pruned() {
    let place = Place::new().await;
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker("worker");
    place.settled(1).await;
    worker.stop().await;
    let before = place.json(&["show", "s1", "--json"]);
    assert_eq!((&before["attempts_pruned"], before["attempts"].as_array().unwrap().len()), (&false.into(), 2));
    let page = place.ledger().await.prune_evidence(Duration::ZERO).await.unwrap();
    assert_eq!((page.signups, page.deleted), (1, 2));

    let mut after = place.json(&["show", "s1", "--json"]);
    assert_eq!((&after["attempts_pruned"], &after["attempts"]), (&true.into(), &serde_json::json!([])));
    assert_eq!(after["create_calls"], 2);
    for name in ["attempts", "attempts_pruned"] {
        after[name] = before[name].clone();
    }
    assert_eq!(after, before, "nothing else is gone");
    let shown = place.feed(&["show", "s1"], "");
    for words in ["by submit", "given by call 1, 20", "given by call 2, 20", "calls announced: 2"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_signup_is_explained_and_refuses_a_retry_that_can_not_help() {
    let mut place = Place::new().await;
    // Few lines are logged, and each says all the same whose it is.
    place.set("FOXDEN_LOG", "warn");
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    place.feed(&["submit", "-"], &event("s1").to_string());
    let worker = place.worker("worker");
    let parked = worker.until("provisioning.parked").await;
    assert_eq!((&parked["signup_id"], &parked["reason"]), (&"s1".into(), &"store_token_lost".into()));
    worker.stop().await;
    let shown = place.feed(&["show", "s1"], "");
    assert!(shown.contains("store_token_lost") && shown.contains("What to do:"), "{shown}");
    assert!(place.feed(&["explain", "store_token_lost"], "").contains("What to do:"));
    let refused = place.run(&["retry", "s1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("can't mend"));
    let none = place.run(&["token", "s1"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("no store token yet"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_reads_the_path_of_the_ledger_alike() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut place = Place::new().await;
    std::fs::create_dir(place.path("é dir")).unwrap();
    for (url, file) in [
        ("sqlite:with%20blank.db", "with blank.db"),
        ("sqlite:é dir/f.db", "é dir/f.db"),
        ("sqlite:100%.db?mode=rwc", "100%.db"),
    ] {
        place.set("FOXDEN_DATABASE_URL", url);
        place.feed(&["submit", "-"], &event("s1").to_string());
        assert_eq!(place.json(&["show", "s1", "--json"])["state"], "due", "{url}");
        for suffix in ["", "-wal", "-shm"] {
            let Ok(about) = std::fs::metadata(place.path(&format!("{file}{suffix}"))) else {
                assert_ne!(suffix, "", "{url} is another file");
                continue;
            };
            assert_eq!(about.permissions().mode() & 0o777, 0o600, "{file}{suffix}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_is_open_to_others_for_a_moment() {
    let place = Place::new().await;
    // Whatever the mask is that the program inherits, it makes its files under its own.
    let mut command = program(&["submit", "-"], place.dir.path());
    command.envs(&place.settings).stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mask = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap().trim().to_owned();
        if mask == "0077" || child.try_wait().unwrap().is_some() {
            break mask;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(mask, "0077");
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_url_that_would_be_misread_stops_before_anything_starts() {
    let mut place = Place::new().await;
    for (url, problem) in [
        ("sqlite:f.db?mode=memory", "an sqlite: URL takes no parameters but mode=rwc and mode=rw"),
        ("postgres://u:p@h/db?ssl=true", "instead of ssl write sslmode=verify-full"),
        ("postgres://u:p@h/db?channel_binding=require", "channel binding is not supported"),
        ("postgres://u:p@h/db?sslmode=verify_full", "sslmode in the database URL must be disable, allow, prefer"),
        ("postgres://u:p@h/db?connect_timeout=3", "a connection that takes longer than 5 s counts as failed"),
        ("postgres://u:p@h/db?sslmode=verify-full&sslrootcert=/nowhere.pem", "/nowhere.pem, which sslrootcert"),
    ] {
        place.set("FOXDEN_DATABASE_URL", url);
        let output = place.run(&["status"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains("FOXDEN_DATABASE_URL (environment): ") && said.contains(problem), "{url}: {said}");
    }
}
