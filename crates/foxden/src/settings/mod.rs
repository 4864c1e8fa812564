//! What foxden can be told: defaults, then `foxden.toml`, then `FOXDEN_*` environment variables.
//!
//! [`Sources`] holds what was found, [`Settings::parse`] makes sense of it, and nothing else in the program reads the
//! environment. Every mistake is reported at once ([`Mistakes`]), by variable name and never with the value given: it
//! may be a secret, also when it was put under the wrong name. (Durations that were understood are shown, and paths
//! where there is a file.) [`variables::VARIABLES`] lists all there is.
//!
//! A `foxden.toml` that merely lies in the working directory is read only if no one else can have written it
//! ([`trust`]), and sets nothing that says where secrets go ([`variables::Variable::leads_elsewhere`]).
//!
//! Secrets (and URLs with a password in them) come from the environment, or from the file that a `…_FILE` variable
//! names; in `foxden.toml` they are a mistake. An empty variable counts as unset, but
//! for `FOXDEN_FOXY_API`, whose default is the real Foxy.

mod amqp;
mod authorization;
mod config_file;
mod database;
mod foxy;
mod foxy_allows;
mod given;
mod grants;
mod http;
mod keys;
mod kubernetes;
mod mistakes;
mod other_clients;
mod provisioning;
mod reader;
mod secret_file;
mod secret_url;
mod sources;
mod suggestion;
mod telemetry;
mod text;
mod trust;
mod variables;
mod worker;

#[cfg(test)]
mod amqp_tests;
#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod lying_here_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod tests;

pub(crate) use amqp::AmqpSettings;
pub(crate) use authorization::AuthorizationPage;
pub(crate) use database::DatabaseSettings;
pub(crate) use foxy::{ClientCredentials, FoxyApi, FoxySettings, Latency, client_secret_in};
pub(crate) use foxy_allows::{FoxyAllows, Permission};
pub(crate) use grants::GrantSettings;
pub(crate) use http::HttpSettings;
pub(crate) use keys::KeySettings;
pub(crate) use mistakes::Mistakes;
pub(crate) use other_clients::{OtherClients, other_clients_in};
pub(crate) use provisioning::ProvisioningSettings;
pub(crate) use secret_url::SecretUrl;
pub(crate) use sources::{Sources, names_of_ours, proxy_variable};
pub(crate) use telemetry::{LogFormat, TelemetrySettings};
pub(crate) use worker::WorkerSettings;

use std::path::{Path, PathBuf};

use reader::Reader;

/// How a command stands to a part of the settings that not every command needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Need {
    /// Its secret files are left unopened: a command gets no secret that it has no use for, and runs for people who
    /// may not read them. What the environment holds is checked all the same.
    #[default]
    Unused,
    /// Used if it is set.
    IfSet,
    /// A mistake if it is not set.
    Required,
}

/// What a command needs beyond the database, which every command has by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// The OAuth client: `FOXDEN_FOXY_CLIENT_ID` and `FOXDEN_FOXY_CLIENT_SECRET`. The simulator brings its own.
    pub(crate) foxy: Need,
    /// The key ring: `FOXDEN_KEYS`.
    pub(crate) keys: Need,
    /// The broker: `FOXDEN_AMQP_URL`.
    pub(crate) amqp: Need,
    /// The pages: `FOXDEN_HTTP_LISTEN`.
    pub(crate) http: Need,
}

/// Everything foxden was told, checked: each value by itself, and the relations between them.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The settings file that was read.
    pub(crate) file: Option<PathBuf>,
    /// Which Foxy, and as whom.
    pub(crate) foxy: FoxySettings,
    /// Where the ledger is.
    pub(crate) database: DatabaseSettings,
    /// Where signup events come from; `None` without `FOXDEN_AMQP_URL`.
    pub(crate) amqp: Option<AmqpSettings>,
    /// What seals and what envelopes are bound to.
    pub(crate) keys: KeySettings,
    /// What is kept, and when things are tried again.
    pub(crate) provisioning: ProvisioningSettings,
    /// How long people are asked, and where links and Foxy's answers lead.
    pub(crate) grants: GrantSettings,
    /// The pages for grants; `None` without `FOXDEN_HTTP_LISTEN`.
    pub(crate) http: Option<HttpSettings>,
    /// How much is done at a time, and for how long a worker may hold on to it.
    pub(crate) worker: WorkerSettings,
    /// What is logged, and how it looks.
    pub(crate) telemetry: TelemetrySettings,
}

impl Settings {
    /// Makes settings of what was found. Reads the secret files that `needs` calls for, and nothing else.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn parse(sources: &Sources, needs: Needs) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(sources);
        let call_timeout = foxy::call_timeout(&mut reader);
        let mut foxy = FoxySettings::read(&mut reader, needs.foxy, call_timeout);
        let database = DatabaseSettings::read(&mut reader);
        let amqp = AmqpSettings::read(&mut reader, needs.amqp);
        let keys = KeySettings::read(&mut reader, needs.keys);
        let provisioning = ProvisioningSettings::read(&mut reader);
        let grants = GrantSettings::read(&mut reader);
        if let (Some(foxy), Some(grants)) = (&mut foxy, &grants) {
            foxy.simulator.redirect_uri.clone_from(&grants.redirect_uri);
        }
        let http = HttpSettings::read(&mut reader, needs.http, (foxy.as_ref(), grants.as_ref()));
        let worker = WorkerSettings::read(&mut reader, call_timeout);
        let telemetry = TelemetrySettings::read(&mut reader, sources.no_color());
        if let (Some(database), Some(worker)) = (&database, &worker) {
            database.check_pool(&mut reader, worker.concurrency);
        }
        reader.finish()?;

        let all = (|| {
            Some(Self {
                file: sources.file().map(Path::to_owned),
                foxy: foxy?,
                database: database?,
                amqp,
                keys: keys?,
                provisioning: provisioning?,
                grants: grants?,
                http,
                worker: worker?,
                telemetry: telemetry?,
            })
        })();
        Ok(all.expect("a section without a mistake is complete"))
    }
}
