//! Foxy away while the broker has a backlog.

use super::parent_app::ParentApp;
use crate::{
    outages::until_heartbeat,
    support::{Place, event},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_foxy_is_down_the_backlog_stays_at_the_broker() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_CONCURRENCY", "4");
    place.set("FOXDEN_HEARTBEAT", "100ms");
    place.sim.set_faults("*: status 503".parse().unwrap());
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    for number in 0..40 {
        parent.publish(event(&format!("s{number}")).to_string().as_bytes()).await;
    }
    worker.until("foxy.down").await;
    let beat = until_heartbeat(&worker, |beat| beat["gate"] == "down" && beat["under_way"] == 0).await;
    // Five have met the outage, and no more than the permits allow were on their way then.
    let accepted: u64 = ["due", "in_flight", "unknown"].iter().map(|state| beat[*state].as_u64().unwrap()).sum();
    assert!(accepted <= 5 + 4, "{beat}");
    place.sim.set_faults("".parse().unwrap());
    let rows = place.settled(40).await;
    parent.until_empty(&place, "QUEUE").await;
    worker.stop().await;
    place.books_agree(&rows).await;
}
