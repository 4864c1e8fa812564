//! The two lines in which calls wait for their turn, and whose turn is next.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::Notify;

/// Where a call waits for its turn under the [`Rate`](crate::Rate).
///
/// Finishing what was begun comes first: it frees what is held for it, and a lookup that is late delays everything that
/// rests on its answer. But of five turns one is for [`Line::New`], so that neither waits for the other's line to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The call continues what was begun: a lookup, a retry, a next step.
    Begun,
    /// The call begins something.
    New,
}

/// Turns for [`Line::Begun`] before one is for [`Line::New`], while both have calls waiting.
const BEGUN_FOR_EACH_NEW: u32 = 4;

/// Who waits. Within a line it is first come, first served.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: VecDeque<Place>,
    new: VecDeque<Place>,
    /// Turns given to `begun` since `new` had one, while `new` had calls waiting.
    begun_in_a_row: u32,
    last_number: u64,
}

#[derive(Debug)]
struct Place {
    number: u64,
    wake: Arc<Notify>,
}

/// What a call that waits holds of its place.
#[derive(Debug)]
pub(super) struct Ticket {
    line: Line,
    number: u64,
    wake: Arc<Notify>,
}

impl Ticket {
    /// Waits until something has changed that may concern this place.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}

impl Lines {
    pub(super) fn are_empty(&self) -> bool {
        self.begun.is_empty() && self.new.is_empty()
    }

    /// Takes a place at the end of a line.
    pub(super) fn join(&mut self, line: Line) -> Ticket {
        self.last_number += 1;
        let (number, wake) = (self.last_number, Arc::new(Notify::new()));
        self.line(line).push_back(Place { number, wake: wake.clone() });
        Ticket { line, number, wake }
    }

    /// How many turns come before that of a call that joins now.
    pub(super) fn behind(&self, line: Line) -> u32 {
        match line {
            Line::Begun => self.turns_before(line, self.begun.len()),
            Line::New => self.turns_before(line, self.new.len()),
        }
    }

    /// How many turns come before this one, as the lines are now.
    pub(super) fn ahead_of(&self, ticket: &Ticket) -> u32 {
        let line = match ticket.line {
            Line::Begun => &self.begun,
            Line::New => &self.new,
        };
        let place = line.iter().position(|place| place.number == ticket.number).unwrap_or(line.len());
        self.turns_before(ticket.line, place)
    }

    fn turns_before(&self, line: Line, place: usize) -> u32 {
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX / 8);
        let (place, begun, new) = (count(place), count(self.begun.len()), count(self.new.len()));
        match line {
            Line::Begun => place + new.min((self.begun_in_a_row + place) / BEGUN_FOR_EACH_NEW),
            Line::New => place + begun.min((BEGUN_FOR_EACH_NEW * (place + 1)).saturating_sub(self.begun_in_a_row)),
        }
    }

    /// Takes this one out of its line for its turn, and wakes the next.
    pub(super) fn serve(&mut self, ticket: &Ticket) {
        self.begun_in_a_row = match ticket.line {
            Line::Begun if !self.new.is_empty() => self.begun_in_a_row + 1,
            Line::Begun | Line::New => 0,
        };
        self.leave(ticket);
    }

    /// Takes this one out of its line if it is still there, and wakes the one that is first then.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        let line = self.line(ticket.line);
        if let Some(place) = line.iter().position(|place| place.number == ticket.number) {
            drop(line.remove(place));
            self.wake_first();
        }
    }

    /// The first one's turn may have come nearer.
    pub(super) fn wake_first(&self) {
        let is_new_s_turn = self.begun.is_empty() || self.begun_in_a_row >= BEGUN_FOR_EACH_NEW;
        let first = if is_new_s_turn { self.new.front().or(self.begun.front()) } else { self.begun.front() };
        if let Some(first) = first {
            first.wake.notify_one();
        }
    }

    /// All turns have moved.
    pub(super) fn wake_all(&self) {
        self.begun.iter().chain(&self.new).for_each(|place| place.wake.notify_one());
    }

    fn line(&mut self, line: Line) -> &mut VecDeque<Place> {
        match line {
            Line::Begun => &mut self.begun,
            Line::New => &mut self.new,
        }
    }
}
