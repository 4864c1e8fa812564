//! What else a broker may do: restart, hang, and run out of memory.

use super::{own_servers::OwnServers, parent_app::ParentApp};
use crate::{
    submit::whole,
    support::{PATIENCE, Place, Worker, event},
};

/// Waits until a worker has logged an event this number of times, about one of its connections.
pub(super) async fn logged(worker: &Worker, name: &str, role: &str, times: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while worker.events(name).iter().filter(|line| line["role"] == role).count() < times {
        assert!(tokio::time::Instant::now() < deadline, "no {times} times {name} of {role}:\n{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn place() -> (Place, ParentApp, OwnServers) {
    let servers = OwnServers::up_broker().await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    (place, parent, servers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_sent_ahead_after_the_broker_has_restarted() {
    let (mut place, mut parent, servers) = place().await;
    // Two in work, whose calls are not answered for as long as the test lasts, and two sent ahead.
    place.set("FOXDEN_CONCURRENCY", "2");
    for (name, value) in [("CALL_TIMEOUT", "5m"), ("SHUTDOWN_GRACE", "6m"), ("LEASE", "10m")] {
        place.set(&format!("FOXDEN_{name}"), value);
    }
    place.sim.set_faults("POST /users: stall_before_work(5m)".parse().unwrap());
    let worker = place.worker("worker");
    logged(&worker, "broker.connected", "consumer", 1).await;
    for number in 0..10 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    parent.until_waiting(&place, "QUEUE", 6).await;
    servers.restart("rabbitmq").await;
    logged(&worker, "broker.connected", "consumer", 2).await;
    parent.rejoin().await;
    parent.until_waiting(&place, "QUEUE", 6).await;
    assert_eq!(worker.events("signup.accepted").len(), 2);
    // Those that were sent ahead come back when the worker ends.
    worker.crash();
    parent.until_waiting(&place, "QUEUE", 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_hangs_is_noticed_by_its_heartbeat_and_taken_back() {
    let (mut place, mut parent, servers) = place().await;
    let quick = format!("{}?heartbeat=1", servers.url("AMQP_URL"));
    place.set("FOXDEN_AMQP_URL", &quick);
    let worker = place.worker("worker");
    logged(&worker, "broker.connected", "consumer", 1).await;
    servers.freeze("rabbitmq").await;
    logged(&worker, "broker.lost", "consumer", 1).await;
    servers.thaw("rabbitmq").await;
    logged(&worker, "broker.connected", "consumer", 2).await;
    parent.rejoin().await;
    parent.publish(event("after").to_string().as_bytes()).await;
    place.settled(1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_without_memory_is_waited_for_and_signups_go_on_meanwhile() {
    let (place, parent, servers) = place().await;
    place.run(&["dead", "list"]);
    parent.publish(b"{ poison").await;
    for signup_id in ["one", "two"] {
        parent.publish(event(signup_id).to_string().as_bytes()).await;
    }
    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
    let worker = place.worker("worker");
    // Neither the dead letter nor an outcome can be published; signups are taken and provisioned all the same.
    for role in ["dead letters", "outcomes"] {
        logged(&worker, "broker.blocked", role, 1).await;
    }
    place.settled(2).await;
    parent.until_waiting(&place, "QUEUE", 0).await;
    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;
    for role in ["dead letters", "outcomes"] {
        logged(&worker, "broker.unblocked", role, 1).await;
    }
    assert_eq!(parent.take(&place, "DEAD_QUEUE", 1).await[0].body, b"{ poison");
    let mut subjects: Vec<_> =
        parent.take(&place, "OUTCOME_QUEUE", 2).await.iter().map(|o| o.json()["subject"].clone()).collect();
    subjects.sort_by_key(ToString::to_string);
    assert_eq!(subjects, ["one", "two"]);
    for complaint in ["broker.lost", "signup.ack_failed"] {
        assert!(worker.events(complaint).is_empty(), "{complaint}:\n{}", worker.log());
    }
    worker.stop().await;
}

/// A broker that is short of memory, as soon as somebody publishes to it.
async fn without_memory(servers: &OwnServers) {
    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "0"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitting_to_a_broker_that_takes_nothing_ends_at_a_signal_and_says_where_to_resume() {
    let (place, parent, servers) = place().await;
    // Declares the queues.
    place.run(&["dead", "list"]);
    without_memory(&servers).await;
    let all = whole(&place, 5);
    let (state, to) = (place.path("state"), ["submit", "--to", "broker", "--json", "--state"]);
    let arguments = [&to[..], &[state.to_str().unwrap(), &all]].concat();
    let mut submitting = place.start("submit", &arguments, &[]);
    until_said(&submitting, "broker.blocked").await;
    submitting.terminate();
    assert_eq!(submitting.ended().await, Some(3), "{}", submitting.log());
    let log = submitting.log();
    for words in [
        "had no answer within 3 s, and may be submitted or not; run",
        "run the same command again, it resumes from line 1",
        r#""next_line":1"#,
    ] {
        assert!(log.contains(words), "{words}:\n{log}");
    }
    assert_eq!(log.matches("broker.blocked").count(), 1, "{log}");

    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;
    assert_eq!(place.json(&arguments)["submitted"], 5);
    drop(parent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stops_in_order_while_the_broker_takes_nothing() {
    let (mut place, mut parent, servers) = place().await;
    place.set("FOXDEN_SHUTDOWN_GRACE", "50s");
    place.run(&["dead", "list"]);
    parent.publish(b"{ poison").await;
    parent.publish(event("one").to_string().as_bytes()).await;
    without_memory(&servers).await;
    let mut worker = place.worker("worker");
    for role in ["dead letters", "outcomes"] {
        logged(&worker, "broker.blocked", role, 1).await;
    }
    worker.terminate();
    assert_eq!(worker.ended().await, Some(0), "{}", worker.log());
    assert_eq!(worker.events("outbox.given_back").len(), 1, "another worker need not wait:\n{}", worker.log());
    assert!(worker.events("intake.drain_timeout").is_empty(), "{}", worker.log());

    servers.rabbitmqctl(&["set_vm_memory_high_watermark", "absolute", "1GB"]).await;
    parent.rejoin().await;
    let worker = place.worker("next");
    logged(&worker, "broker.connected", "consumer", 1).await;
    assert_eq!(parent.take(&place, "DEAD_QUEUE", 1).await[0].body, b"{ poison");
    assert_eq!(parent.take(&place, "OUTCOME_QUEUE", 1).await[0].json()["subject"], "one");
    worker.stop().await;
}

async fn until_said(process: &Worker, words: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !process.log().contains(words) {
        assert!(tokio::time::Instant::now() < deadline, "no {words}:\n{}", process.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
