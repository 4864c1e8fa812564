//! Who publishes outcome events: of several workers one, whatever becomes of it, and repeats are the exception.
//!
//! `make test` runs the short form of the kills, `make outcomes` the long one.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use foxden_ledger::{Ledger, OutcomeData, OutcomeEvent, OutcomeKind};
use tokio::time::Instant;

use super::{
    dice::Dice,
    parent_app::{ParentApp, Taken},
    relay::Relay,
};
use crate::support::{PATIENCE, Place, Worker, event, number, seed};

/// Between two kills, on average.
const KILL_EVERY: Duration = Duration::from_millis(700);

/// How long it takes until another worker publishes in the place of one that was killed: its lease must end.
const TAKEOVER: Duration = Duration::from_secs(14);

/// How long after a takeover its first batches are sent.
const IN_THE_BACKLOG: Duration = Duration::from_millis(30);

/// What one kill may repeat at most: a batch that was under way. Most often it is nothing.
const BATCH: usize = 64;

#[expect(clippy::print_stdout, reason = "a test's figures, shown with --nocapture and when it fails")]
fn say(line: &str) {
    println!("publishers: {line}");
}

async fn place() -> (Place, ParentApp, Ledger) {
    let mut place = Place::new().await;
    let parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let ledger = place.ledger().await;
    (place, parent, ledger)
}

async fn crew(place: &Place, size: usize) -> Vec<Worker> {
    let crew: Vec<Worker> = (0..size).map(|post| place.worker(&format!("worker-{post}"))).collect();
    for worker in &crew {
        connected(worker).await;
    }
    crew
}

/// Its connection for outcome events is open.
async fn connected(worker: &Worker) {
    super::broker_life::logged(worker, "broker.connected", "outcomes", 1).await;
}

/// Commits outcome events, the way any worker does: each of 50 signups in turn.
async fn tell(ledger: &Ledger, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let data = OutcomeData { signup_id: format!("s{}", number % 50), ..OutcomeData::default() };
        let event = OutcomeEvent { kind: OutcomeKind::Rejected, data };
        ledger.tell(format!("e-{number:05}"), event).await.unwrap();
    }
}

async fn nothing_waits(ledger: &Ledger) {
    let started = Instant::now();
    while ledger.count_waiting_events().await.unwrap() > 0 {
        assert!(started.elapsed() < PATIENCE * 2, "the outbox is not emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Each event came, and those of each signup in order, leaving out repeats. Answers how many repeats there were.
fn repeats(taken: &[Taken], events: usize) -> usize {
    let mut of_signups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for message in taken {
        let message = message.json();
        let id = message["id"].as_str().unwrap().to_owned();
        if seen.insert(id.clone()) {
            of_signups.entry(message["subject"].as_str().unwrap().to_owned()).or_default().push(id);
        }
    }
    assert_eq!(seen.len(), events, "not every event came");
    assert!(of_signups.values().all(|ids| ids.is_sorted()), "not in order: {of_signups:?}");
    taken.len() - events
}

/// Which of them publishes: the last to have taken it over.
async fn publisher(crew: &[Worker]) -> usize {
    let started = Instant::now();
    loop {
        let taken = |worker: &Worker| worker.events("outbox.taken_over").last().map(|line| line["ts"].to_string());
        let last = (0..crew.len()).filter_map(|at| taken(&crew[at]).map(|when| (when, at))).max();
        if let Some((_, at)) = last {
            return at;
        }
        assert!(started.elapsed() < PATIENCE, "no one publishes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_publish_each_outcome_event_once() {
    let (place, parent, ledger) = place().await;
    let crew = crew(&place, 3).await;
    publisher(&crew).await;
    let mut waits = Vec::new();
    for number in 0..20 {
        let committed = Instant::now();
        tell(&ledger, number..number + 1).await;
        parent.until_waiting(&place, "OUTCOME_QUEUE", u32::try_from(number + 1).unwrap()).await;
        waits.push(committed.elapsed());
    }
    waits.sort_unstable();
    say(&format!(
        "another process's event is in the queue after {:.0?} (median), {:.0?} (longest)",
        waits[10], waits[19]
    ));
    for number in 0..300 {
        parent.publish(event(&format!("signup-{number}")).to_string().as_bytes()).await;
    }
    place.settled(300).await;
    nothing_waits(&ledger).await;
    for worker in crew {
        worker.stop().await;
    }
    assert_eq!(parent.waiting(&place, "OUTCOME_QUEUE").await, 320);
}

/// Which of them holds the publishing lease, by what each has last said of it.
fn holder(crew: &[Worker]) -> Option<usize> {
    let last = |worker: &Worker, event: &str| worker.events(event).last().map(|line| line["ts"].to_string());
    let holds = |worker: &Worker| {
        let taken = last(worker, "outbox.taken_over");
        let gone = last(worker, "outbox.given_back").max(last(worker, "outbox.lost"));
        taken.is_some() && taken > gone
    };
    crew.iter().position(holds)
}

/// A worker to be killed, as it publishes: in the backlog that it finds when it takes over, or later.
async fn publishing(crew: &[Worker], dice: &mut Dice) -> usize {
    let started = Instant::now();
    let found = loop {
        if let Some(at) = holder(crew) {
            break at;
        }
        assert!(started.elapsed() < PATIENCE, "no one publishes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let after = if dice.happens(50) { IN_THE_BACKLOG } else { KILL_EVERY };
    tokio::time::sleep(dice.about(after)).await;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_publishers_repeat_few_outcome_events() {
    let (events, kills) = (number("FOXDEN_TEST_OUTCOMES", 300), number("FOXDEN_TEST_OUTCOME_KILLS", 3));
    let seed = seed();
    say(&format!("FOXDEN_TEST_SEED={seed}"));
    let (place, parent, ledger) = place().await;
    let mut dice = Dice::seeded(seed);
    let mut crew = crew(&place, 3).await;
    let mut telling = dice.split();
    let pause = (TAKEOVER * 2 + KILL_EVERY) * u32::try_from(kills).unwrap() / 3 / u32::try_from(events).unwrap();
    let is_over = AtomicBool::new(false);
    // Each worker that is to be killed has something to publish.
    let telling = async {
        let mut number = 0;
        while number < events || !is_over.load(Ordering::Relaxed) {
            tell(&ledger, number..number + 1).await;
            tokio::time::sleep(telling.about(pause)).await;
            number += 1;
        }
        number
    };
    let killing = async {
        let mut of_publishers = 0;
        for kill in 0..kills {
            let victim = if kill % 3 == 2 {
                tokio::time::sleep(dice.about(KILL_EVERY)).await;
                dice.below(crew.len())
            } else {
                publishing(&crew, &mut dice).await
            };
            let next = place.worker(&format!("worker-{victim}-after-{kill}"));
            of_publishers += usize::from(holder(&crew) == Some(victim));
            std::mem::replace(&mut crew[victim], next).crash();
        }
        is_over.store(true, Ordering::Relaxed);
        of_publishers
    };
    let (events, of_publishers) = tokio::join!(telling, killing);
    nothing_waits(&ledger).await;
    for worker in crew {
        connected(&worker).await;
        worker.stop().await;
    }
    let repeats = repeats(&parent.take_all(&place, "OUTCOME_QUEUE").await, events);
    say(&format!("{events} events, {kills} kills, {of_publishers} of them of the publisher: {repeats} repeats"));
    assert!(of_publishers * 2 > kills, "most kills missed the publisher");
    assert!(repeats <= BATCH.max(events / 20), "{repeats} repeats of {events} events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_was_frozen_sends_nothing_beside_the_next_one() {
    let (place, parent, ledger) = place().await;
    let crew = crew(&place, 2).await;
    tell(&ledger, 0..10).await;
    nothing_waits(&ledger).await;
    let first = publisher(&crew).await;
    crew[first].freeze().await;
    let frozen = Instant::now();
    tell(&ledger, 10..60).await;
    nothing_waits(&ledger).await;
    say(&format!("another worker had taken over and published {:.1?} after the freeze", frozen.elapsed()));
    assert_ne!(publisher(&crew).await, first);
    crew[first].thaw();
    tell(&ledger, 60..110).await;
    nothing_waits(&ledger).await;
    // It has noticed, one way or the other, before it is asked to stop.
    let started = Instant::now();
    while crew[first].events("outbox.lost").is_empty() && crew[first].events("outbox.given_back").is_empty() {
        assert!(started.elapsed() < PATIENCE, "it does not notice:\n{}", crew[first].log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for worker in crew {
        worker.stop().await;
    }
    assert_eq!(repeats(&parent.take_all(&place, "OUTCOME_QUEUE").await, 110), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_loses_the_broker_makes_way_for_one_that_has_it() {
    let (place, parent, ledger) = place().await;
    let broker = place.settings["FOXDEN_AMQP_URL"].clone();
    let mut ways = vec![Relay::to(&broker).await, Relay::to(&broker).await];
    let mut crew = Vec::new();
    for (post, way) in ways.iter().enumerate() {
        crew.push(place.worker_with(&format!("worker-{post}"), &[("FOXDEN_AMQP_URL", &way.through(&broker))]));
        connected(&crew[post]).await;
    }
    let first = publisher(&crew).await;
    drop(ways.remove(first));
    let lost = crew[first].until("outbox.given_back").await;
    assert_eq!(lost["reason"], "broker_lost");
    let cut = Instant::now();
    tell(&ledger, 0..50).await;
    nothing_waits(&ledger).await;
    say(&format!("the other worker had published {:.1?} after the loss", cut.elapsed()));
    assert_ne!(publisher(&crew).await, first);
    for worker in crew {
        worker.stop().await;
    }
    assert_eq!(repeats(&parent.take_all(&place, "OUTCOME_QUEUE").await, 50), 0);
}
