//! The workers under fire, and whoever starts them again, as a service manager would.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{PATIENCE, Place, Worker};

/// All workers.
pub(super) struct Crew {
    posts: Vec<Post>,
    /// When the boots that were killed were killed, by their worker id; in milliseconds since the epoch. One that was
    /// killed before it had begun is not in here.
    pub(super) killed: BTreeMap<String, i64>,
    /// How many boots gave up before they had begun, since the database was away.
    pub(super) stillborn: usize,
}

/// One place in the crew: a machine of its own, with an escrow that outlives its workers.
struct Post {
    number: usize,
    boot: usize,
    worker: Option<Worker>,
    back_at: Instant,
}

impl Crew {
    /// Starts so many.
    pub(super) fn start(place: &Place, size: usize) -> Self {
        let posts = (1..=size).map(|number| Post { number, boot: 0, worker: None, back_at: Instant::now() }).collect();
        let mut crew = Self { posts, killed: BTreeMap::new(), stillborn: 0 };
        crew.tend(place);
        crew
    }

    /// Starts whoever is to come back, under a new boot.
    ///
    /// # Panics
    /// When a worker has ended by itself, other than for want of a database at its start.
    pub(super) fn tend(&mut self, place: &Place) {
        for post in &mut self.posts {
            if let Some(worker) = &mut post.worker
                && let Some(status) = worker.has_ended()
            {
                let begun = said(worker, "worker.started").is_some();
                assert!(!begun && status.code() == Some(1), "{status}, by itself:\n{}", worker.log());
                self.stillborn += 1;
                post.worker = None;
                post.back_at = Instant::now() + Duration::from_millis(200);
            }
            if post.worker.is_none() && post.back_at <= Instant::now() {
                post.boot += 1;
                let escrow = post.escrow();
                let name = format!("worker-{}-boot-{:03}", post.number, post.boot);
                post.worker = Some(place.worker_with(&name, &[("FOXDEN_ESCROW_DIR", &escrow)]));
            }
        }
    }

    /// The posts whose worker is up.
    pub(super) fn up(&self) -> Vec<usize> {
        (0..self.posts.len()).filter(|at| self.posts[*at].worker.is_some()).collect()
    }

    /// Kills a post's worker; another takes its post after a while.
    pub(super) fn kill(&mut self, at: usize, away: Duration) {
        let post = &mut self.posts[at];
        let worker = post.worker.take().unwrap();
        let started = said(&worker, "worker.started");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        worker.crash();
        if let Some(started) = started {
            self.killed.insert(started["worker"].as_str().unwrap().to_owned(), i64::try_from(now.as_millis()).unwrap());
        }
        post.back_at = Instant::now() + away;
    }

    /// Waits until every post has a worker at work.
    pub(super) async fn all_up(&mut self, place: &Place) {
        let started = Instant::now();
        let at_work = |post: &Post| post.worker.as_ref().is_some_and(|w| said(w, "broker.connected").is_some());
        while !self.posts.iter().all(at_work) {
            self.tend(place);
            assert!(started.elapsed() < PATIENCE, "not all workers come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many tokens wait in the escrows.
    pub(super) fn in_escrow(&self, place: &Place) -> usize {
        let files = |post: &Post| match std::fs::read_dir(place.path(&post.escrow())) {
            Ok(dir) => {
                dir.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "escrow")).count()
            }
            Err(_) => 0,
        };
        self.posts.iter().map(files).sum()
    }

    /// Stops all in good order.
    pub(super) async fn stop(&mut self) {
        for worker in self.posts.iter_mut().filter_map(|post| post.worker.take()) {
            worker.stop().await;
        }
    }
}

/// Its first whole log line with this event name. What a boot says that gives up at its start is no JSON.
fn said(worker: &Worker, event: &str) -> Option<Value> {
    let log = worker.log();
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line["event"] == event)
}

impl Post {
    fn escrow(&self) -> String {
        format!("escrow-{}", self.number)
    }
}
