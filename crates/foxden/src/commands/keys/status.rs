//! `foxden keys status`: what each key is needed for.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use clap::Args;
use foxden_custody::{Escrow, RotationError, SecretRotation};
use foxden_ledger::KeyUse;
use foxden_vault::{KeyId, KeyRing};
use serde_json::json;

use super::{name_of, note_missing_escrow};
use crate::{
    exit::Exit,
    output,
    settings::{Need, Needs},
    wiring,
};

pub(crate) const HELP: &str = "\
Opens nothing. With FOXDEN_KEYS set, keys are shown by name, and the first one, which seals, is marked. A key that nothing is
sealed with can be dropped. The escrow is the one that FOXDEN_ESCROW_DIR names for this command: look at those of other
workers, too.

Exit status 3 says that the ring lacks a key that is needed.

Examples:
  foxden keys status
  foxden keys status --json | jq -r '.keys[] | select(.can_be_dropped) | .name'";

/// `foxden keys status …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// One key, with all there is to say about it.
struct Line<'a> {
    counts: KeyUse,
    escrow: u64,
    name: Option<&'a str>,
    seals: bool,
    /// `None` without a ring to look into.
    in_ring: Option<bool>,
    can_be_dropped: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = crate::commands::settings(config, Needs { keys: Need::IfSet, ..Needs::default() })?;
    let ledger = wiring::existing_ledger(&settings).await?;
    let counts = ledger.count_by_key().await.context("could not count what is sealed")?;
    let dir = &settings.worker.escrow_dir;
    let uncounted = "could not count what is in the escrow";
    let (mut escrow, mut unreadable) = Escrow::count_by_key(dir).context(uncounted)?;
    // The client secret of a rotation that is not finished: without its key, it may be lost for good.
    match SecretRotation::key_in(dir) {
        Ok(None) => {}
        Ok(Some(key)) => *escrow.entry(key).or_default() += 1,
        Err(RotationError::Unreadable(_)) => unreadable += 1,
        Err(error) => return Err(error).context(uncounted),
    }
    let ring = settings.keys.ring.as_ref();
    let lines = lines(ring, &counts, &escrow, unreadable == 0);
    note_missing_escrow(dir);
    if options.json {
        let keys: Vec<_> = lines.iter().map(Line::json).collect();
        output::say_json(&json!({ "keys": keys, "escrow_unreadable": unreadable }));
    } else {
        print(&lines, ring.is_some(), unreadable);
    }
    let lacks_one = lines.iter().any(|line| line.in_ring == Some(false) && line.is_needed());
    Ok(if lacks_one { Exit::InPart } else { Exit::Done })
}

/// The ring's keys in its order, then those it lacks. A file of the escrow that can't be read may need any key.
fn lines<'a>(
    ring: Option<&'a KeyRing>,
    counts: &[KeyUse],
    escrow: &BTreeMap<KeyId, u64>,
    escrow_is_readable: bool,
) -> Vec<Line<'a>> {
    let mut keys: Vec<KeyId> = ring.map(|ring| ring.keys().map(|(_, id)| id).collect()).unwrap_or_default();
    let used: Vec<KeyId> = counts.iter().map(|count| count.key).chain(escrow.keys().copied()).collect();
    for key in used {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let line = |key: KeyId| {
        let seals = ring.is_some_and(|ring| ring.primary() == key);
        let mut line = Line {
            counts: counts.iter().find(|count| count.key == key).copied().unwrap_or(KeyUse::none(key)),
            escrow: escrow.get(&key).copied().unwrap_or(0),
            name: ring.and_then(|ring| name_of(ring, key)),
            seals,
            in_ring: ring.map(|ring| ring.contains(key)),
            can_be_dropped: false,
        };
        line.can_be_dropped = line.in_ring == Some(true) && !seals && !line.is_needed() && escrow_is_readable;
        line
    };
    keys.into_iter().map(line).collect()
}

impl Line<'_> {
    /// Whether something can't be opened without it.
    fn is_needed(&self) -> bool {
        self.counts.envelopes() + self.escrow > 0
    }

    fn standing(&self) -> &'static str {
        match self.in_ring {
            _ if self.seals => "seals",
            Some(false) if self.is_needed() => "NOT IN THE RING, and needed",
            Some(false) => "dropped",
            _ if self.can_be_dropped => "can be dropped",
            _ if self.is_needed() => "needed",
            _ => "",
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "id": self.counts.key.to_string(),
            "name": self.name,
            "seals": self.seals,
            "in_ring": self.in_ring,
            "events": self.counts.events,
            "tokens": self.counts.tokens,
            "escrow": self.escrow,
            "fingerprints": self.counts.fingerprints,
            "can_be_dropped": self.can_be_dropped,
        })
    }
}

fn print(lines: &[Line<'_>], has_ring: bool, unreadable: u64) {
    if lines.is_empty() {
        output::say("nothing is sealed yet");
        return;
    }
    let mut table = output::table(["key", "id", "events", "tokens", "in escrow", "fingerprints", ""]);
    for line in lines {
        table.add_row([
            line.name.unwrap_or("?").to_owned(),
            line.counts.key.to_string(),
            output::count(line.counts.events),
            output::count(line.counts.tokens),
            output::count(line.escrow),
            output::count(line.counts.fingerprints),
            line.standing().to_owned(),
        ]);
    }
    output::say(table);
    if !has_ring {
        output::say("FOXDEN_KEYS is not set, so keys have no names here");
    }
    if unreadable > 0 {
        let count = output::count(unreadable);
        output::say(format!("escrow files that can't be read: {count}; they may need any key, so drop none"));
    }
    if lines.iter().any(|line| line.can_be_dropped && line.counts.fingerprints > 0) {
        output::say(
            "a repeat of an event whose fingerprint is of a dropped key counts as a duplicate, whatever its content",
        );
    }
    let to_move = |line: &Line<'_>| line.in_ring == Some(true) && !line.seals && line.counts.envelopes() > 0;
    if lines.iter().any(to_move) {
        output::say("foxden keys reseal moves what is sealed to the first key");
    }
}
