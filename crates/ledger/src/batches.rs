//! Batches: operations that wait at the same moment are committed together (decision 0040).
//!
//! A writer takes what waits and commits it; meanwhile the next batch gathers. On an idle ledger an operation is a
//! batch by itself, at once. Each operation gets its own answer, and is written also if its caller has gone.

mod accepting;
mod at_once;
mod carried;
mod gathering;
mod recording;
mod rows;

use tokio::sync::oneshot;

use crate::{
    accept::Accepted,
    connect::Ledger,
    error::{Fault, LedgerError},
    record::Recorded,
    step_in::between,
    transactions::Ending,
};

pub(crate) use self::{accepting::Accepting, carried::each_by_key, gathering::Gathering, recording::Recording};

/// How many rows a batch writes at most, unless one operation has more. Twice as many bring little, and make each of
/// them wait for twice as many others.
const ROWS: usize = 64;

/// How often a batch is tried whose transaction PostgreSQL has rolled back for another's sake. It wrote nothing.
const TRIES: u32 = 5;

/// Where the answer to an operation goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// An operation that waits to be written.
pub(crate) enum Work {
    Accept(Accepting, Reply<Vec<Accepted>>),
    Record(Box<Recording>, Reply<Recorded>),
}

/// An operation's answer on its way. It is sent once the batch has ended, or dropped with it.
type Answered = Box<dyn FnOnce() + Send>;

impl Work {
    fn rows(&self) -> usize {
        match self {
            Self::Accept(accepting, _) => accepting.signups.len(),
            Self::Record(..) => 1,
        }
    }

    fn recording(&self) -> Option<&Recording> {
        match self {
            Self::Accept(..) => None,
            Self::Record(recording, _) => Some(recording),
        }
    }

    /// Answers what was recorded, and reports it.
    fn finish(self, done: recording::Done) -> Answered {
        match self {
            Self::Accept(_, reply) => answered(reply, Err(LedgerError::unavailable("it has no answer"))),
            Self::Record(recording, reply) => {
                done.report(&recording.entry);
                answered(reply, done.answer)
            }
        }
    }

    fn fail(self, error: &LedgerError) -> Answered {
        match self {
            Self::Accept(_, reply) => answered(reply, Err(error.clone())),
            Self::Record(_, reply) => answered(reply, Err(error.clone())),
        }
    }
}

/// A caller that has gone needs no answer.
fn answered<T: Send + 'static>(reply: Reply<T>, answer: Result<T, LedgerError>) -> Answered {
    Box::new(move || drop(reply.send(answer)))
}

impl Ledger {
    /// Runs an operation in a batch with others, and waits for it no longer than for any operation.
    pub(crate) async fn batched<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Reply<T>) -> Work + Send + 'static,
    ) -> Result<T, LedgerError> {
        let ledger = self.clone();
        self.detached(operation, async move {
            let (reply, answer) = oneshot::channel();
            ledger.gather(work(reply));
            answer.await.unwrap_or_else(|_| Err(LedgerError::unavailable("its batch was given up")))
        })
        .await
    }

    /// Commits a batch, and gives the answers.
    async fn commit_batch(&self, batch: Vec<Work>) {
        let is_of_records = batch.iter().all(|work| work.recording().is_some());
        let mut rest = batch;
        if is_of_records && !self.is_embedded() {
            // What one statement has written is answered before a transaction begins for the rest.
            rest = self.committed(self.record_at_once(rest)).await;
        }
        if !rest.is_empty() {
            self.committed(async { (self.carry_out(rest).await, Vec::new()) }).await;
        }
    }

    /// Gives the answers to what this commits. Answers what it has left.
    async fn committed(&self, work: impl Future<Output = (Vec<Answered>, Vec<Work>)>) -> Vec<Work> {
        let lost = || LedgerError::unavailable("stepped in");
        // Boxed: both ways of writing are large.
        let work = Box::pin(work);
        // If a test lets the answers get lost, they are dropped with what is left, and the callers hear that.
        let committed = between(self.steps(), "batch", lost, async { Ok(work.await) }).await;
        let (answers, rest) = committed.unwrap_or_default();
        answers.into_iter().for_each(|answer| answer());
        rest
    }

    /// Writes a batch. An error that a row has caused splits it, until that row is alone.
    async fn carry_out(&self, batch: Vec<Work>) -> Vec<Answered> {
        let (mut answers, mut parts) = (Vec::new(), vec![(batch, 1)]);
        while let Some((mut part, tries)) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match Box::pin(self.write(part)).await {
                Ok(answered) => answers.extend(answered),
                Err((works, error)) => {
                    part = works;
                    match error.fault() {
                        Fault::NotWritten if tries < TRIES => parts.push((part, tries + 1)),
                        Fault::Row if part.len() > 1 => {
                            let second = part.split_off(part.len() / 2);
                            parts.extend([(second, 1), (part, 1)]);
                        }
                        _ => answers.extend(part.into_iter().map(|work| work.fail(&error))),
                    }
                }
            }
        }
        answers
    }

    /// Records what can be recorded without a transaction. Answers what is left for one.
    async fn record_at_once(&self, batch: Vec<Work>) -> (Vec<Answered>, Vec<Work>) {
        let records: Vec<&Recording> = batch.iter().filter_map(Work::recording).collect();
        let mut tries = 1;
        let recorded = loop {
            match at_once::record(self, &records).await {
                Err(error) if error.fault() == Fault::NotWritten && tries < TRIES => tries += 1,
                recorded => break recorded,
            }
        };
        match recorded {
            Ok(done) => {
                let (mut answers, mut rest) = (Vec::new(), Vec::new());
                for (work, done) in batch.into_iter().zip(done) {
                    match done {
                        Some(done) => answers.push(work.finish(done)),
                        None => rest.push(work),
                    }
                }
                (answers, rest)
            }
            // Nothing is written. Which row has caused it, the transactions find out.
            Err(error) if error.fault() == Fault::Row => (Vec::new(), batch),
            Err(error) => (batch.into_iter().map(|work| work.fail(&error)).collect(), Vec::new()),
        }
    }

    /// Writes all of these, or none.
    async fn write(&self, works: Vec<Work>) -> Result<Vec<Answered>, (Vec<Work>, LedgerError)> {
        let (mut accepting, mut recording) = (Vec::new(), Vec::new());
        for work in &works {
            match work {
                Work::Accept(accept, _) => accepting.push(accept),
                Work::Record(record, _) => recording.push(&**record),
            }
        }
        let written = async {
            // A statement that stands alone commits by itself.
            if recording.is_empty() {
                let accepted = accepting::accept(self, &self.db, &accepting).await?;
                let is_new = |accepted: &Accepted| matches!(accepted, Accepted::Queued | Accepted::Leased(_));
                if accepted.iter().flatten().flatten().any(is_new) {
                    self.count_commit();
                }
                return Ok((Vec::new(), accepted));
            }
            let together = self.transaction_without_time(async |txn| {
                let recorded = recording::record(self, txn, &recording).await?;
                let accepted = match accepting.is_empty() {
                    true => Vec::new(),
                    false => accepting::accept(self, txn, &accepting).await?,
                };
                Ok(Ending::Commit((recorded, accepted)))
            });
            together.await
        };
        match written.await {
            Ok((recorded, accepted)) => {
                drop((accepting, recording));
                Ok(answers(works, recorded, accepted))
            }
            Err(error) => {
                drop((accepting, recording));
                Err((works, error))
            }
        }
    }
}

fn answers(
    works: Vec<Work>,
    recorded: Vec<recording::Done>,
    accepted: Vec<Result<Vec<Accepted>, LedgerError>>,
) -> Vec<Answered> {
    let (mut recorded, mut accepted) = (recorded.into_iter(), accepted.into_iter());
    let missing = || LedgerError::unavailable("it has no answer");
    let answer = |work| match work {
        Work::Accept(_, reply) => answered(reply, accepted.next().unwrap_or_else(|| Err(missing()))),
        Work::Record(recording, reply) => match recorded.next() {
            Some(done) => {
                done.report(&recording.entry);
                answered(reply, done.answer)
            }
            None => answered(reply, Err(missing())),
        },
    };
    works.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests;
