//! `foxden migrate rebind`: says that the ledger belongs to another Foxy than it says.

use anyhow::bail;
use clap::Args;
use foxden_ledger::{InUse, Rebind, WhichFoxy};
use serde_json::json;

use crate::{belonging, exit::Exit, output, person::Asking, settings::Settings, wiring};

pub(super) const HELP: &str = "\
A ledger belongs to one Foxy, and is refused to any other. Use this where both are the same Foxy: a server that has another
address now, or a simulator's books that were copied. Addresses that begin with the one are changed to the other. At a Foxy
that did not make them its users, stores and tokens do not exist. Stop all workers before, and see that the escrow is
empty. To repeat it is harmless.

FOXY is production, sandbox, simulator:ID, or an origin. The message of a command that was refused names both.

Example:
  foxden migrate rebind --from http://127.0.0.1:8787 --to http://127.0.0.1:9797 --reason \"the simulator moved\"";

/// `foxden migrate rebind …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Foxy that the ledger belongs to
    #[arg(long, value_name = "FOXY", value_parser = belonging::parse)]
    from: WhichFoxy,
    /// The one that it is to belong to
    #[arg(long, value_name = "FOXY", value_parser = belonging::parse)]
    to: WhichFoxy,
    #[command(flatten)]
    asking: Asking,
    /// Print what came of it as JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: &Settings, options: Options) -> anyhow::Result<Exit> {
    if !options.asking.has_reason() {
        output::note("error: it is recorded why a ledger was rebound; give it with --reason TEXT");
        return Ok(Exit::Usage);
    }
    let (by, from, to) = (options.asking.by(), options.from, options.to);
    let place = settings.database.url.display();
    let ledger = wiring::ledger_of_any_foxy(settings).await?;
    let tokens = match ledger.rebind(&from, &to, &by).await? {
        Rebind::Rebound { tokens } => tokens,
        Rebind::Already => {
            if options.json {
                output::say_json(&json!({ "from": from.to_string(), "to": to.to_string(), "tokens": 0 }));
            } else {
                output::note(format!("the ledger at {place} belongs to {to} already; nothing was changed"));
            }
            return Ok(Exit::Done);
        }
        Rebind::BelongsTo(Some(other)) => bail!("the ledger at {place} belongs to {other}, and not to {from}"),
        Rebind::BelongsTo(None) => {
            bail!("the ledger at {place} belongs to no Foxy yet; the first worker writes down which")
        }
        Rebind::InUse(InUse { leases, until_ms }) => bail!(
            "{} held by a worker; stop all workers, and try again after {}, when the last lease has ended",
            output::counted(leases, "signup is", "signups are"),
            output::moment(until_ms)
        ),
    };
    tracing::warn!(
        event = "ledger.rebound",
        from = %from,
        to = %to,
        tokens,
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        "the ledger belongs to another Foxy now",
    );
    if options.json {
        output::say_json(&json!({ "from": from.to_string(), "to": to.to_string(), "tokens": tokens }));
    } else {
        output::say(format!("the ledger at {place} belongs to {to} now, with {} tokens", output::count(tokens)));
    }
    Ok(Exit::Done)
}
