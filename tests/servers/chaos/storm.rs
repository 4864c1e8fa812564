//! The storm: signups are published while workers are killed and servers restarted, side by side.

use std::{cell::Cell, ops::Range, time::Duration};

use tokio::time::Instant;

use super::{Size, crew::Crew, dice::Dice, own_servers::OwnServers};
use crate::{
    servers::parent_app::ParentApp,
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

/// What the storm did.
pub(super) struct Storm {
    /// How many messages were sent; more than there are signups, since some are sent twice.
    pub(super) sent: usize,
    /// Each outage, in words.
    pub(super) outages: Vec<String>,
}

/// The id of a signup.
pub(super) fn signup_id(number: usize) -> String {
    format!("s{number:05}")
}

/// Runs it to its end. Afterwards the servers are up, all signups are published, and the killed workers are on their way.
pub(super) async fn rage(
    size: &Size,
    dice: &mut Dice,
    place: &Place,
    parent: &mut ParentApp,
    crew: &mut Crew,
    servers: &OwnServers,
) -> Storm {
    let length = KILL_EVERY * u32::try_from(size.kills).unwrap();
    let (publishing, killing, failing) = (dice.split(), dice.split(), dice.split());
    let database_gone_at = Cell::new(None);
    let (sent, (), outages) = tokio::join!(
        publish(size.signups, length, publishing, parent),
        kill(size.kills, killing, place, crew, &database_gone_at),
        fail(size.outages, length, failing, servers, &database_gone_at),
    );
    Storm { sent, outages }
}

/// Publishes in bursts, about as long as the storm lasts. Answers how many messages were sent.
async fn publish(signups: usize, length: Duration, mut dice: Dice, parent: &mut ParentApp) -> usize {
    let mut sent = 0;
    let mut number = 0;
    while number < signups {
        let burst = (1 + dice.below(20)).min(signups - number);
        for _ in 0..burst {
            let body = event(&signup_id(number)).to_string();
            sent += parent.publish_surely(body.as_bytes()).await;
            if dice.happens(3) {
                sent += parent.publish_surely(body.as_bytes()).await;
            }
            if dice.happens(3) {
                let earlier = event(&signup_id(dice.below(number + 1))).to_string();
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
                (count, away) = (2, LONG_AWAY);
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
    servers: &OwnServers,
    database_gone_at: &Cell<Option<Instant>>,
) -> Vec<String> {
    let mut turns: Vec<&str> = (0..times).flat_map(|_| ["rabbitmq", "postgres"]).collect();
    dice.shuffle(&mut turns);
    let pause = length / u32::try_from(turns.len() + 1).unwrap();
    let mut told = Vec::new();
    for server in turns {
        tokio::time::sleep(dice.about(pause / 2)).await;
        let began = Instant::now();
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
        let how = if is_kill { "killed" } else { "restarted" };
        told.push(format!("{server} {how}, away {:.1} s", began.elapsed().as_secs_f64()));
    }
    told
}
