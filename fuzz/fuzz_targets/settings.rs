//! Settings that hold secrets: whatever stands beside a password or a key, it is read or refused, and never shown.
#![no_main]

use std::fmt::Debug;

use foxden_intake::AmqpUrl;
use foxden_ledger::DatabaseUrl;
use foxden_vault::KeyRing;

/// Stands in each secret.
const PLANTED: &str = "PLANTEDzq9";

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    if text.contains(PLANTED) {
        return;
    }
    let (before, after) = text.split_once('\0').unwrap_or((&text, ""));
    // Where these stand in a password as they are, it ends there for every reader of URLs.
    let password = format!("{before}{PLANTED}{after}").replace(['/', '?', '#', '\\'], "");
    for url in [
        text.to_string(),
        format!("postgres://ada:{password}@db.example/foxden"),
        format!("postgres://db.example/foxden?{before}&user=ada&password={PLANTED}{after}"),
        format!("sqlite:{before}?password={PLANTED}{after}"),
    ] {
        let shown = match DatabaseUrl::parse(&url) {
            Ok(url) => format!("{url:?} {} {} {:?}", url.display(), url.is_exposed(), url.file()),
            Err(error) => format!("{error} {error:?}"),
        };
        hides(&shown);
    }
    for url in [
        text.to_string(),
        format!("amqp://ada:{password}@mq.example/shop"),
        format!("amqps://mq.example/shop?{before}&password={PLANTED}{after}"),
    ] {
        let shown = match AmqpUrl::parse(&url) {
            Ok(url) => format!("{url:?} {} {} {}", url.display(), url.is_exposed(), url.vhost()),
            Err(error) => format!("{error} {error:?}"),
        };
        hides(&shown);
    }
    // Behind these another key begins, with its name, which is no secret.
    let key = format!("{before}{PLANTED}{after}").replace(|c: char| c == ',' || c == ':' || c.is_whitespace(), "");
    for keys in [text.to_string(), format!("main:{key}")] {
        match KeyRing::parse(&keys) {
            Ok(keys) => hides(&keys),
            Err(error) => hides(&(error.to_string(), error)),
        }
    }
});

fn hides(shown: &impl Debug) {
    assert!(!format!("{shown:?}").contains(PLANTED), "a secret is shown: {shown:?}");
}
