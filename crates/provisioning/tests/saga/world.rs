//! A ledger, a simulator and a runner between them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Once},
    time::Duration,
};

use foxden_custody::{Custody, Escrow, Payload, StoreDetails, TokenRow, UserDetails};
use foxden_ledger::{
    Accepted, AttemptKind, Claimed, Ledger, ManualClock, NewSignup, Provisioning, ProvisioningId, Scope, SignupId,
    Source, State, WorkerId,
};
use foxden_provisioning::{Ending, Gate, GateSettings, Leases, Parts, Policy, Runner, Schedule};
use foxden_vault::{ClientSecret, KeyRing};
use foxy_api::{ApiOrigins, Foxy};
use foxy_sim::Simulator;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const LEASE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) sim: Arc<Simulator>,
    pub(crate) ledger: Ledger,
    pub(crate) clock: ManualClock,
    pub(crate) custody: Custody,
    pub(crate) runner: Runner,
    pub(crate) gate: Gate,
    pub(crate) stop: CancellationToken,
    pub(crate) outbox_filled: Arc<Notify>,
    foxy: Foxy,
    policy: Policy,
    pub(crate) owner: WorkerId,
    pub(crate) escrow_dir: tempfile::TempDir,
}

/// What a signup asks for; its texts carry its id, so that none clashes with another.
pub(crate) fn signup(id: &str) -> Payload {
    Payload {
        user: UserDetails {
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            email: format!("{id}@customers.example"),
            phone: None,
            extra: BTreeMap::new(),
        },
        store: StoreDetails {
            name: format!("Engines {id}"),
            domain: None,
            url: "https://engines.example".into(),
            email: "shop@engines.example".into(),
            country: "GB".into(),
            region: "London".into(),
            postal_code: "W1".into(),
            extra: BTreeMap::new(),
        },
        captcha: Default::default(),
    }
}

pub(crate) async fn memory() -> Ledger {
    let ledger = Ledger::connect("sqlite::memory:", 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    ledger
}

/// A database of its own on the server that `DATABASE_URL` names.
pub(crate) async fn postgres() -> Ledger {
    #[expect(clippy::disallowed_methods, reason = "the one door by which a test learns of its server")]
    let server = std::env::var("DATABASE_URL").expect("DATABASE_URL must name a PostgreSQL server: use `make test`");
    let ledger = Ledger::create_database(&server, &format!("saga_{}", ProvisioningId::new().as_str().replace('-', "")))
        .await
        .unwrap();
    ledger.migrate_up().await.unwrap();
    ledger
}

fn custody() -> Custody {
    let key = foxden_vault::generate_key("test").unwrap();
    Custody::new(Arc::new(KeyRing::parse(&key).unwrap()), "test")
}

fn policy() -> Policy {
    Policy {
        call_timeout: Duration::from_secs(2),
        lookup_delay: Duration::from_secs(5),
        listing_lag: Duration::from_secs(600),
        retry: Schedule::new(Duration::from_secs(2), Duration::from_secs(300)),
        recording: Policy::RECORDING,
        give_up_after: Duration::from_secs(3600 * 24 * 7),
        keep_user_tokens: false,
        keep_payloads: false,
        marks_stores: false,
        outcome_events: true,
    }
}

fn client(sim: &Simulator, client_id: String, client_secret: String, policy: &Policy) -> Foxy {
    Foxy::try_new(foxy_api::Settings {
        api: ApiOrigins::explicit(sim.base_url()).unwrap(),
        client_id,
        client_secret: ClientSecret::new(client_secret),
        connect_timeout: Duration::from_secs(2),
        h_captcha_code: None,
        call_timeout: policy.call_timeout,
        connection_idle: Duration::from_secs(3),
        rate: None,
        user_agent: "foxden-test".into(),
    })
    .unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = policy();
        change(&mut policy);
        Self::build(memory().await, policy).await
    }

    pub(crate) async fn on(ledger: Ledger) -> Self {
        Self::build(ledger, policy()).await
    }

    async fn build(ledger: Ledger, policy: Policy) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let clock = ManualClock::new(1_800_000_000_000);
        let ledger = ledger.with_clock(&clock);
        let sim = Arc::new(Simulator::start(foxy_sim::Config::default()).await.unwrap());
        let (client_id, client_secret) = sim.client();
        let foxy = client(&sim, client_id.to_owned(), client_secret.to_owned(), &policy);
        Self::boot(sim, ledger, clock, custody(), foxy, policy)
    }

    /// A worker whose breaker opens at this many failures in a row, and that looks for Foxy every few milliseconds.
    pub(crate) async fn with_breaker(failures: u32) -> Self {
        Self::with_breaker_and(failures, |_| {}).await
    }

    pub(crate) async fn with_breaker_and(failures: u32, change: impl FnOnce(&mut Policy)) -> Self {
        let world = Self::with(change).await;
        let look = Schedule::new(Duration::from_millis(5), Duration::from_millis(20));
        world.with_gate(Gate::new(GateSettings { failures, look, ..GateSettings::default() }))
    }

    /// A worker's boot: its own id, leases, gate and stop; everything else is what was there.
    fn boot(
        sim: Arc<Simulator>,
        ledger: Ledger,
        clock: ManualClock,
        custody: Custody,
        foxy: Foxy,
        policy: Policy,
    ) -> Self {
        // Without a breaker, so that each signup meets the outage that its test is about.
        let gate = Gate::new(GateSettings { failures: 0, ..GateSettings::default() });
        Self::boot_at(gate, (sim, ledger, clock), custody, foxy, policy)
    }

    fn boot_at(
        gate: Gate,
        (sim, ledger, clock): (Arc<Simulator>, Ledger, ManualClock),
        custody: Custody,
        foxy: Foxy,
        policy: Policy,
    ) -> Self {
        let (owner, stop) = (WorkerId::new(), CancellationToken::new());
        let (escrow_dir, outbox_filled) = (tempfile::tempdir().unwrap(), Arc::new(Notify::new()));
        let runner = Runner::new(Parts {
            ledger: ledger.clone(),
            custody: custody.clone(),
            escrow: Escrow::open(&escrow_dir.path().join("escrow")).unwrap(),
            foxy: foxy.clone(),
            policy: policy.clone(),
            leases: Leases::new(ledger.clone(), owner.clone(), LEASE),
            gate: gate.clone(),
            outbox_filled: outbox_filled.clone(),
            stop: stop.clone(),
        });
        Self { sim, ledger, clock, custody, runner, gate, stop, outbox_filled, foxy, policy, owner, escrow_dir }
    }

    /// The same with another worker, at this gate.
    fn with_gate(self, gate: Gate) -> Self {
        let held = (self.sim.clone(), self.ledger.clone(), self.clock.clone());
        Self::boot_at(gate, held, self.custody.clone(), self.foxy.clone(), self.policy.clone())
    }

    pub(crate) async fn keep_gate(&self, stop: &CancellationToken) {
        self.gate.keep(&self.foxy, stop).await;
    }

    /// Keeps the gate until work may be begun again.
    pub(crate) async fn until_open(&self) {
        let (mut watch, stop) = (self.gate.watch(), CancellationToken::new());
        tokio::select! {
            () = self.keep_gate(&stop) => unreachable!("nothing stops it"),
            open = watch.wait_for(|open| *open) => assert!(*open.unwrap()),
        }
    }

    /// The same with another worker.
    pub(crate) fn restarted(&self) -> Self {
        self.rebooted(self.custody.clone())
    }

    /// The same with a worker that makes users in a mailbox of the platform's.
    pub(crate) fn with_mailbox(mut self, template: &str) -> Self {
        self.ledger = self.ledger.with_mailbox(template);
        self.restarted()
    }

    /// The same with a worker under other settings.
    pub(crate) fn with_policy(&self, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = self.policy.clone();
        change(&mut policy);
        let (sim, ledger, clock) = (self.sim.clone(), self.ledger.clone(), self.clock.clone());
        Self::boot(sim, ledger, clock, self.custody.clone(), self.foxy.clone(), policy)
    }

    /// The same with a worker on another copy of the ledger.
    pub(crate) fn with_ledger(&self, ledger: Ledger) -> Self {
        let (sim, ledger, clock) = (self.sim.clone(), ledger.with_clock(&self.clock), self.clock.clone());
        Self::boot(sim, ledger, clock, self.custody.clone(), self.foxy.clone(), self.policy.clone())
    }

    /// The same with a worker whose key ring is another one.
    pub(crate) fn with_other_keys(&self) -> Self {
        self.rebooted(custody())
    }

    /// The same with a worker that is another OAuth client to Foxy.
    pub(crate) async fn with_another_client(&self) -> Self {
        let made = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = made
            .post(format!("{}/clients", self.sim.base_url()))
            .header("FOXY-API-VERSION", "1")
            .json(&serde_json::json!({
                "redirect_uri": "http://127.0.0.1/", "project_name": "p", "company_name": "c", "contact_name": "n",
                "contact_email": "c@example.com", "contact_phone": "1",
            }))
            .send()
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let foxy = client(&self.sim, text("client_id"), text("client_secret"), &self.policy);
        let (sim, ledger, clock) = (self.sim.clone(), self.ledger.clone(), self.clock.clone());
        Self::boot(sim, ledger, clock, self.custody.clone(), foxy, self.policy.clone())
    }

    fn rebooted(&self, custody: Custody) -> Self {
        let (sim, ledger, clock) = (self.sim.clone(), self.ledger.clone(), self.clock.clone());
        Self::boot(sim, ledger, clock, custody, self.foxy.clone(), self.policy.clone())
    }

    pub(crate) fn sealed(&self, id: &str, payload: &Payload, account: Option<&str>) -> NewSignup {
        let (row, signup_id) = (ProvisioningId::new(), SignupId::parse(id).unwrap());
        NewSignup {
            payload: self.custody.seal_payload(&row, &signup_id, payload).unwrap(),
            fingerprint: self.custody.fingerprint(&signup_id, account, payload),
            id: row,
            signup_id,
            account_id: account.map(str::to_owned),
            source: Source::Submit,
        }
    }

    /// Accepts a signup whose id is in its email, for any worker to claim.
    pub(crate) async fn accept(&self, payload: &Payload) {
        let id = payload.user.email.split('@').next().unwrap().to_owned();
        self.ledger.accept_queued(vec![self.sealed(&id, payload, None)]).await.unwrap();
    }

    pub(crate) async fn accept_for(&self, payload: &Payload, id: &str, account: &str) {
        self.ledger.accept_queued(vec![self.sealed(id, payload, Some(account))]).await.unwrap();
    }

    /// Accepts a signup under a lease, as the intake does.
    pub(crate) async fn lease(&self, payload: &Payload) -> Claimed {
        let id = payload.user.email.split('@').next().unwrap().to_owned();
        self.lease_as(&id, payload).await
    }

    /// The same for a signup of a customer's.
    pub(crate) async fn lease_for(&self, payload: &Payload, id: &str, account: &str) -> Claimed {
        self.lease_sealed(self.sealed(id, payload, Some(account))).await
    }

    async fn lease_as(&self, id: &str, payload: &Payload) -> Claimed {
        self.lease_sealed(self.sealed(id, payload, None)).await
    }

    async fn lease_sealed(&self, signup: NewSignup) -> Claimed {
        let id = signup.signup_id.clone();
        let accepted = self.ledger.accept_leased(signup, &self.owner, LEASE).await.unwrap();
        let Accepted::Leased(claimed) = accepted else { panic!("{id} was known") };
        *claimed
    }

    pub(crate) async fn accept_and_run(&self, payload: &Payload) -> Ending {
        let claimed = self.lease(payload).await;
        self.runner.run(claimed).await
    }

    pub(crate) async fn accept_and_run_as(&self, id: &str, payload: &Payload) -> Ending {
        let claimed = self.lease_as(id, payload).await;
        self.runner.run(claimed).await
    }

    /// Runs a provisioning in the background, until the simulator has made its user; the answer is still on its way.
    pub(crate) async fn run_until_a_user_is_made(&self, claimed: Claimed) -> tokio::task::JoinHandle<Ending> {
        let runner = self.runner.clone();
        let running = tokio::spawn(async move { runner.run(claimed).await });
        while self.sim.books().users.is_empty() {
            tokio::task::yield_now().await;
        }
        running
    }

    /// Runs everything that is due now, one after the other.
    pub(crate) async fn run_due(&self) -> Vec<Ending> {
        let mut endings = Vec::new();
        for claimed in self.ledger.claim(&self.owner, 100, LEASE).await.unwrap().claimed {
            endings.push(self.runner.run(claimed).await);
        }
        endings
    }

    /// Runs a signup, moving the clock to its due times, until it is provisioned or parked.
    pub(crate) async fn settle(&self, id: &str) -> Ending {
        for _ in 0..60 {
            let row = self.row(id).await;
            match (row.state, row.parked_reason) {
                (State::Closed, _) => return Ending::Provisioned,
                (State::Parked, Some(reason)) => return Ending::Parked(reason),
                _ => {}
            }
            self.run_due().await;
            self.clock.advance(Duration::from_secs(301));
        }
        panic!("{id} does not come to rest: {:?}", self.row(id).await);
    }

    pub(crate) async fn row(&self, id: &str) -> Provisioning {
        self.ledger.find(&SignupId::parse(id).unwrap()).await.unwrap().unwrap()
    }

    /// How many attempts of a kind there were.
    pub(crate) async fn attempts(&self, id: &str, kind: AttemptKind) -> usize {
        let attempts = self.ledger.attempts(&self.row(id).await.id).await.unwrap();
        attempts.iter().filter(|attempt| attempt.kind == kind).count()
    }

    /// Every store that was made belongs to one signup, every provisioned signup has one, and its token opens it.
    pub(crate) async fn books_agree(&self) {
        let books = self.sim.books();
        let rows = self.ledger.list(&foxden_ledger::Filter { limit: 1000, ..Default::default() }).await.unwrap();
        let closed: Vec<_> = rows.iter().filter(|row| row.state == State::Closed).collect();
        for row in &closed {
            let store = books.stores.iter().find(|store| Some(&store.uri) == row.store_uri.as_ref()).unwrap();
            assert_eq!((Some(&store.domain), Some(&store.owner)), (row.store_domain.as_ref(), row.user_uri.as_ref()));
            let kept = self.ledger.credentials(&row.id).await.unwrap();
            let held = kept.iter().rfind(|held| held.scope == Scope::Store).unwrap();
            let around = TokenRow::of(row, held).used_for(row.store_uri.as_deref());
            let token = self.custody.open_token(&around, held.sealed.as_ref().unwrap()).unwrap();
            assert_eq!(self.sim.refresh_token_opens(token.expose()).unwrap().uri, store.uri);
        }
        assert!(books.users.len() <= rows.len() && books.stores.len() <= rows.len(), "something was made twice");
        let known = |uri: &str| rows.iter().any(|row| row.store_uri.as_deref() == Some(uri));
        let parked = rows.iter().filter(|row| row.state == State::Parked).count();
        let strangers = books.stores.iter().filter(|store| !known(&store.uri)).count();
        assert!(strangers <= parked, "a store that no row accounts for");
    }
}
