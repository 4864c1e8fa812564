//! `foxden client show`: what Foxy says of our client.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{
    exit::Exit,
    output,
    settings::{Need, Needs},
    terminal::printable,
    wiring,
};

pub(crate) const HELP: &str = "\
Examples:
  foxden client show
  foxden client show --json | jq -r .redirect_uri";

/// `foxden client show …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Print all that Foxy says but the secret as JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// What a person sees, under Foxy's names.
const SHOWN: [(&str, &str); 7] = [
    ("client_id", "id"),
    ("project_name", "project"),
    ("redirect_uri", "redirect"),
    ("company_name", "company"),
    ("contact_name", "contact"),
    ("contact_email", "email"),
    ("contact_phone", "phone"),
];

pub(crate) async fn run(config: Option<&Path>, options: &Options) -> anyhow::Result<Exit> {
    let settings = crate::commands::settings(config, Needs { foxy: Need::Required, ..Needs::default() })?;
    let side = wiring::foxy(&settings.foxy).await?;
    let client = side.foxy.read_client().await;
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    let mut client = client.with_context(|| format!("Foxy at {} did not show the client", side.home))?;
    if options.json {
        client.properties.insert("uri".into(), client.uri.as_str().into());
        output::say_json(&Value::Object(client.properties));
    } else {
        for (property, name) in SHOWN {
            output::say(format!("{name:<9} {}", printable(client.text(property).unwrap_or("-"))));
        }
        output::say(format!("{:<9} {}", "at", client.uri));
    }
    Ok(Exit::Done)
}
