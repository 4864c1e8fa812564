//! `foxden client rotate-secret`: another secret for our client, that nothing can lose.
//!
//! The new secret is ours, and sealed on disk before Foxy hears of it. It stays there until it was handed over; a run that
//! was stopped in between is taken up by the next one, which sends the same secret again if Foxy does not have it. So it
//! makes no difference when, or how often, a call takes effect.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use foxden_ledger::{Act, By, Custody, Deed, PendingSecret, SecretRotation};
use foxden_vault::ClientSecret;
use foxy_api::{Outcome, ReadError, SetupFault};
use serde_json::json;
use tokio::time::Instant;

use super::{
    agreed, can_agree,
    hand_over::{HandOver, KEPT},
    why,
};
use crate::{
    exit::Exit,
    output,
    person::Asking,
    settings::{ClientCredentials, DatabaseSettings, FoxyApi, Need, Needs},
    wiring::{self, FoxySide},
};

pub(crate) const HELP: &str = "\
Makes a new secret, keeps it sealed in FOXDEN_ESCROW_DIR, gives it to Foxy, and tries it. Then it takes the old one's place
in the file that FOXDEN_FOXY_CLIENT_SECRET_FILE names; without such a file it is printed, or written with --env-file. Only
then the sealed copy goes. If anything is cut off on the way, run it again: it looks which secret opens, and goes on.

Workers with the file go on by themselves. Those with the secret in their environment need a restart within two hours.
Rotate in one place at a time.

Examples:
  foxden client rotate-secret --reason 'ticket 4711'
  foxden client rotate-secret --env-file client.env --yes --json";

/// `foxden client rotate-secret …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    asking: Asking,
    /// Write id and secret to a new file, as FOXDEN_ variables
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Don't ask
    #[arg(long)]
    yes: bool,
    /// Print JSON, for scripts; with the secret if it goes to no file
    #[arg(long)]
    json: bool,
}

/// Which of the two secrets opens.
enum Opens {
    New,
    Old,
    /// It can't be said now.
    Unclear(String),
}

/// What a rotation works with.
struct Rotation<'a> {
    side: &'a FoxySide,
    client: &'a ClientCredentials,
    custody: &'a Custody,
    place: &'a SecretRotation,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    if !can_agree(options.yes) {
        return Ok(Exit::Usage);
    }
    let needs = Needs { foxy: Need::Required, keys: Need::Required, ..Needs::default() };
    let settings = crate::commands::settings(config, needs)?;
    if settings.foxy.api == FoxyApi::Simulator {
        bail!("the simulator brings a client of its own (FOXDEN_FOXY_API=simulator): there is no secret to change");
    }
    let client = settings.foxy.client.clone().context("FOXDEN_FOXY_CLIENT_ID is not set")?;
    let side = wiring::foxy(&settings.foxy).await?;
    let custody = wiring::custody(settings.keys)?;
    let place = SecretRotation::begin(&settings.worker.escrow_dir).context("FOXDEN_ESCROW_DIR")?;
    let rotation = Rotation { side: &side, client: &client, custody: &custody, place: &place };
    let pending = rotation.pending()?;
    let hand_over = HandOver::prepare(options.env_file.as_deref(), client.secret_file.as_deref())?;
    let what = if pending.is_some() { "Go on with the rotation that was not finished: give" } else { "Give" };
    let question =
        format!("{what} the client {} at {} a new secret, and {}?", client.id, side.home, hand_over.as_told());
    if !agreed(options.yes, &question)? {
        return Ok(Exit::Failed);
    }
    let by = options.asking.by();
    let audited = audit(&settings.database, &by, &client.id).await;
    let deadline = || Instant::now() + settings.foxy.call_timeout;
    let secret = match rotation.change(pending, deadline).await? {
        Ok(secret) => secret,
        Err(problem) => {
            tracing::error!(
                event = "client.secret_unsettled",
                client_id = client.id,
                problem,
                "a rotation is not finished"
            );
            bail!("{problem}");
        }
    };
    let handed_over = hand_over.as_str();
    let printed = matches!(hand_over, HandOver::Printed);
    hand_over.give(&client.id, &secret, options.json)?;
    if options.json {
        let answer = output::give_json(&json!({
            "client_id": client.id,
            "client_secret": printed.then(|| secret.expose()),
            "handed_over": handed_over,
            "audited": audited,
        }));
        answer.with_context(|| format!("could not print the answer; {KEPT}"))?;
    }
    place.release()?;
    tracing::info!(
        event = "client.secret_rotated",
        client_id = client.id,
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        handed_over,
        audited,
        "the client has another secret",
    );
    if !options.json {
        tell(printed, client.secret_file.as_deref().filter(|_| options.env_file.is_none()));
    }
    Ok(Exit::Done)
}

impl Rotation<'_> {
    /// The secret of a rotation that was not finished.
    fn pending(&self) -> anyhow::Result<Option<ClientSecret>> {
        let Some(pending) = self.place.pending()? else { return Ok(None) };
        let path = self.place.path();
        if pending.client_id != self.client.id {
            bail!(
                "{} holds a new secret of the client {}, whose rotation was not finished; finish it with that \
                 FOXDEN_FOXY_CLIENT_ID first. Nothing was sent",
                path.display(),
                pending.client_id
            );
        }
        let opened = self.custody.open_client_secret(&self.client.id, &pending.sealed);
        opened.map(Some).with_context(|| {
            format!(
                "{} holds the secret of a rotation that was not finished, and it does not open (FOXDEN_KEYS, \
                 FOXDEN_ENVIRONMENT). Nothing was sent",
                path.display()
            )
        })
    }

    /// Sees to it that the client has a new secret: the pending one, or a fresh one. Or says how things stand.
    async fn change(
        &self,
        pending: Option<ClientSecret>,
        deadline: impl Fn() -> Instant,
    ) -> anyhow::Result<Result<ClientSecret, String>> {
        let is_fresh = pending.is_none();
        let secret = match pending {
            Some(secret) => match self.which_opens(&secret).await? {
                Opens::New => return Ok(Ok(secret)),
                Opens::Old => secret,
                Opens::Unclear(problem) => return Ok(Err(self.unclear(&problem))),
            },
            None => self.keep_fresh()?,
        };
        let report = self.side.foxy.change_client_secret(&secret, deadline()).await;
        // Should Foxy's words repeat it.
        let why = why(&report.outcome).replace(secret.expose(), "[redacted]");
        let refused = matches!(report.outcome, Outcome::NoEffect(_) | Outcome::Rejected(_));
        if refused && is_fresh {
            // Foxy never had it, and no earlier call may bring it yet.
            self.place.release()?;
            bail!("the secret was not changed: {why}");
        }
        Ok(match self.which_opens(&secret).await? {
            Opens::New => Ok(secret),
            Opens::Old => Err(format!(
                "the secret was not changed: {why}. The old one still opens. The new one is kept, sealed, in {}, since the \
                 call may yet take effect; run this again to send it again",
                self.place.path().display()
            )),
            Opens::Unclear(problem) => Err(self.unclear(&problem)),
        })
    }

    /// A fresh secret, on disk before anybody hears of it.
    fn keep_fresh(&self) -> anyhow::Result<ClientSecret> {
        let secret = ClientSecret::generate().context("could not make a secret")?;
        let sealed = self.custody.seal_client_secret(&self.client.id, &secret).context("could not seal a secret")?;
        let pending = PendingSecret { client_id: self.client.id.clone(), sealed };
        self.place.keep(&pending).context("nothing was sent (FOXDEN_ESCROW_DIR)")?;
        Ok(secret)
    }

    async fn which_opens(&self, new: &ClientSecret) -> anyhow::Result<Opens> {
        let refused = |error: &ReadError| matches!(error, ReadError::SetupFault(SetupFault::InvalidClient));
        match self.side.with_secret(new.clone())?.probe().await {
            Ok(()) => return Ok(Opens::New),
            Err(error) if refused(&error) => {}
            Err(error) => return Ok(Opens::Unclear(error.to_string())),
        }
        // As the settings have it, not as the client of the API may have found it since.
        match self.side.with_secret(self.client.secret.clone())?.probe().await {
            Ok(()) => Ok(Opens::Old),
            Err(error) if refused(&error) => Ok(Opens::Unclear(
                "Foxy takes neither the new secret nor the one in the settings; was it changed by somebody else? Put the \
                 client's present secret into the settings"
                    .to_owned(),
            )),
            Err(error) => Ok(Opens::Unclear(error.to_string())),
        }
    }

    fn unclear(&self, problem: &str) -> String {
        format!(
            "it is not known which secret holds: {problem}. The new one is kept, sealed, in {}; run `foxden client \
             rotate-secret` again, it settles that first",
            self.place.path().display()
        )
    }
}

/// Writes it into the audit, where there is a ledger: a leaked secret does not wait for a database.
async fn audit(database: &DatabaseSettings, by: &By, client_id: &str) -> bool {
    let recorded = async {
        let ledger = wiring::existing_ledger(database).await?;
        let deed = Deed { detail: Some(format!("of the client {client_id}")), ..Deed::to_all(Act::RotateSecret) };
        ledger.audit(by, deed).await?;
        ledger.close().await?;
        anyhow::Ok(())
    };
    match recorded.await {
        Ok(()) => true,
        Err(error) => {
            output::note(format!("warning: this is in the log, but not in the audit: {error:#}"));
            false
        }
    }
}

fn tell(printed: bool, secret_file: Option<&Path>) {
    if let Some(path) = secret_file {
        output::say(format!("the client has a new secret, in {}; the old one opens nothing new", path.display()));
        output::note("workers with this file go on by themselves; copy it to those on other machines within two hours");
    } else {
        if printed {
            output::note(
                "this is not shown again. A file for FOXDEN_FOXY_CLIENT_SECRET_FILE keeps it out of the environment",
            );
        }
        output::note("give it to all workers and restart them within two hours: the old one opens nothing new");
    }
}
