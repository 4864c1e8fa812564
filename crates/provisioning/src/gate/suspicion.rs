//! Faults that may be of the set-up or of one signup alone, and how they are distinguished. Pure; the [gate](super)
//! acts on it.

use std::collections::HashSet;

use foxy_api::SetupFault;

/// The same fault on this many signups in a row, with no create answered in between, is one of the set-up.
const IN_A_ROW: usize = 5;

/// How many signups are remembered as alone with their fault. They wait minutes between their tries, so this is far more
/// than one worker meets at a time.
const REMEMBERED: usize = 10_000;

/// What is held against one right: the client's, or that of users.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    fault: Option<SetupFault>,
    /// Who has met it since a create under this right was answered.
    met_by: HashSet<String>,
    /// Who was alone with a fault: a create of another's was answered afterwards. Their word counts no more.
    alone: HashSet<String>,
}

/// What one more such fault means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Known,
    /// A harmless call with the same right should be tried.
    Look,
    /// It is of the set-up.
    OfAll,
}

impl Suspicion {
    /// A call for `whose` has met a fault that may be theirs alone.
    pub(super) fn met(&mut self, fault: &SetupFault, whose: &str) -> Verdict {
        if self.alone.contains(whose) {
            return Verdict::Known;
        }
        if self.fault.as_ref() != Some(fault) {
            self.met_by.clear();
            self.fault = Some(fault.clone());
        }
        let is_another = self.met_by.insert(whose.to_owned());
        match self.met_by.len() {
            IN_A_ROW.. => Verdict::OfAll,
            _ if is_another => Verdict::Look,
            _ => Verdict::Known,
        }
    }

    /// A create under this right was answered: the signup that met the fault was alone with it.
    pub(super) fn is_disproved(&mut self) {
        if self.alone.len() + self.met_by.len() > REMEMBERED {
            self.alone.clear();
        }
        self.alone.extend(self.met_by.drain());
        self.fault = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: SetupFault = SetupFault::Forbidden;

    fn meet(suspicion: &mut Suspicion, whose: std::ops::Range<usize>) -> Vec<Verdict> {
        whose.map(|number| suspicion.met(&FAULT, &number.to_string())).collect()
    }

    #[test]
    fn the_same_fault_on_five_signups_in_a_row_is_of_all() {
        let mut suspicion = Suspicion::default();
        assert_eq!(meet(&mut suspicion, 0..4), [Verdict::Look; 4]);
        assert_eq!(meet(&mut suspicion, 0..4), [Verdict::Known; 4], "however often they try");
        assert_eq!(meet(&mut suspicion, 4..6), [Verdict::OfAll; 2]);
        assert_eq!(meet(&mut suspicion, 0..1), [Verdict::OfAll], "mended is only what a create was answered after");
    }

    #[test]
    fn another_fault_begins_a_row_of_its_own() {
        let mut suspicion = Suspicion::default();
        meet(&mut suspicion, 0..4);
        assert_eq!(suspicion.met(&SetupFault::InsufficientScope, "4"), Verdict::Look);
    }

    #[test]
    fn whoever_was_alone_with_a_fault_counts_no_more() {
        let mut suspicion = Suspicion::default();
        meet(&mut suspicion, 0..4);
        suspicion.is_disproved();
        assert_eq!(meet(&mut suspicion, 0..4), [Verdict::Known; 4]);
        assert_eq!(meet(&mut suspicion, 4..9).last(), Some(&Verdict::OfAll), "others do");
    }
}
