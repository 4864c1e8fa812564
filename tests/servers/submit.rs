//! `foxden submit` to a broker that goes away.

use super::own_servers::OwnServers;
use crate::{
    servers::parent_app::ParentApp,
    submit::{begun, whole},
    support::Place,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_dies_in_between_costs_no_signup() {
    let servers = OwnServers::up().await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_at(&mut place, &servers.url("DATABASE_URL"), &servers.url("AMQP_URL")).await;
    place.feed(&["migrate", "up"], "");
    let state = place.path("state");
    let keeps = ["--state", state.to_str().unwrap()];
    let (mut cut_off, feed, fed) = begun(&place, &keeps, async |_| state.exists()).await;
    assert!(parent.waiting(&place, "QUEUE").await > 0);
    servers.kill("rabbitmq").await;
    drop(parent);
    // One more, so that it finds out.
    let mut feed = feed;
    std::io::Write::write_all(&mut feed, crate::support::lines([crate::submit::signup_id(fed).as_str()]).as_bytes())
        .unwrap();
    assert_eq!(cut_off.ended().await, Some(5), "{}", cut_off.log());
    let log = cut_off.log();
    assert!(log.contains("run the same command again, it resumes from line"), "{log}");
    drop(feed);
    let all = whole(&place, fed + 20);
    let away = place.run(&[&["submit"], &keeps[..], &[&all]].concat());
    assert_eq!(away.status.code(), Some(5), "{away:?}");

    servers.restart("rabbitmq").await;
    let rest = place.json(&[&["submit", "--json"], &keeps[..], &[&all]].concat());
    let submitted = rest["submitted"].as_u64().unwrap() as usize;
    assert!((20..fed + 20).contains(&submitted), "it began where it had been: {rest}");
    let worker = place.worker("worker");
    let rows = place.settled(fed + 20).await;
    assert_eq!(rows.len(), fed + 20);
    worker.stop().await;
    place.books_agree(&rows).await;
}
