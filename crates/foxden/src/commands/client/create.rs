//! `foxden client create`: an OAuth client of one's own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use foxden_vault::{ClientSecret, random_text};
use foxy_api::{CreatedClient, NewClient, Outcome};
use serde_json::{Map, json};
use tokio::time::Instant;

use super::{agreed, can_agree, env_lines, why};
use crate::{exit::Exit, output, private_file::NewFile, settings::Needs, wiring};

pub(crate) const HELP: &str = "\
Needs no client in the settings and no ledger; FOXDEN_FOXY_API says at which Foxy. The id can't be changed later. The
secret goes to standard output, or to a new file that only its owner can read; no command of foxden's shows it again. At
Foxy an access token of the client reads it, and such a token is made with the secret.

A client whose secret was lost, with the answer or on the way to the file, is of no use and does no harm: make another.
It gets another id.

Examples:
  foxden client create --id-prefix acme --redirect-uri https://acme.example/foxy --project-name Shops \\
      --company-name Acme --contact-name 'Ada L.' --contact-email ada@acme.example --contact-phone 555-0100 \\
      --secret-file client-secret
  foxden client create … --env-file client.env --yes --json";

/// A prefix and the rest stay below the length that Foxy is thought to take.
const PREFIX_MAX: usize = 40;

/// Far more than any secret needs.
const SECRET_MAX: usize = 500;

/// The random rest of an id.
const REST: usize = 30;
const REST_CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// `foxden client create …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What the id begins with: letters, digits, _ and -
    #[arg(long, value_name = "PREFIX", value_parser = parse_prefix)]
    id_prefix: String,
    /// Where browsers are sent back to with a code
    #[arg(long, value_name = "URL")]
    redirect_uri: String,
    /// What the integration is called
    #[arg(long, value_name = "NAME")]
    project_name: String,
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    company_name: String,
    /// Whom Foxy asks about it
    #[arg(long, value_name = "NAME")]
    contact_name: String,
    /// That person's email
    #[arg(long, value_name = "EMAIL")]
    contact_email: String,
    /// That person's phone
    #[arg(long, value_name = "PHONE")]
    contact_phone: String,
    /// Write id and secret to a new file, as FOXDEN_ variables
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    env_file: Option<PathBuf>,
    /// Write the secret alone to a new file, for FOXDEN_FOXY_CLIENT_SECRET_FILE
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    if !can_agree(options.yes) {
        return Ok(Exit::Usage);
    }
    let settings = crate::commands::settings(config, Needs::default())?;
    let (registrar, home, simulator) = wiring::registrar(&settings.foxy).await?;
    let rest = random_text(REST_CHARACTERS, REST).context("could not make an id")?;
    let id = format!("{}_{}", options.id_prefix, rest.as_str());
    if !agreed(options.yes, &format!("Make the OAuth client {id} at {home}?"))? {
        return Ok(Exit::Failed);
    }
    // Before anything is sent: a file that can't be written shall cost no client.
    let path = options.env_file.as_ref().or(options.secret_file.as_ref());
    let file = path
        .map(|path| {
            NewFile::create(path).with_context(|| format!("could not make {}; nothing was sent", path.display()))
        })
        .transpose()?;
    let wanted = NewClient {
        id: Some(id.clone()),
        redirect_uri: options.redirect_uri.clone(),
        project_name: options.project_name.clone(),
        company_name: options.company_name.clone(),
        contact_name: options.contact_name.clone(),
        contact_email: options.contact_email.clone(),
        contact_phone: options.contact_phone.clone(),
        extra: Map::new(),
    };
    let report = registrar.create_client(&wanted, Instant::now() + settings.foxy.call_timeout).await;
    if let Some(simulator) = simulator {
        simulator.shutdown().await;
    }
    let made = match report.outcome {
        Outcome::Done(made) => made,
        failed @ (Outcome::NoEffect(_) | Outcome::Rejected(_)) => bail!("no client was made: {}", why(&failed)),
        lost @ (Outcome::Unknown(_) | Outcome::TokenLost(_)) => bail!(
            "the secret did not arrive: {}. If Foxy has made the client {id}, it is of no use without its secret, and does \
             no harm. Make another; it gets another id",
            why(&lost)
        ),
    };
    if let Some(problem) = odd(&id, &made) {
        bail!(
            "Foxy has made a client, but {problem}: nothing of the answer was written or printed. The client does no harm \
             without its secret; is {home} Foxy's?"
        );
    }
    tracing::info!(event = "client.created", client_id = made.id, "an OAuth client was made at Foxy");
    if let (Some(path), Some(file)) = (path, file) {
        let content = if options.env_file.is_some() { env_lines(&made.id, &made.secret) } else { line(&made.secret) };
        file.fill(&content).with_context(|| {
            format!(
                "the client {} was made, but its secret could not be written to {}. It is of no use without, and does no \
                 harm: make another",
                made.id,
                path.display()
            )
        })?;
    }
    tell(&options, &made).with_context(|| {
        let known = "the client was made, but this could not be printed";
        match path {
            Some(path) => format!("{known}; its secret is in {}", path.display()),
            None => format!("{known}. {} is of no use without its secret, and does no harm: make another", made.id),
        }
    })?;
    Ok(Exit::Done)
}

/// What is wrong with an answer that goes into files and terminals.
fn odd(asked: &str, made: &CreatedClient) -> Option<&'static str> {
    // Characters that some reader of such files gives a meaning, quotes or none.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"'\"`\\".contains(&byte);
    let secret = made.secret.expose();
    if made.id != asked {
        Some("it has another id than the one that was asked for")
    } else if secret.is_empty() || secret.len() > SECRET_MAX || !secret.bytes().all(is_plain) {
        Some("its secret is empty, longer than 500 characters, or holds quotes, blanks or what can't be printed")
    } else {
        None
    }
}

fn tell(options: &Options, made: &CreatedClient) -> std::io::Result<()> {
    let file = options.env_file.as_ref().or(options.secret_file.as_ref());
    if options.json {
        return output::give_json(&json!({
            "client_id": made.id,
            "client_secret": file.is_none().then(|| made.secret.expose()),
            "file": file.map(|path| path.display().to_string()),
            "uri": made.uri.as_ref().ok().map(|uri| uri.as_str()),
        }));
    }
    match (&options.env_file, &options.secret_file) {
        (Some(path), _) => output::give(format!("made the client {}; wrote {}", made.id, path.display()))?,
        (None, Some(path)) => {
            output::give(format!("FOXDEN_FOXY_CLIENT_ID={}", made.id))?;
            output::give(format!("FOXDEN_FOXY_CLIENT_SECRET_FILE={}", path.display()))?;
        }
        (None, None) => {
            output::give(env_lines(&made.id, &made.secret).trim_end())?;
            output::note("foxden does not show the secret again");
        }
    }
    Ok(())
}

fn line(secret: &ClientSecret) -> zeroize::Zeroizing<String> {
    format!("{}\n", secret.expose()).into()
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if fits && (1..=PREFIX_MAX).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {PREFIX_MAX} letters, digits, _ and -"))
    }
}
