//! The examples in `docs/examples`: other languages open what foxden has written, and nothing that was moved.
//!
//! Each runs where its language and its library of libsodium are there; `make examples-tools` brings the libraries.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use foxden_ledger::Scope;
use serde_json::{Value, json};

use crate::{
    other_languages::{node, python, skipped, succeeds, top},
    support::{Place, lines, row},
};

/// One language's example.
struct Example {
    name: &'static str,
    runtime: fn() -> Command,
    script: &'static str,
    /// Checks that the library is there.
    probe: [&'static str; 2],
}

const EXAMPLES: [Example; 2] = [
    Example {
        name: "Python with PyNaCl",
        runtime: python,
        script: "open_envelope.py",
        probe: ["-c", "import nacl.bindings"],
    },
    Example {
        name: "Node with libsodium-wrappers",
        runtime: || node("node"),
        script: "open_envelope.js",
        probe: ["-e", "require('libsodium-wrappers')"],
    },
];

impl Example {
    fn open(&self, keys: &str, row: &Value) -> Output {
        let mut child = (self.runtime)()
            .arg(top().join("docs/examples").join(self.script))
            .env("FOXDEN_KEYS", keys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(row.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

/// The examples that can be run here.
fn runnable() -> Vec<Example> {
    let (run, left): (Vec<_>, Vec<_>) =
        EXAMPLES.into_iter().partition(|example| succeeds((example.runtime)().args(example.probe)));
    left.iter().for_each(|example| skipped(&format!("the example for {}", example.name), "`make examples-tools`"));
    run
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_languages_open_the_rows_of_a_ledger_and_refuse_those_that_were_moved() {
    let mut place = Place::new().await;
    place.set("FOXDEN_KEEP_PAYLOADS", "true");
    place.feed(&["submit", "-"], &lines(["s1"]));
    let worker = place.worker("worker");
    place.settled(1).await;
    worker.stop().await;
    let keys = &place.settings["FOXDEN_KEYS"];
    let provisioning = row(&place, "s1").await;
    let ledger = place.ledger().await;
    let held = ledger.credentials(&provisioning.id).await.unwrap();
    ledger.close().await.unwrap();
    let sealed = held.into_iter().find(|held| held.scope == Scope::Store).unwrap().sealed.unwrap();
    let token = json!({
        "environment": "production", "purpose": "credential", "owner": provisioning.id.as_str(),
        "scope": "store_full_access", "envelope": hex(sealed.as_bytes()),
    });
    let event = json!({
        "environment": "production", "purpose": "payload", "owner": provisioning.id.as_str(), "scope": "signup",
        "envelope": hex(provisioning.payload.unwrap().as_bytes()),
    });
    for example in runnable() {
        let opened = example.open(keys, &token);
        let said = String::from_utf8_lossy(&opened.stderr);
        let content: Value =
            serde_json::from_slice(&opened.stdout).unwrap_or_else(|_| panic!("{}: {said}", example.name));
        let opens = place.sim.refresh_token_opens(content["refresh_token"].as_str().unwrap()).map(|grant| grant.uri);
        assert_eq!(opens, provisioning.store_uri, "{}", example.name);
        assert_eq!((&content["signup_id"], &content["source"]), (&"s1".into(), &"created".into()), "{}", example.name);
        let opened = example.open(keys, &event);
        let contents: Value = serde_json::from_slice(&opened.stdout).unwrap();
        assert_eq!((&contents["signup_id"], &contents["contents"]["captcha"]), (&"s1".into(), &Value::Null));
        assert_eq!(contents["contents"]["user"]["email"], "s1@customers.example", "{}", example.name);
        for (field, other) in [
            ("environment", "staging"),
            ("purpose", "payload"),
            ("owner", "00000000-0000-7000-8000-000000000000"),
            ("scope", "user_full_access"),
        ] {
            let mut moved = token.clone();
            moved[field] = other.into();
            let refused = example.open(keys, &moved);
            assert!(!refused.status.success() && refused.stdout.is_empty(), "{}: {field}", example.name);
        }
    }
}

#[test]
fn other_languages_open_the_documented_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("../docs/envelope-vectors.json")).unwrap();
    for example in runnable() {
        for vector in vectors["vectors"].as_array().unwrap() {
            let mut row = vector.clone();
            let fields = row.as_object_mut().unwrap();
            fields.retain(|name, _| ["environment", "purpose", "owner", "scope", "envelope"].contains(&name.as_str()));
            let keys = format!("vector:{}", vector["key_base64"].as_str().unwrap());
            let opened = example.open(&keys, &row);
            let said = String::from_utf8(opened.stdout).unwrap();
            assert_eq!(said, vector["plaintext"].as_str().unwrap(), "{}: {}", example.name, vector["name"]);
        }
    }
}
