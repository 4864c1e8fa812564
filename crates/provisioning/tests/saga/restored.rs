//! A ledger that was restored from an older copy: Foxy has more than its rows say.

use std::time::Duration;

use foxden_ledger::{By, Ledger, MarkRestored, State};
use foxden_provisioning::Ending;

use crate::{
    PROVISIONED, STORE_LOST, USER_LOST,
    world::{World, signup},
};

/// A world whose ledger is a file.
async fn on_file() -> (World, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::connect(&format!("sqlite:{}/ledger.db", dir.path().display()), 1).await.unwrap();
    ledger.migrate_up().await.unwrap();
    (World::on(ledger).await, dir)
}

/// Copies the ledger as it stands. Nothing is at work on it.
async fn copied(dir: &tempfile::TempDir) -> String {
    let (url, copy) = (format!("sqlite:{}/ledger.db", dir.path().display()), dir.path().join("copy.db"));
    let db = sea_orm::Database::connect(&url).await.unwrap();
    let statement = format!("VACUUM INTO '{}'", copy.display());
    sea_orm::ConnectionTrait::execute_unprepared(&db, &statement).await.unwrap();
    format!("sqlite:{}", copy.display())
}

/// A worker on the copy, which is marked.
async fn restored(world: &World, copy: &str, copied_at: i64) -> World {
    let restored = world.with_ledger(Ledger::connect(copy, 1).await.unwrap());
    world.clock.advance(Duration::from_secs(3600));
    let marked = restored.ledger.mark_restored(copied_at, &By::new("a person")).await.unwrap();
    assert!(matches!(marked, MarkRestored::Marked(marked) if marked.open == 1), "{marked:?}");
    restored
}

#[tokio::test]
async fn a_restored_signup_whose_user_exists_makes_no_second_one() {
    for template in [None, Some("shop+{signup_id}.{generation}@platform.example")] {
        let (world, dir) = on_file().await;
        let world = match template {
            None => world,
            Some(template) => world.with_mailbox(template),
        };
        // The mailbox is written with the first intent.
        world.sim.set_faults("POST /users: status 429 first 1".parse().unwrap());
        world.accept(&signup("s1")).await;
        assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
        let (copy, copied_at) = (copied(&dir).await, world.clock.now_ms());
        assert_eq!(world.settle("s1").await, PROVISIONED);
        let restored = restored(&world, &copy, copied_at).await;
        assert_eq!(restored.settle("s1").await, USER_LOST, "{template:?}");
        assert_eq!((world.sim.books().users.len(), world.sim.books().stores.len()), (1, 1), "{template:?}");
    }
}

#[tokio::test]
async fn a_restored_signup_whose_store_exists_makes_no_second_one() {
    let (world, dir) = on_file().await;
    world.sim.set_faults("POST /stores: status 429 first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    let (copy, copied_at) = (copied(&dir).await, world.clock.now_ms());
    assert_eq!(world.settle("s1").await, PROVISIONED);
    let restored = restored(&world, &copy, copied_at).await;
    assert_eq!(restored.settle("s1").await, STORE_LOST);
    assert_eq!(world.sim.books().stores.len(), 1);
}

#[tokio::test]
async fn a_restored_signup_whose_store_has_another_domain_makes_no_second_one() {
    let (world, dir) = on_file().await;
    world.sim.set_faults("POST /stores: status 429 first 1".parse().unwrap());
    world.accept(&signup("s1")).await;
    assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
    let (copy, copied_at) = (copied(&dir).await, world.clock.now_ms());
    // Another customer takes the domain, and moves away after the signup has taken the next one.
    let mut stranger = signup("s2");
    stranger.store.name = signup("s1").store.name;
    assert_eq!(world.accept_and_run(&stranger).await, PROVISIONED);
    assert_eq!(world.settle("s1").await, PROVISIONED);
    assert_eq!(world.row("s1").await.store_domain.as_deref(), Some("engines-s1-2"));
    let restored = restored(&world, &copy, copied_at).await;
    assert_eq!(restored.settle("s1").await, STORE_LOST);
    assert_eq!(world.sim.books().stores.len(), 2, "the stranger's and its own");
    assert_eq!(restored.row("s1").await.store_uri, None, "which of the user's stores it is, is not known");
}

#[tokio::test]
async fn a_restored_signup_that_went_no_further_is_provisioned() {
    for fault in ["POST /users: status 429 first 1", "POST /stores: status 429 first 1"] {
        let (world, dir) = on_file().await;
        world.sim.set_faults(fault.parse().unwrap());
        world.accept(&signup("s1")).await;
        assert_eq!(world.run_due().await, [Ending::Waiting(State::Due)]);
        let (copy, copied_at) = (copied(&dir).await, world.clock.now_ms());
        let restored = restored(&world, &copy, copied_at).await;
        assert_eq!(restored.settle("s1").await, PROVISIONED, "{fault}");
        restored.books_agree().await;
    }
}

/// A copy in which `s1` has a user whose token is kept, and `s2`, of the same customer and with an email of its own,
/// is not begun. Then `s3` of the same customer comes, which wants the same name for its store.
async fn with_three_of_one_customer(first_name: &str, fault: Option<&str>) -> (World, World, tempfile::TempDir) {
    let (world, dir) = on_file().await;
    let world = world.with_policy(|policy| policy.keep_user_tokens = true);
    let called = |id, name: &str| {
        let mut payload = signup(id);
        payload.store.name = name.into();
        payload
    };
    world.accept_for(&called("s1", first_name), "s1", "customer-7").await;
    assert_eq!(world.settle("s1").await, PROVISIONED);
    let named = |id| called(id, "Same Name");
    world.accept_for(&named("s2"), "s2", "customer-7").await;
    let (copy, copied_at) = (copied(&dir).await, world.clock.now_ms());
    if let Some(fault) = fault {
        world.sim.set_faults(fault.parse().unwrap());
    }
    world.clock.advance(Duration::from_secs(1));
    let other = world.lease_for(&named("s3"), "s3", "customer-7").await;
    world.runner.run(other).await;
    if fault.is_some() {
        assert_eq!(world.run_due().await, [PROVISIONED]);
    }
    let restored = restored(&world, &copy, copied_at).await;
    (world, restored, dir)
}

#[tokio::test]
async fn a_restored_signup_looks_for_its_store_under_the_user_of_another() {
    // Beside s3, which was never made, s1 may have a store of that name.
    for (first_name, fault, domain) in [
        ("Another", "POST /stores: status 429 nth 1", "same-name-2"),
        ("Same Name", "POST /stores: status 429 nth 2", "same-name-3"),
    ] {
        let (world, restored, _dir) = with_three_of_one_customer(first_name, Some(fault)).await;
        assert_eq!(world.row("s2").await.store_domain.as_deref(), Some(domain));
        assert_eq!(restored.settle("s2").await, STORE_LOST, "{domain}");
        assert_eq!(world.sim.books().stores.len(), 2, "s1's and s2's");
    }
}

#[tokio::test]
async fn a_store_that_a_restored_signup_finds_under_the_user_of_another_may_be_a_thirds() {
    let (world, restored, _dir) = with_three_of_one_customer("Another", None).await;
    assert_eq!(world.row("s3").await.store_domain.as_deref(), Some("same-name"));
    assert_eq!(restored.settle("s2").await, STORE_LOST);
    assert_eq!(restored.row("s2").await.store_uri, None, "it is s3's, which the copy does not know");
}
