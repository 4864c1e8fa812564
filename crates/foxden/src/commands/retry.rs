//! `foxden retry`: making a parked or waiting signup due at once.

use std::path::Path;

use clap::Args;
use foxden_ledger::{MustWait, Retried};

use crate::{cli::SignupArg, exit::Exit, output, person, settings::Needs, wiring};

pub(crate) const HELP: &str = "\
Works for a signup that is parked, or that waits after a try without effect. A call whose outcome is unknown is looked up
before anything is sent again. Refused are signups parked for a reason that another try can't mend, and those that wait
until a time that Foxy named, for the rate of calls, or for a lookup.

Example:
  foxden retry acct_000001";

/// `foxden retry …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let settings = super::settings(config, Needs::default())?;
    let ledger = wiring::existing_ledger(&settings).await?;
    let signup_id = &options.signup.signup_id;
    match ledger.retry(signup_id, &person::account()).await? {
        Retried::Due => {
            tracing::info!(event = "provisioning.retry_asked", %signup_id, "a person asked for another try");
            output::say(format!("{signup_id} is due; a worker picks it up. See: foxden show {signup_id}"));
            Ok(Exit::Done)
        }
        Retried::NotParked(state) => {
            output::note(format!(
                "error: {signup_id} is {state}, neither parked nor waiting: there is nothing to retry"
            ));
            Ok(Exit::Failed)
        }
        Retried::Waits { until_ms, why } => {
            let (until, why) = (output::moment(until_ms), because(why));
            output::note(format!("error: {signup_id} waits until {until}: {why}"));
            Ok(Exit::Failed)
        }
        Retried::Cancelled => {
            output::note(format!(
                "error: {signup_id} was cancelled, which is for good; publish it under a new signup id"
            ));
            Ok(Exit::Failed)
        }
        Retried::Refused(reason) => {
            output::note(format!(
                "error: {signup_id} is parked because of {reason}, which another try can't mend.\n  {}",
                reason.advice()
            ));
            Ok(Exit::Failed)
        }
        Retried::NotFound => Ok(super::not_found(signup_id, &settings)),
    }
}

const fn because(why: MustWait) -> &'static str {
    match why {
        MustWait::NoCallBefore => "Foxy asked for a pause, or the rate of calls leaves no room sooner",
        MustWait::Lookup => {
            "what became of its last call is looked up then; sooner, Foxy may not list yet what the call has made"
        }
    }
}
