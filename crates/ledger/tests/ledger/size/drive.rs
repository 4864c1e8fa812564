//! Every operation of the ledger, each way that sends statements of its own.

use std::time::Duration;

use foxden_custody::{Custody, Escrow, Reseal, TokenPlace, TokenRow};
use foxden_ledger::{
    Act, AttemptKind, By, Claimed, ClientId, CorrectedKey, Correction, Deed, Doubt, Facts, Filter, Forgetting,
    FoxyClient, Ledger, Look, Next, OutcomeData, OutcomeEvent, OutcomeKind, ParkedReason, PlaceOfEvent, Places,
    Provisioning, ProvisioningId, Scope, SignupId, Source, State, Step, WhichFoxy, WorkerId,
};
use foxden_vault::{KeyRing, RefreshToken};

use super::{granting, rows::signup_id};
use crate::{
    cancelling::cancellation,
    support::{LEASE, accept, entry, payload, row, signup, token, written},
};

const NOW: Duration = Duration::ZERO;
/// Leaves more than two pages to prune of the smallest ledger.
pub(super) const KEEP: Duration = Duration::from_hours(12);

pub(crate) async fn everything(ledger: &Ledger, custody: &Custody) {
    accepting(ledger, custody).await;
    working(ledger, custody).await;
    telling(ledger).await;
    people(ledger, custody).await;
    renewing(ledger, custody).await;
    granting::everything(ledger, custody).await;
    reading(ledger).await;
    keys(ledger).await;
    pruning(ledger).await;
}

async fn accepting(ledger: &Ledger, custody: &Custody) {
    let owner = WorkerId::new();
    accept(ledger, custody, &owner, "new-1").await;
    ledger.accept_leased(signup(custody, "new-1"), &owner, LEASE).await.unwrap();
    let batch = ["new-2", "new-3", "new-1"].map(|id| signup(custody, id)).to_vec();
    ledger.accept_queued(batch).await.unwrap();
    ledger.known(&parse("new-1")).await.unwrap();
}

/// What the worker's loops do to what is due.
async fn working(ledger: &Ledger, custody: &Custody) {
    let owner = WorkerId::new();
    ledger.now_ms().await.unwrap();
    ledger.sweep(NOW).await.unwrap();
    let claims = ledger.claim_places(&owner, Places { all: 32, for_new: Some(6) }, LEASE).await.unwrap();
    let leases: Vec<_> = claims.claimed.iter().map(|claimed| claimed.lease.clone()).collect();
    assert_eq!(ledger.renew(&owner, &leases, LEASE).await.unwrap().len(), 32);

    // The whole way of a signup.
    let claimed = accept(ledger, custody, &owner, "made").await;
    let mut user = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    user.credential = token(&claimed, custody, Scope::User, "user");
    user.facts = Facts { user_uri: Some("https://x/1".into()), store_domain: Some("d".into()), ..Facts::default() };
    let claimed = written(ledger, user.clone()).await;
    ledger.record(user).await.unwrap();
    let mut store = entry(&claimed, Next::Provisioned { keep_payload: false, keep_user_token: false });
    store.credential = token(&claimed, custody, Scope::Store, "store");
    store.facts = Facts { store_uri: Some("https://x/2".into()), ..Facts::default() };
    store.event = Some(event(&claimed.provisioning, OutcomeKind::Provisioned));
    written(ledger, store).await;

    // The other ends.
    let claimed = accept(ledger, custody, &owner, "due").await;
    let mut due = entry(&claimed, Next::Due { step: Step::User, delay: LEASE, at_least: Duration::ZERO });
    due.facts.generation = Some(2);
    written(ledger, due).await;
    let claimed = accept(ledger, custody, &owner, "unknown").await;
    written(ledger, entry(&claimed, Next::Unknown { delay: LEASE, doubt: Doubt::Call })).await;
    late_token(ledger, custody, &owner).await;
    names(ledger, custody, &owner).await;
    looking_up(ledger).await;
}

pub(super) async fn parked(ledger: &Ledger, custody: &Custody, signup_id: &str, reason: ParkedReason) -> Claimed {
    let claimed = accept(ledger, custody, &WorkerId::new(), signup_id).await;
    let mut parked = entry(&claimed, Next::Parked { reason, detail: None });
    parked.event = Some(event(&claimed.provisioning, OutcomeKind::Parked));
    written(ledger, parked).await
}

/// One whose row was parked for its loss, and one that comes by the escrow.
async fn late_token(ledger: &Ledger, custody: &Custody, owner: &WorkerId) {
    let claimed = accept(ledger, custody, owner, "late").await;
    written(ledger, entry(&claimed, Next::Parked { reason: ParkedReason::UserTokenLost, detail: None })).await;
    let mut late = entry(&claimed, Next::Due { step: Step::Store, delay: NOW, at_least: Duration::ZERO });
    late.credential = token(&claimed, custody, Scope::User, "late");
    ledger.record(late).await.unwrap();

    let lost = parked(ledger, custody, "escrowed", ParkedReason::UserTokenLost).await;
    let dir = tempfile::tempdir().unwrap();
    let escrow = Escrow::open(dir.path()).unwrap();
    escrow.keep(&lost.lease.id, &token(&lost, custody, Scope::User, "late").unwrap()).await.unwrap();
    assert_eq!(escrow.drain(ledger, custody).await.unwrap(), 1);
}

/// Under another signup's user: what is asked before a name is written.
async fn names(ledger: &Ledger, custody: &Custody, owner: &WorkerId) {
    let user = Some(row(ledger, &signup_id(90)).await.id);
    let claimed = accept(ledger, custody, owner, "named").await;
    let mut named = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
    (named.facts.user_from, named.shared_user) = (user.clone(), user.clone());
    named.facts.store_domain = Some("named".to_owned());
    let claimed = written(ledger, named).await;
    for (kind, number) in [(AttemptKind::Create, 1), (AttemptKind::Lookup, 2)] {
        let mut found = entry(&claimed, Next::InFlight { step: Step::Store, lease: LEASE });
        (found.attempt.kind, found.shared_user) = (kind, user.clone());
        found.facts.store_uri = Some(format!("https://api.foxycart.com/stores/named-{number}"));
        written(ledger, found).await;
    }
}

async fn looking_up(ledger: &Ledger) {
    let row = row(ledger, &signup_id(90)).await;
    let account = row.account_id.clone().unwrap();
    ledger.store_claim(&row, "shop-90", "https://api.foxycart.com/stores/12").await.unwrap();
    ledger.another_may_have_the_user_of(&row, &account).await.unwrap();
    ledger.provisioned_for(&account).await.unwrap();
    ledger.has_provisioned(&account).await.unwrap();
    ledger.credentials(&row.id).await.unwrap();
    ledger.attempts(&row.id).await.unwrap();
    ledger.superseded_contents(&row).await.unwrap();
    ledger.newest_sealed(3).await.unwrap();
}

async fn telling(ledger: &Ledger) {
    let row = row(ledger, &signup_id(98)).await;
    ledger.tell("00000000-0000-0000-0000-000000000001".into(), event(&row, OutcomeKind::Rejected)).await.unwrap();
    ledger.tell_standing(&row.id, answer).await.unwrap();
    let (publisher, lease) = (WorkerId::new(), Duration::from_secs(14));
    let held = ledger.take_publishing(&publisher, lease).await.unwrap().unwrap();
    let look = |after, set_aside| Look { after, kinds: OutcomeKind::ALL.to_vec(), set_aside };
    let next = ledger.next_events(look(0, vec![])).await.unwrap();
    ledger.next_events(look(next.more_after.unwrap(), vec![1, 2, 3])).await.unwrap();
    assert!(ledger.holds_publishing(&held).await.unwrap());
    ledger.published(&held, lease, next.ready.iter().take(25).map(|event| event.seq).collect()).await.unwrap();
    ledger.release_publishing(&held).await.unwrap();
    ledger.waiting_events(100).await.unwrap();
    ledger.count_waiting_events().await.unwrap();
    ledger.mark_published(next.ready.iter().skip(25).take(25).map(|event| event.seq).collect()).await.unwrap();
}

/// What people do, while workers go on.
async fn people(ledger: &Ledger, custody: &Custody) {
    parked(ledger, custody, "retried", ParkedReason::DomainTaken).await;
    ledger.retry(&parse("retried"), "a person").await.unwrap();
    parked(ledger, custody, "corrected", ParkedReason::DomainTaken).await;
    let known = ledger.known(&parse("corrected")).await.unwrap();
    let correction = Correction {
        account_id: None,
        source: Source::Submit,
        payload: custody.seal_payload(&known.provisioning.id, &parse("corrected"), &payload()).unwrap(),
        fingerprint: custody.fingerprint(&parse("corrected"), None, &payload()),
        key: CorrectedKey::Store(None),
    };
    ledger.correct(&known.provisioning, &known.fingerprint, correction).await.unwrap().unwrap();
    parked(ledger, custody, "cancelled", ParkedReason::DomainTaken).await;
    let resting = row(ledger, "cancelled").await;
    let quiet = foxden_ledger::Cancellation { tell_anyway: false, ..cancellation(&resting) };
    ledger.cancel(&resting, quiet).await.unwrap().unwrap();
    let by = By::new("a person");
    ledger.forget(&parse("cancelled"), Forgetting::default(), &by).await.unwrap();
    ledger.forget(&parse(&signup_id(1)), Forgetting { tokens: true, links: true }, &by).await.unwrap();
    ledger.audit(&by, Deed::to(Act::OpenToken, &parse("made"))).await.unwrap();
    ledger.audit_of(&parse(&signup_id(20)), 20).await.unwrap();
}

/// Foxy answers other tokens than those that were used.
async fn renewing(ledger: &Ledger, custody: &Custody) {
    let claimed = accept(ledger, custody, &WorkerId::new(), "renewed").await;
    let mut record = entry(&claimed, Next::Due { step: Step::Store, delay: LEASE, at_least: Duration::ZERO });
    record.credential = token(&claimed, custody, Scope::User, "first");
    written(ledger, record).await;
    let row = row(ledger, "renewed").await;
    let place = TokenPlace::new(
        ledger,
        custody,
        TokenRow::of_call(
            &row,
            Scope::User,
            claimed.provisioning.intents,
            Some("https://api.foxycart.com/user_full_access/1"),
        ),
    );
    let renew = async |used: &str, new: &str| {
        place.renew(&RefreshToken::new(used), &RefreshToken::new(new)).await.unwrap();
    };
    renew("first", "second").await;
    renew("first", "third").await;
    renew("second", "third").await;
    let client = FoxyClient { foxy: WhichFoxy::Sandbox, id: ClientId::parse("client").unwrap() };
    place.accepted_from(&client).await.unwrap();
}

async fn reading(ledger: &Ledger) {
    ledger.find(&parse(&signup_id(7))).await.unwrap();
    ledger.newest_user_uri().await.unwrap();
    ledger.belong_to(&WhichFoxy::Sandbox).await.unwrap();
    ledger.foxy().await.unwrap();
    ledger.has_fxd1_ended().await.unwrap();
    ledger.end_fxd1(&By::new("size")).await.unwrap();
    ledger.admit_fxd1(&By::new("size")).await.unwrap();
    ledger.clients_in_use().await.unwrap();
    ledger.standings().await.unwrap();
    ledger.count_orphans().await.unwrap();
    ledger.orphans().await.unwrap();
    ledger.left_stores().await.unwrap();
    // A first page, and one behind it.
    let listed = async |filter: Filter| {
        let mut listing = ledger.listing(Filter { limit: 1000, ..filter });
        for _ in 0..2 {
            assert!(!listing.next_page().await.unwrap().unwrap().is_empty());
        }
    };
    listed(Filter::default()).await;
    for state in State::ALL {
        listed(Filter { state: Some(*state), ..Filter::default() }).await;
    }
    for cancelled in [true, false] {
        listed(Filter { state: Some(State::Closed), cancelled: Some(cancelled), ..Filter::default() }).await;
    }
}

/// A first page, and one behind it.
async fn pruning(ledger: &Ledger) {
    for _ in 0..2 {
        assert!(ledger.prune_evidence(KEEP).await.unwrap().deleted > 0);
    }
    let first = ledger.prune_events(KEEP, PlaceOfEvent::default()).await.unwrap();
    assert!(first.deleted > 0);
    ledger.prune_events(KEEP, first.next.unwrap()).await.unwrap();
    assert!(ledger.evidence_pruned_to().await.unwrap() > 0);
}

async fn keys(ledger: &Ledger) {
    let keys = ledger.keys_in_use().await.unwrap();
    ledger.count_by_key().await.unwrap();
    ledger.count_envelopes_of(*keys.first().unwrap(), u32::MAX).await.unwrap();
    // Two signups under a key of their own, which the walk's ring has beside its first one.
    let (old, new) = (foxden_vault::generate_key("old").unwrap(), foxden_vault::generate_key("new").unwrap());
    let of = |keys: &str| Custody::new(KeyRing::parse(keys).unwrap().into(), "test");
    let custody = of(&old);
    let claimed = accept(ledger, &custody, &WorkerId::new(), "resealed").await;
    let mut record = entry(&claimed, Next::Due { step: Step::Store, delay: LEASE, at_least: Duration::ZERO });
    record.credential = token(&claimed, &custody, Scope::User, "user");
    written(ledger, record).await;
    let mut walk = Reseal::begin(ledger, &of(&[new.as_str(), old.as_str()].join(","))).await.unwrap();
    let mut moved = 0;
    while let Some(page) = walk.next_page(200).await.unwrap() {
        moved += page.moved;
    }
    assert_eq!(moved, 2);
}

fn parse(signup_id: &str) -> SignupId {
    SignupId::parse(signup_id).unwrap()
}

fn event(row: &Provisioning, kind: OutcomeKind) -> OutcomeEvent {
    OutcomeEvent { kind, data: OutcomeData::of(row) }
}

fn answer(row: &Provisioning) -> (String, OutcomeEvent) {
    (ProvisioningId::new().to_string(), event(row, OutcomeKind::Duplicate))
}
