//! What a run has made at Foxy, until it is deleted there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foxy_api::{Outcome, Reach, Report, ResourceUri};
use tokio::time::Instant;

use super::verdict::Effect;

/// What is at Foxy now. Clones are one list, so that it can be shown however a run ends.
#[derive(Clone, Default)]
pub(crate) struct Left(Arc<Mutex<Things>>);

#[derive(Default)]
struct Things {
    noted: usize,
    things: Vec<Thing>,
}

struct Thing {
    mark: Mark,
    /// The kind of thing, and how to recognize it.
    name: String,
    /// Whether Foxy has said that it is there.
    is_sure: bool,
    address: Option<ResourceUri>,
    /// Who may delete it.
    reach: Option<Reach>,
    /// What it vanishes with.
    inside: Option<ResourceUri>,
    was_tried: bool,
}

/// One thing in the list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(usize);

impl Left {
    /// Notes a thing before it is asked for: from then on it may be there.
    pub(crate) fn expect(&self, name: impl Into<String>) -> Mark {
        let mut list = self.list();
        list.noted += 1;
        let mark = Mark(list.noted);
        let (is_sure, was_tried) = (false, false);
        let name = name.into();
        list.things.push(Thing { mark, name, is_sure, address: None, reach: None, inside: None, was_tried });
        mark
    }

    /// Notes whether it was made, and where it is.
    pub(crate) fn settle<T>(&self, mark: Mark, report: &Report<T>, address: impl FnOnce(&T) -> Option<ResourceUri>) {
        let found = match &report.outcome {
            Outcome::Done(made) => Some((true, address(made))),
            Outcome::NoEffect(_) | Outcome::Rejected(_) => None,
            Outcome::Unknown(_) => Some((false, report.evidence.resource.clone())),
            Outcome::TokenLost(_) => Some((true, report.evidence.resource.clone())),
        };
        let mut list = self.list();
        match found {
            None => list.things.retain(|thing| thing.mark != mark),
            Some((is_sure, address)) => {
                if let Some(thing) = list.things.iter_mut().find(|thing| thing.mark == mark) {
                    (thing.is_sure, thing.address) = (is_sure, address);
                }
            }
        }
    }

    /// Notes who may delete it, and in what it vanishes.
    pub(crate) fn belongs(&self, mark: Mark, reach: Reach, inside: Option<ResourceUri>) {
        if let Some(thing) = self.list().things.iter_mut().find(|thing| thing.mark == mark) {
            (thing.reach, thing.inside) = (Some(reach), inside);
        }
    }

    /// Deletes the thing at this address, once.
    pub(crate) async fn delete(&self, reach: &Reach, address: &ResourceUri, deadline: Instant) -> Effect {
        for thing in self.list().things.iter_mut().filter(|thing| thing.address.as_ref() == Some(address)) {
            thing.was_tried = true;
        }
        let effect = Effect::of(&reach.delete(address, deadline).await);
        if matches!(effect, Effect::Had(_)) {
            let is_gone = |thing: &Thing| [&thing.address, &thing.inside].contains(&&Some(address.clone()));
            self.list().things.retain(|thing| !is_gone(thing));
        }
        effect
    }

    /// Deletes those things that lie in others, the last one first.
    pub(crate) async fn clear_insides(&self, deadline: impl Fn() -> Instant) {
        self.clear(|thing| thing.inside.is_some(), deadline).await;
    }

    /// Deletes everything whose owner is noted and that was not tried yet, the last one first.
    pub(crate) async fn clear_all(&self, deadline: impl Fn() -> Instant) {
        self.clear(|_| true, deadline).await;
    }

    async fn clear(&self, wanted: impl Fn(&Thing) -> bool, deadline: impl Fn() -> Instant) {
        let deletable = |thing: &Thing| {
            let wanted = wanted(thing) && !thing.was_tried;
            thing.reach.clone().zip(thing.address.clone()).filter(|_| wanted)
        };
        let found: Vec<_> = self.list().things.iter().rev().filter_map(deletable).collect();
        for (reach, address) in found {
            self.delete(&reach, &address, deadline()).await;
        }
    }

    /// One line for each thing that is there, or may be.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |thing: &Thing| match (&thing.address, thing.is_sure) {
            (Some(address), true) => format!("{} {address}", thing.name),
            (None, true) => format!("{}, whose address is not known", thing.name),
            (Some(address), false) => format!("perhaps {} {address}", thing.name),
            (None, false) => format!("perhaps {}", thing.name),
        };
        self.list().things.iter().map(line).collect()
    }

    fn list(&self) -> MutexGuard<'_, Things> {
        // Each change is one assignment, so the list is whole even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
