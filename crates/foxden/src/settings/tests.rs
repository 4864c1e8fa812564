//! What settings promise, seen from the program.

use std::{os::unix::ffi::OsStringExt, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::sources::{Asked, ConfigFile};
use super::{variables::VARIABLES, *};

/// What a worker needs.
const WORKER: Needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::IfSet, http: Need::IfSet };

/// The 32 bytes 0 to 31.
const KEYS: &str = "main:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse<const N: usize>(environment: [(&str, &str); N]) -> Result<Settings, Mistakes> {
    Settings::parse(&environment.into(), Needs::default())
}

fn with_config(environment: Sources, text: &str) -> Sources {
    let (name, path, text) = ("foxden.toml".to_owned(), "foxden.toml".into(), text.to_owned());
    Sources { config: ConfigFile::Found { name, path, text, asked: Asked::ByName }, ..environment }
}

/// The one mistake's line.
#[track_caller]
pub(super) fn mistake<T>(result: Result<T, Mistakes>) -> String {
    let Err(mistakes) = result else { panic!("expected a mistake") };
    let text = mistakes.to_string();
    text.strip_prefix("there is a mistake in the settings:\n  ").expect(&text).to_owned()
}

fn secret_file(contents: &str, mode: u32) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, contents).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let text = path.to_str().unwrap().to_owned();
    (folder, text)
}

#[test]
fn without_anything_the_defaults_hold() {
    let settings = parse([]).unwrap();
    assert_eq!(settings.foxy.api, FoxyApi::Production);
    assert_eq!(settings.foxy.call_timeout, Duration::from_secs(30));
    assert_eq!(settings.foxy.connect_timeout, Duration::from_secs(5));
    assert_eq!(settings.foxy.connection_idle, Duration::from_secs(3));
    assert_eq!(settings.foxy.rate, Some(foxy_api::Rate { per_second: 5.0, burst: 10 }));
    assert_eq!(settings.foxy.breaker_failures, 5);
    assert_eq!(settings.foxy.simulator.books, Path::new("foxy-sim.books.jsonl"));
    assert_eq!(settings.database.url.display(), "sqlite:foxden.db");
    assert_eq!(settings.database.pool, 8);
    assert!(settings.amqp.is_none());
    assert!(settings.keys.ring.is_none());
    assert_eq!(settings.keys.environment, "production");
    assert!(!settings.provisioning.keep_user_tokens && !settings.provisioning.keep_payloads);
    assert_eq!(settings.provisioning.user_email, None);
    assert_eq!(settings.provisioning.give_up_after, Duration::from_hours(7 * 24));
    assert_eq!(settings.worker.concurrency, 16);
    assert_eq!(settings.worker.lease, Duration::from_secs(90));
    assert_eq!(settings.worker.heartbeat, Duration::from_mins(1));
    assert_eq!(settings.telemetry.format, LogFormat::Auto);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "lease = \"2m\"\nconcurrency = 4\n[keep]\npayloads = true";
    let sources = with_config([("FOXDEN_CONCURRENCY", "5")].into(), text);
    let settings = Settings::parse(&sources, Needs::default()).unwrap();
    assert_eq!(settings.worker.concurrency, 5);
    assert_eq!(settings.worker.lease, Duration::from_mins(2));
    assert!(settings.provisioning.keep_payloads);
    assert_eq!(settings.worker.poll_interval, Duration::from_secs(1));
}

#[test]
fn the_rate_is_a_number_or_off_and_the_simulator_is_not_spared_unless_told() {
    let simulator = ("FOXDEN_FOXY_API", "simulator");
    let rate = |per_second, burst| Some(foxy_api::Rate { per_second, burst });
    for (text, expected) in [("0.5", rate(0.5, 10)), ("1000", rate(1000.0, 10)), ("0", None), ("off", None)] {
        assert_eq!(parse([("FOXDEN_FOXY_RATE", text)]).unwrap().foxy.rate, expected, "{text}");
        assert_eq!(parse([("FOXDEN_FOXY_RATE", text), simulator]).unwrap().foxy.rate, expected, "{text}");
    }
    assert_eq!(parse([simulator]).unwrap().foxy.rate, None);
    assert_eq!(parse([simulator, ("FOXDEN_FOXY_BURST", "3")]).unwrap().foxy.rate, None);
    assert_eq!(parse([("FOXDEN_FOXY_BURST", "3")]).unwrap().foxy.rate, rate(5.0, 3));
    for text in ["-1", "5/s", "nan", "inf", "1001", "0.0001", "Off"] {
        assert_eq!(
            mistake(parse([("FOXDEN_FOXY_RATE", text)])),
            "FOXDEN_FOXY_RATE (environment): expected requests per second from 0.001 to 1000, or off"
        );
    }
}

#[test]
fn an_empty_name_of_foxy_is_not_taken_for_production() {
    assert_eq!(
        mistake(parse([("FOXDEN_FOXY_API", " ")])),
        "FOXDEN_FOXY_API (environment): is empty, and calls would go to production; name the Foxy that is meant"
    );
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let settings = parse([("FOXDEN_CONCURRENCY", ""), ("FOXDEN_LEASE", "  "), ("FOXDEN_KEYS", "")]).unwrap();
    assert_eq!(settings.worker.concurrency, 16);
    assert!(settings.keys.ring.is_none());
}

#[test]
fn every_mistake_is_reported_at_once_with_its_source() {
    let sources = with_config(
        [("FOXDEN_CONCURRENCY", "many"), ("FOXDEN_LAESE", "2m"), ("FOXDEN_LOG", "inof")].into(),
        "heartbeat = 60\n[foxy]\ncall_timeout = \"1h\"",
    );
    let mistakes = Settings::parse(&sources, WORKER).unwrap_err().to_string();
    let expected = [
        "there are 8 mistakes in the settings:",
        "  FOXDEN_FOXY_CALL_TIMEOUT (foxy.call_timeout in foxden.toml): is not a setting; did you mean FOXDEN_CALL_TIMEOUT?",
        "  FOXDEN_LAESE (environment): is not a setting; did you mean FOXDEN_LEASE?",
        "  FOXDEN_FOXY_CLIENT_ID: this command needs it: the OAuth client's id; not needed with the simulator",
        "  FOXDEN_FOXY_CLIENT_SECRET: this command needs it, here or by FOXDEN_FOXY_CLIENT_SECRET_FILE: the OAuth client's \
         secret; not needed with the simulator",
        "  FOXDEN_KEYS: this command needs it, here or by FOXDEN_KEYS_FILE: the key ring, name:base64[,name:base64…]: the \
         first key seals, all open; see foxden keys generate",
        "  FOXDEN_CONCURRENCY (environment): expected a whole number from 1 to 1000",
        "  FOXDEN_HEARTBEAT (heartbeat in foxden.toml): expected a duration from 100ms to 1h: a whole number and ms, s, m, \
         h or d",
        "  FOXDEN_LOG (environment): expected a level (off, error, warn, info, debug, trace), target=level or \
         dependencies=level as entry 1",
    ];
    assert_eq!(mistakes, expected.join("\n"));
}

#[test]
fn no_mistake_repeats_a_value() {
    // Each variable is given a text that is right for none: they are all refused, and shown by none.
    for variable in VARIABLES.iter().filter(|variable| variable.name != "FOXDEN_CONFIG") {
        let sources = Sources::from([(variable.name, "s3cret={}\u{1}")]);
        let needs = Needs { amqp: Need::Required, ..WORKER };
        let mistakes = Settings::parse(&sources, needs).unwrap_err();
        assert!(!format!("{mistakes} {mistakes:?}").contains("s3cret"), "{mistakes}");
    }
}

#[test]
fn what_kubernetes_sets_for_services_is_ignored() {
    let set = [("FOXDEN_PORT", "tcp://10.0.0.1:80"), ("FOXDEN_POSTGRESQL_SERVICE_HOST", "10.0.0.2")];
    assert!(parse(set).is_ok());
    assert!(mistake(parse([("FOXDEN_PORT", "80")])).starts_with("FOXDEN_PORT (environment): is not a setting"));
}

#[test]
fn an_unknown_name_is_a_mistake_even_with_a_good_value() {
    assert_eq!(
        mistake(parse([("FOXDEN_LEASE_TIME", "90s")])),
        "FOXDEN_LEASE_TIME (environment): is not a setting; did you mean FOXDEN_LEASE?"
    );
}

#[test]
fn names_of_the_test_harness_and_of_others_are_left_alone() {
    let environment = [
        ("FOXDEN_SERVICES", "/x"),
        ("FOXDEN_SERVICES_DIR", "/x"),
        ("FOXDEN_TEST_SERVERS", "none"),
        ("DATABASE_URL", "postgres://fox:s3cret@db/foxden"),
    ];
    assert!(parse(environment).is_ok());
}

#[test]
fn a_name_can_not_forge_a_line() {
    let text = mistake(parse([("FOXDEN_X\nFOXDEN_KEYS", "1")]));
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_value_that_is_not_utf_8_is_a_mistake() {
    let mut sources = Sources::default();
    sources.environment.insert("FOXDEN_LOG".to_owned(), std::ffi::OsString::from_vec(vec![b's', 0xff]));
    let result = Settings::parse(&sources, Needs::default());
    assert_eq!(mistake(result), "FOXDEN_LOG (environment): is not valid UTF-8");
}

#[test]
fn a_settings_file_that_can_not_be_read_is_reported_with_all_else() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let config = ConfigFile::Unreadable { asked_by: "--config", error };
    let sources = Sources { config, ..[("FOXDEN_LEASE", "x")].into() };
    let mistakes = Settings::parse(&sources, Needs::default()).unwrap_err().to_string();
    assert!(mistakes.contains("\n  --config: the settings file can't be read: permission denied\n"), "{mistakes}");
    assert!(mistakes.contains("\n  FOXDEN_LEASE (environment): "), "{mistakes}");
}

#[test]
fn a_settings_file_names_no_other_and_sets_nothing_twice() {
    let text = "config = \"b.toml\"";
    let result = Settings::parse(&with_config(Sources::default(), text), Needs::default());
    assert_eq!(mistake(result), "FOXDEN_CONFIG (config in foxden.toml): a settings file can't name another");

    let text = "foxy_api = \"sandbox\"\n[foxy]\napi = \"sandbox\"";
    let result = Settings::parse(&with_config(Sources::default(), text), Needs::default());
    let text = mistake(result);
    assert!(text.starts_with("FOXDEN_FOXY_API (foxy") && text.ends_with(" in foxden.toml): is set twice in this file"));
}

#[test]
fn secrets_and_passwords_have_no_place_in_the_settings_file() {
    for (text, name, key) in [
        ("keys = \"main:s3cret\"", "FOXDEN_KEYS", "keys"),
        ("[foxy]\nclient_secret = \"s3cret\"", "FOXDEN_FOXY_CLIENT_SECRET", "foxy.client_secret"),
        ("[database]\nurl = \"postgres://fox:s3cret@db/foxden\"", "FOXDEN_DATABASE_URL", "database.url"),
        ("[amqp]\nurl = \"amqp://fox:s3cret@mq\"", "FOXDEN_AMQP_URL", "amqp.url"),
    ] {
        let result = Settings::parse(&with_config(Sources::default(), text), Needs::default());
        let cure = format!("a secret doesn't belong into the settings file; use the environment or {name}_FILE");
        assert_eq!(mistake(result), format!("{name} ({key} in foxden.toml): {cure}"));
    }
    let text = "[database]\nurl = \"postgres://fox@db/foxden\"\n[amqp]\nurl = \"amqp://mq\"";
    let settings = Settings::parse(&with_config(Sources::default(), text), WORKER_WITHOUT_SECRETS).unwrap();
    assert_eq!(settings.database.url.display(), "postgres://db/foxden");
    assert_eq!(settings.amqp.unwrap().url.display(), "amqp://mq");
}

pub(super) const WORKER_WITHOUT_SECRETS: Needs =
    Needs { foxy: Need::Unused, keys: Need::Unused, amqp: Need::IfSet, http: Need::Unused };

#[test]
fn secrets_are_read_from_files() {
    let (_keys, keys) = secret_file(&format!("{KEYS}\n"), 0o600);
    let (_secret, secret) = secret_file("s3cret\n", 0o400);
    let (_url, url) = secret_file("postgres://fox:s3cret@db/foxden\n", 0o600);
    let environment = [
        ("FOXDEN_KEYS_FILE", keys.as_str()),
        ("FOXDEN_FOXY_CLIENT_ID", "fox"),
        ("FOXDEN_FOXY_CLIENT_SECRET_FILE", &secret),
        ("FOXDEN_DATABASE_URL_FILE", &url),
    ];
    let settings = Settings::parse(&environment.into(), WORKER).unwrap();
    assert_eq!(settings.keys.ring.unwrap().keys().count(), 1);
    let client = settings.foxy.client.unwrap();
    assert_eq!((client.id.as_str(), client.secret.expose()), ("fox", "s3cret"));
    assert_eq!(settings.database.url.display(), "postgres://db/foxden");
}

#[test]
fn a_mistake_in_a_secret_file_names_the_variable() {
    let (_keys, keys) = secret_file("main:s3cret", 0o600);
    let sources = [("FOXDEN_KEYS_FILE", keys.as_str())].into();
    let result = Settings::parse(&sources, Needs { keys: Need::Required, ..Needs::default() });
    assert_eq!(
        mistake(result),
        "FOXDEN_KEYS (in the file that FOXDEN_KEYS_FILE names): key 1 (main) is not valid base64"
    );
}

#[test]
fn a_command_opens_no_secret_file_it_has_no_use_for() {
    let (_keys, keys) = secret_file(KEYS, 0o644);
    let sources = [("FOXDEN_KEYS_FILE", keys.as_str())].into();
    let settings = Settings::parse(&sources, Needs::default()).unwrap();
    assert!(settings.keys.ring.is_none());
    let text = mistake(Settings::parse(&sources, Needs { keys: Need::IfSet, ..Needs::default() }));
    assert!(text.starts_with("FOXDEN_KEYS_FILE (environment): "), "{text}");
    assert!(text.ends_with(&format!("(mode 644); run: chmod 600 {keys}")), "{text}");
}

#[test]
fn a_secret_is_given_by_value_or_by_file_but_not_both() {
    let result = parse([("FOXDEN_KEYS", KEYS), ("FOXDEN_KEYS_FILE", "/run/secrets/keys")]);
    assert_eq!(mistake(result), "FOXDEN_KEYS_FILE (environment): FOXDEN_KEYS is set too; set one of the two");
}

#[test]
fn a_broken_key_ring_is_reported_even_where_it_is_not_needed() {
    assert_eq!(
        mistake(parse([("FOXDEN_KEYS", "main:AAAA")])),
        "FOXDEN_KEYS (environment): key 1 (main) has 3 bytes instead of 32"
    );
}

#[test]
fn the_simulator_needs_no_client_but_takes_a_whole_one() {
    let needs = Needs { foxy: Need::Required, ..Needs::default() };
    let api = ("FOXDEN_FOXY_API", "simulator");
    assert!(Settings::parse(&[api].into(), needs).unwrap().foxy.client.is_none());

    let both = [api, ("FOXDEN_FOXY_CLIENT_ID", "fox"), ("FOXDEN_FOXY_CLIENT_SECRET", "s3cret")];
    assert_eq!(Settings::parse(&both.into(), needs).unwrap().foxy.client.unwrap().id, "fox");

    let half = mistake(Settings::parse(&[api, ("FOXDEN_FOXY_CLIENT_ID", "fox")].into(), needs));
    assert!(half.starts_with("FOXDEN_FOXY_CLIENT_SECRET: this command needs it"), "{half}");
    let half = mistake(Settings::parse(&[api, ("FOXDEN_FOXY_CLIENT_SECRET", "s3cret")].into(), needs));
    assert!(half.starts_with("FOXDEN_FOXY_CLIENT_ID: this command needs it"), "{half}");
}

#[test]
fn simulator_settings_without_the_simulator_are_a_mistake() {
    assert_eq!(
        mistake(parse([("FOXDEN_SIMULATOR_BOOKS", "books.jsonl")])),
        "FOXDEN_SIMULATOR_BOOKS (environment): is for the simulator only, but FOXDEN_FOXY_API is not simulator"
    );
    let settings = parse([("FOXDEN_FOXY_API", "simulator"), ("FOXDEN_SIMULATOR_LATENCY", "20ms..80ms")]).unwrap();
    assert_eq!(settings.foxy.simulator.latency.max, Duration::from_millis(80));
}

#[test]
fn a_captcha_code_is_what_a_header_can_carry() {
    let code = |value| parse([("FOXDEN_FOXY_API", "simulator"), ("FOXDEN_FOXY_H_CAPTCHA_CODE", value)]);
    assert!(code("P1_s3cret").unwrap().foxy.h_captcha_code.is_some());
    assert!(!format!("{:?}", code("P1_s3cret").unwrap()).contains("P1_s3cret"));
    assert_eq!(
        mistake(code("s3cret\n")),
        "FOXDEN_FOXY_H_CAPTCHA_CODE (environment): expected 1 to 4096 visible ASCII characters without spaces"
    );
}

#[test]
fn the_client_secret_is_one_line() {
    let text = mistake(parse([("FOXDEN_FOXY_CLIENT_SECRET", "s3cret\n")]));
    assert_eq!(text, "FOXDEN_FOXY_CLIENT_SECRET (environment): expected a single line of ASCII characters");
}

#[test]
fn a_lease_outlives_every_call_and_its_margin() {
    assert!(parse([("FOXDEN_LEASE", "40001ms")]).is_ok());
    assert_eq!(
        mistake(parse([("FOXDEN_LEASE", "40s")])),
        "FOXDEN_LEASE (environment): 40s is not longer than FOXDEN_CALL_TIMEOUT (30s) and a margin of 10s"
    );
}

#[test]
fn a_stop_waits_longer_than_any_call() {
    assert_eq!(
        mistake(parse([("FOXDEN_CALL_TIMEOUT", "45s")])),
        "FOXDEN_SHUTDOWN_GRACE: 45s is not longer than FOXDEN_CALL_TIMEOUT (45s)"
    );
}

#[test]
fn the_longest_retry_delay_is_not_below_the_first() {
    assert_eq!(
        mistake(parse([("FOXDEN_RETRY_INITIAL", "10m")])),
        "FOXDEN_RETRY_MAX: 5m is below FOXDEN_RETRY_INITIAL (10m)"
    );
}

#[test]
fn the_pool_of_postgresql_carries_the_concurrency() {
    let postgres = ("FOXDEN_DATABASE_URL", "postgres://db/foxden");
    let thousand = ("FOXDEN_CONCURRENCY", "1000");
    assert!(parse([thousand]).is_ok(), "SQLite has one writer anyway");
    assert!(parse([postgres, thousand, ("FOXDEN_DATABASE_POOL", "16")]).is_ok());
    assert_eq!(
        mistake(parse([postgres, thousand])),
        "FOXDEN_DATABASE_POOL: a FOXDEN_CONCURRENCY of 1000 needs at least 16 connections"
    );
}

#[test]
fn dead_letters_and_outcomes_do_not_go_where_signups_come_from() {
    for (name, value, other) in [
        ("FOXDEN_AMQP_DEAD_QUEUE", "foxden.signups", "FOXDEN_AMQP_QUEUE"),
        ("FOXDEN_AMQP_OUTCOME_QUEUE", "foxden.signups", "FOXDEN_AMQP_QUEUE"),
        ("FOXDEN_AMQP_OUTCOME_QUEUE", "foxden.signups.dead", "FOXDEN_AMQP_DEAD_QUEUE"),
        ("FOXDEN_AMQP_DEAD_EXCHANGE", "foxden", "FOXDEN_AMQP_EXCHANGE"),
        ("FOXDEN_AMQP_OUTCOME_EXCHANGE", "foxden", "FOXDEN_AMQP_EXCHANGE"),
        ("FOXDEN_AMQP_OUTCOME_EXCHANGE", "foxden.dead", "FOXDEN_AMQP_DEAD_EXCHANGE"),
    ] {
        assert_eq!(mistake(parse([(name, value)])), format!("{name} (environment): must differ from {other}"));
    }
}

#[test]
fn debug_shows_no_secret() {
    let environment = [
        ("FOXDEN_KEYS", KEYS),
        ("FOXDEN_FOXY_CLIENT_ID", "fox"),
        ("FOXDEN_FOXY_CLIENT_SECRET", "s3cret"),
        ("FOXDEN_DATABASE_URL", "postgres://fox:s3cret@db/foxden"),
        ("FOXDEN_AMQP_URL", "amqp://fox:s3cret@mq"),
    ];
    let shown = format!("{:?}", Settings::parse(&environment.into(), WORKER).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("AAECAwQF"), "{shown}");
}

#[test]
fn what_is_set_for_tls_is_used_for_tls_or_refused() {
    let key = ("FOXDEN_AMQP_CLIENT_KEY", "s3cret");
    let ca = ("FOXDEN_AMQP_CA_FILE", "/nowhere/ca.pem");
    let plain = [("FOXDEN_AMQP_URL", "amqp://mq.internal"), ca, key];
    let text = Settings::parse(&plain.into(), WORKER_WITHOUT_SECRETS).unwrap_err().to_string();
    for mistake in [
        "FOXDEN_AMQP_CA_FILE (environment): FOXDEN_AMQP_URL does not begin with amqps://, so there is no TLS to use it for",
        "FOXDEN_AMQP_CA_FILE (environment): the file it names can't be opened: No such file or directory (os error 2)",
        "FOXDEN_AMQP_CLIENT_KEY (environment): FOXDEN_AMQP_CLIENT_CERT_FILE is not set; a certificate and its key go together",
    ] {
        assert!(text.contains(mistake), "{text}");
    }
    assert!(!text.contains("s3cret"));
    // A command that does not use the broker opens none of its files.
    let unused = Needs { amqp: Need::Unused, ..WORKER_WITHOUT_SECRETS };
    let tls = [("FOXDEN_AMQP_URL", "amqps://mq.internal"), ca];
    assert!(Settings::parse(&tls.into(), unused).unwrap().amqp.unwrap().tls.is_default());
}

#[test]
fn exchanges_and_queues_are_declared_unless_a_check_is_asked_for() {
    let url = ("FOXDEN_AMQP_URL", "amqp://mq.internal");
    let topology =
        |sources: Sources| Settings::parse(&sources, WORKER_WITHOUT_SECRETS).map(|s| s.amqp.unwrap().topology);
    assert_eq!(topology([url].into()).unwrap(), foxden_intake::Topology::Declare);
    assert_eq!(topology([url, ("FOXDEN_AMQP_TOPOLOGY", "check")].into()).unwrap(), foxden_intake::Topology::Check);
    let text = topology([url, ("FOXDEN_AMQP_TOPOLOGY", "passive")].into()).unwrap_err().to_string();
    assert!(text.contains("FOXDEN_AMQP_TOPOLOGY (environment): expected declare or check"), "{text}");
}
