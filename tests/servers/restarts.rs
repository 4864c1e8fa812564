//! Restarts in good order: workers are told to stop and started again, over and over, while signups keep coming. Nothing
//! comes to be in doubt by that.
//!
//! `make test` runs the short form, `make restarts` the long one.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use super::{dice::Dice, evidence::evidence, parent_app::ParentApp};
use crate::support::{Place, Worker, event, number, seed};

const POSTS: usize = 3;

/// Between two signups, on average.
const SIGNUP_EVERY: Duration = Duration::from_millis(100);

/// Between two rounds of restarts, on average.
const ROUND_EVERY: Duration = Duration::from_millis(500);

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("restarts: {line}");
}

/// The workers, each at its post with an escrow of its own.
struct Staff<'a> {
    place: &'a Place,
    workers: Vec<Worker>,
    boots: usize,
}

impl<'a> Staff<'a> {
    async fn start(place: &'a Place) -> Self {
        let mut staff = Self { place, workers: Vec::new(), boots: 0 };
        for post in 0..POSTS {
            let worker = staff.boot(post);
            worker.until("broker.connected").await;
            staff.workers.push(worker);
        }
        staff
    }

    fn boot(&mut self, post: usize) -> Worker {
        self.boots += 1;
        let escrow = format!("escrow-{post}");
        self.place.worker_with(&format!("worker-{post}-boot-{:03}", self.boots), &[("FOXDEN_ESCROW_DIR", &escrow)])
    }

    /// Stops these side by side, each once it is at work, and starts them again. Answers how long each took to stop.
    async fn restart(&mut self, posts: &[usize]) -> Vec<Duration> {
        for post in posts {
            self.workers[*post].until("broker.connected").await;
        }
        let told_at = Instant::now();
        for post in posts {
            self.workers[*post].terminate();
        }
        let mut took = Vec::new();
        for post in posts {
            let worker = &mut self.workers[*post];
            assert_eq!(worker.ended().await, Some(0), "not in good order within its grace:\n{}", worker.log());
            took.push(told_at.elapsed());
            self.workers[*post] = self.boot(*post);
        }
        took
    }
}

/// Publishes until told that it is enough. Answers how many.
async fn publish(parent: &ParentApp, mut dice: Dice, enough: &Cell<bool>) -> usize {
    let mut published = 0;
    while !enough.get() {
        parent.publish(event(&format!("s{published:05}")).to_string().as_bytes()).await;
        published += 1;
        tokio::time::sleep(dice.about(SIGNUP_EVERY)).await;
    }
    published
}

/// Restarts one worker, two, or all of them at a time, so many in all. Answers how long each took to stop.
async fn restart(staff: &mut Staff<'_>, restarts: usize, mut dice: Dice, enough: &Cell<bool>) -> Vec<Duration> {
    let mut took = Vec::new();
    while took.len() < restarts {
        tokio::time::sleep(dice.about(ROUND_EVERY)).await;
        let mut posts: Vec<usize> = (0..POSTS).collect();
        dice.shuffle(&mut posts);
        posts.truncate([1, 1, 1, 2, 3][dice.below(5)].min(restarts - took.len()));
        took.extend(staff.restart(&posts).await);
    }
    enough.set(true);
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_restarted_in_good_order_under_load_leave_nothing_in_doubt() {
    let seed = seed();
    say(&format!("FOXDEN_TEST_SEED={seed}"));
    let mut dice = Dice::seeded(seed);
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    place.set("FOXDEN_CONCURRENCY", "4");
    // On a busy machine a call may take long; none may time out, since that is another matter.
    place.set("FOXDEN_CALL_TIMEOUT", "20s");
    place.set("FOXDEN_SHUTDOWN_GRACE", "30s");
    place.set("FOXDEN_LEASE", "60s");
    // So that every stop meets calls under way.
    place.sim.set_latency("100..500".parse().unwrap());

    let mut staff = Staff::start(&place).await;
    let enough = Cell::new(false);
    let (publishing, restarting) = (dice.split(), dice.split());
    let restarts = number("FOXDEN_TEST_RESTARTS", 8);
    let (published, mut took) =
        tokio::join!(publish(&parent, publishing, &enough), restart(&mut staff, restarts, restarting, &enough),);
    let rows = place.settled(published).await;
    let boots = staff.boots;
    let redelivered = std::fs::read_dir(place.dir.path()).unwrap().map(|file| file.unwrap().path());
    let redelivered: usize = redelivered
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
        .map(|log| std::fs::read_to_string(log).unwrap().matches("\"event\":\"signup.duplicate\"").count())
        .sum();
    for worker in staff.workers {
        worker.until("broker.connected").await;
        worker.stop().await;
    }

    let attempts = evidence(&place).await;
    let doubtful = |outcome: &str, kind: &str| {
        matches!(outcome, "unknown" | "unknown_on_kept_connection" | "token_lost") || kind != "create"
    };
    let in_doubt = attempts.iter().filter(|attempt| doubtful(&attempt.outcome, &attempt.kind)).count();
    let put_back = attempts.iter().filter(|attempt| attempt.outcome == "no_effect").count();
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    say(&format!(
        "{} restarts, {boots} boots; each stop exited 0: median {median:.1?}, longest {longest:.1?}",
        took.len()
    ));
    say(&format!("{published} signups, {} requests, {redelivered} delivered again", place.sim.total_requests()));
    say(&format!("{in_doubt} unknown, expired or looked up; {put_back} calls put back unsent"));
    assert_eq!(in_doubt, 0);
    assert_eq!(rows.len(), published);
    place.books_agree(&rows).await;
    assert_eq!(parent.waiting(&place, "QUEUE").await + parent.waiting(&place, "DEAD_QUEUE").await, 0);
}
