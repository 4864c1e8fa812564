//! Rows of the outbox that this release can't read: reported once, and left where they are.

use std::collections::BTreeSet;

use foxden_ledger::{DamagedEvent, OutcomeKind};
use tracing::{error, info};

/// How many damaged rows are passed over at most. Each of them is named in every look.
const SET_ASIDE_MAX: usize = 1000;

/// What could not be read so far.
pub(super) struct Unread {
    /// The kinds that this release knows.
    known: Vec<OutcomeKind>,
    /// Words for kinds that it doesn't, as they were reported.
    unknown: BTreeSet<String>,
    /// Those that were seen in the present pass.
    seen: BTreeSet<String>,
    /// Damaged rows that were reported.
    reported: BTreeSet<i64>,
    /// Damaged rows that hold up nothing behind them in the present pass.
    pub(super) set_aside: Vec<i64>,
}

impl Unread {
    pub(super) fn new(known: Vec<OutcomeKind>) -> Self {
        let (unknown, seen, reported) = Default::default();
        Self { known, unknown, seen, reported, set_aside: Vec::new() }
    }

    pub(super) fn known(&self) -> &[OutcomeKind] {
        &self.known
    }

    /// A pass over all that waits begins. Rows that were damaged are read again: someone may have mended them.
    pub(super) fn pass_begins(&mut self) {
        self.seen.clear();
        self.set_aside.clear();
    }

    /// Takes note of kinds that were passed over. Those that rest are no news.
    pub(super) fn passed_over(&mut self, words: BTreeSet<String>) {
        for outcome in words {
            if OutcomeKind::parse(&outcome).is_some_and(|kind| self.known.contains(&kind)) {
                continue;
            }
            if !self.unknown.contains(&outcome) {
                error!(
                    event = "outcome.unknown_kind",
                    outcome,
                    "this release doesn't know outcome events of this kind, so they wait in the outbox, and what comes \
                     behind them for the same signups waits too; run a release that knows them"
                );
                self.unknown.insert(outcome.clone());
            }
            self.seen.insert(outcome);
        }
    }

    /// Takes note of rows that can't be read. Answers whether any is passed over from now on, so that what is behind it
    /// may go.
    pub(super) fn damaged(&mut self, rows: Vec<DamagedEvent>) -> bool {
        let before = self.set_aside.len();
        for DamagedEvent { seq, event_id, signup_id } in rows {
            if self.set_aside.len() >= SET_ASIDE_MAX {
                break;
            }
            if self.reported.insert(seq) {
                error!(
                    event = "outcome.damaged",
                    signup_id, event_id, "an outcome event can't be read, so it is not sent; those behind it are"
                );
            }
            self.set_aside.push(seq);
        }
        self.set_aside.len() > before
    }

    /// A pass over all that waits has ended. Answers whether it met kinds that this release doesn't know.
    pub(super) fn pass_ends(&mut self) -> bool {
        self.unknown.retain(|outcome| {
            let waits = self.seen.contains(outcome);
            if !waits {
                info!(
                    event = "outcome.unknown_kind_gone",
                    outcome, "no outcome event of this unknown kind waits any more"
                );
            }
            waits
        });
        !self.unknown.is_empty()
    }
}
