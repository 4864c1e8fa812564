//! `foxden client rotate-secret`: another secret for our client, that nothing can lose.
//!
//! The new secret is ours, and sealed on disk before Foxy hears of it. It stays there until it was handed over; a run that
//! was stopped in between is taken up by the next one, which sends the same secret again if Foxy does not have it. So it
//! makes no difference when, or how often, a call takes effect.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use clap::Args;
use foxden_custody::{Custody, SecretRotation};
use foxden_ledger::{Act, By, Deed};
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
    settings::{ClientCredentials, FoxyApi, KeySettings, Need, Needs, Settings},
    wiring::{self, FoxySide},
};

pub(crate) const HELP: &str = "\
Makes a new secret, keeps it sealed in FOXDEN_ESCROW_DIR, gives it to Foxy, and tries it. Then it takes the old one's place
in the file that FOXDEN_FOXY_CLIENT_SECRET_FILE names; without such a file it is printed, or written with --env-file. Only
then the sealed copy goes. If anything is cut off on the way, run it again: it looks which secret opens, and goes on.

Workers with the file go on by themselves. Those with the secret in their environment need a restart within two hours.
Rotate in one place at a time.

After a leak, run it again when two hours are over: access tokens made before the change live that long, and Foxy shows the
new secret to anyone who has one. docs/leaked-secret.md has all steps.

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

/// What an earlier run has left.
struct Left {
    secret: ClientSecret,
    /// Whether it was to replace the secret that the settings have now.
    replaces_present: Option<bool>,
    begun_at_ms: Option<u64>,
}

/// What to do with a secret that does not open, where the one in the settings does.
#[derive(Debug, PartialEq, Eq)]
enum Again {
    /// Its call may yet take effect; it is sent again.
    Send,
    /// It is of an earlier rotation.
    Forget,
    /// It is of another rotation, whose call may yet take effect.
    Wait,
}

/// An access token lives two hours, and a call that goes with it can't take effect long after.
const LATEST_EFFECT_MS: u64 = 3 * 3600 * 1000;

impl Left {
    fn again(&self, now_ms: u64) -> Again {
        let is_old = self.begun_at_ms.is_some_and(|begun| now_ms.saturating_sub(begun) > LATEST_EFFECT_MS);
        match self.replaces_present {
            Some(true) => Again::Send,
            _ if is_old => Again::Forget,
            _ => Again::Wait,
        }
    }
}

/// A client that has another secret.
struct Changed {
    secret: ClientSecret,
    /// Foxy had it before this run.
    earlier: bool,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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
    let mut settings = crate::commands::settings(config, needs)?;
    if settings.foxy.api == FoxyApi::Simulator {
        bail!("the simulator brings a client of its own (FOXDEN_FOXY_API=simulator): there is no secret to change");
    }
    let client = settings.foxy.client.clone().context("FOXDEN_FOXY_CLIENT_ID is not set")?;
    let side = wiring::foxy(&settings.foxy).await?;
    let (ring, environment) = (settings.keys.ring.take(), settings.keys.environment.clone());
    let custody = wiring::custody(KeySettings { ring, environment, ..settings.keys })?;
    let place = SecretRotation::begin(&settings.worker.escrow_dir).context("FOXDEN_ESCROW_DIR")?;
    let rotation = Rotation { side: &side, client: &client, custody: &custody, place: &place };
    // One that the settings have was handed over, and may have leaked since: that rotation is over.
    let (is_over, left) = match rotation.left()? {
        Some(left) if left.secret.expose() == client.secret.expose() => (true, None),
        left => (false, left),
    };
    let hand_over = HandOver::prepare(options.env_file.as_deref(), client.secret_file.as_deref())?;
    let what = if left.is_some() { "Go on with the rotation that was not finished: give" } else { "Give" };
    let question =
        format!("{what} the client {} at {} a new secret, and {}?", client.id, side.home, hand_over.as_told());
    if !agreed(options.yes, &question)? {
        return Ok(Exit::Failed);
    }
    let by = options.asking.by();
    let audited = audit(&settings, &by, &client.id).await;
    let deadline = || Instant::now() + settings.foxy.call_timeout;
    if is_over {
        place.release()?;
    }
    let Changed { secret, earlier } = match rotation.change(left, deadline).await? {
        Ok(changed) => changed,
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
            "changed_earlier": earlier,
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
        earlier,
        "the client has another secret",
    );
    if earlier {
        output::note(
            "this is the secret of a rotation that was not finished; Foxy has it since then, and was sent nothing now. If \
             that one may have leaked, run this again",
        );
    }
    if !options.json {
        tell(printed, client.secret_file.as_deref().filter(|_| options.env_file.is_none()));
    }
    Ok(Exit::Done)
}

impl Rotation<'_> {
    /// The secret of a rotation that was not finished.
    fn left(&self) -> anyhow::Result<Option<Left>> {
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
        let secret = self.custody.open_pending(&pending).with_context(|| {
            format!(
                "{} holds the secret of a rotation that was not finished, and it does not open (FOXDEN_KEYS, \
                 FOXDEN_ENVIRONMENT). Nothing was sent",
                path.display()
            )
        })?;
        let replaces_present = self.custody.is_replaced_by(&self.client.secret, &pending);
        Ok(Some(Left { secret, replaces_present, begun_at_ms: pending.of.map(|of| of.begun_at_ms) }))
    }

    /// Sees to it that the client has a new secret: the pending one, or a fresh one. Or says how things stand.
    async fn change(
        &self,
        left: Option<Left>,
        deadline: impl Fn() -> Instant,
    ) -> anyhow::Result<Result<Changed, String>> {
        let pending = match left {
            Some(left) => match (self.which_opens(&left.secret).await?, left.again(now_ms())) {
                (Opens::New, _) => return Ok(Ok(Changed { secret: left.secret, earlier: true })),
                (Opens::Old, Again::Send) => Some(left.secret),
                (Opens::Old, Again::Forget) => None,
                (Opens::Old, Again::Wait) => return Ok(Err(self.of_another())),
                (Opens::Unclear(problem), _) => return Ok(Err(self.unclear(&problem))),
            },
            None => None,
        };
        let is_fresh = pending.is_none();
        let secret = match pending {
            Some(secret) => secret,
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
            Opens::New => Ok(Changed { secret, earlier: false }),
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
        let replacing = (&self.client.secret, &secret);
        let pending =
            self.custody.begin_rotation(&self.client.id, replacing, now_ms()).context("could not seal a secret")?;
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

    fn of_another(&self) -> String {
        format!(
            "{} holds the secret of a rotation that did not begin from the one in the settings: an old file was put back, or \
             the secret was changed elsewhere meanwhile. Nothing was sent. If no other rotation was cut off in the last \
             three hours, remove that file and run this again",
            self.place.path().display()
        )
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
async fn audit(settings: &Settings, by: &By, client_id: &str) -> bool {
    let recorded = async {
        let ledger = wiring::existing_ledger(settings).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_secret_that_is_to_replace_the_present_one_is_sent_again() {
        let again = |replaces_present, begun_at_ms| {
            Left { secret: ClientSecret::new("s"), replaces_present, begun_at_ms }.again(2 * LATEST_EFFECT_MS)
        };
        assert_eq!(again(Some(true), Some(0)), Again::Send);
        assert_eq!(again(Some(false), Some(0)), Again::Forget, "put back, or left for long");
        assert_eq!(again(Some(false), Some(2 * LATEST_EFFECT_MS - 1)), Again::Wait);
        assert_eq!(again(Some(false), Some(u64::MAX)), Again::Wait, "of a clock that is ahead");
        assert_eq!(again(None, None), Again::Wait, "an earlier release wrote it");
    }
}
