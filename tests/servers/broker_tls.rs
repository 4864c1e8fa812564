//! The way to the broker over TLS, with a private authority.

use super::{broker_life::logged, own_servers::OwnServers, parent_app::ParentApp};
use crate::support::{Place, event};

async fn place(kind: &str) -> (Place, ParentApp, OwnServers) {
    let servers = OwnServers::up_broker_with_tls(kind).await;
    let mut place = Place::new().await;
    let parent = ParentApp::join_broker(&mut place, &servers.url("AMQP_URL")).await;
    place.set("FOXDEN_AMQP_URL", &servers.url("AMQPS_URL"));
    (place, parent, servers)
}

/// Why the program can't work with the broker, as a person reads it.
fn refused(place: &Place) -> String {
    let said = place.run(&["dead", "list"]);
    assert_eq!(said.status.code(), Some(6), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signup_goes_all_the_way_over_tls_until_the_brokers_certificate_expires_and_after_its_renewal() {
    let (mut place, mut parent, servers) = place("server").await;
    place.set("FOXDEN_AMQP_CA_FILE", &servers.path("rabbitmq/tls/ca.pem"));
    let worker = place.worker("worker");
    let connected = worker.until("broker.connected").await;
    assert!(connected["broker"].as_str().unwrap().starts_with("amqps://127.0.0.1:"), "{connected}");
    parent.publish(event("one").to_string().as_bytes()).await;
    place.settled(1).await;
    assert_eq!(parent.take(&place, "OUTCOME_QUEUE", 1).await[0].json()["subject"], "one");

    let in_use = servers.path("rabbitmq/tls/broker.pem");
    let good = std::fs::read(&in_use).unwrap();
    std::fs::copy(servers.path("rabbitmq/tls/expired.pem"), &in_use).unwrap();
    servers.restart("rabbitmq").await;
    let refused = worker.until("broker.refused").await;
    assert_eq!(refused["error"], "the broker's certificate has expired; renew it at the broker");

    std::fs::write(&in_use, good).unwrap();
    servers.restart("rabbitmq").await;
    logged(&worker, "broker.connected", "consumer", 2).await;
    parent.rejoin().await;
    parent.publish(event("two").to_string().as_bytes()).await;
    place.settled(2).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_on_either_side_is_refused_with_the_setting_that_is_missing() {
    let (mut place, parent, servers) = place("mutual").await;
    let error = refused(&place);
    assert!(
        error.contains("signed by no authority that is trusted here") && error.contains("FOXDEN_AMQP_CA_FILE"),
        "{error}"
    );

    place.set("FOXDEN_AMQP_CA_FILE", &servers.path("rabbitmq/tls/ca.pem"));
    place.set("FOXDEN_AMQP_CLIENT_CERT_FILE", &servers.path("rabbitmq/tls/client.pem"));
    place.set("FOXDEN_AMQP_CLIENT_KEY_FILE", &servers.path("rabbitmq/tls/broker.key"));
    let said = place.run(&["dead", "list"]);
    let error = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(2), "{error}");
    assert!(error.contains("the private key does not belong to the client's certificate"), "{error}");
    place.set("FOXDEN_AMQP_CLIENT_KEY_FILE", &servers.path("rabbitmq/tls/client.key"));
    let url = servers.url("AMQPS_URL");
    place.set("FOXDEN_AMQP_URL", &url.replace("127.0.0.1", "localhost"));
    let error = refused(&place);
    assert!(error.contains("certificate is for another host") && error.contains("FOXDEN_AMQP_URL"), "{error}");

    place.set("FOXDEN_AMQP_URL", &url);
    let worker = place.worker("worker");
    logged(&worker, "broker.connected", "consumer", 1).await;
    parent.publish(event("one").to_string().as_bytes()).await;
    place.settled(1).await;
    parent.take(&place, "OUTCOME_QUEUE", 1).await;
    worker.stop().await;

    // With no certificate of ours the broker hangs up, and its reason may be lost on the way; it comes with some try.
    for name in ["FOXDEN_AMQP_CLIENT_CERT_FILE", "FOXDEN_AMQP_CLIENT_KEY_FILE"] {
        place.settings.remove(name);
    }
    let worker = place.worker("nameless");
    let error = worker.until("broker.refused").await["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("the broker wants a certificate of us, or does not accept ours"), "{error}");
    assert!(error.contains("FOXDEN_AMQP_CLIENT_CERT_FILE"), "{error}");
    worker.crash();
}
