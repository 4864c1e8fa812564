//! Puts the parts together as the settings ask.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use foxden_custody::{Custody, Escrow};
use foxden_intake::AmqpUrl;
use foxden_ledger::{ClientId, FoxyClient, Ledger, LedgerError, WhichFoxy};
use foxden_provisioning::{GateSettings, GrantPolicy, Policy, Schedule};
use foxden_vault::{ClientSecret, KeyRing};
use foxy_api::{ApiOrigins, AuthorizationEndpoint, Foxy, Registrar, SecretSource};
use foxy_sim::Simulator;

use crate::{
    belonging,
    other_clients::KnownClients,
    output,
    secret_source::SecretFile,
    settings::{
        AmqpSettings, DatabaseSettings, FoxyApi, FoxySettings, KeySettings, ProvisioningSettings, Settings,
        WorkerSettings, proxy_variable,
    },
};

/// What foxden calls itself to Foxy.
const USER_AGENT: &str = concat!("foxden/", env!("CARGO_PKG_VERSION"));

/// Foxy, and the simulator that plays it where the settings say so.
pub(crate) struct FoxySide {
    /// The client.
    pub(crate) foxy: Foxy,
    /// The simulator; it ends with this value.
    pub(crate) simulator: Option<Simulator>,
    /// The file that the client's secret is in, if it is in one.
    pub(crate) secret_file: Option<Arc<SecretFile>>,
    /// Where calls go, for the log.
    pub(crate) home: String,
    /// Which Foxy that is.
    pub(crate) which: WhichFoxy,
    settings: foxy_api::Settings,
}

impl FoxySide {
    /// The same client of the same Foxy, but with another secret.
    pub(crate) fn with_secret(&self, client_secret: ClientSecret) -> anyhow::Result<Foxy> {
        let settings = foxy_api::Settings { client_secret, ..self.settings.clone() };
        Foxy::try_new(settings).context("could not set up the client of Foxy's API")
    }

    /// Another client of the same Foxy.
    pub(crate) fn client(&self, client_id: String, client_secret: ClientSecret) -> anyhow::Result<Foxy> {
        let settings = foxy_api::Settings { client_id, client_secret, ..self.settings.clone() };
        Foxy::try_new(settings).context("could not set up the client of Foxy's API")
    }

    /// What makes clients at the same Foxy.
    pub(crate) fn registrar(&self) -> anyhow::Result<Registrar> {
        let foxy_api::Settings { api, connect_timeout, call_timeout, .. } = self.settings.clone();
        Registrar::try_new(api, connect_timeout, call_timeout, USER_AGENT)
            .context("could not set up the client of Foxy's API")
    }

    /// This client, and where it is one.
    pub(crate) fn as_client(&self) -> anyhow::Result<FoxyClient> {
        let id = ClientId::parse(&self.settings.client_id).context("the id of the OAuth client")?;
        Ok(FoxyClient { foxy: self.which.clone(), id })
    }

    /// The id of this client.
    pub(crate) fn client_id(&self) -> &str {
        &self.settings.client_id
    }
}

/// Connects to the ledger and sees to its schema: the embedded one is brought up to date on the spot, a server's is the
/// operator's to change. One that belongs to another Foxy than these settings name is refused.
pub(crate) async fn ledger(settings: &Settings) -> anyhow::Result<Ledger> {
    let ledger = with_schema(settings).await?;
    belonging::compare(&ledger, &settings.database, &settings.foxy).await?;
    Ok(ledger)
}

async fn with_schema(all: &Settings) -> anyhow::Result<Ledger> {
    let settings = &all.database;
    let ledger = connect(settings).await?;
    if ledger.is_embedded() {
        migrate(&ledger, all).await.context("could not bring the ledger's schema up to date")?;
    } else {
        let migrations = ledger.migrations().await.context("could not read the ledger's schema version")?;
        let missing = migrations.iter().filter(|(_, applied)| !applied).count();
        if missing > 0 {
            bail!(
                "the ledger at {} lacks {missing} of {} migrations; run `foxden migrate up`",
                settings.url.display(),
                migrations.len()
            );
        }
    }
    Ok(ledger)
}

/// Brings the schema up to this release's. What an earlier release has begun, it has to finish first, if the ledger is
/// rebuilt: its workers can't work with this release's tables.
pub(crate) async fn migrate(ledger: &Ledger, settings: &Settings) -> anyhow::Result<()> {
    let dir = &settings.worker.escrow_dir;
    if ledger.must_be_rebuilt().await? {
        let (tokens, unreadable) = Escrow::count_by_key(dir).context("FOXDEN_ESCROW_DIR")?;
        let files = tokens.values().sum::<u64>() + unreadable;
        if files > 0 {
            bail!(
                "{} in {} (FOXDEN_ESCROW_DIR), with tokens that are not in the ledger yet, and this release rebuilds the \
                 ledger. Nothing was changed; start a worker of the earlier release with that directory, which moves the \
                 tokens into the ledger, stop it, and try again",
                output::counted(files, "file is", "files are"),
                dir.display()
            );
        }
    }
    match ledger.migrate_up().await {
        Err(LedgerError::InUse(in_use)) => Err(LedgerError::InUse(in_use)).with_context(|| {
            format!(
                "this release rebuilds the ledger, and no worker may be at work on it. Nothing was changed; stop all workers \
                 of the earlier release, and try again. If one was killed, wait until {}, when the last lease has ended",
                output::moment(in_use.until_ms)
            )
        }),
        done => Ok(done?),
    }
}

/// Warns of connections that others on the network could listen to. In a network of one's own that may be meant, so it
/// is no reason not to start.
pub(crate) fn warn_of_exposed(ledger: Option<&DatabaseSettings>, broker: Option<&foxden_intake::AmqpSettings>) {
    if let Some(database) = ledger.filter(|database| database.url.is_exposed()) {
        tracing::warn!(
            event = "ledger.exposed",
            ledger = database.url.display(),
            "PostgreSQL is on another machine and is not verified, so others on the way can take its place; set \
             sslmode=verify-full in FOXDEN_DATABASE_URL",
        );
    }
    if let Some(amqp) = broker.filter(|amqp| amqp.url.is_exposed()) {
        tracing::warn!(
            event = "broker.exposed",
            broker = amqp.url.display(),
            "the broker is on another machine and is reached without TLS, so others on the way can read signups and the \
             password; use amqps:// in FOXDEN_AMQP_URL",
        );
    }
}

/// Warns of a database that may lose what it confirms. That is the operator's choice, and no reason not to start.
pub(crate) async fn warn_of_risks(ledger: &Ledger) -> anyhow::Result<()> {
    for risk in ledger.durability_risks().await.context("could not ask the database whether its commits last")? {
        tracing::warn!(
            event = "ledger.not_durable",
            setting = risk.as_str(),
            risk = %risk,
            "signups and tokens are only as safe as the database's commits",
        );
    }
    Ok(())
}

/// Connects to a ledger that must be there: a command that looks at one makes none by being run in the wrong place.
pub(crate) async fn existing_ledger(settings: &Settings) -> anyhow::Result<Ledger> {
    must_exist(&settings.database)?;
    ledger(settings).await
}

/// The same, whichever Foxy it belongs to.
pub(crate) async fn ledger_of_any_foxy(settings: &Settings) -> anyhow::Result<Ledger> {
    must_exist(&settings.database)?;
    with_schema(settings).await
}

fn must_exist(settings: &DatabaseSettings) -> anyhow::Result<()> {
    if let Some(file) = settings.url.file()
        && !file.exists()
    {
        bail!(
            "there is no ledger at {} (FOXDEN_DATABASE_URL); is this the right directory? `foxden worker` and \
             `foxden submit` make one",
            settings.url.display()
        );
    }
    Ok(())
}

/// The escrow, tried before it is needed.
pub(crate) fn escrow(settings: &WorkerSettings) -> anyhow::Result<Escrow> {
    Escrow::open(&settings.escrow_dir).context("FOXDEN_ESCROW_DIR")
}

/// How long until a full disk is tried again.
const ROOM_PAUSE: Duration = Duration::from_secs(2);

/// The same for a worker: it waits for room. Ended and started again and again, it would be given up by its supervisor.
pub(crate) async fn escrow_with_room(settings: &WorkerSettings) -> anyhow::Result<Escrow> {
    let mut is_reported = false;
    loop {
        match Escrow::open(&settings.escrow_dir) {
            Err(error) if error.is_for_room() => {
                if !std::mem::replace(&mut is_reported, true) {
                    tracing::error!(
                        event = "escrow.full",
                        error = &error as &dyn std::error::Error,
                        "a token could not be kept on this disk, so nothing is begun; make room",
                    );
                }
                tokio::time::sleep(ROOM_PAUSE).await;
            }
            opened => {
                if is_reported && opened.is_ok() {
                    tracing::info!(event = "escrow.has_room", "a token can be kept on this disk again");
                }
                return opened.context("FOXDEN_ESCROW_DIR");
            }
        }
    }
}

/// Connects to the ledger as it is.
pub(crate) async fn connect(settings: &DatabaseSettings) -> anyhow::Result<Ledger> {
    Ledger::open(&settings.url, settings.pool)
        .await
        .with_context(|| format!("could not open the ledger at {} (FOXDEN_DATABASE_URL)", settings.url.display()))
}

/// The key ring with the environment's name.
pub(crate) fn custody(keys: KeySettings) -> anyhow::Result<Custody> {
    let ring: KeyRing = keys.ring.context("FOXDEN_KEYS is not set")?;
    Ok(Custody::new(Arc::new(ring), &keys.environment))
}

/// The client of Foxy, with the simulator started if it is to play Foxy. With a ledger: [`belonging::foxy_of`].
pub(crate) async fn foxy(settings: &FoxySettings) -> anyhow::Result<FoxySide> {
    let (api, simulator) = api(settings).await?;
    let (client_id, client_secret) = match (&simulator, &settings.client) {
        (Some(simulator), _) => {
            let (id, secret) = simulator.client();
            (id.to_owned(), ClientSecret::new(secret))
        }
        (None, Some(client)) => (client.id.clone(), client.secret.clone()),
        (None, None) => bail!("FOXDEN_FOXY_CLIENT_ID and FOXDEN_FOXY_CLIENT_SECRET are not set"),
    };
    let secret_file =
        settings.client.as_ref().filter(|_| simulator.is_none()).and_then(|client| client.secret_file.clone());
    let secret_file = secret_file.map(|file| Arc::new(SecretFile::new(file)));
    let home = api.to_string();
    let which = match &simulator {
        Some(simulator) => belonging::simulator(simulator.books_id())?,
        None => belonging::at(&api)?,
    };
    let others = Arc::new(KnownClients::new(&settings.other_clients));
    let settings = foxy_api::Settings {
        api,
        client_id,
        client_secret,
        h_captcha_code: settings.h_captcha_code.clone(),
        connect_timeout: settings.connect_timeout,
        call_timeout: settings.call_timeout,
        connection_idle: settings.connection_idle,
        rate: settings.rate,
        user_agent: USER_AGENT.to_owned(),
    };
    let source = secret_file.clone().map(|file| file as Arc<dyn SecretSource>);
    let foxy = Foxy::with_other_clients(settings.clone(), source, others);
    let foxy = foxy.context("could not set up the client of Foxy's API")?;
    Ok(FoxySide { foxy, simulator, secret_file, home, which, settings })
}

/// Where Foxy is, with the simulator started if it is to play Foxy.
async fn api(settings: &FoxySettings) -> anyhow::Result<(ApiOrigins, Option<Simulator>)> {
    if let Some(variable) = proxy_variable().filter(|_| settings.api != FoxyApi::Simulator) {
        tracing::warn!(
            event = "foxy.proxy_unused",
            variable,
            "foxden calls Foxy directly, since a proxy would see its tokens; this variable has no effect",
        );
    }
    Ok(match &settings.api {
        FoxyApi::Production => (ApiOrigins::production(), None),
        FoxyApi::ProductionIo => (ApiOrigins::production_io(), None),
        FoxyApi::Sandbox => (ApiOrigins::sandbox(), None),
        FoxyApi::Url(url) => (ApiOrigins::explicit(url.as_str()).context("FOXDEN_FOXY_API")?, None),
        FoxyApi::Simulator => {
            let simulator = simulator(settings).await?;
            (ApiOrigins::explicit(simulator.base_url()).context("the simulator's own address")?, Some(simulator))
        }
    })
}

/// What makes OAuth clients, where Foxy is, and the simulator if it plays Foxy.
pub(crate) async fn registrar(settings: &FoxySettings) -> anyhow::Result<(Registrar, String, Option<Simulator>)> {
    let (api, simulator) = api(settings).await?;
    let home = api.to_string();
    let registrar = Registrar::try_new(api, settings.connect_timeout, settings.call_timeout, USER_AGENT)
        .context("could not set up the client of Foxy's API")?;
    Ok((registrar, home, simulator))
}

async fn simulator(settings: &FoxySettings) -> anyhow::Result<Simulator> {
    let (latency, otherwise) = (settings.simulator.latency, foxy_sim::Config::default());
    let config = foxy_sim::Config {
        books: Some(settings.simulator.books.clone()),
        latency: foxy_sim::Latency { min: latency.min, max: latency.max },
        redirect_uri: settings.simulator.redirect_uri.clone().unwrap_or(otherwise.redirect_uri),
        ..foxy_sim::Config::default()
    };
    Simulator::start(config).await.context("could not start the simulator")
}

/// The broker's settings, as the intake takes them.
pub(crate) fn amqp(settings: &AmqpSettings) -> anyhow::Result<foxden_intake::AmqpSettings> {
    Ok(foxden_intake::AmqpSettings {
        url: AmqpUrl::parse(settings.url.expose()).context("FOXDEN_AMQP_URL")?,
        exchange: settings.exchange.clone(),
        queue: settings.queue.clone(),
        routing_key: settings.routing_key.clone(),
        dead_exchange: settings.dead_exchange.clone(),
        dead_queue: settings.dead_queue.clone(),
        outcome_exchange: settings.outcome_exchange.clone(),
        outcome_queue: settings.outcome_queue.clone(),
        tell_duplicates: settings.tell_duplicates,
        topology: settings.topology,
        tls: settings.tls.clone(),
        give_up_after: settings.give_up_after,
    })
}

/// Where people grant access at this Foxy.
pub(crate) fn authorization(settings: &FoxySettings, side: &FoxySide) -> anyhow::Result<AuthorizationEndpoint> {
    match &settings.authorization {
        Some(page) => AuthorizationEndpoint::parse(page.url.as_str()).context("FOXDEN_FOXY_AUTHORIZE_URL"),
        None => AuthorizationEndpoint::of(side.foxy.origins()).with_context(|| {
            format!("where people grant access at {} is not known: set FOXDEN_FOXY_AUTHORIZE_URL", side.home)
        }),
    }
}

/// The settings of grants, for who brings what is granted.
pub(crate) fn grant_policy(settings: &Settings, outcome_events: bool, who: String) -> GrantPolicy {
    GrantPolicy {
        lifetime: settings.grants.lifetime,
        keep_payloads: settings.provisioning.keep_payloads,
        keep_user_tokens: settings.provisioning.keep_user_tokens,
        outcome_events,
        who,
    }
}

/// The saga's settings.
pub(crate) fn policy(settings: &Settings, outcome_events: bool) -> Policy {
    let saga = &settings.provisioning;
    Policy {
        call_timeout: settings.foxy.call_timeout,
        lookup_delay: saga.lookup_delay,
        listing_lag: saga.listing_lag,
        retry: Schedule::new(saga.retry_initial, saga.retry_max),
        recording: Policy::RECORDING,
        give_up_after: saga.give_up_after,
        keep_user_tokens: saga.keep_user_tokens,
        keep_payloads: saga.keep_payloads,
        marks_stores: saga.mark_stores,
        outcome_events,
    }
}

/// When calls to Foxy are held back.
pub(crate) fn gate(settings: &FoxySettings) -> GateSettings {
    GateSettings { failures: settings.breaker_failures, ..GateSettings::default() }
}

/// The ledger as a worker uses it: it makes users in the mailbox that the platform owns, if it does.
pub(crate) fn working_ledger(ledger: Ledger, settings: &ProvisioningSettings) -> Ledger {
    match &settings.user_email {
        Some(template) => ledger.with_mailbox(template.as_str()),
        None => ledger,
    }
}
