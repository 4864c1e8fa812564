//! Where a test steps in: before an operation begins, and when it has ended but its caller does not know yet.
//!
//! Whether no signup is lost and no effect doubled is decided in the moments when a process or a server goes away.
//! Those moments lie between operations; here a test can hold one up, and end it, as the world would.

use std::{ops::ControlFlow, pin::Pin, sync::Arc};

use crate::explain::Sent;

/// Decides about each operation of a [`Ledger`](crate::Ledger) or of an escrow, by its name.
pub trait StepIn: Send + Sync {
    /// Before it begins. `Break`: it does not begin, and its caller is told that the database, or the disk, is away.
    fn before(&self, operation: &'static str) -> Pause;

    /// When it has ended. `Break`: its answer is lost, and its caller is told the same.
    fn after(&self, operation: &'static str) -> Pause;

    /// A statement of an operation is about to be sent. Not called before those that begin and end a transaction.
    fn sending(&self) {}

    /// A statement of an operation has been answered. Not shown are those that begin and end a transaction.
    fn sent(&self, _statement: Sent) {}
}

/// For how long an operation is held up, and whether it goes on then.
pub type Pause = Pin<Box<dyn Future<Output = ControlFlow<()>> + Send>>;

/// Who steps in; `None` outside of tests.
pub type Steps = Option<Arc<dyn StepIn>>;

/// Runs `work` between the two steps; `lost` makes the error that a break leads to.
pub async fn between<T, E>(
    steps: Steps,
    operation: &'static str,
    lost: impl Fn() -> E,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(steps) = steps else { return work.await };
    if steps.before(operation).await.is_break() {
        return Err(lost());
    }
    let answer = work.await;
    if steps.after(operation).await.is_break() { Err(lost()) } else { answer }
}
