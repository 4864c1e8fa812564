//! `foxden dead`: a person at the dead-letter queue.

use std::process::Output;

use foxden_ledger::State;
use serde_json::{Value, json};

use super::{parent_app::ParentApp, relay::Relay};
use crate::support::{Place, Worker, event, lines, program};

async fn place() -> (Place, ParentApp, Worker) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    (place, parent, worker)
}

fn wrong(signup_id: &str) -> Value {
    let mut wrong = event(signup_id);
    wrong["store"]["country"] = "XX".into();
    wrong["user"]["email"] = "nobody".into();
    wrong
}

/// What the dead-letter queue has, as scripts see it, once so many letters are in it.
async fn listed(place: &Place, parent: &ParentApp, count: u32, arguments: &[&str]) -> Vec<Value> {
    let said = looked(place, parent, count, &[&["list", "--json"], arguments].concat()).await;
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `foxden dead` says, once so many letters are there: what somebody has just looked at is back within moments.
async fn looked(place: &Place, parent: &ParentApp, count: u32, arguments: &[&str]) -> String {
    parent.until_waiting(place, "DEAD_QUEUE", count).await;
    place.feed(&[&["dead"], arguments].concat(), "")
}

fn said(ended: &Output) -> String {
    String::from_utf8(ended.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_in_the_signup_queue_is_there_though_only_a_listener_is_bound() {
    let (mut place, parent, worker) = place().await;
    for signup_id in ["s1", "s2", "s3"] {
        parent.publish(wrong(signup_id).to_string().as_bytes()).await;
    }
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;
    worker.stop().await;
    let listener = parent.bind_a_listener_instead(&place).await;
    place.set("FOXDEN_AMQP_TOPOLOGY", "check");
    assert_eq!(place.feed(&["dead", "requeue", "--all"], ""), "3 back in the signup queue\n");
    parent.until_waiting(&place, "QUEUE", 3).await;
    let submitted = place.feed(&["submit", "--json", "--to", "broker", "-"], &lines(["s4", "s5"]));
    assert_eq!(serde_json::from_str::<Value>(&submitted).unwrap()["submitted"], 2);
    parent.until_waiting(&place, "QUEUE", 5).await;
    assert_eq!(parent.waiting_in(&listener).await, 0);
}

/// What AMQP calls `basic.get` and `basic.publish`.
const GET: &[u8] = &[0, 60, 0, 70];
const PUBLISH: &[u8] = &[0, 60, 0, 40];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_answers_no_more_is_waited_for_half_a_minute_and_costs_no_dead_letter() {
    let (place, parent, worker) = place().await;
    for signup_id in ["s1", "s2"] {
        parent.publish(wrong(signup_id).to_string().as_bytes()).await;
    }
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
    worker.stop().await;
    // No heartbeat may end the wait in the limit's place.
    let broker = place.settings["FOXDEN_AMQP_URL"].clone();
    let (gets, publishes) = (Relay::to(&broker).await, Relay::to(&broker).await);
    gets.swallow_answers_to(GET);
    publishes.swallow_answers_to(PUBLISH);
    let start = |name: &str, arguments: &[&str], relay: &Relay| {
        let url = format!("{}?heartbeat=0", relay.through(&broker));
        place.start(name, arguments, &[("FOXDEN_AMQP_URL", &url)])
    };
    let mut listing = start("list", &["dead", "list"], &gets);
    parent.until_waiting(&place, "DEAD_QUEUE", 1).await;
    let mut requeuing = start("requeue", &["dead", "requeue", "--all"], &publishes);
    for (command, doing) in [(&mut listing, "fetching a dead letter"), (&mut requeuing, "publishing")] {
        assert_eq!(command.ended().await, Some(5), "{}", command.log());
        let log = command.log();
        assert!(log.contains(doing) && log.contains("had no answer within 30s"), "{log}");
    }
    // One of them is in the signup queue as well: it came there, though its command has not heard of it.
    parent.until_waiting(&place, "QUEUE", 1).await;
    drop((gets, publishes));
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_whoever_put_them_there_and_without_their_bodies() {
    let (place, parent, worker) = place().await;
    parent.publish(wrong("s1").to_string().as_bytes()).await;
    parent.until_waiting(&place, "DEAD_QUEUE", 1).await;
    parent.publish(b"{").await;
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
    worker.stop().await;
    // Somebody else's, with nothing of foxden's on it, and texts that would act on a terminal.
    parent
        .publish_to_queue(
            &place,
            "DEAD_QUEUE",
            &[("note", "\u{1b}[31mred\u{9b}31m")],
            event("s2").to_string().as_bytes(),
        )
        .await;
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;

    let letters = listed(&place, &parent, 3, &[]).await;
    let told: Vec<_> =
        letters.iter().map(|l| (l["reason"].clone(), l["put_by"].clone(), l["signup_id"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("invalid"), json!("foxden"), json!("s1")),
            (json!("unreadable"), json!("foxden"), Value::Null),
            (json!("unknown"), json!("unknown"), json!("s2")),
        ]
    );
    assert_eq!(letters[0]["mistakes"][0], "user.email must be one plain email address");
    assert_eq!(letters[0]["exchange"], place.settings["FOXDEN_AMQP_EXCHANGE"].as_str());
    assert!(letters[0]["at"].is_string());
    assert_eq!(listed(&place, &parent, 3, &[]).await, letters, "they stay, under the same handles");
    assert_eq!(listed(&place, &parent, 3, &["--reason", "unreadable"]).await, letters[1..2]);
    assert_eq!(listed(&place, &parent, 3, &["--limit", "1"]).await, letters[..1]);

    let table = looked(&place, &parent, 3, &["list"]).await;
    assert!(table.contains("s1") && table.contains("user.email must be") && table.contains("(not foxden)"), "{table}");
    assert!(!table.contains("Lovelace") && !table.contains("nobody"), "no personal data:\n{table}");

    let show = async |letter: &Value, more: &[&str]| {
        looked(&place, &parent, 3, &[&["show", letter["handle"].as_str().unwrap()], more].concat()).await
    };
    let shown = show(&letters[0], &[]).await;
    assert!(shown.contains("store.country must be") && shown.contains("x-foxden-reason: invalid"), "{shown}");
    assert!(!shown.contains("Lovelace"), "the body is for --body:\n{shown}");
    assert!(show(&letters[0], &["--body"]).await.contains("Lovelace"));
    assert!(!show(&letters[0], &["--json"]).await.contains("Lovelace"));
    for how in [&[][..], &["--json"], &["--body"]] {
        let hostile = show(&letters[2], how).await;
        assert!(hostile.contains("red") && !hostile.contains(['\u{1b}', '\u{9b}']), "{hostile:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requeued_letters_are_tried_again_once_and_no_more() {
    let (place, parent, worker) = place().await;
    for number in 0..3 {
        parent.publish(wrong(&format!("w{number}")).to_string().as_bytes()).await;
    }
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;
    parent.publish_to_queue(&place, "DEAD_QUEUE", &[], event("good").to_string().as_bytes()).await;
    parent.until_waiting(&place, "DEAD_QUEUE", 4).await;

    let letters = listed(&place, &parent, 4, &["--reason", "unknown"]).await;
    let handle = letters[0]["handle"].as_str().unwrap();
    let moved = looked(&place, &parent, 4, &["requeue", handle, "--json"]).await;
    assert_eq!(moved, "{\"requeued\":1}\n");
    let rows = place.settled(1).await;
    assert_eq!((rows[0].signup_id.as_str(), rows[0].state), ("good", State::Closed));

    // The worker puts them aside again while they are being moved; that ends all the same.
    let before = listed(&place, &parent, 3, &[]).await;
    let moved = looked(&place, &parent, 3, &["requeue", "--all", "--json"]).await;
    assert_eq!(moved, "{\"requeued\":3}\n");
    let after = listed(&place, &parent, 3, &[]).await;
    assert!(after.iter().all(|letter| !before.contains(letter)), "they are new letters");
    assert_eq!(worker.events("signup.dead_lettered").len(), 6);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_holds_is_left_alone_and_not_waited_for() {
    let (place, parent, worker) = place().await;
    for number in 0..3 {
        parent.publish(wrong(&format!("w{number}")).to_string().as_bytes()).await;
    }
    parent.until_waiting(&place, "DEAD_QUEUE", 3).await;
    worker.stop().await;
    let held = parent.hold(&place, "DEAD_QUEUE").await;
    assert_eq!(place.json(&["dead", "requeue", "--all", "--json"]), json!({ "requeued": 2 }));
    assert_eq!(parent.waiting(&place, "QUEUE").await, 2);
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_needs_a_yes_and_leaves_a_trace_of_every_letter() {
    let (place, parent, worker) = place().await;
    parent.publish(wrong("w1").to_string().as_bytes()).await;
    parent.publish(b"{").await;
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
    worker.stop().await;

    let unasked = place.run(&["dead", "drop", "--all"]);
    assert_eq!(unasked.status.code(), Some(2));
    assert!(said(&unasked).contains("--yes"), "{}", said(&unasked));
    assert_eq!(listed(&place, &parent, 2, &[]).await.len(), 2, "nothing was dropped");
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;

    let dropped = place.run(&["dead", "drop", "--reason", "invalid", "--yes", "--json"]);
    assert_eq!((dropped.status.code(), dropped.stdout.as_slice()), (Some(0), &b"{\"dropped\":1}\n"[..]));
    let line: Value = serde_json::from_str(said(&dropped).lines().next().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["signup_id"]), (&json!("dead_letter.dropped"), &json!("w1")));
    let left = listed(&place, &parent, 1, &[]).await;
    assert_eq!((left.len(), &left[0]["reason"]), (1, &json!("unreadable")));

    let handle = left[0]["handle"].as_str().unwrap();
    parent.until_waiting(&place, "DEAD_QUEUE", 1).await;
    assert_eq!(
        place.run(&["dead", "drop", handle, "000000000000", "--yes"]).status.code(),
        Some(3),
        "one was not there"
    );
    assert_eq!(place.feed(&["dead", "list"], ""), "none\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_ending_has_a_status_of_its_own() {
    let (mut place, _parent, worker) = place().await;
    worker.stop().await;
    for command in [&["show"][..], &["requeue"], &["drop", "--yes"]] {
        let ended = place.run(&[&["dead"], command, &["000000000000"]].concat());
        assert_eq!(ended.status.code(), Some(4), "{command:?}");
        assert!(said(&ended).contains("no dead letter has the handle 000000000000"), "{}", said(&ended));
    }
    assert_eq!(place.run(&["dead", "requeue", "--all"]).status.code(), Some(4), "there is none");
    assert_eq!(place.run(&["dead", "requeue"]).status.code(), Some(2), "which?");
    assert_eq!(place.run(&["dead", "requeue", "000000000000", "--all"]).status.code(), Some(2), "which?");

    place.set("FOXDEN_AMQP_URL", "amqp://fox:hunter2@127.0.0.1:1");
    let away = place.run(&["dead", "list"]);
    assert_eq!(away.status.code(), Some(5), "{}", said(&away));
    assert!(said(&away).contains("127.0.0.1:1") && !said(&away).contains("hunter2"), "{}", said(&away));

    let unset = program(&["dead", "list"], place.dir.path()).output().unwrap();
    assert_eq!(unset.status.code(), Some(2));
    assert!(said(&unset).contains("FOXDEN_AMQP_URL"), "{}", said(&unset));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloudevent_of_either_mode_is_provisioned_and_another_type_is_not() {
    let (place, parent, worker) = place().await;
    let wrap = |signup_id: &str, kind: &str| {
        json!({"specversion": "1.0", "id": signup_id, "source": "/shop", "type": kind, "data": event(signup_id)})
            .to_string()
    };
    let (ours, structured) = ("com.foxden.signup.requested.v1", "application/cloudevents+json; charset=utf-8");
    let binary = |prefix: &str| {
        [("specversion", "1.0"), ("id", "1"), ("source", "/shop"), ("type", ours)]
            .map(|(name, value)| (format!("{prefix}{name}"), value))
    };
    parent.publish_as(structured, &[], wrap("structured", ours).as_bytes()).await;
    for (signup_id, prefix) in [("binary1", "cloudEvents:"), ("binary2", "cloudEvents_")] {
        let headers = binary(prefix);
        let headers = headers.each_ref().map(|(name, value)| (name.as_str(), *value));
        parent.publish_as("application/json", &headers, event(signup_id).to_string().as_bytes()).await;
    }
    parent.publish_as(structured, &[], wrap("other", "com.example.other").as_bytes()).await;
    parent.publish_as("text/csv", &[], b"a;b").await;
    let rows = place.settled(3).await;
    parent.until_waiting(&place, "DEAD_QUEUE", 2).await;
    worker.stop().await;
    place.books_agree(&rows).await;
    let reasons: std::collections::BTreeSet<String> = listed(&place, &parent, 2, &[])
        .await
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), ["unknown_content_type", "unknown_type"]);
}
