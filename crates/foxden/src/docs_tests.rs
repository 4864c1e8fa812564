//! Keeps what operators read in step with the program: every event name, variable, default and parked reason.

use std::{collections::BTreeSet, fs, path::Path};

use foxden_intake::{DeadReason, SIGNUP_TYPE};
use foxden_ledger::{OutcomeKind, ParkedReason};

const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");
const LOGGING: &str = include_str!("../../../docs/LOGGING.md");
const CONTRACT: &str = include_str!("../../../docs/contract.md");
const SAMPLE: &str = include_str!("../../../deploy/foxden.env.example");

/// What stands before an event's name in the source. The second is for names that are handed to a function.
const BEFORE_A_NAME: [&str; 2] = ["event = \"", "say_if_failed(\""];

/// The names in one source file, up to its unit tests, which have events of their own.
fn names_in(source: &str) -> impl Iterator<Item = &str> {
    let program = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    BEFORE_A_NAME.into_iter().flat_map(|before| program.split(before).skip(1)).filter_map(|rest| rest.split('"').next())
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            collect(&path, names);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            names.extend(names_in(&fs::read_to_string(&path).unwrap()).map(str::to_owned));
        }
    }
}

/// The names in the first column of LOGGING.md's tables of events.
fn documented_events() -> BTreeSet<String> {
    let events = LOGGING.split("\n## The events\n").nth(1).expect("LOGGING.md has its section of events");
    events
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[test]
fn every_event_is_documented_and_every_documented_event_exists() {
    let mut emitted = BTreeSet::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["custody", "foxden", "foxy-api", "intake", "ledger", "provisioning", "web"] {
        collect(&crates.join(name).join("src"), &mut emitted);
    }
    assert!(emitted.contains("provisioning.parked"), "the source was not read");
    assert_eq!(emitted, documented_events());
}

#[test]
fn every_variable_has_a_row_with_its_default() {
    let is_ours = |line: &&str| line.starts_with("FOXDEN_");
    let shown = SAMPLE.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).filter(is_ours);
    for (name, value) in shown.filter_map(|line| line.split_once('=')) {
        let default = match (name, value) {
            // The sample sets what a newcomer needs.
            ("FOXDEN_FOXY_API", _) => "`production` ".to_owned(),
            (_, "") => String::new(),
            (_, value) => format!("`{value}` "),
        };
        let plain = format!("\n| `{name}` | {default}| ");
        let with_file = format!("\n| `{name}` (`_FILE`) | {default}| ");
        assert!(OPERATIONS.contains(&plain) || OPERATIONS.contains(&with_file), "OPERATIONS.md lacks:{plain}");
    }
}

#[test]
fn every_parked_reason_is_in_the_runbook() {
    for reason in ParkedReason::ALL {
        assert!(OPERATIONS.contains(&format!("\n### `{reason}`\n")), "OPERATIONS.md has no heading for {reason}");
    }
}

#[test]
fn every_reason_for_a_dead_letter_is_in_the_contract_and_in_the_runbook() {
    for reason in DeadReason::ALL {
        assert!(CONTRACT.contains(&format!("\n| `{reason}` | ")), "contract.md has no row for {reason}");
        assert!(OPERATIONS.contains(&format!("`{reason}`")), "OPERATIONS.md does not say what to do about {reason}");
    }
    assert!(CONTRACT.contains(&format!("| `type` | `{SIGNUP_TYPE}` |")), "contract.md has another type of CloudEvent");
}

#[test]
fn every_outcome_event_is_in_the_contract() {
    for kind in OutcomeKind::ALL {
        let row = format!("\n| `signup.{kind}` | `com.foxden.signup.{kind}.v1` | ");
        assert!(CONTRACT.contains(&row), "contract.md has no row for {kind}");
        assert!(CONTRACT.contains(&format!("(contract/outcome.{kind}.v1.schema.json)")), "nor its schema");
    }
}

#[test]
fn every_document_and_every_decision_is_in_the_index() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    for folder in ["", "decisions/"] {
        for entry in fs::read_dir(docs.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") && name != "README.md" {
                assert!(index.contains(&format!("]({folder}{name})")), "docs/README.md does not name {folder}{name}");
            }
        }
    }
}
