//! The examples in `docs/contract/examples`, run as they stand there.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::parent_app::ParentApp;
use crate::support::{Place, event};

#[expect(dead_code, reason = "its `main` is for those who run it as a program")]
#[path = "../../docs/contract/examples/publish.rs"]
mod publish;

/// An example in a language that may not be installed here.
struct Example {
    language: &'static str,
    runtime: &'static str,
    file: &'static str,
    /// Arguments that only check its syntax; the file comes behind them.
    syntax: &'static [&'static str],
    /// Arguments that succeed where its library is installed.
    library: &'static [&'static str],
}

const EXAMPLES: [Example; 3] = [
    Example {
        language: "PHP",
        runtime: "php",
        file: "publish.php",
        syntax: &["-l"],
        library: &[
            "-r",
            "require 'vendor/autoload.php'; exit(class_exists('PhpAmqpLib\\Message\\AMQPMessage') ? 0 : 1);",
        ],
    },
    Example {
        language: "Node",
        runtime: "node",
        file: "publish.js",
        syntax: &["--check"],
        library: &["-e", "require('amqplib')"],
    },
    Example {
        language: "Python",
        runtime: "python3",
        file: "publish.py",
        syntax: &["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"],
        library: &["-c", "import pika"],
    },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract/examples")
}

/// Whether a program ran and ended well.
fn succeeds(runtime: &str, arguments: &[&str]) -> bool {
    let ended = Command::new(runtime).args(arguments).current_dir(folder()).stdin(Stdio::null()).output();
    ended.is_ok_and(|ended| ended.status.success())
}

/// Written past the test harness, which would keep back what a test prints that goes well.
fn left_out(example: &Example, what: &str) {
    let told = format!("NOT TESTED: the {} example is not run, since {what}\n", example.language);
    std::io::stderr().write_all(told.as_bytes()).unwrap();
}

#[test]
fn every_example_is_free_of_syntax_errors_where_its_language_is_installed() {
    for example in &EXAMPLES {
        if !succeeds(example.runtime, &["--version"]) {
            left_out(example, &format!("there is no {}", example.runtime));
            continue;
        }
        let arguments: Vec<&str> = example.syntax.iter().copied().chain([example.file]).collect();
        assert!(succeeds(example.runtime, &arguments), "{}", example.file);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_published_by_each_example_is_provisioned() {
    let mut place = Place::new().await;
    let _parent = ParentApp::join(&mut place).await;
    place.feed(&["migrate", "up"], "");
    let worker = place.worker("worker");
    worker.until("broker.connected").await;
    let [url, exchange] = ["FOXDEN_AMQP_URL", "FOXDEN_AMQP_EXCHANGE"].map(|name| place.settings[name].as_str());

    // The published example of an event, under an id of its own for each language.
    let sample: Value = serde_json::from_slice(&std::fs::read(folder().join("signup.json")).unwrap()).unwrap();
    let body = |signup_id: &str| {
        let mut event = sample.clone();
        event["signup_id"] = signup_id.into();
        event["user"]["id"] = signup_id.into();
        event["user"]["email"] = format!("{signup_id}@customers.example").into();
        event.to_string()
    };
    publish::publish(url, exchange, "signup", body("Rust").as_bytes()).await.unwrap();
    let mut published = vec!["Rust"];
    for example in &EXAMPLES {
        if !succeeds(example.runtime, example.library) {
            left_out(example, &format!("{} or its AMQP library is not installed", example.runtime));
            continue;
        }
        let file = place.path(&format!("{}.json", example.language));
        std::fs::write(&file, body(example.language)).unwrap();
        let arguments = [example.file, url, exchange, "signup", file.to_str().unwrap()];
        let ended = Command::new(example.runtime).args(arguments).current_dir(folder()).output().unwrap();
        assert!(ended.status.success(), "{}: {ended:?}", example.file);
        let nowhere = [example.file, url, exchange, "nowhere", file.to_str().unwrap()];
        assert!(!succeeds(example.runtime, &nowhere), "{} says that it was routed, and it was not", example.file);
        published.push(example.language);
    }
    assert!(publish::publish(url, exchange, "nowhere", event("x").to_string().as_bytes()).await.is_err());

    let rows = place.settled(published.len()).await;
    worker.stop().await;
    place.books_agree(&rows).await;
    let mut made: Vec<_> = rows.iter().map(|row| row.signup_id.as_str()).collect();
    made.sort_unstable();
    published.sort_unstable();
    assert_eq!(made, published);
}
