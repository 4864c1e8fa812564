//! `foxden migrate restored`: says that the ledger was restored from an older copy.

use anyhow::bail;
use clap::Args;
use foxden_ledger::{InUse, MarkRestored, Marked};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{exit::Exit, output, person::Asking, settings::Settings, wiring};

pub(super) const HELP: &str = "\
Foxy may have users and stores that an older copy does not know. This marks every signup that is not closed: before
anything is sent for it, Foxy is looked at. Stop all workers before. To repeat it is harmless. OPERATIONS.md has all steps.

TIME is when the copy was made, as in 2026-11-28T06:00:00Z; for a point-in-time recovery, the point.

Example:
  foxden migrate restored --at 2026-11-28T06:00:00Z --reason \"disk lost, ticket 4711\"";

/// `foxden migrate restored …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// When the copy was made
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    at: i64,
    #[command(flatten)]
    asking: Asking,
    /// Print what came of it as JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: &Settings, options: Options) -> anyhow::Result<Exit> {
    if !options.asking.has_reason() {
        output::note("error: it is recorded why a ledger was restored; give it with --reason TEXT");
        return Ok(Exit::Usage);
    }
    let (by, at) = (options.asking.by(), options.at);
    let ledger = wiring::existing_ledger(settings).await?;
    let marked = match ledger.mark_restored(at, &by).await? {
        MarkRestored::Marked(marked) => marked,
        MarkRestored::InUse(InUse { leases, until_ms }) => bail!(
            "{} held by a worker, or held when the copy was made; stop all workers, and try again \
             after {}, when the last lease has ended",
            output::counted(leases, "signup is", "signups are"),
            output::moment(until_ms)
        ),
        MarkRestored::Newer { accepted_at_ms } => bail!(
            "this ledger has a signup of {}, so it was not copied at {}; give the time of the copy",
            output::moment(accepted_at_ms),
            output::moment(at)
        ),
        MarkRestored::Future { now_ms } => {
            bail!("{} has not come yet: the ledger's clock shows {}", output::moment(at), output::moment(now_ms))
        }
    };
    tracing::warn!(
        event = "ledger.restored",
        at = output::rfc3339(at),
        open = marked.open,
        parked = marked.parked,
        marked_before = marked.marked_before,
        who = by.who.as_str(),
        reason = by.reason.as_deref(),
        "the ledger was restored from an older copy; what is open is looked up first",
    );
    if options.json {
        output::say_json(&json!({
            "restored_to": output::rfc3339(at),
            "open": marked.open,
            "parked": marked.parked,
            "marked_before": marked.marked_before,
            "closed": marked.closed,
        }));
    } else {
        report(&marked, &output::moment(at));
    }
    Ok(Exit::Done)
}

fn report(marked: &Marked, at: &str) {
    let Marked { open, parked, marked_before, closed } = *marked;
    output::say(format!("{} open signups are looked up at Foxy before anything is sent", output::count(open)));
    output::say(format!("{} parked ones are, once someone makes them go on", output::count(parked)));
    if marked_before > 0 {
        output::say(format!("{} were marked by an earlier run for this copy", output::count(marked_before)));
    }
    output::say(format!(
        "{} closed ones stay as they are. A token that was replaced or wiped after {at} is the old one again",
        output::count(closed)
    ));
    output::say(format!(
        "\nNot in this ledger: signups accepted after {at}. Their messages were acknowledged, so the broker does not bring \
         them again.\nHave the parent app publish every signup since then again; those known here count as duplicates.\n\
         Not in it either: what was cancelled, forgotten, retried or corrected since. The log of that time says which:\n\
         provisioning.cancelled, signup.forgotten."
    ));
}

fn parse_moment(text: &str) -> Result<i64, String> {
    let wrong = || "expected a time as in 2026-11-28T06:00:00Z".to_owned();
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(|_| wrong())?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::parse_moment;

    #[test]
    fn a_moment_names_its_time_zone() {
        assert_eq!(parse_moment("2026-11-18T11:06:40.123Z"), Ok(1_795_000_000_123));
        assert_eq!(parse_moment("2026-11-18T12:06:40.123+01:00"), Ok(1_795_000_000_123));
        for wrong in ["2026-11-18", "2026-11-18T11:06:40", "yesterday", ""] {
            assert_eq!(parse_moment(wrong), Err("expected a time as in 2026-11-28T06:00:00Z".to_owned()), "{wrong}");
        }
    }
}
