//! Crash points: a provisioning is stopped at each of its awaits, one after the other, with each way that a call can
//! end, and other workers finish it.
//!
//! The awaits are those that the first worker was seen at. They stand in `crash_points.txt`, so that a new one does not
//! slip in unseen: one that passes the director is listed under its name, any other as `pause`.

use std::{fmt::Write as _, time::Duration};

use foxden_ledger::{Filter, Provisioning};

use crate::{
    director::{
        Fate::{self, BadLink, Doubt, Garbled, Lag, Late, Limited, NoToken, NotSent, Refused, Revoked, Rotated, SetUp},
        Order,
        Phase::{self, After, Before},
    },
    promises::{Promises, at_rest},
    schedule::{Trace, come_to_rest, finish},
    shape::{Shape, signup},
    world::World,
};

/// One way that a provisioning can go.
#[derive(Clone, Default)]
struct Scenario {
    name: String,
    /// What happens at the first arrivals at a point, in their order. Afterwards all goes well.
    orders: Vec<(&'static str, Phase, Order)>,
    /// An operation that takes half a second, the first time.
    slow: Option<&'static str>,
    shape: Shape,
    /// Another signup of the same customer is provisioned first.
    has_a_sibling: bool,
}

const AWAY: Order = Order::Away;

fn foxy(fate: Fate) -> Order {
    Order::Foxy(fate)
}

/// Every class of outcome for each of the two calls, every answer of a lookup, and what a ledger can do to a result.
fn scenarios() -> Vec<Scenario> {
    let named = |name: &str| Scenario { name: name.to_owned(), ..Scenario::default() };
    let with =
        |name: &str, orders: &[(&'static str, Phase, Order)]| Scenario { orders: orders.to_vec(), ..named(name) };
    let mut all = vec![named("clean")];
    for call in ["create_user", "create_store"] {
        for fate in [NotSent, Limited, SetUp, Refused, Doubt, Late] {
            all.push(with(&format!("{call} ends in {fate:?}"), &[(call, Before, foxy(fate))]));
        }
        for fate in [Garbled, NoToken, BadLink] {
            all.push(with(&format!("{call} ends in {fate:?}"), &[(call, After, foxy(fate))]));
        }
        all.push(with(&format!("the answer of {call} is lost"), &[(call, After, AWAY)]));
    }
    all.push(with("the user's token is refused", &[("create_store", Before, foxy(Revoked))]));
    all.push(with("the user's token is replaced at the store's call", &[("create_store", Before, foxy(Rotated))]));
    all.push(with(
        "the user's token is replaced at a lookup and at the next call",
        &[
            ("create_store", Before, foxy(Doubt)),
            ("find_store", Before, foxy(Rotated)),
            ("create_store", Before, foxy(Rotated)),
        ],
    ));
    for phase in [Before, After] {
        let when = if phase == Before { "before" } else { "after" };
        all.push(with(
            &format!("the ledger goes away {when} it takes another token of the user"),
            &[("create_store", Before, foxy(Rotated)), ("replace_token", phase, AWAY)],
        ));
    }
    all.push(with(
        "the lookup of a user is not answered",
        &[("create_user", Before, foxy(Doubt)), ("email_exists", Before, AWAY)],
    ));
    all.push(with(
        "the lookups of a store are not answered, and then lag",
        &[
            ("create_store", After, AWAY),
            ("find_store", Before, AWAY),
            ("find_store", Before, foxy(Lag)),
            ("store_domain_exists", Before, AWAY),
            ("find_store", Before, foxy(Lag)),
        ],
    ));
    let mut lags = vec![("create_store", After, AWAY)];
    lags.extend([("find_store", Before, foxy(Lag)); 5]);
    all.push(with("a listing lags for minutes behind a lost answer", &lags));
    for phase in [Before, After] {
        let when = if phase == Before { "before" } else { "after" };
        all.push(with(
            &format!("the ledger goes away {when} it takes each token"),
            &[("record", phase, AWAY), ("record", phase, Order::Go), ("record", phase, AWAY)],
        ));
        all.push(with(&format!("the ledger goes away {when} an accept"), &[("accept_leased", phase, AWAY)]));
        all.push(with(
            &format!("the ledger goes away {when} an unknown outcome is recorded"),
            &[("create_user", Before, foxy(Doubt)), ("record", phase, AWAY)],
        ));
    }
    all.push(with(
        "neither the ledger nor the escrow takes a token at once",
        &[("record", Before, AWAY), ("keep a token in it", Before, AWAY)],
    ));
    all.push(Scenario { slow: Some("record"), ..named("the ledger is slow") });
    all.push(Scenario {
        shape: Shape { mailbox: true, ..Shape::default() },
        ..with("a lost user in an owned mailbox", &[("create_user", After, foxy(NoToken))])
    });
    all.push(Scenario {
        shape: Shape { keep_user_tokens: true, ..Shape::default() },
        has_a_sibling: true,
        ..named("a second store of the same customer")
    });
    all
}

/// Where a walk ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// At rest.
    Rest,
    /// At this await, by a crash; what was asked of Foxy may be worked on afterwards.
    Crash { at: usize, calls_still_come: bool },
}

/// A worker walks through a scenario. Answers the awaits it was seen at; what becomes of the signup must keep every
/// promise, step by step.
fn walk(scenario: &Scenario, until: Until) -> Result<Vec<String>, String> {
    let trace = Trace::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let walked = runtime.block_on(try_walk(scenario, until, &trace));
    walked.map_err(|broken| format!("{}\n{broken}", trace.tell()))
}

async fn try_walk(scenario: &Scenario, until: Until, trace: &Trace) -> Result<Vec<String>, String> {
    let customer = scenario.has_a_sibling.then_some("customer");
    let signups =
        (1..=if scenario.has_a_sibling { 2 } else { 1 }).map(|number| signup(number, None, customer)).collect();
    let mut world = World::new(scenario.shape, signups, 2).await;
    let mut promises = Promises::default();
    finish(&world, &mut promises, trace).await?;
    if scenario.has_a_sibling {
        world.deliver(0, 0);
        finish(&world, &mut promises, trace).await?;
    }
    let number = world.signups.len() - 1;
    let (mut orders, mut slow) = (scenario.orders.clone(), scenario.slow);
    let (director, boot) = (world.director.clone(), world.posts[0].boot);
    world.deliver(number, 0);
    let mut seen = Vec::new();
    loop {
        director.settle().await;
        promises.hold(&world).await?;
        if world.posts[0].at_work() == 0 {
            match row(&world, number).await {
                Some(row) if at_rest(&row) => break,
                Some(_) => {
                    world.pass(Duration::from_secs(61)).await;
                    world.posts[0].claim(&director, 1);
                }
                // It could not be accepted: the broker delivers it again.
                None => world.deliver(number, 0),
            }
            continue;
        }
        let point = director.take_of(boot);
        let name = point.as_ref().map_or_else(|| "pause".to_owned(), crate::director::Point::name);
        trace.say(name.clone());
        seen.push(name);
        if let Until::Crash { at, calls_still_come } = until
            && seen.len() > at
        {
            trace.say(format!("crash; its calls still come: {calls_still_come}"));
            world.kill(0, calls_still_come).await;
            come_to_rest(&mut world, &mut promises, trace).await?;
            return Ok(seen);
        }
        let Some(point) = point else {
            world.pass(Duration::from_millis(130)).await;
            continue;
        };
        if slow.take_if(|slow| *slow == point.operation).is_some() {
            world.pass(Duration::from_millis(500)).await;
        }
        let ordered =
            orders.iter().position(|(operation, phase, _)| (*operation, *phase) == (point.operation, point.phase));
        let order = ordered.map_or(Order::Go, |at| orders.remove(at).2);
        point.resume(order);
    }
    come_to_rest(&mut world, &mut promises, trace).await?;
    if orders.is_empty() { Ok(seen) } else { Err(format!("{orders:?} was never met")) }
}

async fn row(world: &World, number: usize) -> Option<Provisioning> {
    let rows = world.ledger.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
    rows.into_iter().find(|row| row.signup_id == world.signups[number].id)
}

#[test]
fn a_provisioning_that_is_stopped_anywhere_is_finished_by_others() {
    let mut list = String::new();
    for scenario in scenarios() {
        let seen = walk(&scenario, Until::Rest).unwrap_or_else(|broken| panic!("{}:\n{broken}", scenario.name));
        writeln!(list, "{}:\n    {}", scenario.name, seen.join("\n    ")).unwrap();
        for (at, point) in seen.iter().enumerate() {
            let is_call = point.contains("create_");
            for calls_still_come in [false, true].into_iter().take(1 + usize::from(is_call)) {
                let ended = walk(&scenario, Until::Crash { at, calls_still_come });
                ended.unwrap_or_else(|broken| panic!("{}, stopped {point}:\n{broken}", scenario.name));
            }
        }
    }
    assert!(list == include_str!("crash_points.txt"), "crash_points.txt lists other awaits; these are they:\n{list}");
}
