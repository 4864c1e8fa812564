//! A database that is far away: what the ledger costs is how often it asks and waits.

use std::time::Duration;

use foxden_ledger::{
    Accepted, Attempt, AttemptId, AttemptKind, AttemptOutcome, Claimed, Entry, Facts, Ledger, NewCredential, NewSignup,
    Next, OutcomeData, OutcomeEvent, OutcomeKind, ProvisioningId, Recorded, Scope, SignupId, Source, Step, WorkerId,
};
use foxden_vault::{KeyRing, Sealed};

use super::{parent_app::ParentApp, relay::Relay};
use crate::support::Place;

const LEASE: Duration = Duration::from_secs(60);
const DISTANCE: Duration = Duration::from_millis(1);
/// The first ones prepare the statements on their connection.
const WARMING: usize = 3;

fn sealed() -> Sealed {
    Sealed::from_bytes([b"FXD1".to_vec(), vec![7; 500]].concat()).unwrap()
}

fn signup(ring: &KeyRing, number: usize) -> NewSignup {
    NewSignup {
        id: ProvisioningId::new(),
        signup_id: SignupId::parse(&format!("afar-{number}")).unwrap(),
        account_id: None,
        source: Source::Submit,
        payload: sealed(),
        fingerprint: ring.fingerprint("test", b"test"),
    }
}

/// What is recorded of a call that was answered with a token.
fn made(claimed: &Claimed, scope: Scope, next: Next) -> Entry {
    let row = &claimed.provisioning;
    let is_store = scope == Scope::Store;
    let uri = Some(format!("https://api.foxycart.com/{scope}s/{}", row.signup_id));
    let data = OutcomeData { signup_id: row.signup_id.to_string(), ..OutcomeData::default() };
    Entry {
        lease: claimed.lease.clone(),
        attempt: Attempt {
            id: AttemptId::new(),
            kind: AttemptKind::Create,
            step: row.step,
            intent: row.intents,
            natural_key: is_store.then(|| format!("{}", row.signup_id)),
            took: Duration::ZERO,
            outcome: AttemptOutcome::Done,
            http_status: Some(201),
            logref: None,
            note: None,
        },
        credential: Some(NewCredential {
            scope,
            intent: row.intents,
            resource_uri: uri.clone(),
            client: None,
            sealed: sealed(),
        }),
        facts: Facts {
            user_uri: uri.clone().filter(|_| !is_store),
            store_domain: (!is_store).then(|| format!("{}", row.signup_id)),
            store_uri: uri.filter(|_| is_store),
            ..Facts::default()
        },
        refused_token: None,
        shared_user: None,
        next,
        event: is_store.then_some(OutcomeEvent { kind: OutcomeKind::Provisioned, data }),
    }
}

async fn written(ledger: &Ledger, entry: Entry) -> Claimed {
    match ledger.record(entry).await.unwrap() {
        Recorded::Written(claimed) => *claimed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_durable_moment_of_a_signup_takes_at_most_two_round_trips() {
    let mut place = Place::new().await;
    let _parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let relay = Relay::to(&place.settings["FOXDEN_DATABASE_URL"]).await;
    relay.move_away(DISTANCE);
    let ledger = Ledger::connect(&relay.through(&place.settings["FOXDEN_DATABASE_URL"]), 1).await.unwrap();
    let ring = KeyRing::parse(&foxden_vault::generate_key("test").unwrap()).unwrap();
    let owner = WorkerId::new();
    let mut trips = [0; 3];
    for number in 0..=WARMING {
        let mut before = relay.round_trips();
        let mut since = || {
            let now = relay.round_trips();
            now - std::mem::replace(&mut before, now)
        };
        let Accepted::Leased(claimed) = ledger.accept_leased(signup(&ring, number), &owner, LEASE).await.unwrap()
        else {
            panic!("it is new");
        };
        trips[0] = since();
        let claimed =
            written(&ledger, made(&claimed, Scope::User, Next::InFlight { step: Step::Store, lease: LEASE })).await;
        trips[1] = since();
        let ended = Next::Provisioned { keep_payload: false, keep_user_token: false };
        let claimed = written(&ledger, made(&claimed, Scope::Store, ended)).await;
        trips[2] = since();
        assert!(claimed.provisioning.is_provisioned());
    }
    assert!(trips.iter().all(|trips| (1..=2).contains(trips)), "accepted, user, store: {trips:?}");
}
