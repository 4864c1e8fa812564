//! X5, on an OAuth client of this run's own.

use foxden_vault::{ClientSecret, random_text};
use foxy_api::{CreatedClient, Foxy, Method, NewClient, Outcome, ReadError, SetupFault};
use serde_json::Map;

use super::{
    experiments::{Experiments, PROJECT},
    verdict::{Effect, Verdict, offers},
    walk::{chain, ending_of},
};
use crate::settings::Permission;

const CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// As long as Foxy's own.
const LENGTH: usize = 40;

impl Experiments<'_> {
    /// X5.
    pub(crate) async fn with_client(&mut self) {
        let found = match self.secret_of_new_client().await {
            Ok(found) => found,
            Err(error) => Verdict::NotTried(format!("{error:#}")),
        };
        (self.tell)(Permission::ReadsAndChangesSecret, found);
    }

    async fn secret_of_new_client(&self) -> anyhow::Result<Verdict> {
        let id = self.marks.domain.replace('-', "_");
        let wanted = NewClient {
            id: Some(id.clone()),
            redirect_uri: "https://foxden-verify.example/".into(),
            project_name: PROJECT.into(),
            company_name: PROJECT.into(),
            contact_name: PROJECT.into(),
            contact_email: self.marks.email.clone(),
            contact_phone: "555-0100".into(),
            extra: Map::new(),
        };
        let mark = self.left.expect(format!("the OAuth client {id}"));
        let report = self.side.registrar()?.create_client(&wanted, self.deadline()).await;
        self.left.settle(mark, &report, |made| made.uri.clone().ok());
        let Outcome::Done(made) = &report.outcome else { return Ok(Verdict::NotTried(ending_of(&report))) };
        let foxy = self.side.client(made.id.clone(), made.secret.clone())?;
        self.left.belongs(mark, foxy.reach(), None);
        let (verdict, foxy) = self.try_secret(made, foxy).await?;
        // Its access token outlives the old secret, but not for ever.
        self.left.belongs(mark, foxy.reach(), None);
        Ok(verdict)
    }

    async fn try_secret(&self, made: &CreatedClient, mut foxy: Foxy) -> anyhow::Result<(Verdict, Foxy)> {
        let offered = match foxy.reach().linked("fx:client").await {
            Ok(uri) => offers(&foxy.reach().methods(&uri).await, Method::Patch),
            Err(_) => None,
        };
        let shown = foxy.read_client().await;
        let is_shown = |secret: &ClientSecret| secret.expose() == made.secret.expose();
        let shown = shown.map(|client| client.client_secret().is_some_and(is_shown));
        let shown = Effect::of_read(shown, "the client's document does not show its secret");
        let mut notes = Vec::new();

        let chosen = secret()?;
        let changed = Effect::of(&foxy.change_client_secret(&chosen, self.deadline()).await);
        let changed = changed.and(async || self.holds(made, &chosen).await).await;
        if matches!(changed, Effect::Had(_)) {
            foxy = self.side.client(made.id.clone(), chosen)?;
            if matches!(self.holds(made, &made.secret).await, Effect::Had(_)) {
                notes.push("the old secret still opens");
            }
            foxy = match self.made_by_foxy(made, &foxy).await? {
                Some(other) => {
                    notes.push("for a blank secret Foxy makes one");
                    other
                }
                None => foxy,
            };
        }
        let other = secret()?;
        let report = foxy.reach().change_secret_at_token_endpoint(&other, self.deadline()).await;
        let changed_there = Effect::of(&report).and(async || self.holds(made, &other).await).await;
        if matches!(changed_there, Effect::Had(_)) {
            notes.push("PATCH of fx:token changes it, too");
            foxy = self.side.client(made.id.clone(), other)?;
        }
        // A client has properties enough that can be changed: that PATCH is offered says nothing of its secret.
        let offered = offered.filter(|offered| !offered);
        let verdict = Verdict::of(offered, changed, shown);
        Ok((verdict.noting(&notes), foxy))
    }

    /// The client with the secret that Foxy made for a blank one, if it did.
    async fn made_by_foxy(&self, made: &CreatedClient, foxy: &Foxy) -> anyhow::Result<Option<Foxy>> {
        let report = foxy.change_client_secret(&ClientSecret::new(""), self.deadline()).await;
        if report.outcome != Outcome::Done(()) {
            return Ok(None);
        }
        let read = foxy.read_client().await.ok();
        let secret = read.and_then(|client| client.client_secret().cloned());
        secret.map(|secret| self.side.client(made.id.clone(), secret)).transpose()
    }

    /// Whether this secret opens the client.
    async fn holds(&self, made: &CreatedClient, secret: &ClientSecret) -> Effect {
        match self.side.client(made.id.clone(), secret.clone()) {
            Err(error) => Effect::Unclear(format!("{error:#}")),
            Ok(foxy) => match foxy.probe().await {
                Ok(()) => Effect::had(),
                Err(ReadError::SetupFault(SetupFault::InvalidClient)) => {
                    Effect::Refused("the change is answered as done, but the secret does not open the client".into())
                }
                Err(error) => Effect::Unclear(chain(&error)),
            },
        }
    }
}

fn secret() -> anyhow::Result<ClientSecret> {
    Ok(ClientSecret::new(random_text(CHARACTERS, LENGTH)?.as_str()))
}
