//! From Foxy's 201 to a token that survives a crash: `make bench`. On SQLite always; on PostgreSQL too where
//! `DATABASE_URL` names one, and `FOXDEN_SERVICES_FSYNC=on` lets a private one wait for its disk.
//!
//! Foxy answers at once here, so the ledger is under more load than in life: sixteen provisionings, each with its next
//! call as soon as the last is recorded.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use foxden_custody::{Custody, Escrow, Payload, StoreDetails, UserDetails};
use foxden_ledger::{Accepted, Ledger, NewSignup, Pause, ProvisioningId, SignupId, Source, StepIn, WorkerId};
use foxden_provisioning::{Calls, Ending, Gate, Leases, MadeUser, Parts, Policy, Runner, Schedule};
use foxden_vault::{AccessToken, KeyRing, RefreshToken};
use foxy_api::{
    ApiOrigins, CreatedStore, Evidence, Granted, Line, NewStore, NewUser, Outcome, ReadError, Report, ResourceUri,
    StoreSearch, TokenKeeper,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const AT_ONCE: usize = 16;
const SIGNUPS_EACH: usize = 125;
const LEASE: Duration = Duration::from_secs(60);
const TOKEN: &str = "a token of forty characters, like Foxy's";

/// One runner's: it has one call under way at a time.
#[derive(Default)]
struct StopWatch {
    answered: Mutex<Option<Instant>>,
    took: Mutex<Vec<Duration>>,
}

impl StepIn for StopWatch {
    fn before(&self, _: &'static str) -> Pause {
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }

    fn after(&self, operation: &'static str) -> Pause {
        if operation == "record"
            && let Some(answered) = self.answered.lock().expect("no holder panics").take()
        {
            self.took.lock().expect("no holder panics").push(answered.elapsed());
        }
        Box::pin(std::future::ready(ControlFlow::Continue(())))
    }
}

/// Foxy that answers at once, and notes when.
#[derive(Clone)]
struct Prompt {
    watch: Arc<StopWatch>,
    origins: ApiOrigins,
}

impl Prompt {
    fn report<T>(&self, made: T) -> Report<T> {
        *self.watch.answered.lock().expect("no holder panics") = Some(Instant::now());
        Report { outcome: Outcome::Done(made), evidence: Evidence::default() }
    }

    fn uri(&self, of: &str) -> ResourceUri {
        ResourceUri::parse(&format!("http://127.0.0.1:9/{of}"), &self.origins).expect("it is of the trusted origin")
    }
}

impl Calls for Prompt {
    type Session = ();

    async fn create_user(
        &self,
        user: &NewUser,
        _: Line,
        _: tokio::time::Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<MadeUser<()>> {
        self.report(MadeUser { uri: Ok(self.uri(&user.email)), token: RefreshToken::new(TOKEN), session: () })
    }

    async fn create_store(
        &self,
        (): &(),
        store: &NewStore,
        _: tokio::time::Instant,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Report<CreatedStore> {
        let token = Granted {
            access: AccessToken::new(""),
            refresh: RefreshToken::new(TOKEN),
            scope: "store_full_access".to_owned(),
            expires_in: Duration::ZERO,
        };
        self.report(CreatedStore { uri: Ok(self.uri(&store.domain)), token })
    }

    fn session(&self, _: RefreshToken, _: Arc<dyn TokenKeeper>) {}

    fn kept_by(&self, (): (), _: Arc<dyn TokenKeeper>) {}

    async fn find_store(&self, (): &(), _: &str) -> Result<StoreSearch, ReadError> {
        Ok(StoreSearch::Absent)
    }

    async fn stores(&self, (): &()) -> Result<Vec<ResourceUri>, ReadError> {
        Ok(Vec::new())
    }

    async fn email_exists(&self, _: &str) -> Result<bool, ReadError> {
        Ok(false)
    }

    async fn store_domain_exists(&self, _: &str) -> Result<bool, ReadError> {
        Ok(false)
    }

    async fn probe(&self) -> Result<(), ReadError> {
        Ok(())
    }
}

fn signup(custody: &Custody) -> NewSignup {
    let text = |text: &str| text.to_owned();
    let id = ProvisioningId::new();
    let payload = Payload {
        user: UserDetails {
            first_name: text("Ada"),
            last_name: text("Lovelace"),
            email: format!("{id}@example.com"),
            phone: None,
            extra: BTreeMap::new(),
        },
        store: StoreDetails {
            name: id.to_string(),
            domain: None,
            url: text("https://engines.example"),
            email: text("shop@engines.example"),
            country: text("GB"),
            region: text("London"),
            postal_code: text("W1"),
            extra: BTreeMap::new(),
        },
        captcha: Default::default(),
    };
    let signup_id = SignupId::parse(id.as_str()).expect("digits and letters");
    NewSignup {
        payload: custody.seal_payload(&id, &signup_id, &payload).expect("the operating system gives random bytes"),
        fingerprint: custody.fingerprint(&signup_id, None, &payload),
        id,
        signup_id,
        account_id: None,
        source: Source::Submit,
    }
}

/// One of those that work at once: signups one after the other. Answers how long each record took.
async fn work(ledger: Ledger, custody: Custody, escrow: Escrow) -> Vec<Duration> {
    let watch = Arc::new(StopWatch::default());
    let ledger = ledger.with_steps(watch.clone());
    let owner = WorkerId::new();
    let origins = ApiOrigins::explicit("http://127.0.0.1:9").expect("loopback may be plain http");
    let runner = Runner::new(Parts {
        ledger: ledger.clone(),
        custody: custody.clone(),
        escrow,
        foxy: Prompt { watch: watch.clone(), origins },
        policy: Policy {
            call_timeout: Duration::from_secs(20),
            lookup_delay: Duration::from_secs(5),
            listing_lag: Duration::from_secs(600),
            retry: Schedule::new(Duration::from_secs(2), Duration::from_secs(300)),
            recording: Policy::RECORDING,
            give_up_after: Duration::from_secs(3600),
            keep_user_tokens: false,
            keep_payloads: false,
            marks_stores: false,
            outcome_events: true,
        },
        leases: Leases::new(ledger.clone(), owner.clone(), LEASE),
        gate: Gate::default(),
        outbox_filled: Arc::new(Notify::new()),
        stop: CancellationToken::new(),
    });
    for _ in 0..SIGNUPS_EACH {
        let accepted = ledger.accept_leased(signup(&custody), &owner, LEASE).await.expect("accepting works");
        let Accepted::Leased(claimed) = accepted else { unreachable!("its signup id is new") };
        assert_eq!(runner.run(*claimed).await, Ending::Provisioned, "nothing goes wrong here");
    }
    let took = watch.took.lock().expect("no holder panics");
    took.clone()
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn measure(name: &str, ledger: Ledger) {
    ledger.migrate_up().await.expect("an empty database migrates");
    let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
    let custody = Custody::new(Arc::new(KeyRing::parse(&key).expect("a generated key parses")), "bench");
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let escrow = Escrow::open(&dir.path().join("escrow")).expect("there is room for a file");
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        workers.spawn(work(ledger.clone(), custody.clone(), escrow.clone()));
    }
    let mut took: Vec<Duration> = workers.join_all().await.concat();
    let rate = (AT_ONCE * SIGNUPS_EACH) as f64 / started.elapsed().as_secs_f64();
    took.sort();
    let ms = |per_mille: usize| took[(took.len() - 1) * per_mille / 1000].as_secs_f64() * 1000.0;
    let (median, p99, longest) = (ms(500), ms(990), ms(1000));
    println!(
        "{name:<12} 201 to durable, {AT_ONCE} at once: median {median:.1} ms, p99 {p99:.1} ms, longest {longest:.1} ms; \
         {rate:.0} provisioned/s",
    );
}

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("there is room for a directory");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    measure("SQLite", Ledger::connect(&url, 1).await.expect("a fresh file opens")).await;
    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark learns of its server")]
    let server = std::env::var("DATABASE_URL");
    if let Ok(server) = server {
        let name = format!("durable_{}", ProvisioningId::new().as_str().replace('-', ""));
        let ledger = Ledger::create_database(&server, &name).await.expect("the server makes a database");
        measure("PostgreSQL", ledger).await;
    }
}
