//! The books of the played Foxy: what was really made, and of whom each answer reached.

use std::{collections::BTreeSet, time::Duration};

use foxy_api::{Doubt, RejectionKind};
use tokio::time::Instant;

use crate::director::Boot;

/// What was made.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) kind: Kind,
    /// The email or the domain.
    pub(crate) key: String,
    pub(crate) uri: String,
    pub(crate) token: String,
    /// The tokens that it had before, the first one at the beginning.
    pub(crate) replaced: Vec<String>,
    /// The signup it was made for; empty for a stranger's.
    pub(crate) signup: String,
    /// Whose a store is.
    pub(crate) owner: String,
    /// The call that made it; none of ours for a stranger's.
    pub(crate) call: Option<usize>,
    /// When that was sent.
    pub(crate) called_at: Instant,
    /// Whether Foxy has removed it.
    pub(crate) is_removed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Store,
}

/// A create call that reached Foxy's door, or was about to.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) signup: String,
    pub(crate) boot: Boot,
    pub(crate) owner: String,
    pub(crate) at: Instant,
    /// Its place among all calls, once it has one.
    pub(crate) number: Option<usize>,
    /// When it ended for its sender, who may have been killed.
    pub(crate) ended_at: Option<Instant>,
    /// When it arrived, among all that happened.
    pub(crate) order: usize,
    /// Whether its sender was given a sure answer: made, nothing made, or refused.
    pub(crate) sure: bool,
    /// Whether its sender still waits.
    pub(crate) open: bool,
}

/// What really happened.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) things: Vec<Thing>,
    pub(crate) calls: Vec<Call>,
    /// Calls that their senders gave up, and that Foxy has not worked on yet.
    pub(crate) late: Vec<Call>,
    /// Lookups that were answered: of what key, and when.
    pub(crate) lookups: Vec<(String, usize)>,
    /// Tokens that reached a worker, and which boot of it.
    pub(crate) delivered: Vec<(Boot, String)>,
    /// How many refusals, faults and bad links were handed out, by signup.
    pub(crate) refused: Vec<String>,
    pub(crate) revoked: Vec<String>,
    pub(crate) bad_links: Vec<String>,
    /// Runs that a worker gave up: of what signup, under what epoch, and with which intent they had begun.
    pub(crate) abandoned: Vec<(String, i64, u32)>,
    happened: usize,
    /// Tokens that were answered in the place of others, and that no keeper has said to have yet.
    pub(crate) unkept: BTreeSet<String>,
    /// What a rule was broken by.
    pub(crate) broken: Vec<String>,
}

impl Books {
    /// How a connection was lost without an answer: one of a first call, or one that was kept.
    pub(crate) fn lost_connection(&self) -> Doubt {
        if self.things.len().is_multiple_of(2) { Doubt::ConnectionLost } else { Doubt::KeptConnectionLost }
    }

    pub(crate) fn next(&mut self) -> usize {
        self.happened += 1;
        self.happened
    }

    pub(crate) fn find(&self, kind: Kind, key: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.kind == kind && thing.key == key && !thing.is_removed)
    }

    /// Somebody else's, made as long ago.
    pub(crate) fn make_strangers(&mut self, kind: Kind, key: &str, ago: Duration) {
        let call = Call {
            kind,
            key: key.to_owned(),
            signup: String::new(),
            boot: 0,
            owner: "a stranger".to_owned(),
            at: Instant::now() - ago,
            number: None,
            ended_at: None,
            order: 0,
            sure: true,
            open: false,
        };
        drop(self.make(&call));
    }

    /// Foxy removes the store that was made for a signup, or makes none any more.
    pub(crate) fn remove_store_of(&mut self, signup: &str) {
        self.late.retain(|call| call.kind != Kind::Store || call.signup != signup);
        for store in self.things.iter_mut().filter(|thing| thing.kind == Kind::Store && thing.signup == signup) {
            store.is_removed = true;
        }
    }

    pub(crate) fn make(&mut self, call: &Call) -> Result<Thing, RejectionKind> {
        if self.find(call.kind, &call.key).is_some() {
            return Err(if call.kind == Kind::User { RejectionKind::EmailTaken } else { RejectionKind::DomainTaken });
        }
        let number = self.things.len() + 1;
        let path = if call.kind == Kind::User { "users" } else { "stores" };
        let made = Thing {
            kind: call.kind,
            key: call.key.clone(),
            uri: format!("http://127.0.0.1:9/{path}/{number}"),
            token: format!("token-{number}"),
            replaced: Vec::new(),
            signup: call.signup.clone(),
            owner: call.owner.clone(),
            call: call.number,
            called_at: call.at,
            is_removed: false,
        };
        self.things.push(made.clone());
        Ok(made)
    }

    /// A create call arrives: a rule is broken if an earlier one on its key may still have an effect that no one has
    /// looked for, or is still under way.
    pub(crate) fn receive(&mut self, mut call: Call, alone: bool) -> usize {
        call.order = self.next();
        let is_same =
            |earlier: &&Call| (earlier.kind, &earlier.key, &earlier.signup) == (call.kind, &call.key, &call.signup);
        if let Some(earlier) = self.calls.iter().rfind(is_same) {
            // By all stores of its user, too.
            let is_of_it = |key: &String| *key == call.key || (call.kind == Kind::Store && *key == call.owner);
            let looked_up = self.lookups.iter().any(|(key, order)| is_of_it(key) && *order > earlier.order);
            if !earlier.sure && !looked_up {
                self.broken.push(format!("sent again without a lookup: {call:?} after {earlier:?}"));
            }
            if earlier.open && alone {
                self.broken.push(format!("two calls at once: {call:?} and {earlier:?}"));
            }
        }
        let number = self.calls.len();
        self.calls.push(Call { number: Some(number), ..call });
        number
    }

    /// A call ends for its sender, by its deadline at the latest: time passes in leaps, and may be far beyond that.
    pub(crate) fn end(&mut self, number: usize, deadline: Instant, sure: bool) {
        self.calls[number].open = false;
        self.calls[number].ended_at.get_or_insert_with(|| deadline.min(Instant::now()));
        self.calls[number].sure |= sure;
    }

    /// The ledger is an older copy: of the signups that it knows each call is in doubt now, and no one knows that the
    /// others had any.
    pub(crate) fn forget_the_lost_time(&mut self, known: &BTreeSet<String>) {
        for call in &mut self.calls {
            call.sure = !known.contains(&call.signup);
        }
        self.delivered.clear();
    }

    /// How many calls wait to be worked on late.
    pub(crate) fn late(&self) -> usize {
        self.late.len()
    }

    /// Foxy works on a call whose sender has given up.
    pub(crate) fn work_late(&mut self, number: usize) {
        let call = self.late.remove(number);
        drop(self.make(&call));
    }

    /// Foxy works on those calls for stores whose end will be `lag` ago after a time.
    pub(crate) fn work_on_stores_called_before(&mut self, time: Duration, lag: Duration) {
        let ended = |call: &Call| self.calls.get(call.number?)?.ended_at;
        let is_over = |call: &Call| ended(call).is_some_and(|ended| ended.elapsed() + time >= lag);
        let late = std::mem::take(&mut self.late);
        let (over, late) = late.into_iter().partition(|call| call.kind == Kind::Store && is_over(call));
        self.late = late;
        let over: Vec<Call> = over;
        for call in &over {
            drop(self.make(call));
        }
    }

    /// A process has ended: its calls are over for it. Those at Foxy's door may still be worked on.
    pub(crate) fn bury(&mut self, boot: Boot, still_come: bool) {
        let Self { calls, late, things, .. } = self;
        for call in calls.iter_mut().filter(|call| call.boot == boot && call.open) {
            call.open = false;
            call.ended_at = Some(Instant::now());
            if still_come
                && !things.iter().any(|thing| thing.kind == call.kind && thing.key == call.key && !thing.is_removed)
            {
                late.push(call.clone());
            }
        }
    }

    /// What a listing shows that lags by `hidden_for`, at the most, behind the end of the call that made a thing.
    pub(crate) fn visible(&self, kind: Kind, key: &str, hidden_for: Duration) -> Option<&Thing> {
        let thing = self.find(kind, key)?;
        let since = thing.call.map_or(Some(thing.called_at), |number| self.calls[number].ended_at);
        let is_listed = hidden_for.is_zero() || since.is_some_and(|since| since.elapsed() >= hidden_for);
        is_listed.then_some(thing)
    }
}
