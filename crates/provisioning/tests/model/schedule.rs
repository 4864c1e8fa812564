//! One random schedule: what happens to a world is drawn from a seed, then everybody is given time to come to rest.

mod persons;

use std::{cell::RefCell, time::Duration};

use fastrand::Rng;
use foxden_ledger::Filter;
use tokio::time::Instant;

use crate::{
    books::Kind,
    director::{Boot, Fate, Order, Phase},
    promises::{Broken, Promises, at_rest},
    shape::{Shape, Signup, signup},
    world::World,
};

pub(crate) const WORKERS: usize = 3;

/// How many rounds a world may take to come to rest. Each is a minute or more.
const ROUNDS: usize = 200;

/// Every way for an operation to go wrong.
pub(crate) const ALL_FATES: [Order; 13] = [
    Order::Away,
    Order::Foxy(Fate::NotSent),
    Order::Foxy(Fate::Limited),
    Order::Foxy(Fate::SetUp),
    Order::Foxy(Fate::Refused),
    Order::Foxy(Fate::Doubt),
    Order::Foxy(Fate::Late),
    Order::Foxy(Fate::Garbled),
    Order::Foxy(Fate::NoToken),
    Order::Foxy(Fate::BadLink),
    Order::Foxy(Fate::Revoked),
    Order::Foxy(Fate::Lag),
    Order::Foxy(Fate::Rotated),
];

/// What happened, to be told if a promise was broken.
#[derive(Default)]
pub(crate) struct Trace(RefCell<Vec<String>>);

impl Trace {
    pub(crate) fn say(&self, line: String) {
        self.0.borrow_mut().push(line);
    }

    pub(crate) fn tell(&self) -> String {
        self.0.borrow().join("\n")
    }
}

/// What is drawn for a schedule before it begins.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) steps: usize,
    /// In percent: how often an operation goes wrong.
    pub(crate) faults: u32,
    /// Which ways there are to go wrong: few, so that they meet.
    pub(crate) fates: Vec<Order>,
    /// In percent of all steps.
    pub(crate) kills: u32,
    /// In percent of all steps: how often a stranger takes a domain that a signup is out for.
    pub(crate) strangers: u32,
    /// In percent of all steps: how often a person does something.
    pub(crate) persons: u32,
    /// In percent: how often a worker that goes on does so up to Foxy's door, so that fewer steps meet more of Foxy.
    pub(crate) rush: u32,
}

impl Plan {
    fn draw(dice: &mut Rng) -> Self {
        let clock_jumps = Duration::from_secs(if dice.u32(..100) < 30 { 240 } else { 0 });
        let fates = ALL_FATES.into_iter().filter(|_| dice.u32(..100) < 40).collect();
        Self {
            shape: Shape {
                mailbox: dice.u32(..100) < 30,
                keep_user_tokens: dice.u32(..100) < 30,
                clock_jumps,
                ..Shape::default()
            },
            steps: dice.usize(40..110),
            fates,
            faults: *[0, 10, 25, 50].get(dice.usize(..4)).unwrap(),
            kills: *[0, 2, 5, 10].get(dice.usize(..4)).unwrap(),
            strangers: 0,
            persons: 0,
            rush: 0,
        }
    }

    /// Some worlds have people in them, and workers whose settings differ. Drawn last, so that all else stays what it
    /// was.
    fn draw_people(&mut self, dice: &mut Rng) {
        if dice.u32(..100) < 30 {
            self.persons = 6;
        }
        self.shape.settings_differ = dice.u32(..100) < 15;
    }
}

fn draw_signups(dice: &mut Rng) -> Vec<Signup> {
    (1..=dice.usize(1..=3))
        .map(|number| {
            let domain = (dice.u32(..100) < 30).then_some("engines");
            let account = (dice.u32(..100) < 30).then_some("customer");
            signup(number, domain, account)
        })
        .collect()
}

/// Runs the schedule of a seed to its end.
pub(crate) async fn run(seed: u64, trace: &Trace) -> Result<(), Broken> {
    let mut dice = Rng::with_seed(seed);
    let mut plan = Plan::draw(&mut dice);
    let signups = draw_signups(&mut dice);
    plan.draw_people(&mut dice);
    let world = World::new(plan.shape, signups, WORKERS).await;
    trace.say(format!("{plan:?}, {} signups", world.signups.len()));
    for (kind, key) in [(Kind::Store, "engines"), (Kind::User, "s1@customers.example")] {
        if dice.u32(..100) < 15 {
            trace.say(format!("a stranger has {key}"));
            world.books().make_strangers(kind, key, Duration::from_secs(86_400));
        }
    }
    play(&plan, world, &mut dice, Promises::default(), trace).await
}

/// Plays what is drawn step by step, and lets the world come to rest.
pub(crate) async fn play(
    plan: &Plan,
    mut world: World,
    dice: &mut Rng,
    mut promises: Promises,
    trace: &Trace,
) -> Result<(), Broken> {
    play_on(plan, &mut world, dice, &mut promises, trace).await?;
    come_to_rest(&mut world, &mut promises, trace).await
}

/// Plays what is drawn step by step.
pub(crate) async fn play_on(
    plan: &Plan,
    world: &mut World,
    dice: &mut Rng,
    promises: &mut Promises,
    trace: &Trace,
) -> Result<(), Broken> {
    let (start, jumped) = (Instant::now(), Duration::ZERO);
    let mut act = Act { world, promises, dice, trace, start, jumped };
    for _ in 0..plan.steps {
        act.step(plan).await?;
        act.world.director.settle().await;
        act.promises.hold(act.world).await?;
    }
    Ok(())
}

struct Act<'a> {
    world: &'a mut World,
    promises: &'a mut Promises,
    dice: &'a mut Rng,
    trace: &'a Trace,
    start: Instant,
    jumped: Duration,
}

impl Act<'_> {
    fn say(&self, line: &str) {
        self.trace.say(format!("{:>7.1} s  {line}", self.start.elapsed().as_secs_f64()));
    }

    /// One thing happens.
    async fn step(&mut self, plan: &Plan) -> Result<(), Broken> {
        if plan.persons > 0 && self.dice.u32(..100) < plan.persons {
            self.person().await;
            return Ok(());
        }
        if plan.strangers > 0 && self.dice.u32(..100) < plan.strangers {
            self.take_domain().await;
            return Ok(());
        }
        let held_up = self.world.director.held_up();
        let at = self.dice.usize(..WORKERS);
        let boot = self.world.posts[at].boot;
        if held_up > 0 && self.dice.u32(..100) < 70 {
            return self.resume(held_up, plan).await;
        }
        if self.dice.u32(..100) < plan.kills {
            self.kill(at).await;
            return Ok(());
        }
        let director = self.world.director.clone();
        match self.dice.u32(..100) {
            0..25 => {
                let number = self.signup();
                self.say(&format!("worker {boot} gets s{}", number + 1));
                self.world.deliver(number, at);
            }
            25..50 => {
                self.say(&format!("worker {boot} claims"));
                self.world.posts[at].claim(&director, 2);
            }
            50..58 => {
                self.say(&format!("worker {boot} sweeps"));
                self.world.posts[at].sweep(&director);
            }
            58..63 => {
                self.say(&format!("worker {boot} renews"));
                self.world.posts[at].renew(&director);
            }
            63..68 => {
                self.say(&format!("worker {boot} drains its escrow"));
                self.world.posts[at].drain(&director);
            }
            68..70 => {
                self.say(&format!("worker {boot} is to stop"));
                self.world.terminate(at);
            }
            70..73 => {
                if self.world.replace_if_drained(at) {
                    self.say(&format!("worker {boot} has stopped; another takes its post"));
                }
            }
            73..78 => self.work_late(),
            78..81 => self.jump(),
            _ => {
                let milliseconds = [100, 300, 3_000, 10_000, 25_000, 61_000, 601_000][self.dice.usize(..7)];
                self.say(&format!("{milliseconds} ms pass"));
                self.world.pass(Duration::from_millis(milliseconds)).await;
            }
        }
        self.world.posts[at].reap();
        Ok(())
    }

    /// A signup to be published; mostly one that is not accepted yet.
    fn signup(&mut self) -> usize {
        let acknowledged = self.world.acknowledged.lock().unwrap();
        let new = (0..self.world.signups.len()).find(|number| !acknowledged.contains(number));
        match new.filter(|_| self.dice.u32(..100) < 80) {
            Some(new) => new,
            None => self.dice.usize(..self.world.signups.len()),
        }
    }

    async fn resume(&mut self, held_up: usize, plan: &Plan) -> Result<(), Broken> {
        let point = self.world.director.take(self.dice.usize(..held_up));
        let goes_wrong = self.dice.u32(..100) < plan.faults;
        let order = if goes_wrong { self.fault(point.operation, point.phase, &plan.fates) } else { Order::Go };
        let boot = point.boot;
        self.say(&format!("worker {boot} goes on {}: {order:?}", point.name()));
        point.resume(order);
        if plan.rush > 0 && self.dice.u32(..100) < plan.rush {
            self.rush(boot, plan).await?;
        }
        Ok(())
    }

    /// A worker goes on until all it does is held up at Foxy's door. On the way things go wrong more rarely, or it
    /// would hardly ever get there.
    async fn rush(&mut self, boot: Boot, plan: &Plan) -> Result<(), Broken> {
        let director = self.world.director.clone();
        director.settle().await;
        self.promises.hold(self.world).await?;
        while let Some(point) = director.take_where(|point| point.boot == boot && !point.is_at_foxy()) {
            let goes_wrong = self.dice.u32(..100) < plan.faults / 8;
            let order = if goes_wrong { self.fault(point.operation, point.phase, &plan.fates) } else { Order::Go };
            self.say(&format!("worker {boot} goes on {}: {order:?}", point.name()));
            point.resume(order);
            director.settle().await;
            self.promises.hold(self.world).await?;
        }
        Ok(())
    }

    fn fault(&mut self, operation: &str, phase: Phase, fates: &[Order]) -> Order {
        use Fate::{BadLink, Doubt, Garbled, Lag, Late, Limited, NoToken, NotSent, Refused, Revoked, Rotated, SetUp};
        let may_be = |order: &&Order| match (operation, phase, order) {
            ("create_store" | "find_store", Phase::Before, Order::Foxy(Rotated)) => true,
            ("create_user" | "create_store", Phase::Before, Order::Foxy(fate)) => {
                matches!(fate, Doubt | Late | NotSent | Limited | SetUp | Refused | Revoked)
            }
            ("create_user" | "create_store", Phase::After, Order::Foxy(fate)) => {
                matches!(fate, Garbled | NoToken | BadLink)
            }
            ("find_store", _, Order::Foxy(Revoked)) => true,
            ("email_exists" | "find_store" | "store_domain_exists", _, Order::Foxy(fate)) => *fate == Lag,
            (_, _, Order::Foxy(_)) => false,
            (_, _, Order::Away) => true,
            (_, _, Order::Go) => false,
        };
        let possible: Vec<Order> = fates.iter().filter(may_be).copied().collect();
        self.dice.choice(possible).unwrap_or(Order::Go)
    }

    async fn kill(&mut self, at: usize) {
        let boot = self.world.posts[at].boot;
        // What it had asked for just then may still happen.
        let asked = self.dice.bool();
        if asked && let Some(point) = self.world.director.take_of(boot) {
            self.say(&format!("worker {boot}, as it is killed, has asked for {}", point.name()));
            point.resume(Order::Go);
            self.world.director.settle().await;
        }
        let still_come = self.dice.bool();
        self.say(&format!("worker {boot} is killed; its calls still come: {still_come}"));
        self.world.kill(at, still_come).await;
    }

    fn work_late(&mut self) {
        let late = self.world.books().late();
        if late > 0 {
            self.say("Foxy works on a call whose sender has given up");
            self.world.books().work_late(self.dice.usize(..late));
        }
    }

    /// A stranger takes the domain of a signup that has not come to its end.
    async fn take_domain(&mut self) {
        let rows = self.world.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        let domains: Vec<String> =
            rows.into_iter().filter(|row| !at_rest(row)).filter_map(|row| row.store_domain).collect();
        if let Some(domain) = self.dice.choice(domains) {
            self.say(&format!("a stranger takes {domain}, if it is free"));
            self.world.books().make_strangers(Kind::Store, &domain, Duration::ZERO);
        }
    }

    /// The database's clock is set, and the workers' are not.
    fn jump(&mut self) {
        let by = Duration::from_secs(self.dice.u64(1..120));
        if self.world.clocks_agree() || self.jumped + by > self.world.shape.clock_jumps {
            return;
        }
        self.jumped += by;
        if self.dice.bool() {
            self.say(&format!("the ledger's clock jumps ahead by {by:?}"));
            self.world.clock.advance(by);
        } else {
            self.say(&format!("the ledger's clock is set back by {by:?}"));
            self.world.clock.set_back(by);
        }
    }
}

/// Everybody goes on until nobody is held up.
pub(crate) async fn finish(world: &World, promises: &mut Promises, trace: &Trace) -> Result<(), Broken> {
    let director = &world.director;
    director.settle().await;
    while director.held_up() > 0 {
        let point = director.take(0);
        trace.say(format!("  at last: worker {} goes on {}", point.boot, point.name()));
        point.resume(Order::Go);
        director.settle().await;
        promises.hold(world).await?;
    }
    Ok(())
}

/// No more faults, and time for everything. Then all must be true that can be asked of a world at rest.
pub(crate) async fn come_to_rest(world: &mut World, promises: &mut Promises, trace: &Trace) -> Result<(), Broken> {
    let director = world.director.clone();
    for round in 0..ROUNDS {
        finish(world, promises, trace).await?;
        // Only once nobody is held up: what is asked of the database takes no time here.
        // First as long as a lease, later as long as the longest pause.
        let pause = Duration::from_secs(if round < 3 { 61 } else { 121 });
        trace.say(format!("  at last: {pause:?} pass"));
        world.pass(pause).await;
        finish(world, promises, trace).await?;
        while world.books().late() > 0 {
            world.books().work_late(0);
        }
        for post in &mut world.posts {
            post.reap();
        }
        let rows = world.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        let working: usize = world.posts.iter_mut().map(crate::world::Post::at_work).sum();
        let escrowed = world.escrow_files().len();
        if rows.len() == world.signups.len() && rows.iter().all(at_rest) && working == 0 && escrowed == 0 {
            return promises.hold_at_rest(world).await;
        }
        for number in 0..world.signups.len() {
            if !world.acknowledged.lock().unwrap().contains(&number) {
                world.deliver(number, number % WORKERS.min(world.posts.len()));
            }
        }
        for at in 0..world.posts.len() {
            world.replace_if_drained(at);
            let post = &mut world.posts[at];
            post.sweep(&director);
            post.drain(&director);
            post.claim(&director, 2);
        }
        director.settle().await;
    }
    let rows = world.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
    Err(format!("does not come to rest: {rows:?}"))
}
