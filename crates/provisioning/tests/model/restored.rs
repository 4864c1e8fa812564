//! Schedules in which the ledger is lost, and an older copy takes its place: a copy is made at some moment, the world
//! continues, all workers end, the copy is marked as restored, and other workers continue from there. The parent app
//! publishes again whatever the copy does not know.
//!
//! What is promised then is in decision 0031: nothing is made twice for a signup that the copy knows, and each is
//! provisioned or parked in the end. Why it is parked may be less than the truth.

use std::{collections::BTreeSet, ops::Range, path::PathBuf, time::Duration};

use fastrand::Rng;
use foxden_ledger::{By, Filter, Ledger, MarkRestored};

use crate::{
    contended::{draw, draw_signups},
    promises::{Broken, Promises},
    schedule::{Plan, Trace, WORKERS, come_to_rest, play_on},
    shape::Shape,
    world::World,
};

/// What a restored ledger came from.
pub(crate) struct Restored {
    /// The signups that the copy knows.
    pub(crate) known: BTreeSet<String>,
    /// Which of the things at Foxy were made in the time that the copy lacks.
    pub(crate) lost: Range<usize>,
}

impl Restored {
    pub(crate) fn knows(&self, signup: &str) -> bool {
        self.known.contains(signup)
    }
}

/// A copy of the ledger.
struct Copied {
    file: PathBuf,
    at_ms: i64,
    /// How many things Foxy had then.
    things: usize,
    known: BTreeSet<String>,
}

impl World {
    async fn copy(&self) -> Copied {
        let file = self.directory().join("copy.db");
        self.meddle(&format!("VACUUM INTO '{}'", file.display())).await;
        let rows = self.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        let known = rows.into_iter().map(|row| row.signup_id.to_string()).collect();
        Copied { file, at_ms: self.clock.now_ms(), things: self.books().things.len(), known }
    }

    /// Follows the steps of OPERATIONS: all workers end, the copy takes the ledger's place and is marked, others begin.
    async fn restore(&mut self, copy: Copied, calls_still_come: bool) {
        for at in 0..self.posts.len() {
            self.end(at, calls_still_come).await;
        }
        // By then no lease of the copy's is alive, and no listing lags behind the last call.
        self.pass(self.shape.listing_lag.max(self.shape.lease) + Duration::from_secs(1)).await;
        let ledger = Ledger::connect(&format!("sqlite:{}", copy.file.display()), 1).await.unwrap();
        self.ledger = ledger.with_clock(&self.clock);
        let marked = self.ledger.mark_restored(copy.at_ms, &By::new("a person")).await.unwrap();
        assert!(matches!(marked, MarkRestored::Marked(_)), "{marked:?}");
        self.books().forget_the_lost_time(&copy.known);
        self.forget_tokens_of_lost_rows().await;
        let is_known = |number: &usize| copy.known.contains(self.signups[*number].id.as_str());
        self.acknowledged.lock().unwrap().retain(is_known);
        let lost = copy.things..self.books().things.len();
        self.restored = Some(Restored { known: copy.known, lost });
        for at in 0..self.posts.len() {
            self.posts[at] = self.boot(at);
        }
    }
}

/// As among contended names, without people: what they did since the copy was made they would have to repeat.
fn draw_plan(dice: &mut Rng) -> Plan {
    let plan = draw(dice);
    let mailbox = !plan.shape.keep_user_tokens && dice.u32(..100) < 30;
    Plan {
        shape: Shape { mailbox, settings_differ: false, ..plan.shape },
        steps: dice.usize(5..30),
        persons: 0,
        ..plan
    }
}

/// Runs the schedule of a seed to its end.
pub(crate) async fn run(seed: u64, trace: &Trace) -> Result<(), Broken> {
    let mut dice = Rng::with_seed(seed);
    let plan = draw_plan(&mut dice);
    let signups = draw_signups(&mut dice, &plan);
    let mut world = World::new(plan.shape, signups, WORKERS).await;
    trace.say(format!("{plan:?}, {} signups", world.signups.len()));
    let mut promises = Promises::default();
    play_on(&plan, &mut world, &mut dice, &mut promises, trace).await?;
    let copy = world.copy().await;
    trace.say(format!("the ledger is copied, with {:?}", copy.known));
    play_on(&plan, &mut world, &mut dice, &mut promises, trace).await?;
    trace.say("the ledger is lost, and the copy takes its place".to_owned());
    world.restore(copy, dice.bool()).await;
    let mut promises = Promises::from_now_on(&world);
    play_on(&plan, &mut world, &mut dice, &mut promises, trace).await?;
    come_to_rest(&mut world, &mut promises, trace).await
}
