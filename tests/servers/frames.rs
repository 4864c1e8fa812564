//! Small frames: headers go in one frame, whatever it was agreed to hold.

use super::{own_servers::OwnServers, parent_app::ParentApp};
use crate::support::{Place, event};

/// A place whose broker has these messages: good and bad ones, with 20 KB of body or of headers.
async fn place() -> (OwnServers, Place, ParentApp) {
    let servers = OwnServers::up_broker().await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    // Declares the queues.
    place.feed(&["dead", "list"], "");
    let (large, headers) = ("x".repeat(20_000), " ".repeat(20_000));
    let headers = [("large", headers.as_str())];
    parent.publish(format!("{}{}", event("large-body"), headers[0].1).as_bytes()).await;
    parent.publish(format!("{{{large}").as_bytes()).await;
    parent.publish_as("application/json", &headers, event("large-headers").to_string().as_bytes()).await;
    parent.publish_as("application/json", &headers, b"{ poison").await;
    (servers, place, parent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_smallest_frames_that_may_be_asked_for_headers_beyond_them_end_no_connection() {
    let (servers, mut place, parent) = place().await;
    let beyond = "x".repeat(100_000);
    parent.publish_as("application/json", &[("beyond", &beyond)], event("beyond").to_string().as_bytes()).await;
    place.set("FOXDEN_AMQP_URL", &format!("{}?frame_max=81920", servers.url("AMQP_URL")));
    let worker = place.worker("worker");
    let mut settled: Vec<_> = place.settled(2).await.iter().map(|row| row.signup_id.to_string()).collect();
    settled.sort();
    assert_eq!(settled, ["large-body", "large-headers"]);
    let dead = parent.take(&place, "DEAD_QUEUE", 3).await;
    let kept: Vec<_> = dead.iter().filter(|letter| letter.headers.contains_key("large")).collect();
    assert_eq!((kept.len(), kept[0].header("large").len()), (1, 20_000));
    let mistakes: Vec<_> = dead.iter().map(|letter| letter.header("x-foxden-mistakes")).collect();
    assert!(mistakes.iter().any(|mistakes| mistakes == "properties.headers are too large"), "{mistakes:?}");
    for complaint in ["broker.lost", "broker.refused"] {
        assert!(worker.events(complaint).is_empty(), "{complaint}:\n{}", worker.log());
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_broker_that_agrees_to_small_frames_only_what_lies_there_ends_no_connection() {
    let (servers, place, parent) = place().await;
    // For connections from now on, as if it had been started again with this in its configuration.
    servers.rabbitmqctl(&["eval", "application:set_env(rabbit, frame_max, 8192)."]).await;
    let worker = place.worker("worker");
    let settled = place.settled(1).await;
    assert_eq!(settled.iter().map(|row| row.signup_id.as_str()).collect::<Vec<_>>(), ["large-body"]);
    let dead = parent.take(&place, "DEAD_QUEUE", 3).await;
    let too_large = "properties.headers are too large";
    let mistakes = dead.iter().filter(|letter| letter.header("x-foxden-mistakes").contains(too_large)).count();
    assert_eq!(mistakes, 2, "a good event is put aside, too: its headers can't be read here");
    for complaint in ["broker.lost", "broker.refused"] {
        assert!(worker.events(complaint).is_empty(), "{complaint}:\n{}", worker.log());
    }
    worker.stop().await;
}
