//! What is declared, and what is only looked for.

use lapin::{
    Channel, ExchangeKind,
    options::{
        ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};

use super::bench::{Bench, soon};
use crate::{AmqpSettings, PublishError, Topology, declare};

/// The refusal in an error.
fn refusal(error: &PublishError) -> String {
    assert!(error.is_refusal(), "{error:?}");
    let PublishError::Broker(refusal) = error else { panic!("{error:?}") };
    refusal.to_string()
}

async fn delete_queue(bench: &Bench, queue: &str) {
    bench.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
}

async fn classic_queue(channel: &Channel, queue: &str) {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), durable, FieldTable::default()).await.unwrap();
}

fn checking(bench: &Bench) -> AmqpSettings {
    AmqpSettings { topology: Topology::Check, ..bench.settings.clone() }
}

#[tokio::test]
async fn what_exists_otherwise_is_refused_in_words_and_taken_as_it_is_by_a_check() {
    let bench = Bench::new().await;
    let (queue, exchange) = (bench.settings.queue.as_str(), bench.settings.exchange.as_str());
    delete_queue(&bench, queue).await;
    classic_queue(&bench.channel, queue).await;
    let error = refusal(&declare(&bench.settings).await.unwrap_err());
    let start = format!("the signup queue {queue} exists otherwise: ");
    let end = "; drain and delete it, or set FOXDEN_AMQP_QUEUE to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as \
               it is";
    // Which of the arguments the broker minds first is its own affair.
    assert!(error.starts_with(&start) && error.contains(", and foxden wants ") && error.ends_with(end), "{error}");
    declare(&checking(&bench)).await.unwrap();

    bench.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await.unwrap();
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
    bench.channel.exchange_declare(exchange.into(), kind, durable, arguments).await.unwrap();
    assert_eq!(
        refusal(&declare(&bench.settings).await.unwrap_err()),
        format!(
            "the signup exchange {exchange} exists otherwise: its type is fanout, and foxden wants topic; delete it, or \
             set FOXDEN_AMQP_EXCHANGE to another name, or FOXDEN_AMQP_TOPOLOGY=check to take it as it is"
        )
    );
    declare(&checking(&bench)).await.unwrap();
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_queue_of_another_connection_alone_is_told_as_such() {
    let bench = Bench::new().await;
    let queue = bench.settings.dead_queue.as_str();
    delete_queue(&bench, queue).await;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue.into(), exclusive, FieldTable::default()).await.unwrap();
    for settings in [bench.settings.clone(), checking(&bench)] {
        let error = refusal(&declare(&settings).await.unwrap_err());
        let start = format!("the dead queue {queue} belongs to another connection alone (");
        assert!(error.starts_with(&start) && error.contains("FOXDEN_AMQP_DEAD_QUEUE"), "{error}");
    }
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_virtual_host_that_is_not_there_is_told_as_such() {
    let bench = Bench::new().await;
    let url = bench.settings.url.uri();
    let (user, host) = (url.authority.userinfo, url.authority.host);
    let elsewhere = format!("amqp://{}:{}@{host}:{}/shop", user.username, user.password, url.authority.port);
    let settings = AmqpSettings { url: crate::AmqpUrl::parse(&elsewhere).unwrap(), ..bench.settings.clone() };
    assert_eq!(
        refusal(&declare(&settings).await.unwrap_err()),
        "the broker does not let this user into the virtual host shop (it says: NOT_ALLOWED - vhost shop not found); \
         compare the end of FOXDEN_AMQP_URL with the broker's virtual hosts, and the user's permissions there"
    );
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_check_declares_nothing_and_names_what_is_missing() {
    let bench = Bench::new().await;
    let queue = bench.settings.queue.as_str();
    delete_queue(&bench, queue).await;
    for _ in 0..2 {
        assert_eq!(
            refusal(&declare(&checking(&bench)).await.unwrap_err()),
            format!(
                "there is no signup queue {queue} at the broker; have it made, or set FOXDEN_AMQP_QUEUE to the name it has, \
                 or FOXDEN_AMQP_TOPOLOGY=declare to let foxden make it"
            )
        );
    }
    declare(&bench.settings).await.unwrap();
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_queue_deleted_under_a_checking_consumer_is_waited_for() {
    let mut bench = Bench::new().await;
    bench.settings = checking(&bench);
    let mut running = bench.consume(1);
    bench.publish("s-1", "Ada").await;
    drop(running.next().await);
    let (queue, exchange) = (bench.settings.queue.as_str(), bench.settings.exchange.as_str());
    delete_queue(&bench, queue).await;
    classic_queue(&bench.channel, queue).await;
    let (key, options) = (bench.settings.routing_key.as_str(), QueueBindOptions::default());
    bench.channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await.unwrap();
    bench.publish("s-2", "Ada").await;
    let (claimed, _permit) = soon(running.next()).await;
    assert_eq!(claimed.provisioning.signup_id.as_str(), "s-2");
    running.stop().await;
    bench.tidy_up().await;
}
