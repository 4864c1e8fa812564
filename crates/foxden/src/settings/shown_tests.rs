//! Whatever is wrong with settings, or not, no secret among them is shown.

use std::{collections::BTreeMap, ffi::OsString};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Need, Needs, Settings, Sources, sources::ConfigFile};

/// Stands in each secret.
const PLANTED: &str = "PLANTEDzq9";

/// Secrets in their places, as a person writes them.
const SECRETS: [(&str, &str); 8] = [
    ("FOXDEN_FOXY_CLIENT_SECRET", "PLANTEDzq9"),
    ("FOXDEN_FOXY_H_CAPTCHA_CODE", "PLANTEDzq9"),
    ("FOXDEN_KEYS", "main:PLANTEDzq9DxAREhMUFRYXGBkaGxwdHh8aaaaaaaaaa="),
    ("FOXDEN_AMQP_URL", "amqp://ada:PLANTEDzq9@mq.example/shop"),
    ("FOXDEN_HTTP_RESULT_KEY", "PLANTEDzq9 0123456789abcdef0123456789abcdef"),
    ("FOXDEN_AMQP_CLIENT_KEY", "-----BEGIN PRIVATE KEY-----\nPLANTEDzq9\n-----END PRIVATE KEY-----"),
    ("FOXDEN_DATABASE_URL", "postgres://ada:PLANTEDzq9@db.example/foxden"),
    ("FOXDEN_DATABASE_URL", "postgres://db.example/foxden?user=ada&password=PLANTEDzq9"),
];

/// What a slip of the hand leaves before or behind a secret.
const SLIPS: [&str; 12] = ["", " ", "\n", "\t", "%", "%zz", "é", "\u{202e}", "=", ":", "main:", ","];

/// Other settings, of which some are wrong.
const OTHERS: [(&str, &str); 8] = [
    ("FOXDEN_CONCURRENCY", "0"),
    ("FOXDEN_LEASE", "1s"),
    ("FOXDEN_FOXY_API", "sandbox"),
    ("FOXDEN_FOXY_API", "elsewhere"),
    ("FOXDEN_FOXY_CLIENT_ID", "client"),
    ("FOXDEN_AMQP_TOPOLOGY", "check"),
    ("FOXDEN_UNKNOWN", "1"),
    ("FOXDEN_ENVIRONMENT", ""),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_secret_is_shown_by_settings_or_by_their_mistakes(
        secrets in vec((select(&SECRETS[..]), select(&SLIPS[..]), select(&SLIPS[..])), 1..5),
        others in vec(select(&OTHERS[..]), 0..4),
    ) {
        let mut environment: BTreeMap<String, OsString> = BTreeMap::new();
        for (name, value) in others {
            environment.insert(name.to_owned(), value.into());
        }
        for ((name, value), before, behind) in secrets {
            let slipped = value.replace(PLANTED, &format!("{before}{PLANTED}{behind}"));
            environment.insert(name.to_owned(), slipped.into());
        }
        let sources = Sources { environment, config: ConfigFile::Absent };
        let needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::IfSet, http: Need::IfSet };
        let shown = match Settings::parse(&sources, needs) {
            Ok(settings) => format!("{settings:?} {}", settings.database.url.display()),
            Err(mistakes) => format!("{mistakes} {mistakes:?}"),
        };
        prop_assert!(!shown.contains(PLANTED), "{}", shown);
    }
}

#[test]
fn settings_with_a_secret_in_each_place_are_taken() {
    let environment: BTreeMap<String, OsString> = [
        ("FOXDEN_FOXY_CLIENT_ID", "client"),
        ("FOXDEN_FOXY_CLIENT_SECRET", PLANTED),
        ("FOXDEN_KEYS", "main:PLANTEDzq9ICAwQFBgcICQoLDA0ODxAREhMUFRYXGBk="),
        ("FOXDEN_AMQP_URL", "amqp://ada:PLANTEDzq9@mq.example/shop"),
        ("FOXDEN_DATABASE_URL", "postgres://ada:PLANTEDzq9@db.example/foxden"),
        ("FOXDEN_HTTP_LISTEN", "127.0.0.1:8080"),
        ("FOXDEN_HTTP_PUBLIC_URL", "https://shops.example"),
        ("FOXDEN_HTTP_PLATFORM_NAME", "Acme"),
        ("FOXDEN_HTTP_RETURN_URL", "https://shops.example/done"),
        ("FOXDEN_HTTP_RESULT_KEY", "PLANTEDzq9 0123456789abcdef0123456789abcdef"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    let sources = Sources { environment, config: ConfigFile::Absent };
    let needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::Required, http: Need::IfSet };
    let settings = Settings::parse(&sources, needs).unwrap();
    assert!(settings.http.is_some());
    assert!(!format!("{settings:?}").contains(PLANTED));
}
