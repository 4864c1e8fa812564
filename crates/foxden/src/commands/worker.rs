//! `foxden worker`: works off signups until told to stop.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use foxden_ledger::{Ledger, WorkerId};
use foxden_provisioning::Granting;
use tokio_util::sync::CancellationToken;

use crate::{
    belonging,
    exit::Exit,
    key_check, other_clients,
    secret_source::SecretFile,
    service::{Ended, Service},
    serving::Serving,
    settings::{Need, Needs, Settings, Sources},
    signals::{HangUp, Signals, Wish},
    telemetry::{self, Output},
    wiring,
};

pub(crate) const HELP: &str = "\
Takes signup events from RabbitMQ if FOXDEN_AMQP_URL is set, and what is due in the ledger. Serves the pages for grants if
FOXDEN_HTTP_LISTEN is set. Logs to standard output: JSON, or readable on a terminal. SIGTERM or Ctrl-C lets what is under way end within FOXDEN_SHUTDOWN_GRACE; a second one, a
second later or more, ends at once, which loses nothing but leaves calls to be looked up. SIGHUP reads the file of
FOXDEN_FOXY_CLIENT_SECRET_FILE again, and never ends a worker. A broker that is away is waited
for; one that is there and refuses for FOXDEN_AMQP_GIVE_UP_AFTER ends the worker with status 6. A database that
answers nothing at all for FOXDEN_DATABASE_GIVE_UP_AFTER ends it with status 7.

Examples:
  foxden worker
  FOXDEN_LOG=debug foxden worker
  foxden --config /etc/foxden/foxden.toml worker";

pub(crate) async fn run(config: Option<&Path>) -> anyhow::Result<Exit> {
    // Before anything that may take a while.
    let hang_up = HangUp::rereads();
    let needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::IfSet, http: Need::IfSet };
    let settings = Settings::parse(&Sources::of_process(config), needs)?;
    telemetry::init(&settings.telemetry, Output::Stdout)?;
    if let Some(file) = &settings.file {
        tracing::info!(event = "settings.read", file = %file.display(), "settings come from this file, too");
    }

    let amqp = settings.amqp.as_ref().map(wiring::amqp).transpose()?;
    wiring::warn_of_exposed(Some(&settings.database), amqp.as_ref());
    let escrow = wiring::escrow_with_room(&settings.worker).await?;
    let ledger = wiring::working_ledger(wiring::ledger(&settings).await?, &settings.provisioning);
    wiring::warn_of_risks(&ledger).await?;
    let worker = WorkerId::new();
    let tells = amqp.as_ref().is_some_and(|amqp| amqp.outcome_exchange.is_some());
    if amqp.is_some() && !tells {
        warn_of_waiting_events(&ledger).await?;
    }
    let policy = wiring::policy(&settings, tells);
    let grant_policy = wiring::grant_policy(&settings, tells, worker.to_string());
    let custody = wiring::custody(settings.keys)?;
    key_check::check(&ledger, &custody, Some(&settings.worker.escrow_dir)).await?;
    let side = belonging::foxy_of(&ledger, &settings.database, &settings.foxy).await?;
    other_clients::check(&ledger, &settings.worker.escrow_dir, side.client_id(), &settings.foxy.other_clients).await?;
    let serving = match settings.http.zip(settings.grants.redirect_uri) {
        Some((http, redirect_uri)) => {
            let granting = Granting {
                ledger: ledger.clone(),
                custody: custody.clone(),
                escrow: Some(escrow.clone()),
                endpoint: wiring::authorization(&settings.foxy, &side)?,
                foxy: side.foxy.clone(),
                client: side.as_client()?,
                policy: grant_policy,
            };
            let (page, grace) = (settings.foxy.authorization.clone(), settings.worker.shutdown_grace);
            Some(Serving::open(http, page, redirect_uri, granting, grace).await?)
        }
        None => None,
    };
    tracing::info!(
        event = "worker.started",
        worker = %worker,
        version = env!("CARGO_PKG_VERSION"),
        foxy = side.home,
        which_foxy = %side.which,
        ledger = settings.database.url.display(),
        broker = settings.amqp.as_ref().map(|amqp| amqp.url.display()),
        concurrency = settings.worker.concurrency,
        foxy_allows = (!settings.foxy.allows.is_empty()).then(|| settings.foxy.allows.to_string()),
        "ready for signups",
    );
    if side.simulator.is_some() {
        tracing::warn!(
            event = "foxy.simulated",
            "Foxy is simulated: no user or store is real (FOXDEN_FOXY_API=simulator)"
        );
    }

    let service = Service {
        ledger: ledger.clone(),
        escrow,
        custody,
        client: side.as_client()?,
        foxy: side.foxy,
        policy,
        gate: wiring::gate(&settings.foxy),
        settings: settings.worker,
        ledger_give_up_after: settings.database.give_up_after,
        amqp,
        serving,
        worker,
    };
    let stop = CancellationToken::new();
    tokio::spawn(obey_signals(hang_up, stop.clone(), side.secret_file));
    let ended = service.run(stop).await;
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    if let Err(error) = ledger.close().await {
        tracing::warn!(event = "ledger.not_closed", error = %error, "the ledger was not closed in order");
    }
    match ended {
        Ended::InOrder => {
            tracing::info!(event = "worker.stopped", "stopped; nothing is left under way");
            Ok(Exit::Done)
        }
        Ended::Early => {
            tracing::error!(
                event = "worker.stopped_early",
                "stopped before everything under way had ended; the rest is looked up when its leases have expired",
            );
            Ok(Exit::Failed)
        }
        Ended::Broken => {
            tracing::error!(
                event = "worker.broken",
                "stopped, since a part of the worker ended by itself; start it again"
            );
            Ok(Exit::Failed)
        }
        Ended::BrokerRefuses => {
            tracing::error!(
                event = "worker.refused",
                "stopped, since the broker refuses; what broker.refused says must be mended"
            );
            Ok(Exit::BrokerRefuses)
        }
        Ended::LedgerSilent => {
            tracing::error!(
                event = "worker.cut_off",
                "stopped, since the ledger's database answered nothing for too long; start it again"
            );
            Ok(Exit::LedgerSilent)
        }
    }
}

/// Outcome events that were made while they were on are not sent while they are off.
async fn warn_of_waiting_events(ledger: &Ledger) -> anyhow::Result<()> {
    let waiting = ledger.count_waiting_events().await.context("could not count the outcome events that wait")?;
    if waiting > 0 {
        tracing::warn!(
            event = "outbox.off",
            waiting,
            "outcome events wait from before they were turned off; to have them sent, set FOXDEN_AMQP_OUTCOME_EXCHANGE"
        );
    }
    Ok(())
}

/// The first signal stops in good order, one that comes later ends the process at once; a SIGHUP does neither.
async fn obey_signals(hang_up: HangUp, stop: CancellationToken, secret_file: Option<Arc<SecretFile>>) {
    let mut signals = Signals::install(hang_up);
    loop {
        match signals.next().await {
            Wish::Stop(signal) => {
                tracing::info!(event = "worker.stopping", signal, "taking no new work; what is under way may end");
                stop.cancel();
            }
            Wish::Kill(signal) => {
                tracing::warn!(event = "worker.killed", signal, "signalled a second time; ending at once");
                std::process::exit(1);
            }
            Wish::Reread => reread(secret_file.as_deref()),
        }
    }
}

/// Reads again what a running worker can put to use. It is a small file.
fn reread(secret_file: Option<&SecretFile>) {
    let Some(file) = secret_file else {
        tracing::info!(
            event = "settings.reread",
            files = 0,
            "asked to read settings again; without FOXDEN_FOXY_CLIENT_SECRET_FILE there are none to read at a signal"
        );
        return;
    };
    match file.reread() {
        Ok(()) => tracing::info!(
            event = "settings.reread",
            files = 1,
            "read the client's secret again; the next token is asked for with it. Other settings need a restart"
        ),
        Err(problem) => tracing::error!(
            event = "settings.not_reread",
            problem,
            "the client's secret can't be read again (FOXDEN_FOXY_CLIENT_SECRET_FILE); the one in use stays"
        ),
    }
}
