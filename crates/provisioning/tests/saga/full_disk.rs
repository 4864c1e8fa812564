//! The ledger's disk is full at any statement of a provisioning, and frees again. What was acknowledged and reported must be
//! what another connection reads.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use foxden_ledger::{Accepted, Escrow, Ledger, Pause, Provisioning, SignupId, State, StepIn};
use foxden_provisioning::Ending;
use sea_orm::{ConnectionTrait as _, Database};

use crate::{
    PROVISIONED,
    world::{World, signup},
};

/// SQLite takes it for the size that the file has.
const NO_ROOM: &str = "PRAGMA max_page_count = 1";
/// The default.
const ROOM: &str = "PRAGMA max_page_count = 4294967294";

/// Like a broker that delivers a signup until it is acknowledged, and a service manager that goes on for ever.
const TRIES: usize = 20;

/// There is no room from one statement on, for so many.
struct FullDisk {
    asked: AtomicUsize,
    from: usize,
    length: usize,
}

impl StepIn for FullDisk {
    fn before(&self, _operation: &'static str) -> Pause {
        Box::pin(std::future::ready(std::ops::ControlFlow::Continue(())))
    }

    fn after(&self, operation: &'static str) -> Pause {
        self.before(operation)
    }

    fn first(&self) -> Option<&'static str> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Some(if (self.from..self.from.saturating_add(self.length)).contains(&asked) { NO_ROOM } else { ROOM })
    }
}

/// A migrated ledger whose pages are so small that most writes need one more, and in which none is free.
async fn template(dir: &Path) -> PathBuf {
    let file = dir.join("template.db");
    let url = format!("sqlite:{}", file.display());
    let run = async |sql: &str| {
        let db = Database::connect(format!("{url}?mode=rwc")).await.unwrap();
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    };
    run("PRAGMA page_size = 512; CREATE TABLE made (n INTEGER); DROP TABLE made").await;
    let ledger = Ledger::connect(&url, 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    ledger.close().await.unwrap();
    run("VACUUM").await;
    file
}

/// What is read by a connection that shares nothing with the worker's.
async fn read_elsewhere(url: &str) -> Option<Provisioning> {
    let ledger = Ledger::connect(url, 1).await.unwrap();
    let row = ledger.find(&SignupId::parse("s1").unwrap()).await.unwrap();
    ledger.close().await.unwrap();
    row
}

/// Delivers a signup until it is acknowledged, and works until it is at rest. Answers how many statements that took.
async fn provision(template: &Path, from: usize, length: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ledger.db");
    std::fs::copy(template, &file).unwrap();
    let url = format!("sqlite:{}", file.display());
    let disk = Arc::new(FullDisk { asked: AtomicUsize::new(0), from, length });
    let world = World::on(Ledger::connect(&url, 1).await.unwrap().with_steps(disk.clone())).await;
    let lease = Duration::from_secs(60);
    let mut tries = 0;
    loop {
        tries += 1;
        assert!(tries < TRIES, "it is not taken");
        let accepted = world.ledger.accept_leased(world.sealed("s1", &signup("s1"), None), &world.owner, lease).await;
        let Ok(accepted) = accepted else { continue };
        assert!(read_elsewhere(&url).await.is_some(), "it was acknowledged, and is not there");
        if let Accepted::Leased(claimed) = accepted
            && world.runner.run(*claimed).await == PROVISIONED
        {
            assert_eq!(read_elsewhere(&url).await.unwrap().state, State::Closed, "it was reported, and is not there");
        }
        break;
    }
    let escrow = Escrow::open(&world.escrow_dir.path().join("escrow")).unwrap();
    for _ in 0..TRIES {
        if read_elsewhere(&url).await.unwrap().state == State::Closed {
            break;
        }
        world.clock.advance(Duration::from_secs(301));
        drop(world.ledger.drain(&escrow, &world.custody).await);
        drop(world.ledger.sweep(Duration::ZERO).await);
        for claimed in
            world.ledger.claim(&world.owner, 10, lease).await.map(|claims| claims.claimed).unwrap_or_default()
        {
            let ending: Ending = world.runner.run(claimed).await;
            assert!(!matches!(ending, Ending::Parked(_)), "{ending:?}");
        }
    }
    let elsewhere = Ledger::connect(&url, 1).await.unwrap();
    let other = world.with_ledger(elsewhere);
    assert_eq!(other.row("s1").await.state, State::Closed);
    other.books_agree().await;
    assert_eq!((world.sim.books().users.len(), world.sim.books().stores.len()), (1, 1));
    assert_eq!(other.ledger.waiting_events(10).await.unwrap().len(), 1, "it is reported once");
    disk.asked.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_disk_meets_at_any_statement_is_lost_nowhere_and_doubled_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let template = template(dir.path()).await;
    let clean = provision(&template, usize::MAX, 0).await;
    let mut met = 0;
    for length in [1, 6] {
        for from in 0..clean {
            let took = provision(&template, from, length).await;
            met += usize::from(took != clean);
        }
    }
    assert!(met > clean / 2, "only {met} of {} full disks were met", 2 * clean);
}
