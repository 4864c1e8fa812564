//! How long after a kill others took over what the victim had announced.

use super::{crew::Crew, reckoning::Reckoning, storm::Storm};

/// The place's lease, in milliseconds. It is renewed at a third of it, so no victim's lease ended earlier than two thirds
/// of it after the kill.
pub(super) const LEASE_MS: i64 = 13_000;

/// What a takeover may take beyond the lease, by the product's promise.
pub(super) const MARGIN_MS: i64 = 5_000;

/// From this many kills on, late takeovers fail the test.
pub(super) const ENOUGH_KILLS: usize = 50;

/// All takeovers, in milliseconds from kill to takeover, the shortest first.
#[derive(Default)]
pub(super) struct Takeovers {
    /// While the database could be reached and someone was at work.
    pub(super) calm: Vec<i64>,
    /// Where the database was away, its disk full, or connections to it cut or silent, from when the lease may have
    /// ended.
    pub(super) disturbed: Vec<i64>,
    /// Where nobody was at work for some of that time.
    pub(super) unattended: Vec<i64>,
}

/// Every call that expired after the kill of its worker.
pub(super) fn takeovers(storm: &Storm, crew: &Crew, reckoning: &Reckoning<'_>) -> Takeovers {
    let troubles = storm.database_troubles();
    let mut all = Takeovers::default();
    for expired in reckoning.attempts.iter().filter(|attempt| attempt.kind == "expired") {
        let taken_at = expired.ended_at;
        let Some(killed_at) = crew.killed.get(&expired.owner).filter(|killed_at| **killed_at <= taken_at) else {
            continue;
        };
        let (from, until) = ((killed_at + LEASE_MS * 2 / 3).min(taken_at), taken_at);
        let kind = if troubles.iter().any(|trouble| trouble.0 <= until && from <= trouble.1) {
            &mut all.disturbed
        } else if is_covered((from, until), &crew.shifts) {
            &mut all.calm
        } else {
            &mut all.unattended
        };
        kind.push(taken_at - killed_at);
    }
    for kind in [&mut all.calm, &mut all.disturbed, &mut all.unattended] {
        kind.sort_unstable();
    }
    all
}

/// How many were late with nothing to excuse it.
pub(super) fn late_in_the_calm(storm: &Storm, crew: &Crew, reckoning: &Reckoning<'_>) -> usize {
    takeovers(storm, crew, reckoning).calm.iter().filter(|took| **took > LEASE_MS + MARGIN_MS).count()
}

/// Whether someone was at work all the time.
fn is_covered((from, until): (i64, i64), shifts: &[(i64, i64)]) -> bool {
    let mut covered = from;
    while covered < until {
        let reach = shifts.iter().filter(|shift| shift.0 <= covered).map(|shift| shift.1).max();
        match reach {
            Some(reach) if reach > covered => covered = reach,
            _ => return false,
        }
    }
    true
}
