//! The storm: signups are published while workers are killed, servers restarted, connections cut or silenced, and disks
//! filled, side by side.

use std::{cell::Cell, ops::Range, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Size,
    crew::Crew,
    now_ms,
    phases::{self, Full, Silence},
};
use crate::{
    servers::{dice::Dice, own_servers::OwnServers, parent_app::ParentApp, relay::Relay, small_disk::SmallDisk},
    support::{Place, event},
};

/// Between two kills, on average. At this pace a worker has time to take up work before it is the next victim.
const KILL_EVERY: Duration = Duration::from_secs(2);

/// How long a killed worker's post stays empty.
const AWAY: Range<Duration> = Duration::ZERO..Duration::from_secs(1);

/// The same where it may have left tokens in its escrow: longer than its leases, so that others give them up for lost
/// before they turn up after all.
const LONG_AWAY: Range<Duration> = Duration::from_secs(14)..Duration::from_secs(16);

/// How long after the database has gone the tokens in hand are in the escrow: workers wait 250 ms for their commits.
const ESCROW_FILLED: Duration = Duration::from_millis(600);

/// How long a cut waits for a commit to come.
const COMMIT_PATIENCE: Duration = Duration::from_secs(1);

/// The world that the storm comes over.
pub(super) struct World<'a> {
    pub(super) place: &'a Place,
    pub(super) servers: &'a OwnServers,
    /// The workers' ways to the servers, by the servers' names.
    pub(super) relays: &'a [(&'static str, &'a Relay)],
    /// Where the escrows are, and the ledger if it is a file.
    pub(super) disk: Option<&'a SmallDisk>,
}

/// What the storm did.
pub(super) struct Storm {
    /// How many messages were sent; more than there are signups, since some are sent twice.
    pub(super) sent: usize,
    /// When each server was away.
    pub(super) outages: Vec<Outage>,
    /// When connections were cut.
    pub(super) cuts: Vec<Cut>,
    /// When connections were silent.
    pub(super) silences: Vec<Silence>,
    /// When the disk was full.
    pub(super) fulls: Vec<Full>,
}

/// A server was away; in milliseconds since the epoch.
pub(super) struct Outage {
    pub(super) server: &'static str,
    pub(super) is_kill: bool,
    pub(super) from: i64,
    pub(super) until: i64,
}

/// All connections of the workers to a server were cut, and this was how many.
pub(super) struct Cut {
    pub(super) server: &'static str,
    pub(super) connections: usize,
    /// Just after a commit, whose answer was lost.
    pub(super) at_commit: bool,
    pub(super) at: i64,
}

impl Storm {
    /// From when until when a worker may have waited for its database in vain; in milliseconds since the epoch.
    pub(super) fn database_troubles(&self) -> Vec<(i64, i64)> {
        let outages = self.outages.iter().filter(|o| o.server == "postgres").map(|outage| (outage.from, outage.until));
        let cuts = self.cuts.iter().filter(|cut| cut.server == "postgres").map(|cut| (cut.at, cut.at));
        let silences = self.silences.iter().filter_map(Silence::database_trouble);
        outages.chain(cuts).chain(silences).chain(self.fulls.iter().map(Full::database_trouble)).collect()
    }
}

/// The id of a signup.
pub(super) fn signup_id(number: usize) -> String {
    format!("s{number:05}")
}

/// The signup event: a tenth of all share a store name, and half of those a customer too, whose signups use one user where
/// its token is kept. Each store has an email of its own, by which it is known again.
fn contended_event(number: usize) -> Value {
    let id = signup_id(number);
    let mut event = event(&id);
    event["store"]["email"] = format!("{id}{STORE_EMAILS}").into();
    if number.is_multiple_of(10) {
        event["store"]["name"] = "Contended Engines".into();
    }
    if number % 20 == 10 {
        event["user"]["id"] = "customer".into();
    }
    event
}

/// What the emails of all stores end in.
pub(super) const STORE_EMAILS: &str = "@shops.example";

/// Runs it to its end. Afterwards the servers are up, all signups are published, and the killed workers are on their way.
pub(super) async fn rage(
    size: &Size,
    dice: &mut Dice,
    world: &World<'_>,
    parent: &mut ParentApp,
    crew: &mut Crew,
) -> Storm {
    let length = KILL_EVERY * u32::try_from(size.kills).unwrap();
    let [publishing, killing, failing, cutting, silencing, filling] = std::array::from_fn(|_| dice.split());
    let database_gone_at = Cell::new(None);
    let to_database = world.relays.iter().find(|(server, _)| *server == "postgres").map(|(_, relay)| *relay);
    let (sent, (), outages, cuts, silences, fulls) = tokio::join!(
        publish(size.signups, length, publishing, parent),
        kill(size.kills, killing, world.place, crew, &database_gone_at),
        fail(size.outages, length, failing, world, &database_gone_at),
        cut(size.cuts, length, cutting, world.relays),
        phases::fall_silent(size.silences, length, silencing, world.relays),
        phases::fill_up(size.fulls, length, filling, world.disk, to_database),
    );
    Storm { sent, outages, cuts, silences, fulls }
}

/// Publishes in bursts, about as long as the storm lasts. Answers how many messages were sent.
async fn publish(signups: usize, length: Duration, mut dice: Dice, parent: &mut ParentApp) -> usize {
    let mut sent = 0;
    let mut number = 0;
    while number < signups {
        let burst = (1 + dice.below(20)).min(signups - number);
        for _ in 0..burst {
            let body = contended_event(number).to_string();
            sent += parent.publish_surely(body.as_bytes()).await;
            if dice.happens(3) {
                sent += parent.publish_surely(body.as_bytes()).await;
            }
            if dice.happens(3) {
                let earlier = contended_event(dice.below(number + 1)).to_string();
                sent += parent.publish_surely(earlier.as_bytes()).await;
            }
            number += 1;
        }
        tokio::time::sleep(dice.about(length.mul_f64(burst as f64 / signups as f64))).await;
    }
    sent
}

/// Kills one worker, two, or all of them at a time, and lets them come back. It strikes once in every longer outage of
/// the database as well, while tokens are in escrows.
async fn kill(
    mut kills: usize,
    mut dice: Dice,
    place: &Place,
    crew: &mut Crew,
    database_gone_at: &Cell<Option<Instant>>,
) {
    while kills > 0 {
        let mut count = [3, 2, 2, 1, 1, 1, 1, 1, 1, 1][dice.below(10)];
        let until = Instant::now() + dice.about(KILL_EVERY * u32::try_from(count).unwrap());
        let mut away = AWAY;
        while Instant::now() < until {
            crew.tend(place);
            if database_gone_at.get().is_some_and(|since| since.elapsed() > ESCROW_FILLED) {
                database_gone_at.take();
                // Most of them, and someone is left to take over.
                (count, away) = (crew.up().len().saturating_sub(1).min(2), LONG_AWAY);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut victims = crew.up();
        dice.shuffle(&mut victims);
        for victim in victims.into_iter().take(count.min(kills)) {
            crew.kill(victim, dice.within(away.clone()));
            kills -= 1;
        }
    }
}

/// Takes each server away so many times, one after the other.
async fn fail(
    times: usize,
    length: Duration,
    mut dice: Dice,
    world: &World<'_>,
    database_gone_at: &Cell<Option<Instant>>,
) -> Vec<Outage> {
    let servers = world.servers;
    let mut turns: Vec<&str> = (0..times).flat_map(|_| world.relays.iter().map(|(server, _)| *server)).collect();
    dice.shuffle(&mut turns);
    let pause = length / u32::try_from(turns.len() + 1).unwrap();
    let mut outages = Vec::new();
    for server in turns {
        tokio::time::sleep(dice.about(pause / 2)).await;
        let from = now_ms();
        let is_kill = dice.happens(60);
        if is_kill {
            servers.kill(server).await;
            if server == "postgres" {
                database_gone_at.set(Some(Instant::now()));
            }
            tokio::time::sleep(dice.within(Duration::ZERO..Duration::from_secs(3))).await;
            database_gone_at.take();
        }
        servers.restart(server).await;
        outages.push(Outage { server, is_kill, from, until: now_ms() });
    }
    outages
}

/// Cuts all connections of the workers to one server, so many times. Most of the database's are cut at a commit: it is
/// done, and its worker can't know it.
async fn cut(times: usize, length: Duration, mut dice: Dice, relays: &[(&'static str, &Relay)]) -> Vec<Cut> {
    let pause = length / u32::try_from(times + 1).unwrap();
    let mut cuts = Vec::new();
    for time in 0..times {
        tokio::time::sleep(dice.about(pause)).await;
        let at = time % relays.len();
        let (server, relay) = relays[at];
        let connections = phases::met(&relays[at..=at]).await;
        // The relay reads no broker's language.
        let wants_commit = server == "postgres" && dice.happens(70);
        let at_commit = wants_commit && relay.cut_at_commit(dice.below(3), COMMIT_PATIENCE).await;
        if !at_commit {
            relay.cut();
        }
        cuts.push(Cut { server, connections, at_commit, at: now_ms() });
    }
    cuts
}
