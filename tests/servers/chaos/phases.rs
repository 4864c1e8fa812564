//! Phases of trouble that no error announces, and of full disks: connections carry nothing any more, and files grow no
//! longer.

use std::{ops::Range, time::Duration};

use tokio::time::Instant;

use super::now_ms;
use crate::servers::{
    dice::Dice,
    relay::{Relay, Way},
    small_disk::SmallDisk,
};

/// How long a silence lasts. Connections that it has met stay silent beyond it.
const SILENT: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(5);

/// How long a silence or a cut waits for a connection, should the server be away.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(30);

/// How long a disk is full.
const FULL: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(5);

/// How long the way to the database is closed meanwhile, where the ledger is not on that disk: long enough for tokens
/// to be sent to the escrow, which is.
const NO_WAY: Range<Duration> = Duration::from_millis(500)..Duration::from_secs(2);

/// How long after the end of a silence its connections are still waited for: 17 s for the answer to a statement, and
/// 5 s for a connection.
const STILL_WAITED_FOR_MS: i64 = 22_000;

/// The same after a way was closed, whose connections were cut.
const STILL_CONNECTING_MS: i64 = 6_000;

/// The ways to some servers were silent; in milliseconds since the epoch.
pub(super) struct Silence {
    pub(super) servers: Vec<&'static str>,
    /// The connections that there were.
    pub(super) connections: usize,
    /// New connections were not served either.
    pub(super) is_deaf: bool,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// A disk was full; in milliseconds since the epoch.
pub(super) struct Full {
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Silence {
    /// From when until when a worker may have waited for the database in vain, if it was part of this.
    pub(super) fn database_trouble(&self) -> Option<(i64, i64)> {
        self.servers.contains(&"postgres").then_some((self.from, self.until + STILL_WAITED_FOR_MS))
    }
}

impl Full {
    /// From when until when a worker may have waited for the database in vain.
    pub(super) const fn database_trouble(&self) -> (i64, i64) {
        (self.from, self.until + STILL_CONNECTING_MS)
    }
}

/// How many connections the relays have, once there is one.
pub(super) async fn met(relays: &[(&'static str, &Relay)]) -> usize {
    let asked = Instant::now();
    while relays.iter().all(|(_, relay)| relay.open() == 0) && asked.elapsed() < CONNECTION_PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relays.iter().map(|(_, relay)| relay.open()).sum()
}

/// Lets the way to one server, or to all, fall silent, `times` times: the connections that there are, in one
/// direction or both, or new ones as well.
pub(super) async fn fall_silent(
    times: usize,
    length: Duration,
    mut dice: Dice,
    relays: &[(&'static str, &Relay)],
) -> Vec<Silence> {
    let pause = length / u32::try_from(times + 1).unwrap();
    let mut silences = Vec::new();
    for time in 0..times {
        tokio::time::sleep(dice.about(pause)).await;
        let at = time % (relays.len() + 1);
        // All of them first, so that a single silence meets every server.
        let hushed = if at == 0 { relays } else { &relays[at - 1..at] };
        let connections = met(hushed).await;
        let (is_deaf, from) = (dice.happens(50), now_ms());
        for (_, relay) in hushed {
            let ways = [&[Way::ToServer, Way::ToClient][..], &[Way::ToServer], &[Way::ToClient]][dice.below(3)];
            if is_deaf {
                relay.go_deaf();
            } else {
                ways.iter().for_each(|way| relay.silence(*way));
            }
        }
        tokio::time::sleep(dice.within(SILENT)).await;
        hushed.iter().for_each(|(_, relay)| relay.serve_again());
        let servers = hushed.iter().map(|(server, _)| *server).collect();
        silences.push(Silence { servers, connections, is_deaf, from, until: now_ms() });
    }
    silences
}

/// Fills the disk and frees it again, `times` times. Where the ledger is not on it, its way is closed for a moment:
/// else no one would ask for room.
pub(super) async fn fill_up(
    times: usize,
    length: Duration,
    mut dice: Dice,
    disk: Option<&SmallDisk>,
    to_database: Option<&Relay>,
) -> Vec<Full> {
    let Some(disk) = disk else { return Vec::new() };
    let pause = length / u32::try_from(times + 1).unwrap();
    let mut fulls = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(dice.about(pause)).await;
        let from = now_ms();
        disk.fill();
        if let Some(relay) = to_database {
            relay.go_away();
            tokio::time::sleep(dice.within(NO_WAY)).await;
            relay.serve_again();
        }
        tokio::time::sleep(dice.within(FULL)).await;
        disk.free();
        fulls.push(Full { from, until: now_ms() });
    }
    fulls
}
