//! `foxden token`: a fresh access token for a signup's store.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Args;
use foxden_ledger::{Custody, Ledger, Provisioning, Scope};
use foxden_vault::RefreshToken;
use serde_json::json;

use super::status;
use crate::{
    cli::SignupArg,
    exit::Exit,
    output,
    settings::{Need, Needs},
    wiring,
};

pub(crate) const HELP: &str = "\
Opens the sealed refresh token, asks Foxy for an access token with it, and prints that: it opens everything in the
store for two hours. Nothing is stored.

Examples:
  TOKEN=$(foxden token acct_000001)
  curl -H \"Authorization: Bearer $TOKEN\" -H 'FOXY-API-VERSION: 1' https://api.foxycart.com
  foxden token acct_000001 --json | jq -r .store_uri";

/// `foxden token …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    /// Print JSON with the store's address, the scope and the seconds until it expires
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let needs = Needs { foxy: Need::Required, keys: Need::Required, ..Needs::default() };
    let settings = super::settings(config, needs)?;
    let ledger = wiring::existing_ledger(&settings.database).await?;
    let Some(row) = ledger.find(&options.signup.signup_id).await? else {
        return Ok(super::not_found(&options.signup.signup_id, &settings));
    };
    let side = wiring::foxy(&settings.foxy).await?;
    let custody = wiring::custody(settings.keys)?;
    let refresh = store_token(&ledger, &custody, &row).await?;
    let granted = side
        .foxy
        .access_token(&refresh)
        .await
        .with_context(|| format!("Foxy at {} gave no access token for this store", side.home))?;
    tracing::info!(
        event = "token.issued",
        signup_id = %row.signup_id,
        expires_in_s = granted.expires_in.as_secs(),
        "an access token for this store was printed",
    );
    if options.json {
        output::say_json(&json!({
            "access_token": granted.access.expose(),
            "expires_in": granted.expires_in.as_secs(),
            "scope": granted.scope,
            "store_uri": row.store_uri,
            "store_domain": row.store_domain,
        }));
    } else {
        output::say(granted.access.expose());
    }
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    Ok(Exit::Done)
}

/// The store's refresh token, opened.
async fn store_token(ledger: &Ledger, custody: &Custody, row: &Provisioning) -> anyhow::Result<RefreshToken> {
    let signup_id = &row.signup_id;
    let held = ledger.credentials(&row.id).await?;
    let Some(sealed) =
        held.into_iter().rfind(|held| held.scope == Scope::Store && held.sealed.is_some()).and_then(|held| held.sealed)
    else {
        bail!("{signup_id} has no store token yet: it is {}; see `foxden show {signup_id}`", status::place(row));
    };
    custody
        .open_token(&row.id, Scope::Store, &sealed)
        .with_context(|| format!("could not open the store token of {signup_id} (FOXDEN_KEYS, FOXDEN_ENVIRONMENT)"))
}
