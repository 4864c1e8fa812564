//! The list of all variables: what they are called, what they default to, what they mean.

/// The start of every name that is ours.
pub(super) const PREFIX: &str = "FOXDEN_";

/// One thing foxden can be told.
#[derive(Debug)]
pub(super) struct Variable {
    /// Its name in the environment. In `foxden.toml` it is the same without `FOXDEN_`, in lower case, and each `_` may
    /// be a section's dot: `[foxy] client_id`.
    pub(super) name: &'static str,
    /// The text that stands for it when it is not set.
    pub(super) default: Option<&'static str>,
    /// Whether its value is fit for everyone's eyes.
    pub(super) secrecy: Secrecy,
    /// What it is, in one line without a full stop.
    pub(super) meaning: &'static str,
}

/// Whether a value may stand in `foxden.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It may.
    Open,
    /// It may as long as no password is in it. There is a `…_FILE` variable too.
    SecretIfPassword,
    /// It may not. There is a `…_FILE` variable too.
    Secret,
}

impl Variable {
    /// Whether `…_FILE` exists for it.
    pub(super) fn has_file_form(&self) -> bool {
        self.secrecy != Secrecy::Open
    }

    /// Whether it says to whom secrets are given, by whom they are kept, or under which key: servers, whom to trust as
    /// such, secrets and their files (a rotated one is written there), whose mailboxes the users at Foxy belong to, and
    /// where people are sent with what they have.
    pub(super) fn leads_elsewhere(&self) -> bool {
        const OPEN: [&str; 9] = [
            "FOXDEN_FOXY_API",
            "FOXDEN_FOXY_AUTHORIZE_URL",
            "FOXDEN_AMQP_CA_FILE",
            "FOXDEN_AMQP_CLIENT_CERT_FILE",
            "FOXDEN_USER_EMAIL",
            "FOXDEN_HTTP_PUBLIC_URL",
            "FOXDEN_HTTP_REDIRECT_URI",
            "FOXDEN_HTTP_PLATFORM_HELP",
            "FOXDEN_HTTP_RETURN_URL",
        ];
        self.has_file_form() || OPEN.contains(&self.name)
    }
}

/// The variable of this name, without `_FILE`.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// Whether a name belongs to the test harness, which hands private servers to the tests under it.
pub(super) fn is_for_tests(name: &str) -> bool {
    matches!(name, "FOXDEN_SERVICES" | "FOXDEN_SERVICES_DIR") || name.starts_with("FOXDEN_TEST_")
}

const fn optional(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, secrecy: Secrecy::Open, meaning }
}

const fn defaulted(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: Some(default), secrecy: Secrecy::Open, meaning }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, secrecy: Secrecy::Secret, meaning }
}

const fn url(name: &'static str, default: Option<&'static str>, meaning: &'static str) -> Variable {
    Variable { name, default, secrecy: Secrecy::SecretIfPassword, meaning }
}

/// All variables, in the order in which the sample environment file and the documentation show them.
///
/// The defaults stand here only; the sections' parsers read this text like any other.
pub(super) const VARIABLES: &[Variable] = &[
    optional("FOXDEN_CONFIG", "the settings file; without it, ./foxden.toml if only we and root can have written it"),
    // Foxy.
    defaulted(
        "FOXDEN_FOXY_API",
        "production",
        "which Foxy: production, production-io, sandbox, simulator, or an https URL",
    ),
    optional(
        "FOXDEN_FOXY_AUTHORIZE_URL",
        "where Foxy asks people for their consent; needed for grants where FOXDEN_FOXY_API is a URL",
    ),
    optional("FOXDEN_FOXY_CLIENT_ID", "the OAuth client's id; not needed with the simulator"),
    secret("FOXDEN_FOXY_CLIENT_SECRET", "the OAuth client's secret; not needed with the simulator"),
    secret(
        "FOXDEN_FOXY_OTHER_CLIENTS",
        "further OAuth clients, a line id:secret for each, for tokens that were given to them",
    ),
    secret("FOXDEN_FOXY_H_CAPTCHA_CODE", "the hCaptcha code of creations whose event has none, for Foxy's test keys"),
    defaulted("FOXDEN_CALL_TIMEOUT", "30s", "how long one call to Foxy may take"),
    defaulted("FOXDEN_CONNECT_TIMEOUT", "5s", "how long connecting to Foxy may take"),
    defaulted(
        "FOXDEN_CONNECTION_IDLE",
        "3s",
        "how long a connection for creates may be idle before it is closed; 0s: each create has its own",
    ),
    defaulted(
        "FOXDEN_FOXY_RATE",
        "5",
        "how many requests a second a worker sends to Foxy at most, such as 0.5; or off",
    ),
    defaulted("FOXDEN_FOXY_BURST", "10", "how many requests may go to Foxy at once after a rest, 1 to 10000"),
    optional(
        "FOXDEN_FOXY_ALLOWS",
        "what Foxy is known to allow beyond its documentation: ids from X1 to X6, such as X1,X3",
    ),
    defaulted(
        "FOXDEN_BREAKER_FAILURES",
        "5",
        "after how many calls in a row that ended in an outage no more are sent until Foxy answers again; 0: never",
    ),
    defaulted("FOXDEN_SIMULATOR_BOOKS", "foxy-sim.books.jsonl", "where the simulator keeps what it was asked to make"),
    defaulted("FOXDEN_SIMULATOR_LATENCY", "0ms", "how long the simulator takes to answer, such as 20ms..80ms"),
    // The ledger.
    url("FOXDEN_DATABASE_URL", Some("sqlite:foxden.db"), "where the ledger is: sqlite:PATH or postgres://…"),
    defaulted("FOXDEN_DATABASE_POOL", "8", "how many connections to PostgreSQL, 1 to 64"),
    defaulted(
        "FOXDEN_DATABASE_GIVE_UP_AFTER",
        "2m",
        "how long a worker lives with a PostgreSQL that answers nothing at all; never, or 0, without end",
    ),
    // The broker.
    url(
        "FOXDEN_AMQP_URL",
        None,
        "where signup events come from: amqp://… or amqps://…; without it, from the ledger alone",
    ),
    defaulted("FOXDEN_AMQP_EXCHANGE", "foxden", "the exchange that signup events are published to"),
    defaulted("FOXDEN_AMQP_QUEUE", "foxden.signups", "the queue that signup events are taken from"),
    defaulted("FOXDEN_AMQP_ROUTING_KEY", "signup", "the routing key of signup events"),
    defaulted("FOXDEN_AMQP_DEAD_EXCHANGE", "foxden.dead", "the exchange for events that can't be accepted"),
    defaulted("FOXDEN_AMQP_DEAD_QUEUE", "foxden.signups.dead", "the queue for events that can't be accepted"),
    defaulted(
        "FOXDEN_AMQP_OUTCOME_EXCHANGE",
        "foxden.outcomes",
        "the exchange that outcome events are published to; none for no outcome events at all",
    ),
    defaulted(
        "FOXDEN_AMQP_OUTCOME_QUEUE",
        "foxden.outcomes",
        "the queue declared for outcome events; none for no queue",
    ),
    defaulted(
        "FOXDEN_TELL_DUPLICATES",
        "false",
        "whether a signup event that comes again is answered with an outcome event that tells where its signup stands",
    ),
    defaulted(
        "FOXDEN_AMQP_TOPOLOGY",
        "declare",
        "declare exchanges, queues and bindings, or only check that exchanges and queues are there",
    ),
    defaulted(
        "FOXDEN_AMQP_GIVE_UP_AFTER",
        "5m",
        "how long a worker puts up with a broker that refuses before it ends with status 6; or never",
    ),
    optional("FOXDEN_AMQP_CA_FILE", "for amqps: a PEM file with the authorities to trust; without it, the system's"),
    optional("FOXDEN_AMQP_CLIENT_CERT_FILE", "for amqps: a PEM file with the certificate to show the broker"),
    secret("FOXDEN_AMQP_CLIENT_KEY", "for amqps: the private key of that certificate, as PEM"),
    // Keys.
    secret(
        "FOXDEN_KEYS",
        "the key ring, name:base64[,name:base64…]: the first key seals, all open; see foxden keys generate",
    ),
    defaulted("FOXDEN_ENVIRONMENT", "production", "a label bound into everything sealed, so never change it"),
    defaulted("FOXDEN_TOKEN_REASON", "optional", "whether foxden token must be told why: optional or required"),
    // Provisioning.
    defaulted("FOXDEN_KEEP_USER_TOKENS", "false", "whether users' refresh tokens are kept once their store exists"),
    defaulted("FOXDEN_KEEP_PAYLOADS", "false", "whether events' sealed contents are kept once provisioned"),
    defaulted(
        "FOXDEN_MARK_STORES",
        "false",
        "whether each new store gets an attribute foxden_signup_id at Foxy that only this client sees",
    ),
    optional(
        "FOXDEN_USER_EMAIL",
        "a template for Foxy users' emails if the mailboxes are yours, such as shop+{signup_id}.{generation}@platform.example",
    ),
    defaulted("FOXDEN_RETRY_INITIAL", "2s", "how long to wait before a first retry"),
    defaulted("FOXDEN_RETRY_MAX", "5m", "how long to wait between retries at most"),
    defaulted("FOXDEN_LOOKUP_DELAY", "5s", "how long to wait before a call of unknown outcome is looked up"),
    defaulted("FOXDEN_LISTING_LAG", "10m", "how long after the end of a call Foxy's listings may lack what it made"),
    defaulted("FOXDEN_GIVE_UP_AFTER", "7d", "how long one step is tried before its signup is parked"),
    // Grants.
    defaulted("FOXDEN_GRANT_LIFETIME", "7d", "how long a person may take to grant what they are asked for, 1h to 90d"),
    optional(
        "FOXDEN_HTTP_LISTEN",
        "where a worker serves the pages: 127.0.0.1:8080 or unix:/run/foxden/http.sock; without it, there are none",
    ),
    optional("FOXDEN_HTTP_PUBLIC_URL", "where browsers reach the pages, an https URL; links begin with it"),
    optional(
        "FOXDEN_HTTP_REDIRECT_URI",
        "the OAuth client's redirect URI, as registered at Foxy; without it, the public URL and /callback",
    ),
    optional("FOXDEN_HTTP_PLATFORM_NAME", "the platform's name on the pages"),
    defaulted("FOXDEN_HTTP_PLATFORM_COLOR", "#336699", "the platform's color on the pages"),
    optional("FOXDEN_HTTP_PLATFORM_HELP", "where a person gets help: an https: or mailto: URL"),
    optional(
        "FOXDEN_HTTP_RETURN_URL",
        "the platform's page, where a person goes with a signed result; without it, they see a page of foxden's",
    ),
    secret("FOXDEN_HTTP_RESULT_KEY", "what signs that result, 32 bytes or more; the platform has it too"),
    defaulted(
        "FOXDEN_HTTP_FORWARDED_BY",
        "none",
        "the header by which the proxy names the client: x-forwarded-for, forwarded or none",
    ),
    optional(
        "FOXDEN_HTTP_PROXIES",
        "the proxies that are believed about it: addresses or networks, separated by commas",
    ),
    // The worker.
    defaulted("FOXDEN_CONCURRENCY", "16", "how many signups are in work at once, 1 to 1000"),
    defaulted(
        "FOXDEN_LEASE",
        "90s",
        "how long a worker owns a signup without renewing; over FOXDEN_CALL_TIMEOUT + 10s",
    ),
    defaulted("FOXDEN_SHUTDOWN_GRACE", "45s", "how long stopping may take; over FOXDEN_CALL_TIMEOUT"),
    defaulted("FOXDEN_POLL_INTERVAL", "1s", "how often the ledger is asked for what is due"),
    defaulted("FOXDEN_ESCROW_DIR", "foxden-escrow", "where tokens are held, sealed, while the ledger is away"),
    defaulted("FOXDEN_HEARTBEAT", "60s", "how often worker.heartbeat is logged"),
    defaulted(
        "FOXDEN_KEEP_HISTORY",
        "90d",
        "how long evidence and published events are kept once their signup is closed",
    ),
    // Telemetry.
    defaulted("FOXDEN_LOG", "info", "what is logged: a level for foxden, then target=level or dependencies=level"),
    defaulted("FOXDEN_LOG_FORMAT", "auto", "how it looks: json, human, or auto (human on a terminal)"),
];
