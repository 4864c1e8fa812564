//! The director: holds every operation up at its point, and lets the test say which one goes on, and how.
//!
//! One operation moves at a time, so what a schedule does depends on its seed alone: not on threads, and not on time,
//! which stands still unless the test moves it.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, mpsc},
};

use foxden_ledger::{Pause, StepIn};
use tokio::sync::{Notify, oneshot};

/// The number of a worker's boot; each process that ever ran has its own.
pub(crate) type Boot = usize;

/// Where an operation is held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not begun.
    Before,
    /// It has happened, and nobody knows yet.
    After,
}

/// How it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As if nobody had stepped in.
    Go,
    /// The other side is away: it does not happen, or its answer is lost.
    Away,
    /// Foxy does this.
    Foxy(Fate),
}

/// What Foxy makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The call is never sent.
    NotSent,
    /// 429.
    Limited,
    /// A fault of the set-up.
    SetUp,
    /// 400, for a reason that has to do with neither email nor domain.
    Refused,
    /// No answer, and no effect.
    Doubt,
    /// No answer, and the effect comes later.
    Late,
    /// An answer whose body can't be read.
    Garbled,
    /// 201 without a token.
    NoToken,
    /// 201 with a link to somewhere else.
    BadLink,
    /// The user's token is refused.
    Revoked,
    /// Another refresh token is answered in the place of the user's, which is dead at once.
    Rotated,
    /// A listing that does not know yet what was made lately.
    Lag,
}

/// An operation that is held up.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) boot: Boot,
    pub(crate) operation: &'static str,
    pub(crate) phase: Phase,
    order: oneshot::Sender<Order>,
}

impl Point {
    /// As it stands in lists.
    pub(crate) fn name(&self) -> String {
        let phase = if self.phase == Phase::Before { "before" } else { "after" };
        format!("{phase} {}", self.operation)
    }

    /// Whether it is a call to Foxy, and not to the ledger or an escrow.
    pub(crate) fn is_at_foxy(&self) -> bool {
        const AT_FOXY: [&str; 6] =
            ["create_user", "create_store", "email_exists", "find_store", "stores", "store_domain_exists"];
        AT_FOXY.contains(&self.operation)
    }

    /// Lets it go on.
    pub(crate) fn resume(self, order: Order) {
        // Nobody may be left to hear it: a call whose deadline has passed.
        let _ = self.order.send(order);
    }
}

#[derive(Default)]
struct Stage {
    points: Vec<Point>,
    executing: usize,
    moves: u64,
    dead: HashSet<Boot>,
}

/// Cheap to clone; all clones direct one stage.
#[derive(Clone)]
pub(crate) struct Director {
    stage: Arc<Mutex<Stage>>,
    ended: Arc<Notify>,
    /// While a blocking task waits for this, the paused clock does not run ahead by itself.
    _clock_stands: mpsc::Sender<()>,
}

impl Director {
    pub(crate) fn new() -> Self {
        let (clock_stands, until_dropped) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until_dropped.recv().is_err());
        Self { stage: Arc::default(), ended: Arc::default(), _clock_stands: clock_stands }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap()
    }

    /// Something has moved that [`Director::settle`] would not see by itself.
    pub(crate) fn moved(&self) {
        self.stage().moves += 1;
    }

    /// Holds the caller up until it is told how to go on: for ever, if its process is dead.
    pub(crate) async fn arrive(&self, boot: Boot, operation: &'static str, phase: Phase) -> Order {
        let (order, told) = oneshot::channel();
        {
            let mut stage = self.stage();
            stage.moves += 1;
            if !stage.dead.contains(&boot) {
                stage.points.push(Point { boot, operation, phase, order });
            }
        }
        match told.await {
            Ok(order) => order,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until nothing moves any more: all that lives is held up, or waits for time to pass.
    pub(crate) async fn settle(&self) {
        // More than any chain of wake-ups from one operation's end to the next one's beginning: the operation's task, who
        // waits for it, who waits for that one. No chain has more than four.
        const CALM: usize = 12;
        let (mut calm, mut seen) = (0, 0);
        while calm < CALM {
            let (executing, moves) = {
                let stage = self.stage();
                (stage.executing, stage.moves)
            };
            if executing > 0 {
                self.ended.notified().await;
                calm = 0;
                continue;
            }
            calm = if moves == seen { calm + 1 } else { 0 };
            seen = moves;
            tokio::task::yield_now().await;
        }
    }

    /// How many operations are held up. Those that nobody waits for any more are forgotten.
    pub(crate) fn held_up(&self) -> usize {
        let mut stage = self.stage();
        stage.points.retain(|point| !point.order.is_closed());
        stage.points.len()
    }

    /// Takes the `number`-th of those that are held up.
    pub(crate) fn take(&self, number: usize) -> Point {
        self.stage().points.remove(number)
    }

    /// Takes one of this boot, if there is any.
    pub(crate) fn take_of(&self, boot: Boot) -> Option<Point> {
        self.take_where(|point| point.boot == boot)
    }

    /// Takes the first one like this, if there is any.
    pub(crate) fn take_where(&self, like_this: impl Fn(&Point) -> bool) -> Option<Point> {
        self.held_up();
        let mut stage = self.stage();
        let at = stage.points.iter().position(like_this)?;
        Some(stage.points.remove(at))
    }

    /// Holds one up again that was only looked at.
    pub(crate) fn put_back(&self, point: Point) {
        self.stage().points.insert(0, point);
    }

    /// Ends a process: whatever it has not done it will not do.
    pub(crate) fn kill(&self, boot: Boot) {
        let mut stage = self.stage();
        stage.dead.insert(boot);
        stage.points.retain(|point| point.boot != boot);
        stage.moves += 1;
    }

    /// The steps of one boot, for its ledger and its escrow.
    pub(crate) fn steps(&self, boot: Boot) -> Arc<dyn StepIn> {
        Arc::new(Steps { director: self.clone(), boot })
    }
}

struct Steps {
    director: Director,
    boot: Boot,
}

/// What executes is its batch, which is a point of its own: it is held up where it was closed, so others gather for
/// the next one, and where its answers are not given yet.
fn waits_for_a_batch(operation: &str) -> bool {
    ["record", "accept_leased", "accept_queued"].contains(&operation)
}

impl StepIn for Steps {
    fn before(&self, operation: &'static str) -> Pause {
        let (director, boot) = (self.director.clone(), self.boot);
        Box::pin(async move {
            if director.arrive(boot, operation, Phase::Before).await != Order::Go {
                return ControlFlow::Break(());
            }
            if !waits_for_a_batch(operation) {
                director.stage().executing += 1;
            }
            ControlFlow::Continue(())
        })
    }

    fn after(&self, operation: &'static str) -> Pause {
        let (director, boot) = (self.director.clone(), self.boot);
        Box::pin(async move {
            if !waits_for_a_batch(operation) {
                director.stage().executing -= 1;
                director.ended.notify_one();
            }
            match director.arrive(boot, operation, Phase::After).await {
                Order::Go => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        })
    }
}
