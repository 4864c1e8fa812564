//! A person's look into the dead-letter queue.

use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::bench::{Bench, header};
use crate::{AmqpSettings, DeadQueue, Interrupted, PublishError, Requeued};

#[tokio::test]
async fn dead_letters_can_be_listed_and_stay_where_they_are() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    bench.publish_raw(b"{").await;
    bench.publish_raw(b"{\"version\":1,\"signup_id\":\"s-0\"}").await;
    bench.dead_queue_holds(2).await;
    running.stop().await;

    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    for _ in 0..2 {
        let letters = dead.list(10, |_| true).await.unwrap();
        let told: Vec<_> = letters.iter().map(|l| (l.reason.as_str(), l.signup_id.as_deref(), l.bytes)).collect();
        assert_eq!(told, [("unreadable", None, 1), ("invalid", Some("s-0"), 31)]);
        assert_eq!(letters[1].mistakes, "user is required\nstore is required");
        bench.dead_queue_holds(2).await;
    }
    assert_eq!(dead.list(1, |_| true).await.unwrap().len(), 1);
    dead.close().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn chosen_dead_letters_go_back_to_the_queue_as_they_were_published() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    bench.publish_raw(b"{").await;
    bench.publish_raw(b"{\"version\":1,\"signup_id\":\"s-0\"}").await;
    bench.dead_queue_holds(2).await;
    running.stop().await;

    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    let requeued = dead.requeue(|letter| letter.reason == "invalid").await.unwrap();
    assert_eq!(requeued, Requeued { moved: 1, left: 1 });
    let back = bench.next_in(&bench.settings.queue).await;
    assert_eq!(back.data, b"{\"version\":1,\"signup_id\":\"s-0\"}");
    assert_eq!(header(&back, "traceparent"), "00-1");
    // The broker counts deliveries in a header of its own.
    let headers = back.properties.headers().as_ref().unwrap().inner();
    let kept: Vec<_> = headers.keys().map(|name| name.as_str()).filter(|name| *name != "x-delivery-count").collect();
    assert_eq!(kept, ["traceparent"]);
    bench.dead_queue_holds(1).await;
    dead.close().await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_dead_letter_stays_until_its_message_is_confirmed_elsewhere() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    bench.publish_raw(b"{").await;
    bench.dead_queue_holds(1).await;
    running.stop().await;

    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    bench.channel.queue_delete(bench.settings.queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let ended = dead.requeue(|_| true).await.unwrap_err();
    assert!(matches!(ended, Interrupted { done: 0, error: PublishError::Unroutable }), "{ended:?}");
    dead.close().await;
    bench.dead_queue_holds(1).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn a_requeue_that_is_stopped_half_way_says_how_far_it_came() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    for _ in 0..3 {
        bench.publish_raw(b"{").await;
    }
    bench.dead_queue_holds(3).await;
    running.stop().await;

    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    let queue: ShortString = bench.settings.queue.as_str().into();
    bench.channel.queue_delete(queue.clone(), QueueDeleteOptions::default()).await.unwrap();
    let mut room_for_two = FieldTable::default();
    room_for_two.insert("x-max-length".into(), AMQPValue::LongLongInt(2));
    room_for_two.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    bench.channel.queue_declare(queue, options, room_for_two).await.unwrap();
    let ended = dead.requeue(|_| true).await.unwrap_err();
    assert!(matches!(ended, Interrupted { done: 2, error: PublishError::Refused }), "{ended:?}");
    dead.close().await;
    bench.queue_settles_at(2, 0).await;
    bench.dead_queue_holds(1).await;
    bench.tidy_up().await;
}

#[tokio::test]
async fn another_chance_leads_into_the_signup_queue_itself_and_nowhere_else() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    bench.publish_raw(b"{").await;
    bench.dead_queue_holds(1).await;
    running.stop().await;
    let AmqpSettings { queue, exchange, routing_key, .. } = &bench.settings;
    let (queue, exchange): (ShortString, ShortString) = (queue.as_str().into(), exchange.as_str().into());
    let (key, none) = (routing_key.as_str().into(), FieldTable::default());
    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    bench.channel.queue_unbind(queue, exchange.clone(), key, none.clone()).await.unwrap();
    let listens = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let listener = bench.channel.queue_declare("".into(), listens, none.clone()).await.unwrap();
    let listener = listener.name().clone();
    bench.channel.queue_bind(listener.clone(), exchange, "#".into(), QueueBindOptions::default(), none).await.unwrap();
    assert_eq!(dead.requeue(|_| true).await.unwrap().moved, 1);
    dead.close().await;
    bench.queue_settles_at(1, 0).await;
    assert_eq!(bench.standing(listener.as_str()).await.0, 0);
    bench.tidy_up().await;
}

#[tokio::test]
async fn only_chosen_dead_letters_are_dropped() {
    let bench = Bench::new().await;
    let running = bench.consume(1);
    bench.publish_raw(b"{").await;
    bench.publish_raw(b"{\"version\":1,\"signup_id\":\"s-0\"}").await;
    bench.dead_queue_holds(2).await;
    running.stop().await;

    let dead = DeadQueue::connect(&bench.settings).await.unwrap();
    assert_eq!(dead.drop_for_good(|letter| letter.reason == "unreadable").await.unwrap(), 1);
    let left = dead.list(10, |_| true).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["invalid"]);
    let open = dead.open(&left[0].handle).await.unwrap();
    assert_eq!((open.len(), open[0].body.as_slice()), (1, &b"{\"version\":1,\"signup_id\":\"s-0\"}"[..]));
    dead.close().await;
    bench.tidy_up().await;
}
