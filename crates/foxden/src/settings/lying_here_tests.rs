//! What a `foxden.toml` may say that merely lies in the working directory.

use std::{path::Path, time::Duration};

use super::{
    sources::{Asked, ConfigFile},
    variables::VARIABLES,
    *,
};

fn lying_here(text: &str) -> Sources {
    let (name, path, text) = ("foxden.toml".to_owned(), "/srv/foxden.toml".into(), text.to_owned());
    Sources { config: ConfigFile::Found { name, path, text, asked: Asked::ByItsPlace }, ..Sources::default() }
}

#[test]
fn a_settings_file_that_nobody_named_does_not_say_where_secrets_go() {
    let text = "[foxy]\napi = \"https://foxy.example/\"\nclient_secret_file = \"/tmp/s\"\n[database]\n\
                url = \"postgres://db.example/f\"\n[amqp]\nurl_file = \"/tmp/u\"\nca_file = \"/tmp/ca\"\n[keys]\nfile = \"/tmp/k\"\n\
                [user]\nemail = \"{signup_id}.{generation}@platform.example\"\n\
                [http]\npublic_url = \"https://a.example\"\nplatform_help = \"mailto:a@a.example\"\n";
    let result = Settings::parse(&lying_here(text), Needs::default());
    let mistakes = result.unwrap_err().to_string();
    let lines: Vec<&str> = mistakes.lines().skip(1).collect();
    let names = [
        "FOXDEN_AMQP_CA_FILE",
        "FOXDEN_AMQP_URL_FILE",
        "FOXDEN_DATABASE_URL",
        "FOXDEN_FOXY_API",
        "FOXDEN_FOXY_CLIENT_SECRET_FILE",
        "FOXDEN_HTTP_PLATFORM_HELP",
        "FOXDEN_HTTP_PUBLIC_URL",
        "FOXDEN_KEYS_FILE",
        "FOXDEN_USER_EMAIL",
    ];
    for name in names {
        let count = lines.iter().filter(|line| line.starts_with(&format!("  {name} ("))).count();
        assert_eq!(count, 1, "{name}: {mistakes}");
    }
    assert_eq!(lines.len(), names.len());
    assert!(lines.iter().all(|line| line.contains("says where secrets go")), "{mistakes}");
}

#[test]
fn a_settings_file_that_nobody_named_sets_what_stays_here() {
    let text = "heartbeat = \"5s\"\n";
    let settings = Settings::parse(&lying_here(text), Needs::default()).unwrap();
    assert_eq!(settings.worker.heartbeat, Duration::from_secs(5));
    assert_eq!(settings.file.as_deref(), Some(Path::new("/srv/foxden.toml")));
}

/// A new server, authority or secret must not be forgotten there.
#[test]
fn every_variable_that_names_a_server_an_authority_or_a_secret_leads_elsewhere() {
    let leads = |name: &str| {
        ["_URL", "_URI", "_API", "_FILE", "_PROXY", "_HOST", "_DSN", "_SECRET", "_KEY", "_KEYS"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    for variable in
        VARIABLES.iter().filter(|variable| leads(variable.name) && variable.name != "FOXDEN_AMQP_ROUTING_KEY")
    {
        assert!(variable.leads_elsewhere(), "{}", variable.name);
    }
}
