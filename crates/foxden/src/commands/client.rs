//! `foxden client`: the life of the OAuth client.

mod create;
mod hand_over;
mod rotate;
mod show;

use std::path::Path;

use clap::Subcommand;
use foxy_api::{Outcome, Rejection};
use zeroize::Zeroizing;

use crate::{
    exit::Exit,
    output,
    terminal::{self, printable},
};

/// `foxden client …`
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make an OAuth client at Foxy, under an id of your prefix and a random rest
    #[command(after_help = create::HELP)]
    Create(create::Options),
    /// Show what Foxy says of our client; never the secret
    #[command(after_help = show::HELP)]
    Show(show::Options),
    /// Give our client another secret, while workers run
    #[command(after_help = rotate::HELP)]
    RotateSecret(rotate::Options),
}

pub(crate) async fn run(config: Option<&Path>, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Create(options) => create::run(config, options).await,
        Command::Show(options) => show::run(config, &options).await,
        Command::RotateSecret(options) => Box::pin(rotate::run(config, options)).await,
    }
}

/// Whether somebody can agree to it. If not, says so.
fn can_agree(yes: bool) -> bool {
    let can = yes || terminal::can_ask();
    if !can {
        output::note("error: nobody can be asked here, so nothing was sent; --yes goes on without asking");
    }
    can
}

/// Whether it is agreed to.
fn agreed(yes: bool, question: &str) -> anyhow::Result<bool> {
    if yes || terminal::ask(question)? {
        return Ok(true);
    }
    output::note("nothing was sent");
    Ok(false)
}

/// The lines that give a client to foxden.
fn env_lines(id: &str, secret: &foxden_vault::ClientSecret) -> Zeroizing<String> {
    // A secret may have blanks and signs that a shell would act on; single quotes hold all but themselves.
    let quoted = |text: &str| {
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let held = Zeroizing::new(text.replace('\'', r"'\''"));
        if is_plain { held } else { Zeroizing::new(format!("'{}'", held.as_str())) }
    };
    let (id, secret) = (quoted(id), quoted(secret.expose()));
    format!("FOXDEN_FOXY_CLIENT_ID={}\nFOXDEN_FOXY_CLIENT_SECRET={}\n", id.as_str(), secret.as_str()).into()
}

/// Why a call did not do what it was sent for, with Foxy's own words.
fn why<T>(outcome: &Outcome<T>) -> String {
    let text = match outcome {
        Outcome::Done(_) => "Foxy took it".to_owned(),
        Outcome::NoEffect(reason) => reason.to_string(),
        Outcome::Rejected(Rejection { errors, .. }) if errors.is_empty() => "Foxy refused, without words".to_owned(),
        Outcome::Rejected(Rejection { errors, .. }) => {
            let words: Vec<_> = errors.iter().map(|error| error.message()).collect();
            format!("Foxy refused: {}", words.join(", "))
        }
        Outcome::Unknown(doubt) => doubt.to_string(),
        Outcome::TokenLost(loss) => loss.to_string(),
    };
    printable(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use foxden_vault::ClientSecret;

    use super::env_lines;

    #[test]
    fn a_secret_that_a_shell_would_act_on_is_quoted() {
        let line = |secret: &str| env_lines("c", &ClientSecret::new(secret)).lines().nth(1).unwrap().to_owned();
        assert_eq!(line("aZ-_9"), "FOXDEN_FOXY_CLIENT_SECRET=aZ-_9");
        assert_eq!(line("a $b'c"), r"FOXDEN_FOXY_CLIENT_SECRET='a $b'\''c'");
        let lines = env_lines("$(id)", &ClientSecret::new("s"));
        assert!(lines.starts_with("FOXDEN_FOXY_CLIENT_ID='$(id)'\n"), "{}", lines.as_str());
    }
}
