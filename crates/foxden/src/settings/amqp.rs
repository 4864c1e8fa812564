//! The broker that signup events come from and outcome events go to.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `FOXDEN_AMQP_URL` (`_FILE`) | | `amqp://…` or `amqps://…`; without it, the worker takes signups from the ledger alone |
//! | `FOXDEN_AMQP_EXCHANGE` | `foxden` | the exchange that signup events are published to |
//! | `FOXDEN_AMQP_QUEUE` | `foxden.signups` | the queue that signup events are taken from |
//! | `FOXDEN_AMQP_ROUTING_KEY` | `signup` | the routing key of signup events |
//! | `FOXDEN_AMQP_DEAD_EXCHANGE` | `foxden.dead` | the exchange for events that can't be accepted |
//! | `FOXDEN_AMQP_DEAD_QUEUE` | `foxden.signups.dead` | the queue for events that can't be accepted |
//! | `FOXDEN_AMQP_OUTCOME_EXCHANGE` | `foxden.outcomes` | the exchange that outcome events are published to; `none`: no outcome events are made |
//! | `FOXDEN_AMQP_OUTCOME_QUEUE` | `foxden.outcomes` | the queue declared for outcome events; `none` to leave that to the parent app |
//! | `FOXDEN_TELL_DUPLICATES` | `false` | whether an event that comes again is answered with an outcome event |
//! | `FOXDEN_AMQP_TOPOLOGY` | `declare` | `declare` these exchanges, queues and bindings, or only `check` that exchanges and queues are there |
//! | `FOXDEN_AMQP_GIVE_UP_AFTER` | `5m` | how long a worker puts up with a broker that refuses, 1s to 7d; `never`, or `0`: for ever |
//! | `FOXDEN_AMQP_CA_FILE` | | a PEM file with the authorities that may sign the broker's certificate; without it, the system's |
//! | `FOXDEN_AMQP_CLIENT_CERT_FILE` | | a PEM file with the certificate to show the broker |
//! | `FOXDEN_AMQP_CLIENT_KEY` (`_FILE`) | | that certificate's private key, as PEM |
//!
//! The three queues differ from each other, and so do the three exchanges: a dead letter or an outcome event that
//! came to where signups are taken from would go round for ever.

use std::{path::Path, time::Duration};

use foxden_intake::{AmqpUrl, Tls, Topology};
use foxden_vault::SmallFile;

use super::{Need, SecretUrl, reader::Reader, text};

/// More than any bundle of certificates; a path to something else by mistake shall not fill the memory.
const PEM_MAX: u64 = 4 * 1024 * 1024;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct AmqpSettings {
    /// Where the broker is.
    pub(crate) url: SecretUrl,
    /// The exchange that signup events are published to.
    pub(crate) exchange: String,
    /// The queue that signup events are taken from.
    pub(crate) queue: String,
    /// The routing key of signup events.
    pub(crate) routing_key: String,
    /// The exchange for events that can't be accepted.
    pub(crate) dead_exchange: String,
    /// The queue for events that can't be accepted.
    pub(crate) dead_queue: String,
    /// The exchange that outcome events are published to; `None`: none are made.
    pub(crate) outcome_exchange: Option<String>,
    /// The queue declared for outcome events; `None`: the parent app declares its own.
    pub(crate) outcome_queue: Option<String>,
    /// Whether an event that comes again is answered with an outcome event.
    pub(crate) tell_duplicates: bool,
    /// Whether these are declared, or only looked for.
    pub(crate) topology: Topology,
    /// How long a worker puts up with a broker that refuses; `None`: for ever.
    pub(crate) give_up_after: Option<Duration>,
    /// Whom to trust, and what to show.
    pub(crate) tls: Tls,
}

impl AmqpSettings {
    /// `None` also where no broker is set, which is no mistake unless the command needs one.
    pub(super) fn read(reader: &mut Reader, need: Need) -> Option<Self> {
        const URL: &str = "FOXDEN_AMQP_URL";
        reader.prepare_secret(URL, need);
        let url = reader.value(URL, |text| {
            let url = SecretUrl::parse(text, &["amqp://", "amqps://"])?;
            let is_tls = AmqpUrl::parse(text).map_err(|error| error.to_string())?.is_tls();
            Ok((url, is_tls))
        });
        let (url, is_tls) = url.map_or((None, None), |(url, is_tls)| (Some(url), Some(is_tls)));
        let exchange = reader.value("FOXDEN_AMQP_EXCHANGE", short_string);
        let queue = reader.value("FOXDEN_AMQP_QUEUE", queue_name);
        let routing_key = reader.value("FOXDEN_AMQP_ROUTING_KEY", short_string);
        let dead_exchange = reader.value("FOXDEN_AMQP_DEAD_EXCHANGE", short_string);
        let dead_queue = reader.value("FOXDEN_AMQP_DEAD_QUEUE", queue_name);
        let (outcome_exchange, outcome_queue, tell_duplicates) = outcomes(reader);

        let topology = reader.value("FOXDEN_AMQP_TOPOLOGY", |text| match text {
            "declare" => Ok(Topology::Declare),
            "check" => Ok(Topology::Check),
            _ => Err("expected declare or check".to_owned()),
        });
        let give_up_after = reader.value("FOXDEN_AMQP_GIVE_UP_AFTER", give_up_after);
        let tls = tls(reader, need, is_tls);

        let (outcome_exchange, outcome_queue) = (outcome_exchange?, outcome_queue?);
        let names = [("FOXDEN_AMQP_QUEUE", queue.as_ref()), ("FOXDEN_AMQP_DEAD_QUEUE", dead_queue.as_ref())];
        differ(reader, names);
        differ(reader, [names[0], ("FOXDEN_AMQP_OUTCOME_QUEUE", outcome_queue.as_ref())]);
        differ(reader, [names[1], ("FOXDEN_AMQP_OUTCOME_QUEUE", outcome_queue.as_ref())]);
        let exchanges =
            [("FOXDEN_AMQP_EXCHANGE", exchange.as_ref()), ("FOXDEN_AMQP_DEAD_EXCHANGE", dead_exchange.as_ref())];
        differ(reader, exchanges);
        let outcomes = ("FOXDEN_AMQP_OUTCOME_EXCHANGE", outcome_exchange.as_ref());
        exchanges.into_iter().for_each(|exchange| differ(reader, [exchange, outcomes]));

        Some(Self {
            url: url?,
            exchange: exchange?,
            queue: queue?,
            routing_key: routing_key?,
            dead_exchange: dead_exchange?,
            dead_queue: dead_queue?,
            outcome_exchange,
            outcome_queue,
            tell_duplicates: tell_duplicates?,
            topology: topology?,
            give_up_after: give_up_after?,
            tls: tls?,
        })
    }
}

/// The exchange and the queue of outcome events, and whether duplicates are answered with one. What needs an exchange,
/// and is set although there is none, is a mistake.
fn outcomes(reader: &mut Reader) -> (Option<Option<String>>, Option<Option<String>>, Option<bool>) {
    const EXCHANGE: &str = "FOXDEN_AMQP_OUTCOME_EXCHANGE";
    const QUEUE: &str = "FOXDEN_AMQP_OUTCOME_QUEUE";
    const TELL_DUPLICATES: &str = "FOXDEN_TELL_DUPLICATES";
    let exchange = reader.value(EXCHANGE, |text| or_none(text, short_string));
    let mut queue = reader.value(QUEUE, |text| or_none(text, queue_name));
    let tell_duplicates = reader.value(TELL_DUPLICATES, text::flag);
    if exchange == Some(None) {
        let off = format!("{EXCHANGE} is none, so there are no outcome events");
        if reader.is_set(QUEUE) && matches!(queue, Some(Some(_))) {
            reader.refuse(QUEUE, &off);
        }
        if tell_duplicates == Some(true) {
            reader.refuse(TELL_DUPLICATES, &off);
        }
        queue = queue.and(Some(None));
    }
    (exchange, queue, tell_duplicates)
}

fn or_none(text: &str, parse: fn(&str) -> Result<String, String>) -> Result<Option<String>, String> {
    if text == "none" { Ok(None) } else { parse(text).map(Some) }
}

/// Reads the files only for a command that uses the broker.
fn tls(reader: &mut Reader, need: Need, is_tls: Option<bool>) -> Option<Tls> {
    const AUTHORITIES: &str = "FOXDEN_AMQP_CA_FILE";
    const CERTIFICATE: &str = "FOXDEN_AMQP_CLIENT_CERT_FILE";
    const KEY: &str = "FOXDEN_AMQP_CLIENT_KEY";
    if need == Need::Unused {
        return Some(Tls::default());
    }
    reader.prepare_secret(KEY, Need::IfSet);
    if is_tls == Some(false) {
        // Whoever names a certificate believes the way to be encrypted.
        for name in [AUTHORITIES, CERTIFICATE, KEY] {
            if reader.is_set(name) {
                reader.refuse(name, "FOXDEN_AMQP_URL does not begin with amqps://, so there is no TLS to use it for");
            }
        }
    }
    for (name, other) in [(CERTIFICATE, KEY), (KEY, CERTIFICATE)] {
        if reader.is_set(name) && !reader.is_set(other) {
            reader.refuse(name, format!("{other} is not set; a certificate and its key go together"));
        }
    }
    let mut tls = Tls::default();
    if reader.is_set(AUTHORITIES) {
        let trusting = tls.clone();
        tls = reader.value(AUTHORITIES, |path| {
            trusting.with_authorities(&pem_file(path)?).map_err(|error| error.to_string())
        })?;
    }
    if reader.is_set(CERTIFICATE) && reader.is_set(KEY) {
        let certificate = reader.value(CERTIFICATE, pem_file)?;
        tls = reader.value(KEY, |key| tls.with_identity(&certificate, key).map_err(|error| error.to_string()))?;
    }
    Some(tls)
}

fn pem_file(path: &str) -> Result<String, String> {
    let file =
        SmallFile::open(Path::new(path)).map_err(|error| format!("the file it names can't be opened: {error}"))?;
    let pem = file.read(PEM_MAX).map_err(|error| format!("the file it names can't be read: {error}"))?;
    String::from_utf8(pem.to_vec()).map_err(|_| "the file it names is not valid UTF-8".to_owned())
}

fn give_up_after(text: &str) -> Result<Option<Duration>, String> {
    const WEEK: Duration = Duration::from_hours(7 * 24);
    match text {
        "never" | "0" => Ok(None),
        text => text::duration_within(text, &(Duration::from_secs(1)..=WEEK))
            .map(Some)
            .map_err(|error| format!("{error}; or never")),
    }
}

fn differ(reader: &mut Reader, [(first, one), (second, other)]: [(&'static str, Option<&String>); 2]) {
    if one.is_some() && one == other {
        reader.refuse(second, format!("must differ from {first}"));
    }
}

/// A name as AMQP carries it (AMQP 0-9-1, section 4.2.5.3: short strings have up to 255 bytes).
fn short_string(text: &str) -> Result<String, String> {
    if text.len() <= 255 && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("expected a name of at most 255 bytes".to_owned())
    }
}

/// Names that begin with `amq.` are the broker's own (RabbitMQ docs: queues), which refuses to declare such a queue.
fn queue_name(text: &str) -> Result<String, String> {
    if text.starts_with("amq.") {
        return Err("expected a name that does not begin with amq., which is kept for the broker".to_owned());
    }
    short_string(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_at_most_255_bytes() {
        assert!(short_string(&"x".repeat(255)).is_ok());
        assert!(short_string(&"ü".repeat(128)).is_err());
        assert!(short_string("two\nlines").is_err());
    }

    #[test]
    fn patience_with_a_refusing_broker_is_a_duration_or_without_end() {
        assert_eq!(give_up_after("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!((give_up_after("never"), give_up_after("0")), (Ok(None), Ok(None)));
        assert_eq!(
            give_up_after("soon"),
            Err("expected a duration from 1s to 7d: a whole number and ms, s, m, h or d; or never".to_owned())
        );
    }

    #[test]
    fn queues_named_like_the_brokers_own_are_refused() {
        assert!(queue_name("amq.gen-1").is_err());
        assert!(queue_name("amqp").is_ok());
    }
}
