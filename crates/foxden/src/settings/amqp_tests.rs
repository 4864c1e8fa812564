//! What the settings of the broker promise.

use super::{
    tests::{WORKER_WITHOUT_SECRETS, mistake},
    *,
};

#[test]
fn a_broker_brings_its_names_with_it() {
    let url = ("FOXDEN_AMQP_URL", "amqps://fox:s3cret@mq.internal/shop");
    let amqp = Settings::parse(&[url].into(), WORKER_WITHOUT_SECRETS).unwrap().amqp.unwrap();
    assert_eq!(
        [&amqp.exchange, &amqp.queue, &amqp.routing_key, &amqp.dead_exchange, &amqp.dead_queue],
        ["foxden", "foxden.signups", "signup", "foxden.dead", "foxden.signups.dead"]
    );
    let outcomes = Some("foxden.outcomes");
    assert_eq!((amqp.outcome_exchange.as_deref(), amqp.outcome_queue.as_deref()), (outcomes, outcomes));

    let none = [url, ("FOXDEN_AMQP_OUTCOME_QUEUE", "none")];
    assert_eq!(Settings::parse(&none.into(), WORKER_WITHOUT_SECRETS).unwrap().amqp.unwrap().outcome_queue, None);
}

#[test]
fn outcome_events_can_be_off_and_then_nothing_of_theirs_is_set() {
    let url = ("FOXDEN_AMQP_URL", "amqp://mq.internal");
    let off = ("FOXDEN_AMQP_OUTCOME_EXCHANGE", "none");
    let parse = |more| Settings::parse(&[url, off, more].into(), WORKER_WITHOUT_SECRETS);
    let queue = "FOXDEN_AMQP_OUTCOME_QUEUE";
    for more in [("FOXDEN_CONCURRENCY", "4"), (queue, "none")] {
        let amqp = parse(more).unwrap().amqp.unwrap();
        assert_eq!((amqp.outcome_exchange, amqp.outcome_queue), (None, None));
    }
    for wants_them in [(queue, "q"), ("FOXDEN_TELL_DUPLICATES", "true")] {
        let off = "FOXDEN_AMQP_OUTCOME_EXCHANGE is none, so there are no outcome events";
        assert_eq!(mistake(parse(wants_them)), format!("{} (environment): {off}", wants_them.0));
    }
}

#[test]
fn a_command_about_the_broker_needs_one() {
    let needs = Needs { amqp: Need::Required, ..Needs::default() };
    let text = mistake(Settings::parse(&Sources::default(), needs));
    assert!(text.starts_with("FOXDEN_AMQP_URL: this command needs it, here or by FOXDEN_AMQP_URL_FILE: "), "{text}");
}
