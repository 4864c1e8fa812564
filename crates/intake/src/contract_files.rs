//! Keeps `docs/contract` in step with the program: the schemas there are made of the rules that it checks by.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{amqp, event};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract")
}

fn schemas() -> Vec<(String, Value)> {
    let mut schemas = vec![
        (event::SIGNUP_FILE.to_owned(), event::signup_schema()),
        ("signup.cloudevent.v1.schema.json".to_owned(), event::signup_cloud_event_schema()),
    ];
    schemas.extend(amqp::outcome_schemas());
    schemas
}

fn written(schema: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(schema).unwrap())
}

#[test]
fn the_published_schemas_are_those_of_this_program() {
    for (file, schema) in schemas() {
        let published = fs::read_to_string(folder().join(&file)).unwrap_or_default();
        assert!(published == written(&schema), "docs/contract/{file} is not current; `make contract` renews it");
    }
}

#[test]
fn no_schema_is_published_that_the_program_does_not_make() {
    let made: Vec<String> = schemas().into_iter().map(|(file, _)| file).collect();
    let there = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strays: Vec<_> = there.filter(|file| file.ends_with(".schema.json") && !made.contains(file)).collect();
    assert_eq!(strays, [] as [String; 0]);
}

#[test]
#[ignore = "writes the files; `make contract` runs it"]
fn write_the_published_schemas() {
    fs::create_dir_all(folder()).unwrap();
    for (file, schema) in schemas() {
        fs::write(folder().join(file), written(&schema)).unwrap();
    }
}
