//! What the ledger's transactions cost: `make bench`. On SQLite always; on PostgreSQL too where `DATABASE_URL` names one.
//!
//! Each figure is taken twice in the same run: of one caller, whose operations are batches by themselves, and of many
//! at once, whose operations share them.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foxden_custody::Custody;
use foxden_ledger::{
    Accepted, Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, Ledger, NewCredential, NewSignup,
    Next, OutcomeData, OutcomeEvent, OutcomeKind, ProvisioningId, Recorded, Scope, Step, WorkerId,
};
use foxden_vault::{KeyRing, Sealed};
use tokio::task::JoinSet;

use support::signup;

const LEASE: Duration = Duration::from_secs(60);

/// How many signups are worked on at once, and how many in all.
const LOADS: [(usize, usize); 3] = [(1, 300), (64, 4_000), (256, 8_000)];

/// How many provisionings a claim takes.
const CLAIMED: [u64; 2] = [1, 32];

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
fn report(database: &str, what: &str, at_once: usize, count: usize, took: Duration) {
    let at_once = format!("{at_once} at once");
    println!("{database:<12} {what:<32} {at_once:>12} {:>8.0} /s", count as f64 / took.as_secs_f64());
}

fn signups(count: usize) -> Vec<NewSignup> {
    let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
    let custody = Custody::new(Arc::new(KeyRing::parse(&key).expect("a generated key parses")), "bench");
    (0..count).map(|number| signup(&custody, number)).collect()
}

async fn accept(ledger: Ledger, signup: NewSignup, owner: WorkerId) -> Claimed {
    match ledger.accept_leased(signup, &owner, LEASE).await.expect("accepting works") {
        Accepted::Leased(claimed) => *claimed,
        other => panic!("it is new: {other:?}"),
    }
}

async fn record(ledger: Ledger, entry: Entry) -> Claimed {
    match ledger.record(entry).await.expect("recording works") {
        Recorded::Written(claimed) => *claimed,
        other => panic!("it is ours: {other:?}"),
    }
}

/// What is recorded of a create call that was answered. The token is as long as a sealed one; sealing is not measured.
fn entry(claimed: &Claimed, scope: Scope, next: Next) -> Entry {
    let row = &claimed.provisioning;
    let (uri, is_store) = (Some(format!("https://api.foxycart.com/{scope}s/{}", row.id)), scope == Scope::Store);
    let data = OutcomeData { signup_id: row.signup_id.to_string(), store_uri: uri.clone(), ..OutcomeData::default() };
    let sealed = Sealed::from_bytes([b"FXD1".to_vec(), vec![7; 600]].concat()).expect("it looks like an envelope");
    Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: row.step,
            intent: row.intents,
            natural_key: is_store.then(|| row.id.to_string()),
            took: Duration::ZERO,
            outcome: AttemptOutcome::Done,
            http_status: Some(201),
            logref: None,
            note: None,
        },
        credential: Some(NewCredential { scope, intent: row.intents, resource_uri: uri.clone(), client: None, sealed }),
        facts: Facts {
            user_uri: uri.clone().filter(|_| !is_store),
            store_domain: (!is_store).then(|| row.id.to_string()),
            store_uri: uri.filter(|_| is_store),
            ..Facts::default()
        },
        refused_token: None,
        shared_user: None,
        next,
        event: is_store.then_some(OutcomeEvent { kind: OutcomeKind::Provisioned, data }),
    }
}

fn user_made(claimed: &Claimed) -> Entry {
    entry(claimed, Scope::User, Next::InFlight { step: Step::Store, lease: LEASE })
}

fn store_made(claimed: &Claimed) -> Entry {
    entry(claimed, Scope::Store, Next::Provisioned { keep_payload: false, keep_user_token: false })
}

/// Does this with all of them, at most `at_once` side by side. Answers what came of them, and how long it took.
async fn with_all<A, B, F>(all: Vec<A>, at_once: usize, run: impl Fn(A) -> F) -> (Vec<B>, Duration)
where
    B: Send + 'static,
    F: Future<Output = B> + Send + 'static,
{
    let (started, mut running, mut done) = (Instant::now(), JoinSet::new(), Vec::with_capacity(all.len()));
    for one in all {
        if running.len() == at_once {
            done.extend(running.join_next().await.map(|ended| ended.expect("no operation panics")));
        }
        running.spawn(run(one));
    }
    done.extend(running.join_all().await);
    (done, started.elapsed())
}

async fn measure(name: &str, ledger: Ledger) {
    ledger.migrate_up().await.expect("an empty database migrates");
    let owner = WorkerId::new();
    for (at_once, count) in LOADS {
        let all = signups(count);
        let (claimed, took) = with_all(all, at_once, |signup| accept(ledger.clone(), signup, owner.clone())).await;
        report(name, "accepted", at_once, count, took);
        let entries = claimed.iter().map(user_made).collect();
        let (claimed, took) = with_all(entries, at_once, |entry| record(ledger.clone(), entry)).await;
        report(name, "user recorded", at_once, count, took);
        let entries = claimed.iter().map(store_made).collect();
        let (_, took) = with_all(entries, at_once, |entry| record(ledger.clone(), entry)).await;
        report(name, "store recorded", at_once, count, took);

        let one = |signup| {
            let (ledger, owner) = (ledger.clone(), owner.clone());
            async move {
                let claimed = accept(ledger.clone(), signup, owner).await;
                let claimed = record(ledger.clone(), user_made(&claimed)).await;
                record(ledger, store_made(&claimed)).await
            }
        };
        let (_, took) = with_all(signups(count), at_once, one).await;
        report(name, "signups, all three moments", at_once, count, took);
    }
    for (at_a_time, count) in CLAIMED.into_iter().zip([300, 4_000]) {
        for batch in signups(count).chunks(500) {
            ledger.accept_queued(batch.to_vec()).await.expect("accepting works");
        }
        let started = Instant::now();
        while !ledger.claim(&owner, at_a_time, LEASE).await.expect("claiming works").claimed.is_empty() {}
        report(name, &format!("claimed, {at_a_time} a statement"), 1, count, started.elapsed());
    }
}

#[tokio::main]
async fn main() {
    // Not where temporary files are, which may be memory: a commit has to wait for a disk.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a place for a database");
    let url = format!("sqlite:{}", dir.path().join("ledger.db").display());
    measure("SQLite", Ledger::connect(&url, 1).await.expect("SQLite opens")).await;

    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its server")]
    if let Ok(server) = std::env::var("DATABASE_URL") {
        let name = format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        let ledger = Ledger::create_database(&server, &name).await.expect("the server makes a database");
        measure("PostgreSQL", ledger).await;
    }
}
