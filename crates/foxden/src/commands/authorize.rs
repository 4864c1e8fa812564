//! `foxden authorize`: asks a person to grant access at Foxy, for a signup that is parked for want of a token.

use std::{
    io::{BufRead as _, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::Context as _;
use clap::Args;
use foxden_custody::Escrow;
use foxden_ledger::{By, Grant, KeptGrant, Provisioning, Wanted};
use foxden_provisioning::{Arrived, Brought, Ended, Granting, NotAsked};
use foxden_vault::{AuthorizationCode, AuthorizationState};
use foxden_web::{PublicUrl, StateHash, Ticket};
use url::Url;
use zeroize::Zeroizing;

use crate::{
    belonging,
    cli::SignupArg,
    exit::Exit,
    output, person,
    settings::{Need, Needs},
    terminal::printable,
    wiring,
};

pub(crate) const HELP: &str = "\
For a signup that is parked because a token is lost or refused, or because its email has a user at Foxy already: the
owner of that user or store grants access at Foxy, and the token that comes of it is sealed and kept. The signup then is
provisioned, or continues. `foxden explain REASON` says which reasons a grant mends.

It prints a link to foxden's own page (FOXDEN_HTTP_PUBLIC_URL), which is good for FOXDEN_GRANT_LIFETIME and opens nothing at
Foxy by itself.

With --paste no web server is needed. foxden prints an address; the person opens it, logs in at Foxy and allows access.
Their browser then ends at the client's redirect URI, where nothing need answer. The whole address at which it ended goes
into foxden's standard input, within ten minutes. It holds a code that opens the store, so it is no argument, and is best
not sent around. A person can only grant what is their own: anything else is not kept. Where the pages are served, they take
what comes back and hide that address: send the link instead.

Examples:
  foxden authorize acct_000001
  foxden authorize acct_000001 --paste";

/// Addresses are far shorter.
const PASTED_MAX: u64 = 16 * 1024;

/// How often a text that is no such address may be pasted.
const PASTES: usize = 3;

/// `foxden authorize …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    signup: SignupArg,
    /// Read the address at which the person's browser ended from standard input, instead of printing a link
    #[arg(long)]
    paste: bool,
}

pub(crate) async fn run(config: Option<&Path>, options: Options) -> anyhow::Result<Exit> {
    let needs = Needs { foxy: Need::Required, keys: Need::Required, amqp: Need::IfSet, ..Needs::default() };
    let settings = super::settings(config, needs)?;
    let (public_url, redirect_uri) = (settings.grants.public_url.clone(), settings.grants.redirect_uri.clone());
    if !options.paste && public_url.is_none() {
        output::note(
            "error: a link leads to foxden's pages, and FOXDEN_HTTP_PUBLIC_URL is not set; set it, or use --paste",
        );
        return Ok(Exit::Usage);
    }
    let ledger = wiring::existing_ledger(&settings).await?;
    let signup_id = options.signup.signup_id;
    let Some(row) = ledger.find(&signup_id).await? else { return Ok(super::not_found(&signup_id, &settings)) };
    let side = belonging::foxy_of(&ledger, &settings.database, &settings.foxy).await?;
    let endpoint = wiring::authorization(&settings.foxy, &side)?;
    let tells = settings.amqp.as_ref().is_some_and(|amqp| amqp.outcome_exchange.is_some());
    let granting = Granting {
        ledger,
        policy: wiring::grant_policy(&settings, tells, format!("foxden authorize by {}", person::account())),
        custody: wiring::custody(settings.keys)?,
        // A worker drains it. Where there is none, or it is not ours to write in, the ledger alone has to do.
        escrow: Some(&settings.worker.escrow_dir).filter(|dir| dir.is_dir()).and_then(|dir| Escrow::open(dir).ok()),
        foxy: side.foxy.clone(),
        endpoint,
        client: side.as_client()?,
    };
    let exit = match granting.ask(&row, By::new(person::account())).await {
        Ok(grant) => match public_url {
            Some(public_url) if !options.paste => print_link(&granting, &row, &grant, &public_url)?,
            public_url => by_paste(&granting, &row, &grant, (redirect_uri.as_deref(), public_url.as_ref())).await?,
        },
        Err(why @ (NotAsked::NoUse(_) | NotAsked::Changed | NotAsked::Forgotten)) => {
            output::note(format!("error: no grant can help {signup_id}: {why}"));
            Exit::Failed
        }
        Err(NotAsked::Ledger(error)) => return Err(error.into()),
    };
    if let Some(simulator) = side.simulator {
        simulator.shutdown().await;
    }
    Ok(exit)
}

/// Prints the link to the page that asks.
fn print_link(granting: &Granting, row: &Provisioning, grant: &Grant, public_url: &PublicUrl) -> anyhow::Result<Exit> {
    let text = granting.custody.ticket(&grant.id, grant.expires_at_ms);
    let ticket = Ticket::parse(&text).context("a ticket of our own has our form")?;
    output::note(format!(
        "Send this link to the owner of the {} of {}. It is good until {}:",
        what(grant.wanted),
        row.signup_id,
        output::moment(grant.expires_at_ms)
    ));
    output::give(public_url.link(&ticket)).context("could not print the link")?;
    Ok(Exit::Done)
}

const fn what(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::User => "Foxy user",
        Wanted::Store => "store",
    }
}

/// Sends a person away, and reads where they ended.
async fn by_paste(
    granting: &Granting,
    row: &Provisioning,
    grant: &Grant,
    (redirect_uri, public_url): (Option<&str>, Option<&PublicUrl>),
) -> anyhow::Result<Exit> {
    let state = AuthorizationState::generate().context("the operating system gave no random bytes")?;
    let hash = StateHash::of(state.expose()).context("a state of our own has our form")?;
    let begun = granting.begin(grant, (Some(&state), *hash.as_bytes()), None, redirect_uri).await?;
    let Ok(address) = begun else {
        output::note(format!("error: the grant for {} has ended meanwhile; ask again", row.signup_id));
        return Ok(Exit::Failed);
    };
    if public_url.is_some() {
        output::note(
            "note: pages that are served at FOXDEN_HTTP_PUBLIC_URL take what comes back, and there is nothing to paste; \
             without --paste foxden prints a link to them",
        );
    }
    output::note(format!(
        "The owner of the {} of {} opens this address within ten minutes, logs in at Foxy, and allows access:\n",
        what(grant.wanted),
        row.signup_id
    ));
    output::give(address.expose()).context("could not print the address")?;
    output::note(
        "\nThe browser then ends at an address with `state=` in it; the page itself may show an error. Paste the whole \
         address here, and press Enter:",
    );
    let Some(brought) = pasted(&state)? else {
        output::note("error: no such address was pasted; the grant stays open, so run this again");
        return Ok(Exit::Failed);
    };
    match granting.arrive(*hash.as_bytes(), None, brought).await? {
        Arrived::Back(returned) => Ok(say(row, &granting.finish(returned).await)),
        Arrived::Before(_) => Ok(failed(row, "this address was pasted before")),
        Arrived::TooLate(_) => Ok(failed(row, "that took longer than ten minutes")),
        Arrived::OtherBrowser | Arrived::Unknown => Ok(failed(row, "this trip to Foxy is not known")),
    }
}

/// What the person brings, from an address that has our state in it.
fn pasted(state: &AuthorizationState) -> anyhow::Result<Option<Brought>> {
    let mut input = std::io::stdin().lock().take(PASTED_MAX);
    for _ in 0..PASTES {
        let mut line = Zeroizing::new(String::new());
        if input.read_line(&mut line).context("could not read standard input")? == 0 {
            return Ok(None);
        }
        match brought(line.trim(), state) {
            Ok(brought) => return Ok(Some(brought)),
            Err(problem) => output::note(format!("{problem}. Paste the whole address at which the browser ended:")),
        }
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
    }
    Ok(None)
}

fn brought(text: &str, state: &AuthorizationState) -> Result<Brought, &'static str> {
    let url = Url::parse(text).map_err(|_| "that is no address")?;
    let value = |name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| Zeroizing::new(value.into_owned()))
    };
    // Ours and no other's: what comes back with another state was asked for elsewhere (RFC 6749 section 10.12).
    if value("state").is_none_or(|found| *found != state.expose()) {
        return Err("that address does not belong to this request");
    }
    match (value("error"), value("code")) {
        (Some(error), _) if *error == "access_denied" => Ok(Brought::Denial),
        (Some(_), _) => Ok(Brought::Error),
        (None, Some(code)) => Ok(Brought::Code(AuthorizationCode::new(code.as_str()))),
        (None, None) => Err("that address has no code"),
    }
}

fn failed(row: &Provisioning, why: &str) -> Exit {
    output::note(format!(
        "error: nothing was granted for {}: {why}. The grant stays open: run this again",
        row.signup_id
    ));
    Exit::Failed
}

/// Says how it ended.
fn say(row: &Provisioning, ended: &Ended) -> Exit {
    let signup_id = &row.signup_id;
    let done = |text: String| {
        output::note(text);
        Exit::Done
    };
    match ended {
        Ended::Kept(KeptGrant::Kept(now) | KeptGrant::Known(now)) if now.standing() == "provisioned" => {
            done(format!("{signup_id} is provisioned: the store's token is sealed and kept"))
        }
        Ended::Kept(KeptGrant::Kept(_) | KeptGrant::Known(_)) => {
            done(format!("the user's token is sealed and kept; a worker continues with {signup_id}"))
        }
        Ended::Kept(KeptGrant::Beside(_)) => {
            done(format!("the token is sealed and kept beside what {signup_id} has by now"))
        }
        Ended::Kept(KeptGrant::Unconfirmed(_)) => {
            done(format!("the token is kept, and {signup_id} waits to be confirmed"))
        }
        Ended::InEscrow => done(format!(
            "the ledger does not answer; the sealed token is in the escrow, and a worker gives it to {signup_id}"
        )),
        Ended::Kept(KeptGrant::Wiped(_)) => failed(row, "its customer was forgotten meanwhile"),
        Ended::Kept(KeptGrant::StoreOfAnother(other)) => {
            failed(row, &format!("the store is that of {}", printable(other.as_str())))
        }
        Ended::Kept(KeptGrant::NotWanted(_) | KeptGrant::NotFound | KeptGrant::Moved(_)) => {
            failed(row, "it has no use for it any more")
        }
        Ended::GrantEnded => failed(row, "the grant has ended meanwhile"),
        Ended::Denied => failed(row, "the person did not allow it"),
        Ended::Failed(why) => failed(row, &printable(why)),
        Ended::Wrong(wrong) => failed(row, &wrong.to_string()),
        Ended::OtherScope => failed(row, "Foxy granted another scope than was asked for"),
        Ended::Unopenable(error) => failed(row, &format!("its contents can't be opened: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_with_our_state_brings_something() {
        let state = AuthorizationState::new("ours");
        let read = |text: &str| {
            brought(text, &state).map(|brought| match brought {
                Brought::Code(code) => code.expose().to_owned(),
                Brought::Denial => "denied".to_owned(),
                Brought::Error => "error".to_owned(),
            })
        };
        assert_eq!(read("http://127.0.0.1:9/back?code=c%2B1&state=ours").as_deref(), Ok("c+1"));
        assert_eq!(read("https://a.example/?state=ours&error=access_denied&code=c").as_deref(), Ok("denied"));
        assert_eq!(read("https://a.example/?error=server_error&state=ours").as_deref(), Ok("error"));
        for (text, problem) in [
            ("", "that is no address"),
            ("code=c&state=ours", "that is no address"),
            ("https://a.example/?code=c", "that address does not belong to this request"),
            ("https://a.example/?code=c&state=theirs", "that address does not belong to this request"),
            ("https://a.example/#code=c&state=ours", "that address does not belong to this request"),
            ("https://a.example/?state=ours", "that address has no code"),
        ] {
            assert_eq!(read(text).unwrap_err(), problem, "{text}");
        }
    }
}
