//! Keeps the sample environment file and the sections' tables in step with the list of variables.

use super::{FoxyApi, Need, Needs, Settings, Sources, variables::VARIABLES};

const SAMPLE: &str = include_str!("../../../../deploy/foxden.env.example");

/// Lines of the sample that are not commented out.
fn active() -> Vec<(&'static str, &'static str)> {
    SAMPLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

#[test]
fn the_sample_shows_every_variable_with_its_meaning_and_default() {
    for variable in VARIABLES {
        let line = match variable.name {
            // What a newcomer's worker needs is set, or there to be filled.
            "FOXDEN_FOXY_API" => "# Default: production.\nFOXDEN_FOXY_API=simulator".to_owned(),
            "FOXDEN_KEYS" => "FOXDEN_KEYS=".to_owned(),
            name => format!("#{name}={}", variable.default.unwrap_or_default()),
        };
        let entry = format!("\n# {}\n{line}\n", variable.meaning);
        assert!(SAMPLE.contains(&entry), "deploy/foxden.env.example lacks:{entry}");
    }
}

#[test]
fn the_sample_shows_nothing_else_and_in_the_lists_order() {
    let shown = SAMPLE.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix('#').unwrap_or(line).split_once('=')?;
        name.starts_with("FOXDEN_").then_some(name)
    });
    assert!(shown.eq(VARIABLES.iter().map(|variable| variable.name)));
}

#[test]
fn a_workers_settings_are_the_sample_and_a_key() {
    let key = foxden_vault::generate_key("main").unwrap();
    let mut sources = Sources::default();
    for (name, value) in active() {
        let value = if name == "FOXDEN_KEYS" { key.as_str() } else { value };
        sources.environment.insert(name.to_owned(), value.into());
    }
    let needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::IfSet, http: Need::IfSet };
    let settings = Settings::parse(&sources, needs).unwrap();
    assert_eq!(settings.foxy.api, FoxyApi::Simulator);
    assert!(settings.amqp.is_none());
}

#[test]
fn each_sections_table_shows_its_variables_with_their_defaults() {
    let sections = [
        include_str!("amqp.rs"),
        include_str!("authorization.rs"),
        include_str!("database.rs"),
        include_str!("foxy.rs"),
        include_str!("grants.rs"),
        include_str!("http.rs"),
        include_str!("keys.rs"),
        include_str!("provisioning.rs"),
        include_str!("telemetry.rs"),
        include_str!("worker.rs"),
    ]
    .concat();
    // FOXDEN_CONFIG is no section's: it says where the file is.
    for variable in VARIABLES.iter().filter(|variable| variable.name != "FOXDEN_CONFIG") {
        let file_form = if variable.has_file_form() { " (`_FILE`)" } else { "" };
        let default = variable.default.map_or_else(String::new, |default| format!("`{default}` "));
        let row = format!("//! | `{}`{file_form} | {default}| ", variable.name);
        assert!(sections.contains(&row), "no table has: {row}");
    }
}
