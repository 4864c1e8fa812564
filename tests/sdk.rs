//! Foxy's official SDK for Node against the simulator, and against what foxden provisioned.
//!
//! The scripts are in `tests/sdk`; `make sdk-tools` fetches the SDK. Where it is missing, the tests say that they were
//! skipped.

use std::process::Command;

use foxy_sim::{Config, Simulator};

use crate::{
    other_languages::{node, skipped, succeeds, top},
    support::{Place, lines, row},
};

/// Node, with what `make sdk-tools` has fetched.
fn with_sdk() -> Command {
    node("sdk")
}

fn sdk_is_there() -> bool {
    let there = succeeds(with_sdk().args(["-e", "require('@foxy.io/sdk/backend')"]));
    if !there {
        skipped("Foxy's own SDK", "Node, and `make sdk-tools`");
    }
    there
}

/// Runs a script of Node's test runner, in which at least one test must have passed and none failed.
async fn run(script: &'static str, settings: &[(&str, &str)]) {
    let mut node = with_sdk();
    node.arg("--test").arg("--test-reporter=tap").arg(top().join("tests/sdk").join(script));
    node.envs(settings.iter().copied());
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.lines().any(|line| line.starts_with("ok ")), "{script}:\n{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foxys_own_sdk_finds_in_the_simulator_what_it_takes_for_granted_of_foxy() {
    if !sdk_is_there() {
        return;
    }
    let sim = Simulator::start(Config::default()).await.unwrap();
    let home = format!("{}/", sim.base_url());
    run("conformance.js", &[("FOXY_API_HOME", &home), ("FOXY_AUTHORIZE_URL", &sim.authorize_url())]).await;
    let books = sim.books();
    assert_eq!((books.users.len(), books.stores.len()), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foxys_own_sdk_runs_the_shop_with_the_token_that_foxden_sealed() {
    if !sdk_is_there() {
        return;
    }
    let place = Place::new().await;
    place.feed(&["submit", "-"], &lines(["s1"]));
    let worker = place.worker("worker");
    place.settled(1).await;
    worker.stop().await;
    let provisioning = row(&place, "s1").await;
    let ledger = place.ledger().await;
    let token = place.store_token(&ledger, &provisioning).await;
    ledger.close().await.unwrap();
    let (client_id, client_secret) = place.sim.client();
    let settings = [
        ("FOXY_API_HOME", place.sim.base_url()),
        ("FOXY_CLIENT_ID", client_id),
        ("FOXY_CLIENT_SECRET", client_secret),
        ("FOXY_REFRESH_TOKEN", token.expose()),
        ("STORE_DOMAIN", provisioning.store_domain.as_deref().unwrap()),
        ("STORE_URI", provisioning.store_uri.as_deref().unwrap()),
    ];
    run("provisioned.js", &settings).await;
    assert_eq!(place.sim.books().stores[0].properties["from_email"], "orders@engines.example");
}
