//! `foxden token`: a fresh access token for a signup's store, printed or given to a command.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::Path, process::Command, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use foxden_custody::{CustodyError, Escrow, OpenTokenError, StoreToken, open_store_token};
use foxden_ledger::Provisioning;
use foxden_provisioning::Keeper;
use foxden_vault::AccessToken;
use foxy_api::{HeldToken, TokenScope};
use foxy_sim::Simulator;
use serde_json::json;

use super::status;
use crate::{
    addresses::Addresses,
    belonging,
    cli::SignupArg,
    exit::Exit,
    output,
    person::Asking,
    settings::{self, Need, Needs},
    wiring,
};

pub(crate) const HELP: &str = "\
Opens the sealed refresh token, asks Foxy for an access token with it, and prints that: it opens everything in the
store for two hours. Nothing is stored but the fact: who, when and why go into the ledger's audit first, and `foxden show`
lists them. If that can't be written, there is no token.

With --exec the token is not printed. The command after -- takes foxden's place and finds in its environment
FOXY_ACCESS_TOKEN, FOXY_STORE_URI and FOXY_API_HOME, and no setting of foxden's. Its exit status is the command's.

Examples:
  TOKEN=$(foxden token acct_000001)
  curl -H \"Authorization: Bearer $TOKEN\" -H 'FOXY-API-VERSION: 1' https://api.foxycart.com
  foxden token acct_000001 --json | jq -r .store_uri
  foxden token acct_000001 --reason 'ticket 4711' --exec -- ./export-orders.sh";

/// `foxden token …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    #[command(flatten)]
    asking: Asking,
    /// Print JSON with the store's address, the scope and the seconds until it expires
    #[arg(long)]
    json: bool,
    /// Give the token to a command, in its environment, instead of printing it
    #[arg(long, requires = "command", conflicts_with = "json")]
    exec: bool,
    /// The command and its arguments
    #[arg(last = true, requires = "exec", value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let needs = Needs { foxy: Need::Required, keys: Need::Required, ..Needs::default() };
    let settings = super::settings(config, needs)?;
    if settings.keys.token_reason_required && !options.asking.has_reason() {
        output::note("error: a token is opened for a reason here (FOXDEN_TOKEN_REASON); give it with --reason TEXT");
        return Ok(Exit::Usage);
    }
    let ledger = wiring::existing_ledger(&settings).await?;
    let signup_id = options.signup.signup_id;
    let Some(row) = ledger.find(&signup_id).await? else { return Ok(super::not_found(&signup_id, &settings)) };
    let side = belonging::foxy_of(&ledger, &settings.database, &settings.foxy).await?;
    let addresses = Addresses::at(side.foxy.origins());
    check(&row, &addresses, side.simulator.as_ref())?;
    let custody = wiring::custody(settings.keys)?;
    let (by, checked) = (options.asking.by(), |uri: &str| addresses.checked(uri));
    let store = open_store_token(&ledger, &custody, &signup_id, &by, checked).await.map_err(explained)?;
    // A worker drains it. Where there is none, or it is not ours to write in, the ledger alone has to do.
    let escrow = Some(&settings.worker.escrow_dir).filter(|dir| dir.is_dir()).and_then(|dir| Escrow::open(dir).ok());
    let place = match escrow {
        Some(escrow) => store.place.clone().with_escrow(&escrow),
        None => store.place.clone(),
    };
    let token = HeldToken::new(store.token.clone()).kept_by(Arc::new(Keeper::for_a_person(place, side.as_client()?)));
    let granted = side
        .foxy
        .access_token(token, TokenScope::Store)
        .await
        .with_context(|| format!("Foxy at {} gave no access token for this store", side.home))?;
    tracing::info!(
        event = "token.issued",
        %signup_id,
        expires_in_s = granted.expires_in.as_secs(),
        "Foxy gave an access token for this store",
    );
    if options.exec {
        ledger.close().await?;
        return Err(exec(&options.command, &granted.access, &store, &side.home));
    }
    if options.json {
        output::give_json(&json!({
            "access_token": granted.access.expose(),
            "expires_in": granted.expires_in.as_secs(),
            "scope": granted.scope,
            "store_uri": store.store_uri,
            "store_domain": store.store_domain,
        }))
        .context("could not print the access token")?;
    } else {
        output::give(granted.access.expose()).context("could not print the access token")?;
    }
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    Ok(Exit::Done)
}

/// Refuses a row whose store is not at this Foxy: its token would go there, or to whom the row's author likes.
fn check(row: &Provisioning, addresses: &Addresses, simulator: Option<&Simulator>) -> anyhow::Result<()> {
    let Some(uri) = &row.store_uri else { return Ok(()) };
    let checked = addresses.checked(uri);
    // A simulator's store is one that stands in its books.
    let is_there = |uri: &str| simulator.is_none_or(|sim| sim.books().stores.iter().any(|store| store.uri == uri));
    if checked.as_deref().is_some_and(is_there) {
        return Ok(());
    }
    bail!(
        "the address that the ledger has for the store of {0} is not trusted: it is not at this Foxy (FOXDEN_FOXY_API). \
         The token was not opened; see `foxden show {0}`",
        row.signup_id
    )
}

/// Puts the command in this process's place, so that signals and the exit status are its own. Answers only if it can't.
fn exec(command: &[OsString], access: &AccessToken, store: &StoreToken, home: &str) -> anyhow::Error {
    let (program, arguments) = command.split_first().expect("clap lets --exec through only with a command");
    let mut command = Command::new(program);
    command.args(arguments);
    for name in settings::names_of_ours() {
        command.env_remove(name);
    }
    // One that is left over from another store would be a trap.
    command.env_remove("FOXY_STORE_URI");
    command.env("FOXY_ACCESS_TOKEN", access.expose()).env("FOXY_API_HOME", home);
    if let Some(uri) = &store.store_uri {
        command.env("FOXY_STORE_URI", uri);
    }
    // What the command makes is its own business.
    crate::umask::restore();
    anyhow!(command.exec()).context(format!("could not run {}", program.display()))
}

/// With what a person can do about it.
fn explained(error: OpenTokenError) -> anyhow::Error {
    match error {
        OpenTokenError::NoToken(row) => {
            let (signup_id, place) = (&row.signup_id, status::place(&row));
            let what = if row.forgotten_at_ms.is_some() {
                "no store token any more: its customer was forgotten".to_owned()
            } else {
                format!("no store token yet: it is {place}")
            };
            anyhow!("{signup_id} has {what}; see `foxden show {signup_id}`")
        }
        OpenTokenError::Sealed { signup_id, source: source @ CustodyError::Mismatch(_) } => anyhow!(source).context(
            format!("the store token of {signup_id} was not handed out; see custody_mismatch in the operations guide"),
        ),
        OpenTokenError::Sealed { signup_id, source } => anyhow!(source)
            .context(format!("could not open the store token of {signup_id} (FOXDEN_KEYS, FOXDEN_ENVIRONMENT)")),
        error => error.into(),
    }
}
