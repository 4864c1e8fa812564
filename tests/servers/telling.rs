//! What the parent app is told beside what became of its signups.

use foxden_ledger::{OutcomeData, OutcomeEvent, OutcomeKind};
use serde_json::Value;

use super::parent_app::ParentApp;
use crate::{
    authorize::Asking,
    support::{Place, event},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parent_app_is_told_of_rejections_duplicates_and_cancellations_in_order() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_TELL_DUPLICATES", "true");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    let next = async || {
        let told = parent.take(&place, "OUTCOME_QUEUE", 1).await.remove(0).json();
        (told["type"].as_str().unwrap().to_owned(), told["subject"].clone(), told["data"].clone())
    };
    let expect = async |kind: &str| {
        let (told, subject, data) = next().await;
        assert_eq!((told, subject), (format!("com.foxden.signup.{kind}.v1"), "s1".into()), "{data}");
        data
    };

    let mut signup = event("s1");
    signup["store"]["country"] = "XX".into();
    parent.publish(signup.to_string().as_bytes()).await;
    let rejected = expect("rejected").await;
    assert_eq!((&rejected["reason"], &rejected["mistakes"][0]["path"]), (&"invalid".into(), &"store.country".into()));
    assert!(!rejected.to_string().contains("Lovelace") && !rejected.to_string().contains("XX"), "{rejected}");

    signup["store"]["country"] = "US".into();
    signup["store"]["domain"] = "www".into();
    parent.publish(signup.to_string().as_bytes()).await;
    let parked = expect("parked").await;
    assert_eq!((&parked["reason"], &parked["action"]), (&"domain_reserved".into(), &Value::Null));
    parent.publish(signup.to_string().as_bytes()).await;
    let duplicate = expect("duplicate").await;
    assert_eq!((&duplicate["state"], &duplicate["reason"]), (&"parked".into(), &"domain_reserved".into()));

    let cancelled = place.run(&["cancel", "s1", "--reason", "by mistake", "--yes"]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    let told = expect("cancelled").await;
    assert_eq!((&told["reason"], told["user_uri"].is_string()), (&"by mistake".into(), true));
    parent.publish(signup.to_string().as_bytes()).await;
    assert_eq!(expect("duplicate").await["state"], "cancelled");
    signup["store"]["domain"] = "another".into();
    parent.publish(signup.to_string().as_bytes()).await;
    let rejected = expect("rejected").await;
    assert_eq!(rejected["reason"], "conflict");
    assert!(rejected["mistakes"][0]["problem"].as_str().unwrap().contains("was cancelled"), "{rejected}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_outcome_events_off_none_are_made_and_those_that_wait_are_reported_and_kept() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let ledger = place.ledger().await;
    let data = OutcomeData { signup_id: "earlier".into(), ..OutcomeData::default() };
    ledger.tell("e-1".into(), OutcomeEvent { kind: OutcomeKind::Rejected, data }).await.unwrap();
    let queue = std::mem::replace(place.settings.get_mut("FOXDEN_AMQP_OUTCOME_QUEUE").unwrap(), "none".into());
    let exchange = std::mem::replace(place.settings.get_mut("FOXDEN_AMQP_OUTCOME_EXCHANGE").unwrap(), "none".into());
    let worker = place.worker("worker");
    assert_eq!(worker.until("outbox.off").await["waiting"], 1);
    worker.until("broker.connected").await;

    let mut wrong = event("s1");
    wrong["store"]["country"] = "XX".into();
    parent.publish(wrong.to_string().as_bytes()).await;
    parent.until_waiting(&place, "DEAD_QUEUE", 1).await;
    let mut reserved = event("s2");
    reserved["store"]["domain"] = "www".into();
    for signup in [event("s1"), event("s1"), reserved] {
        parent.publish(signup.to_string().as_bytes()).await;
    }
    place.settled(2).await;
    assert!(place.run(&["cancel", "s2", "--yes", "--reason", "by mistake"]).status.success());
    worker.stop().await;
    assert_eq!(ledger.count_waiting_events().await.unwrap(), 1, "as before");

    place.set("FOXDEN_AMQP_OUTCOME_QUEUE", &queue);
    place.set("FOXDEN_AMQP_OUTCOME_EXCHANGE", &exchange);
    let worker = place.worker("worker-2");
    worker.until("outcome.published").await;
    let told = parent.take(&place, "OUTCOME_QUEUE", 1).await.remove(0).json();
    assert_eq!(told["subject"], "earlier");
    worker.stop().await;
    assert_eq!(parent.waiting(&place, "OUTCOME_QUEUE").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parent_app_hears_that_a_person_can_help_that_one_is_asked_and_what_came_of_it() {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.sim.set_faults("POST /stores: no_token first 1".parse().unwrap());
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    let next = async || parent.take(&place, "OUTCOME_QUEUE", 1).await.remove(0).json();
    parent.publish(event("s1").to_string().as_bytes()).await;
    let parked = next().await;
    assert_eq!(parked["type"], "com.foxden.signup.parked.v1");
    let about = &parked["data"];
    assert_eq!((&about["reason"], &about["action"]), (&"store_token_lost".into(), &"authorize".into()));

    let asking = Asking::begin(&place, "s1");
    let requested = next().await;
    assert_eq!(requested["type"], "com.foxden.signup.grant_requested.v1");
    let about = &requested["data"];
    assert_eq!((&about["reason"], &about["wanted"]), (&"recover".into(), &"store".into()));
    assert_eq!(about["action"], "authorize");
    assert!(!requested.to_string().contains("FXT1"), "no link is in it: {requested}");
    let back = asking.browse(("sim_as", "engines-s1")).await;
    assert_eq!(asking.paste(&back).0, Some(0));
    let provisioned = next().await;
    assert_eq!(provisioned["type"], "com.foxden.signup.provisioned.v1");
    assert_eq!(provisioned["data"]["store_domain"], "engines-s1");
    worker.stop().await;
}
