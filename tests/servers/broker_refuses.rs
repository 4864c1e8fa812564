//! A broker that is there and says no: told in words, waited for, and given up when the time is over.

use super::{broker_life::logged, own_servers::OwnServers, parent_app::ParentApp};
use crate::support::{Place, event, server};

/// The exit status of a worker that gave the broker up.
const REFUSED: Option<i32> = Some(6);

/// The same URL with another password.
fn with_password(url: &str, password: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_password(Some(password)).unwrap();
    url.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_wrong_password_says_so_once_and_ends_for_its_supervisor_to_see() {
    let mut place = Place::new().await;
    let _parent = ParentApp::join_broker(&mut place, &server("AMQP_URL")).await;
    place.set("FOXDEN_AMQP_URL", &with_password(&server("AMQP_URL"), "n0t-the-pass"));
    place.set("FOXDEN_AMQP_GIVE_UP_AFTER", "4s");
    let mut worker = place.worker("worker");
    assert_eq!(worker.ended().await, REFUSED, "{}", worker.log());
    for role in ["consumer", "outcomes"] {
        let told: Vec<_> = worker.events("broker.refused").into_iter().filter(|line| line["role"] == role).collect();
        assert_eq!(told.len(), 1, "{}", worker.log());
        assert_eq!(told[0]["level"], "error");
        assert_eq!(
            told[0]["error"],
            "the broker refuses the user name or the password; compare those in FOXDEN_AMQP_URL with the broker's own (the \
             user guest is let in from the broker's own machine only)"
        );
    }
    assert!(!worker.events("broker.given_up").is_empty() && worker.events("worker.refused").len() == 1);
    assert!(worker.events("worker.part_ended").is_empty(), "in good order:\n{}", worker.log());
    assert!(!worker.log().contains("n0t-the-pass"));
    let said = place.run(&["dead", "list"]);
    assert_eq!(said.status.code(), REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_mends_at_the_broker_is_taken_up_without_a_restart() {
    let servers = OwnServers::up_broker().await;
    let mut place = Place::new().await;
    let _parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    place.set("FOXDEN_AMQP_URL", &with_password(&servers.url("AMQP_URL"), "later"));
    let worker = place.worker("worker");
    worker.until("broker.refused").await;
    servers.rabbitmqctl(&["change_password", "foxden", "later"]).await;
    logged(&worker, "broker.connected", "consumer", 1).await;

    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_in_the_manual_are_enough_to_declare_and_to_check() {
    let servers = OwnServers::up_broker().await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    servers.rabbitmqctl(&["add_user", "worker", "s3cret"]).await;
    let mut url = url::Url::parse(&servers.url("AMQP_URL")).unwrap();
    url.set_username("worker").unwrap();
    url.set_password(Some("s3cret")).unwrap();
    place.set("FOXDEN_AMQP_URL", url.as_str());
    let name = |role: &str| place.settings[&format!("FOXDEN_AMQP_{role}")].clone();
    let (queue, dead, outcomes) = (name("QUEUE"), name("DEAD_EXCHANGE"), name("OUTCOME_EXCHANGE"));
    let mark = queue.split('.').next().unwrap().to_owned();
    let all = format!("^{mark}\\.");

    // All but one, then all; the worker goes on by itself.
    let all_but = format!("^(?!{outcomes}$){mark}\\.");
    servers.rabbitmqctl(&["set_permissions", "worker", &all_but, &all, &all]).await;
    let declaring = place.worker("declaring");
    let refused = declaring.until("broker.refused").await;
    let error = refused["error"].as_str().unwrap();
    // The outcome queue has the exchange's name here, and the exchange comes first.
    assert!(error.starts_with(&format!("this user may not configure the outcome exchange {outcomes} (")), "{error}");
    assert!(
        error.ends_with("; grant it, or have it made by somebody else and set FOXDEN_AMQP_TOPOLOGY=check"),
        "{error}"
    );
    servers.rabbitmqctl(&["set_permissions", "worker", &all, &all, &all]).await;
    logged(&declaring, "broker.connected", "consumer", 1).await;
    declaring.stop().await;

    // As on a platform that declares for others: this user may declare nothing at all.
    let write = format!("^({dead}|{outcomes})$");
    servers.rabbitmqctl(&["set_permissions", "worker", "^$", &write, &format!("^{queue}$")]).await;
    place.set("FOXDEN_AMQP_TOPOLOGY", "check");
    let checking = place.worker("checking");
    logged(&checking, "broker.connected", "consumer", 1).await;
    parent.publish(event("one").to_string().as_bytes()).await;
    parent.publish(b"{ poison").await;
    place.settled(1).await;
    parent.take(&place, "OUTCOME_QUEUE", 1).await;
    parent.take(&place, "DEAD_QUEUE", 1).await;
    checking.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_or_restarts_is_never_given_up() {
    let servers = OwnServers::up_broker().await;
    let mut place = Place::new().await;
    let mut parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    place.set("FOXDEN_AMQP_GIVE_UP_AFTER", "3s");
    let worker = place.worker("worker");
    logged(&worker, "broker.connected", "consumer", 1).await;
    for connected in 2..4 {
        servers.kill("rabbitmq").await;
        logged(&worker, "broker.lost", "consumer", connected - 1).await;
        servers.restart("rabbitmq").await;
        logged(&worker, "broker.connected", "consumer", connected).await;
    }
    parent.rejoin().await;
    parent.publish(event("after").to_string().as_bytes()).await;
    place.settled(1).await;
    worker.stop().await;
}
