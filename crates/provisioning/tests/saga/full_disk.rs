//! The ledger's disk is full from any statement of a provisioning on, the commits behind it included, and frees
//! again. What was acknowledged and reported must be what another connection reads.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use foxden_custody::Escrow;
use foxden_ledger::{Accepted, Ledger, Pause, Provisioning, SignupId, State, StepIn};
use foxden_provisioning::Ending;
use sea_orm::{ConnectionTrait as _, Database};

use crate::{
    PROVISIONED,
    small_disk::SmallDisk,
    world::{World, signup},
};

/// As many times a signup is delivered until it is acknowledged, and work is looked for until it is at rest.
const TRIES: usize = 20;

/// There is no room from one statement on, for `length` statements.
struct FullDisk {
    asked: AtomicUsize,
    from: usize,
    length: usize,
    disk: Arc<SmallDisk>,
    is_full: AtomicBool,
}

impl StepIn for FullDisk {
    fn before(&self, _operation: &'static str) -> Pause {
        Box::pin(std::future::ready(std::ops::ControlFlow::Continue(())))
    }

    fn after(&self, operation: &'static str) -> Pause {
        self.before(operation)
    }

    fn sending(&self) {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let is_full = (self.from..self.from.saturating_add(self.length)).contains(&asked);
        match (self.is_full.swap(is_full, Ordering::SeqCst), is_full) {
            (false, true) => self.disk.fill(),
            (true, false) => self.disk.free(),
            _ => {}
        }
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
async fn provision(template: &Path, (disk, at): (&Arc<SmallDisk>, &Path), from: usize, length: usize) -> usize {
    let dir = tempfile::tempdir_in(at).unwrap();
    let file = dir.path().join("ledger.db");
    std::fs::copy(template, &file).unwrap();
    let url = format!("sqlite:{}", file.display());
    let (disk, is_full) = (Arc::clone(disk), AtomicBool::new(false));
    let disk = Arc::new(FullDisk { asked: AtomicUsize::new(0), from, length, disk, is_full });
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
        drop(escrow.drain(&world.ledger, &world.custody).await);
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
async fn what_a_full_disk_meets_at_any_statement_or_commit_is_lost_nowhere_and_doubled_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("small");
    let Some(disk) = SmallDisk::mount(&at, 4) else { return };
    let (disk, template) = (Arc::new(disk), template(dir.path()).await);
    let clean = provision(&template, (&disk, &at), usize::MAX, 0).await;
    let mut met = 0;
    for length in [1, 6] {
        for from in 0..clean {
            met += usize::from(provision(&template, (&disk, &at), from, length).await != clean);
        }
    }
    assert!(met > clean / 2, "only {met} of {} full disks were met", 2 * clean);
}
