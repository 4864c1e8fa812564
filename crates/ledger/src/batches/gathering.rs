//! Who writes the next batch, and what is in it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{ROWS, Work};
use crate::connect::Ledger;

/// How many batches are written side by side on PostgreSQL: while one waits for the disk, another's statements are
/// run. SQLite has one writer.
const WRITERS: usize = 3;

/// How many operations must wait, for each writer at work, before another one begins. With fewer, more writers would
/// only make smaller batches, and a batch of one costs PostgreSQL several times as much for each row.
const WAITING_FOR_EACH: usize = 16;

/// How long an operation waits for writers at work before another one begins, however few wait. Where the database is
/// near, a batch is committed sooner; where it is a millisecond away, a batch of its own is sooner than the next one.
const PATIENCE: Duration = Duration::from_millis(4);

/// Operations that wait for a writer. Cheap to clone; clones are one queue.
#[derive(Clone, Default)]
pub(crate) struct Gathering(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    /// Since when the first of them waits, at least.
    since: Option<Instant>,
    writers: usize,
    /// Someone looks after them once their patience ends.
    is_watched: bool,
}

/// A writer at work.
struct Writer {
    ledger: Ledger,
    has_ended: bool,
}

impl Gathering {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change leaves the queue whole; a panic elsewhere can't leave it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The next batch: as many as fit, in the order in which they came. On SQLite of all kinds, so that they share
    /// what a commit costs; on PostgreSQL of one kind, since accepting takes a statement and no transaction.
    fn take(&mut self, is_embedded: bool) -> Vec<Work> {
        let (mut batch, mut rows) = (Vec::new(), 0);
        let kind = self.waiting.front().map(std::mem::discriminant);
        let mut left = VecDeque::new();
        while let Some(work) = self.waiting.pop_front() {
            let is_of_it = is_embedded || kind == Some(std::mem::discriminant(&work));
            if !is_of_it {
                left.push_back(work);
                continue;
            }
            if !batch.is_empty() && rows + work.rows() > ROWS {
                self.waiting.push_front(work);
                break;
            }
            rows += work.rows();
            batch.push(work);
        }
        // What was passed over came before what is left.
        left.append(&mut self.waiting);
        self.waiting = left;
        self.since = (!self.waiting.is_empty()).then(Instant::now);
        batch
    }
}

impl Ledger {
    /// Lets an operation wait for its batch. If no writer begins with it, one that is at work takes it next.
    pub(crate) fn gather(&self, work: Work) {
        let mut queue = self.gathering.lock();
        queue.waiting.push_back(work);
        queue.since.get_or_insert_with(Instant::now);
        self.engage(queue);
    }

    /// How many operations wait for a batch. Those in one that is being written do not.
    pub fn waiting_operations(&self) -> usize {
        self.gathering.lock().waiting.len()
    }

    fn engage(&self, mut queue: MutexGuard<'_, Queue>) {
        let most = if self.is_embedded() { 1 } else { WRITERS };
        if queue.writers >= most {
            return;
        }
        let has_waited = queue.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        if has_waited || queue.waiting.len() >= queue.writers * WAITING_FOR_EACH {
            queue.writers += 1;
            // The new one takes what waits; patience is for what it leaves.
            queue.since = Some(Instant::now());
            drop(queue);
            tokio::spawn(Writer { ledger: self.clone(), has_ended: false }.write());
        } else if !std::mem::replace(&mut queue.is_watched, true) {
            drop(queue);
            tokio::spawn(self.clone().watch_over());
        }
    }

    /// Looks, once patience with the writers at work has ended, whether another one is needed.
    async fn watch_over(self) {
        tokio::time::sleep(PATIENCE).await;
        let mut queue = self.gathering.lock();
        queue.is_watched = false;
        if !queue.waiting.is_empty() {
            self.engage(queue);
        }
    }
}

impl Writer {
    async fn write(mut self) {
        while let Some(batch) = self.next_batch() {
            self.ledger.commit_batch(batch).await;
        }
    }

    /// The next batch. If nothing waits, this writer ends, in sight of whatever comes next.
    fn next_batch(&mut self) -> Option<Vec<Work>> {
        let mut queue = self.ledger.gathering.lock();
        let batch = queue.take(self.ledger.is_embedded());
        if batch.is_empty() {
            queue.writers -= 1;
            self.has_ended = true;
            return None;
        }
        Some(batch)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut queue = self.ledger.gathering.lock();
        queue.writers -= 1;
        // Else the runtime ends, and takes no other writer.
        if std::thread::panicking() && !queue.waiting.is_empty() {
            self.ledger.engage(queue);
        }
    }
}
