//! When each migration began and ended, by the log of the library that runs them.

use std::{
    fmt::Debug,
    sync::Mutex,
    time::{Duration, Instant},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

static MESSAGES: Mutex<Vec<(Instant, String)>> = Mutex::new(Vec::new());

struct Listener;

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target().starts_with("sea_orm_migration")
    }

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        MESSAGES.lock().expect("no one panics here").push((Instant::now(), message.0));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Once for the process.
pub(crate) fn listen() {
    tracing::subscriber::set_global_default(Listener).expect("there is no other");
}

/// Forgets what was logged so far.
pub(crate) fn begin() {
    MESSAGES.lock().expect("no one panics here").clear();
}

/// Each migration with the time it took, then the commit of them all.
pub(crate) fn taken(end: Instant) -> Vec<(String, Duration)> {
    let messages = std::mem::take(&mut *MESSAGES.lock().expect("no one panics here"));
    let (mut taken, mut began, mut last) = (Vec::new(), None, None);
    for (at, message) in &messages {
        let Some(name) = message.split('\'').nth(1) else { continue };
        match (message.starts_with("Applying"), began) {
            (true, _) => began = Some(*at),
            (false, Some(began)) => {
                taken.push((name.to_owned(), at.duration_since(began)));
                last = Some(*at);
            }
            (false, None) => {}
        }
    }
    let last = last.expect("a migration was applied");
    taken.push(("commit".to_owned(), end.duration_since(last)));
    taken
}
