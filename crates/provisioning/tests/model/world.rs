//! The world: one ledger, one Foxy, and three workers that come and go.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use foxden_custody::{Custody, Escrow};
use foxden_ledger::{
    Accepted, Claimed, Filter, Ledger, ManualClock, NewSignup, Provisioning, ProvisioningId, Source, WorkerId,
};
use foxden_provisioning::{Ending, Gate, GateSettings, Leases, Parts, Policy, Runner, Schedule};
use foxden_vault::KeyRing;
use sea_orm::ConnectionTrait as _;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    books::Books,
    director::{Boot, Director},
    restored::Restored,
    shape::{Acts, Shape, Signup},
    shop::Shop,
};

const LOOKUP_DELAY: Duration = Duration::from_secs(5);

/// Where a worker stands, boot after boot; its escrow outlives it.
pub(crate) struct Post {
    pub(crate) boot: Boot,
    escrow_dir: PathBuf,
    escrow: Escrow,
    custody: Custody,
    owner: WorkerId,
    ledger: Ledger,
    leases: Leases,
    runner: Watched,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

pub(crate) struct World {
    pub(crate) director: Director,
    pub(crate) books: Arc<Mutex<Books>>,
    /// The ledger as the test reads it, with nobody stepping in.
    pub(crate) ledger: Ledger,
    pub(crate) clock: ManualClock,
    pub(crate) custody: Custody,
    pub(crate) shape: Shape,
    pub(crate) signups: Vec<Signup>,
    pub(crate) acts: Acts,
    /// Signups whose message was acknowledged.
    pub(crate) acknowledged: Arc<Mutex<BTreeSet<usize>>>,
    pub(crate) posts: Vec<Post>,
    /// Boots that were killed.
    pub(crate) killed: BTreeSet<Boot>,
    /// Set once the ledger is an older copy of what it was.
    pub(crate) restored: Option<Restored>,
    boots: Boot,
    dir: tempfile::TempDir,
}

/// The file of an empty ledger. Migrating takes longer than most of what is played on it.
static MIGRATED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let make = async {
        let dir = in_memory();
        let file = dir.path().join("ledger.db");
        let ledger = Ledger::connect(&format!("sqlite:{}", file.display()), 1).await.unwrap();
        ledger.migrate_up().await.unwrap();
        // Moves all of it from the log into the file.
        ledger.close().await.unwrap();
        std::fs::read(file).unwrap()
    };
    // Of its own: this is asked for inside of one.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    std::thread::spawn(move || runtime().block_on(make)).join().unwrap()
});

/// A directory that no disk has, where there is one.
fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl World {
    pub(crate) async fn new(shape: Shape, signups: Vec<Signup>, workers: usize) -> Self {
        // First, since it makes time stand still.
        let director = Director::new();
        let clock = ManualClock::new(1_800_000_000_000);
        let key = foxden_vault::generate_key("test").unwrap();
        let dir = in_memory();
        let file = dir.path().join("ledger.db");
        std::fs::write(&file, &*MIGRATED).unwrap();
        let ledger = Ledger::connect(&format!("sqlite:{}", file.display()), 1).await.unwrap();
        let mut world = Self {
            director,
            books: Arc::default(),
            ledger: ledger.with_clock(&clock),
            clock,
            custody: Custody::new(Arc::new(KeyRing::parse(&key).unwrap()), "test"),
            shape,
            signups,
            acts: Acts::default(),
            acknowledged: Arc::default(),
            posts: Vec::new(),
            killed: BTreeSet::new(),
            restored: None,
            boots: 0,
            dir,
        };
        for number in 0..workers {
            let post = world.boot(number);
            world.posts.push(post);
        }
        world
    }

    /// Starts a worker at a post.
    pub(crate) fn boot(&mut self, number: usize) -> Post {
        self.boots += 1;
        let (boot, owner, stop) = (self.boots, WorkerId::new(), CancellationToken::new());
        let settings = self.shape.at(number);
        let mut ledger = self.ledger.clone().with_steps(self.director.steps(boot));
        if settings.mailbox {
            ledger = ledger.with_mailbox("shop+{signup_id}.{generation}@platform.example");
        }
        let escrow_dir = self.dir.path().join(format!("escrow-{number}"));
        let escrow = Escrow::open(&escrow_dir).unwrap().with_steps(self.director.steps(boot));
        let leases = Leases::new(ledger.clone(), owner.clone(), self.shape.lease);
        let shop = Shop {
            books: self.books.clone(),
            director: self.director.clone(),
            boot,
            lag: self.shape.listing_lag - self.shape.clock_jumps,
            lists_late: self.shape.lists_late,
            clocks_agree: self.shape.clock_jumps.is_zero(),
        };
        let second = Duration::from_secs(1);
        let gate = Gate::new(GateSettings {
            pause: Schedule::new(second * 5, second * 40).steady(),
            look: Schedule::new(second, second * 20).steady(),
            // Soon, so that schedules meet it.
            failures: 2,
        });
        let runner = Runner::new(Parts {
            ledger: ledger.clone(),
            custody: self.custody.clone(),
            escrow: escrow.clone(),
            foxy: shop.clone(),
            policy: Policy {
                call_timeout: second * 20,
                lookup_delay: LOOKUP_DELAY,
                listing_lag: settings.listing_lag,
                retry: Schedule::new(second * 2, second * 120).steady(),
                recording: Policy::RECORDING.steady(),
                give_up_after: settings.give_up_after,
                keep_user_tokens: settings.keep_user_tokens,
                keep_payloads: false,
                marks_stores: false,
                outcome_events: true,
            },
            leases: leases.clone(),
            gate: gate.clone(),
            outbox_filled: Arc::new(Notify::new()),
            stop: stop.clone(),
        });
        let runner = Watched { runner, books: self.books.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { gate.keep(&shop, &CancellationToken::new()).await });
        let custody = self.custody.clone();
        let mut post = Post { boot, escrow_dir, escrow, custody, owner, ledger, leases, runner, stop, tasks };
        post.drain(&self.director);
        post
    }

    fn sealed(&self, number: usize) -> NewSignup {
        let Signup { id, account, payload } = self.signups[number].clone();
        let row = ProvisioningId::new();
        NewSignup {
            payload: self.custody.seal_payload(&row, &id, &payload).unwrap(),
            fingerprint: self.custody.fingerprint(&id, account.as_deref(), &payload),
            id: row,
            signup_id: id,
            account_id: account,
            source: Source::Amqp,
        }
    }

    /// Accepts a signup, with no worker at it yet.
    pub(crate) async fn queue(&self, number: usize) {
        self.ledger.accept_queued(vec![self.sealed(number)]).await.unwrap();
        self.acknowledged.lock().unwrap().insert(number);
    }

    /// Changes the ledger as none of today's workers does.
    pub(crate) async fn meddle(&self, statement: &str) {
        assert!(self.restored.is_none(), "the ledger's file is another one then");
        let url = format!("sqlite:{}", self.dir.path().join("ledger.db").display());
        let meddler = sea_orm::Database::connect(&url).await.unwrap();
        meddler.execute_unprepared(statement).await.unwrap();
        meddler.close().await.unwrap();
    }

    /// Publishes a signup to a worker, for the first time or again.
    pub(crate) fn deliver(&mut self, number: usize, at: usize) {
        let sealed = self.sealed(number);
        let acknowledged = self.acknowledged.clone();
        let post = &mut self.posts[at];
        let (ledger, owner, runner) = (post.ledger.clone(), post.owner.clone(), post.runner.clone());
        let lease = self.shape.lease;
        post.spawn(&self.director, async move {
            // Twice, as the intake does while the broker holds the message for it.
            for _ in 0..2 {
                match ledger.accept_leased(sealed.clone(), &owner, lease).await {
                    Ok(accepted) => {
                        acknowledged.lock().unwrap().insert(number);
                        if let Accepted::Leased(claimed) = accepted {
                            runner.run(*claimed).await;
                        }
                        return;
                    }
                    Err(error) => assert!(error.is_passing(), "{error}"),
                }
            }
        });
    }

    /// Lets time pass, for all clocks. Foxy works on no call for a store later than a listing may lag behind that
    /// call's end: a worker that has looked until then takes it that there will be no store.
    pub(crate) async fn pass(&self, time: Duration) {
        self.books().work_on_stores_called_before(time, self.shape.listing_lag);
        self.clock.advance(time);
        tokio::time::advance(time).await;
    }

    /// The process at a post ends at once; what it had asked the database or Foxy for may still happen. Another takes
    /// its place.
    pub(crate) async fn kill(&mut self, at: usize, calls_still_come: bool) {
        self.end(at, calls_still_come).await;
        self.posts[at] = self.boot(at);
    }

    /// The same, and its place stays empty.
    pub(crate) async fn end(&mut self, at: usize, calls_still_come: bool) {
        let boot = self.posts[at].boot;
        self.director.kill(boot);
        self.killed.insert(boot);
        self.posts[at].tasks.abort_all();
        self.books().bury(boot, calls_still_come);
        self.director.settle().await;
    }

    /// Asks the process at a post to stop.
    pub(crate) fn terminate(&self, at: usize) {
        self.posts[at].stop.cancel();
    }

    /// Whether the process at a post was asked to stop and has nothing left to do. If so another takes its place.
    pub(crate) fn replace_if_drained(&mut self, at: usize) -> bool {
        let post = &mut self.posts[at];
        post.reap();
        // The one task left is that of the gate.
        let drained = post.stop.is_cancelled() && post.tasks.len() <= 1;
        if drained {
            self.director.kill(self.posts[at].boot);
            self.posts[at] = self.boot(at);
        }
        drained
    }

    /// Where all files of this world are.
    pub(crate) fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Takes tokens out of the escrows whose rows the ledger does not have. They stay there for good.
    pub(crate) async fn forget_tokens_of_lost_rows(&self) {
        let rows = self.ledger.list(&Filter { limit: 100, ..Filter::default() }).await.unwrap();
        for file in self.escrow_files() {
            let text = std::fs::read_to_string(&file).unwrap();
            if !rows.iter().any(|row| text.contains(row.id.as_str())) {
                std::fs::remove_file(file).unwrap();
            }
        }
    }

    /// The files in all escrows.
    pub(crate) fn escrow_files(&self) -> Vec<PathBuf> {
        let files = self.posts.iter().flat_map(|post| std::fs::read_dir(&post.escrow_dir).unwrap());
        files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "escrow"))
            .collect()
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Whether the ledger's clock runs as the workers' do.
    pub(crate) fn clocks_agree(&self) -> bool {
        self.shape.clock_jumps.is_zero()
    }

    /// The domain that its store has, or would have; none if it is yet to be derived.
    pub(crate) fn domain_of(&self, row: &Provisioning) -> Option<String> {
        let asked = || self.signups.iter().find(|signup| signup.id == row.signup_id)?.payload.store.domain.clone();
        row.store_domain.clone().or_else(asked)
    }

    /// The email that its user has, or would have.
    pub(crate) fn email_of(&self, row: &Provisioning) -> String {
        match &row.mailbox {
            Some(_) => format!("shop+{}.{}@platform.example", row.signup_id, row.generation),
            None => {
                let signup = self.signups.iter().find(|signup| signup.id == row.signup_id).unwrap();
                signup.payload.user.email.clone()
            }
        }
    }
}

/// A runner, of which it is written down what it gives up.
#[derive(Clone)]
struct Watched {
    runner: Runner<Shop>,
    books: Arc<Mutex<Books>>,
}

impl Watched {
    async fn run(&self, claimed: Claimed) {
        let (signup, intent) = (claimed.provisioning.signup_id.to_string(), claimed.provisioning.intents);
        let epoch = claimed.lease.epoch;
        if self.runner.run(claimed).await == Ending::Abandoned {
            self.books.lock().unwrap().abandoned.push((signup, epoch, intent));
        }
    }
}

impl Post {
    fn spawn(&mut self, director: &Director, work: impl Future<Output = ()> + Send + 'static) {
        let director = director.clone();
        self.tasks.spawn(async move {
            work.await;
            director.moved();
        });
    }

    /// Claims what is due and works on it.
    pub(crate) fn claim(&mut self, director: &Director, limit: u64) {
        if self.stop.is_cancelled() {
            return;
        }
        let (ledger, owner, runner) = (self.ledger.clone(), self.owner.clone(), self.runner.clone());
        let lease = self.leases.length();
        self.spawn(director, async move {
            let Ok(claims) = ledger.claim(&owner, limit, lease).await else { return };
            assert!(claims.damaged.is_empty());
            let mut runs = JoinSet::new();
            for claimed in claims.claimed {
                let runner = runner.clone();
                runs.spawn(async move { runner.run(claimed).await });
            }
            runs.join_all().await;
        });
    }

    pub(crate) fn sweep(&mut self, director: &Director) {
        let ledger = self.ledger.clone();
        self.spawn(director, async move { drop(ledger.sweep(LOOKUP_DELAY).await) });
    }

    pub(crate) fn renew(&mut self, director: &Director) {
        let leases = self.leases.clone();
        self.spawn(director, async move { drop(leases.renew().await) });
    }

    pub(crate) fn drain(&mut self, director: &Director) {
        let (ledger, escrow, custody) = (self.ledger.clone(), self.escrow.clone(), self.custody.clone());
        self.spawn(director, async move { drop(escrow.drain(&ledger, &custody).await) });
    }

    /// Forgets tasks that have ended; one that panicked ends the test.
    pub(crate) fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.unwrap();
        }
    }

    /// How many tasks there are beside that of the gate.
    pub(crate) fn at_work(&mut self) -> usize {
        self.reap();
        self.tasks.len().saturating_sub(1)
    }
}
