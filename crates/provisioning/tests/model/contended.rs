//! Schedules in which names are contended: several signups of one customer want a store of one name, answers are
//! lost, listings lag, and strangers take domains between a look and a call.
//!
//! What they can notice was tried on faults that were put into the code by hand. Each breaks a promise after this
//! many schedules, from three first seeds. A seed means another schedule with each change of the model, so these are
//! orders of magnitude. All are well below the number that each run plays.
//!
//! | fault | from seed 1 | from 100001 | from 200001 |
//! | --- | --- | --- | --- |
//! | decision 0023 undone: no other signup is asked, and any store that is found is one's own | 1 | 4 | 2 |
//! | a domain is chosen without asking who else under the user is out for it | 108 | 290 | 637 |
//! | a store that is found is another's, with proof or without | 368 | 207 | 120 |
//! | a store that is found is one's own, whoever else may have made it | 408 | 212 | 120 |
//! | a refusal in doubt is believed without a look | 235 | 212 | 134 |
//! | it is believed after one look | 1 | 132 | 79 |
//! | the lag of listings is counted from the start of the call | 1 | 132 | 183 |
//! | a customer's oldest user is used, its token wiped or not | 19 | 47 | 104 |
//! | a ledger error before a call leaves it announced and unsent | 11 | 4 | 3 |
//!
//! One fault is not noticed: that a store's address is taken from a row that has it without proof, by one that only
//! found it. As long as the claim before it is right, no second row gets that far.

use std::time::Duration;

use fastrand::Rng;
use foxden_ledger::Provisioning;

use crate::{
    books::Kind,
    director::{Fate, Order},
    promises::{Broken, Promises},
    schedule::{Plan, Trace, WORKERS, finish, play},
    shape::{Shape, Signup, signup},
    world::World,
};

/// What leaves a call in doubt without an effect, and with one.
const DOUBTS: [Order; 2] = [Order::Foxy(Fate::Doubt), Order::Away];

/// What else hides how a call has ended. The others are met in the schedules that draw from everything.
const FATES: [Order; 5] = [
    Order::Foxy(Fate::NotSent),
    Order::Foxy(Fate::Late),
    Order::Foxy(Fate::NoToken),
    Order::Foxy(Fate::Garbled),
    Order::Foxy(Fate::Lag),
];

pub(crate) fn draw(dice: &mut Rng) -> Plan {
    let others = FATES.into_iter().filter(|_| dice.u32(..100) < 30);
    let fates = DOUBTS.into_iter().chain(others).collect();
    Plan {
        shape: Shape {
            keep_user_tokens: dice.bool(),
            // Beyond every lag, and within what a world is given to come to rest.
            give_up_after: Duration::from_secs(1800),
            // Often short, so that a worker has looked for long enough within a few steps.
            listing_lag: Duration::from_secs(*[20, 60, 600].get(dice.usize(..3)).unwrap()),
            lists_late: dice.u32(..100) < 40,
            settings_differ: dice.u32(..100) < 15,
            ..Shape::default()
        },
        steps: dice.usize(15..50),
        fates,
        faults: *[20, 40, 60].get(dice.usize(..3)).unwrap(),
        kills: *[0, 2, 5].get(dice.usize(..3)).unwrap(),
        strangers: *[0, 3, 8].get(dice.usize(..3)).unwrap(),
        persons: *[0, 0, 6].get(dice.usize(..3)).unwrap(),
        rush: 90,
    }
}

/// Where users' tokens are not kept, signups of one customer have to end at the first one's email; so most have their
/// own.
pub(crate) fn draw_signups(dice: &mut Rng, plan: &Plan) -> Vec<Signup> {
    let shared = if plan.shape.keep_user_tokens { 100 } else { 20 };
    (1..=dice.usize(3..=4))
        .map(|number| {
            // The first one makes the user, and is out of the others' way.
            let domain = if number == 1 { Some("first") } else { (dice.u32(..100) < 25).then_some("engines") };
            let account = (dice.u32(..100) < shared).then_some("customer");
            let signup = signup(number, domain, account);
            if dice.u32(..100) < 30 { signup.with_own_email() } else { signup }
        })
        .collect()
}

/// Lets all others be out for one domain under the first one's user, as workers of an earlier release do, which ask
/// no one.
async fn choose_without_asking(world: &mut World, trace: &Trace) {
    let first = world.ledger.find(&world.signups[0].id).await.unwrap();
    let Some(first) = first.filter(Provisioning::is_provisioned) else { return };
    trace.say("workers of an earlier release have chosen a domain for all others".to_owned());
    for number in 1..world.signups.len() {
        world.queue(number).await;
    }
    world.acts.chosen_without_asking = true;
    world
        .meddle(&format!(
            "UPDATE provisionings SET step = 'store', key_intent = 1, store_domain = 'engines', user_from = '{}', \
             user_uri = (SELECT user_uri FROM provisionings WHERE signup_id = 's1') WHERE signup_id <> 's1'",
            first.id,
        ))
        .await;
}

/// Runs the schedule of a seed to its end.
pub(crate) async fn run(seed: u64, trace: &Trace) -> Result<(), Broken> {
    let mut dice = Rng::with_seed(seed);
    let plan = draw(&mut dice);
    let signups = draw_signups(&mut dice, &plan);
    let mut world = World::new(plan.shape, signups, WORKERS).await;
    trace.say(format!("{plan:?}, {} signups", world.signups.len()));
    let mut promises = Promises::default();
    let email = world.signups[dice.usize(1..world.signups.len())].payload.user.email.clone();
    if dice.u32(..100) < 10 {
        trace.say(format!("a stranger has {email}"));
        world.books().make_strangers(Kind::User, &email, Duration::from_secs(86_400));
    }
    // The customer's user is there, as a rule, so that the others' stores are made under it.
    if dice.u32(..100) < 75 {
        finish(&world, &mut promises, trace).await?;
        world.deliver(0, 0);
        finish(&world, &mut promises, trace).await?;
        if plan.shape.keep_user_tokens && dice.u32(..100) < 20 {
            choose_without_asking(&mut world, trace).await;
        }
        for number in 1..world.signups.len() {
            world.deliver(number, number % WORKERS);
        }
    }
    play(&plan, world, &mut dice, promises, trace).await
}
