//! The workers under fire, and whoever starts them again, as a service manager would.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use super::now_ms;
use crate::support::{PATIENCE, Place, Worker};

/// All workers.
pub(super) struct Crew {
    posts: Vec<Post>,
    /// Settings of theirs beside the place's.
    settings: Vec<(&'static str, String)>,
    /// When the boots that were killed were killed, by their worker id; in milliseconds since the epoch. One that was
    /// killed before it had begun is not in here.
    pub(super) killed: BTreeMap<String, i64>,
    /// How many boots gave up before they had begun, since the database was away or the escrow's disk full.
    pub(super) stillborn: usize,
    /// From when until when each boot that has ended was at work; in milliseconds since the epoch.
    pub(super) shifts: Vec<(i64, i64)>,
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
    pub(super) fn start(place: &Place, size: usize, settings: Vec<(&'static str, String)>) -> Self {
        let posts = (1..=size).map(|number| Post { number, boot: 0, worker: None, back_at: Instant::now() }).collect();
        let mut crew = Self { posts, settings, killed: BTreeMap::new(), stillborn: 0, shifts: Vec::new() };
        crew.tend(place);
        crew
    }

    /// Starts whoever is to come back, under a new boot.
    ///
    /// # Panics
    /// When a worker has ended by itself, other than for want of a database or of room at its start.
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
                let mut settings = vec![("FOXDEN_ESCROW_DIR", escrow.as_str())];
                settings.extend(self.settings.iter().map(|(name, value)| (*name, value.as_str())));
                post.worker = Some(place.worker_with(&name, &settings));
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
        let now = now_ms();
        worker.crash();
        if let Some(started) = started {
            self.shifts.push((logged_at(&started), now));
            self.killed.insert(started["worker"].as_str().unwrap().to_owned(), now);
        }
        post.back_at = Instant::now() + away;
    }

    /// How many times a worker was started.
    pub(super) fn boots(&self) -> usize {
        self.posts.iter().map(|post| post.boot).sum()
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
            self.shifts.push((logged_at(&said(&worker, "worker.started").unwrap()), now_ms()));
            worker.stop().await;
        }
    }
}

/// Its first whole log line with this event name. What a boot says that gives up at its start is no JSON.
fn said(worker: &Worker, event: &str) -> Option<Value> {
    let log = worker.log();
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line["event"] == event)
}

/// When a line was logged, in milliseconds since the epoch.
fn logged_at(line: &Value) -> i64 {
    let at = OffsetDateTime::parse(line["ts"].as_str().unwrap(), &Rfc3339).unwrap();
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap()
}

impl Post {
    /// On the disk that fills up, where there is one.
    fn escrow(&self) -> String {
        format!("disk/escrow-{}", self.number)
    }
}
