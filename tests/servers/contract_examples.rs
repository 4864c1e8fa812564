//! The examples in `docs/contract/examples`, run as they stand there.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::parent_app::ParentApp;
use crate::{
    other_languages::{node, php, python, skipped, succeeds, top},
    support::{Place, event},
};

#[expect(dead_code, reason = "its `main` is for those who run it as a program")]
#[path = "../../docs/contract/examples/publish.rs"]
mod publish;

/// An example in a language that may not be installed here.
struct Example {
    language: &'static str,
    runtime: fn() -> Command,
    file: &'static str,
    /// Arguments that only check its syntax; the file comes behind them.
    syntax: &'static [&'static str],
    /// Arguments that succeed where its library is installed.
    library: [&'static str; 2],
    /// What to do where it is not.
    needs: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        language: "PHP",
        runtime: php,
        file: "publish.php",
        syntax: &["-l"],
        library: ["-r", "require 'vendor/autoload.php'; new PhpAmqpLib\\Message\\AMQPMessage('');"],
        needs: "PHP with php-amqplib",
    },
    Example {
        language: "Node",
        runtime: || node("node"),
        file: "publish.js",
        syntax: &["--check"],
        library: ["-e", "require('amqplib')"],
        needs: "Node, and `make examples-tools`",
    },
    Example {
        language: "Python",
        runtime: python,
        file: "publish.py",
        syntax: &["-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())"],
        library: ["-c", "import pika"],
        needs: "Python, and `make examples-tools`",
    },
];

fn folder() -> PathBuf {
    top().join("docs/contract/examples")
}

/// Where the examples are run: a copy, so that PHP's can have beside it the autoloader that it asks for. Composer would
/// write one; here it leads to the library as Debian packages it (`php-amqplib`).
fn workplace(at: &Path) -> PathBuf {
    let place = at.join("examples");
    std::fs::create_dir_all(place.join("vendor")).unwrap();
    for example in &EXAMPLES {
        std::fs::copy(folder().join(example.file), place.join(example.file)).unwrap();
    }
    std::fs::write(place.join("vendor/autoload.php"), "<?php require 'PhpAmqpLib/autoload.php';").unwrap();
    place
}

#[test]
fn every_example_is_free_of_syntax_errors_where_its_language_is_installed() {
    for example in &EXAMPLES {
        if !succeeds((example.runtime)().arg("--version")) {
            skipped(&format!("the syntax of the example for {}", example.language), example.needs);
            continue;
        }
        let mut check = (example.runtime)();
        check.current_dir(folder()).args(example.syntax).arg(example.file);
        assert!(succeeds(&mut check), "{}", example.file);
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
    let workplace = workplace(place.dir.path());
    for example in &EXAMPLES {
        let run = |arguments: &[&str]| {
            let mut run = (example.runtime)();
            run.current_dir(&workplace).args(arguments);
            run
        };
        if !succeeds(&mut run(&example.library)) {
            skipped(&format!("the example for {}", example.language), example.needs);
            continue;
        }
        let file = place.path(&format!("{}.json", example.language));
        std::fs::write(&file, body(example.language)).unwrap();
        let ended = run(&[example.file, url, exchange, "signup", file.to_str().unwrap()]).output().unwrap();
        assert!(ended.status.success(), "{}: {ended:?}", example.file);
        let mut nowhere = run(&[example.file, url, exchange, "nowhere", file.to_str().unwrap()]);
        assert!(!succeeds(&mut nowhere), "{} says that it was routed, and it was not", example.file);
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
