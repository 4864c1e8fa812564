//! What the indexes of the lists cost a signup: medians of signups into a ledger with them and into one without, in
//! turns. On SQLite always; on PostgreSQL too where `DATABASE_URL` names one.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use foxden_custody::{Custody, TokenRow};
use foxden_ledger::{
    Accepted, Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, Ledger, NewCredential, Next,
    ProvisioningId, Recorded, Scope, Step, WorkerId,
};
use foxden_vault::{KeyRing, RefreshToken};
use sea_orm::{ConnectionTrait as _, Database};

use support::signup;

/// There before anything is measured.
const FILLED: usize = 20_000;
const SIGNUPS: usize = 1_500;
const LEASE: Duration = Duration::from_secs(60);

/// The schema as it was before the migration of the lists, but for its column.
const WITHOUT: &str = "DROP INDEX provisionings_by_accepted; DROP INDEX provisionings_by_state; \
                       DROP INDEX provisionings_cancelled; DROP INDEX provisionings_orphaned; \
                       DROP INDEX credentials_apart; \
                       CREATE INDEX provisionings_by_due ON provisionings (state, due_at)";

fn custody() -> Custody {
    let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
    Custody::new(Arc::new(KeyRing::parse(&key).expect("a generated key parses")), "bench")
}

async fn record(
    ledger: &Ledger,
    custody: &Custody,
    claimed: &Claimed,
    scope: Scope,
    facts: Facts,
    next: Next,
) -> Claimed {
    let row = &claimed.provisioning;
    let sealed = custody
        .seal_token(&TokenRow::of_call(row, scope, row.intents, None), &RefreshToken::new("a token"))
        .expect("a token seals");
    let entry = Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: row.step,
            intent: row.intents,
            natural_key: None,
            took: Duration::from_millis(5),
            outcome: AttemptOutcome::Done,
            http_status: Some(201),
            logref: None,
            note: None,
        },
        credential: Some(NewCredential {
            scope,
            intent: row.intents,
            resource_uri: facts.store_uri.clone(),
            client: None,
            sealed,
        }),
        refused_token: None,
        shared_user: None,
        facts,
        next,
        event: None,
    };
    match ledger.record(entry).await.expect("recording works") {
        Recorded::Written(claimed) => *claimed,
        other => panic!("{other:?}"),
    }
}

/// The three transactions of one signup.
async fn one(ledger: &Ledger, custody: &Custody, owner: &WorkerId, number: usize) -> Duration {
    let new = signup(custody, number);
    let started = Instant::now();
    let accepted = ledger.accept_leased(new, owner, LEASE).await.expect("accepting works");
    let Accepted::Leased(claimed) = accepted else { panic!("it is new") };
    let user = Facts {
        user_uri: Some(format!("https://x/users/{number}")),
        store_domain: Some(format!("shop-{number}")),
        ..Facts::default()
    };
    let next = Next::InFlight { step: Step::Store, lease: LEASE };
    let claimed = record(ledger, custody, &claimed, Scope::User, user, next).await;
    let store = Facts { store_uri: Some(format!("https://x/{}", claimed.lease.id)), ..Facts::default() };
    let next = Next::Provisioned { keep_payload: false, keep_user_token: false };
    record(ledger, custody, &claimed, Scope::Store, store, next).await;
    started.elapsed()
}

async fn filled(ledger: Ledger, custody: &Custody) -> Ledger {
    ledger.migrate_up().await.expect("an empty database migrates");
    let waiting: Vec<_> = (0..FILLED).map(|number| signup(custody, number)).collect();
    for batch in waiting.chunks(500) {
        ledger.accept_queued(batch.to_vec()).await.expect("accepting works");
    }
    ledger
}

async fn strip(url: &str) {
    let db = Database::connect(url).await.expect("the database answers");
    db.execute_unprepared(WITHOUT).await.expect("the indexes are there");
    db.close().await.expect("it closes");
}

#[expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]
async fn measure(name: &str, with: Ledger, without: Ledger, custody: &Custody) {
    let (owner, mut took) = (WorkerId::new(), [Vec::new(), Vec::new()]);
    // Signup by signup, so that whatever else the machine does meets both.
    for number in 0..SIGNUPS {
        let mut turns = [(&with, 0), (&without, 1)];
        turns.rotate_left(number % 2);
        for (ledger, place) in turns {
            took[place].push(one(ledger, custody, &owner, number).await);
        }
    }
    let [with, without] = took.map(|mut took| {
        took.sort();
        took[SIGNUPS / 2].as_secs_f64() * 1000.0
    });
    println!("{name:<12} a signup: {with:.3} ms, without them {without:.3} ms, ratio {:.3}", with / without);
}

#[tokio::main]
async fn main() {
    let custody = custody();
    let dir = tempfile::tempdir().expect("a place for a database");
    let url = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
    let open = async |name: &str| filled(Ledger::connect(&url(name), 1).await.expect("SQLite opens"), &custody).await;
    let (with, without) = (open("with.db").await, open("without.db").await);
    strip(&url("without.db")).await;
    measure("SQLite", with, without, &custody).await;

    #[expect(clippy::disallowed_methods, reason = "the one door by which a benchmark is told of its server")]
    if let Ok(server) = std::env::var("DATABASE_URL") {
        let name = || format!("bench_{}", ProvisioningId::new().as_str().replace('-', ""));
        let (with, without) = (name(), name());
        let create = async |name: &str| {
            filled(Ledger::create_database(&server, name).await.expect("the server makes a database"), &custody).await
        };
        let (with, stripped) = (create(&with).await, create(&without).await);
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        strip(&format!("{base}/{without}")).await;
        measure("PostgreSQL", with, stripped, &custody).await;
    }
}
