//! Lookups: what became of a create call whose outcome is unknown. Only reads, so they are made as often as it takes.

use foxden_custody::Payload;
use foxden_ledger::{Provisioning, Step, StoreClaim};
use foxy_api::{ReadError, ResourceUri, StoreSearch};
use tokio::time::Instant;

use crate::{calls::Calls, domain, finding::Finding, gate::Sign, plan::Seen, request, runner::Runner, stop::Stop};

impl<F: Calls> Runner<F> {
    /// Looks up what the row's unknown call has done.
    pub(crate) async fn look_up(&self, row: &Provisioning, payload: &Payload) -> Result<Finding, Stop> {
        if let Some(held) = self.token_held(row).await? {
            return Ok(held);
        }
        let started = Instant::now();
        let mut finding = match row.step {
            Step::User => {
                let email = match request::user_email(row, payload) {
                    Ok(email) => email,
                    Err(why) => return Ok(Finding::of_sealed(why)),
                };
                match self.foxy.email_exists(&email).await {
                    Ok(true) => self.whose_user(row).await?,
                    Ok(false) => Finding::of_answer(Seen::Absent, "Foxy has no user with this email"),
                    Err(error) => Finding::of_unclear(&error, row.step),
                }
            }
            Step::Store | Step::Done => {
                let domain = domain::of(row, payload);
                self.look_for_store(row, &domain).await?
            }
        };
        finding.took = started.elapsed();
        if let (Seen::Absent, Some(refused)) = (finding.seen, row.refused) {
            finding.seen = Seen::AbsentAfterRefusal(refused);
        }
        Ok(finding)
    }

    /// Whose the user with the row's email is. A signup that shares its user with others of its customer shares the
    /// email too, so another one may have made it, and keeps the token then.
    async fn whose_user(&self, row: &Provisioning) -> Result<Finding, Stop> {
        let own = Finding::of_answer(Seen::Present, "Foxy has a user with this email");
        // A restored one may have its store by now; under another's user it would be given a second one.
        if row.restored_to_ms.is_some() || row.mailbox.is_some() {
            return Ok(own);
        }
        let is_unclear = self.another_may_have_made_the_user(row).await?;
        // Last, since the other may have ended while it was asked for.
        if let Some(reused) = self.user_of_same_customer(row).await? {
            return Ok(Finding { sign: Sign::Answered, ..reused });
        }
        if !is_unclear {
            return Ok(own);
        }
        let note = "another signup of the same customer may have made the user with this email";
        Ok(Finding::of_answer(Seen::PresentUnclear, note))
    }

    fn may_share_its_user(&self, row: &Provisioning) -> bool {
        row.user_from.is_some() || (self.policy.keep_user_tokens && row.account_id.is_some())
    }

    /// Whether the user has a store that no row knows of. A row of an older copy of the ledger may have made it, under a
    /// domain that the row does not have: by a correction, or with a random tail.
    async fn has_unknown_store(
        &self,
        row: &Provisioning,
        session: &F::Session,
        domain: &str,
    ) -> Result<Result<bool, ReadError>, Stop> {
        let stores = match self.foxy.stores(session).await {
            Ok(stores) => stores,
            Err(error) => return Ok(Err(error)),
        };
        for uri in stores {
            if self.ledger.store_claim(row, domain, uri.as_str()).await? != StoreClaim::Proven {
                return Ok(Ok(true));
            }
        }
        Ok(Ok(false))
    }

    /// Among the user's own stores first: only that distinguishes our store from others.
    async fn look_for_store(&self, row: &Provisioning, domain: &str) -> Result<Finding, Stop> {
        let (session, used_token) = match self.user_session(row).await? {
            Ok(usable) => usable,
            Err(finding) => return Ok(*finding),
        };
        let looked = self.look_with(&session, row, domain).await?;
        let finding = looked.unwrap_or_else(|error| Finding::of_unclear(&error, row.step));
        Ok(Finding { used_token: Some(used_token), ..finding })
    }

    async fn look_with(
        &self,
        session: &F::Session,
        row: &Provisioning,
        domain: &str,
    ) -> Result<Result<Finding, ReadError>, Stop> {
        let found = match self.foxy.find_store(session, domain).await {
            Ok(StoreSearch::Found { uri }) => Some((self.ledger.store_claim(row, domain, uri.as_str()).await?, uri)),
            Ok(StoreSearch::Absent) => None,
            Err(error) => return Ok(Err(error)),
        };
        // Its own may have another domain, also where this one is another signup's.
        let may_be_others = found.as_ref().is_none_or(|(claim, _)| *claim == StoreClaim::Proven);
        if row.restored_to_ms.is_some() && may_be_others {
            match self.has_unknown_store(row, session, domain).await? {
                Ok(true) => {
                    let note =
                        "restored from an older copy, and the user has a store that no signup of this ledger holds";
                    return Ok(Ok(Finding::of_answer(Seen::Present, note)));
                }
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        if let Some((claim, uri)) = found {
            // A signup that the copy lacks may have made it, under the user that this one's customer shares.
            if claim == StoreClaim::Free && row.restored_to_ms.is_some() && self.may_share_its_user(row) {
                let note = "restored from an older copy, and the store is among those of a user that others may share";
                return Ok(Ok(Finding::of_answer(Seen::Present, note)));
            }
            return Ok(Ok(of_claim(row, claim, &uri)));
        }
        Ok(self.foxy.store_domain_exists(domain).await.map(|exists| {
            if exists {
                Finding::of_answer(Seen::PresentElsewhere, "the domain exists, not among the user's stores")
            } else {
                Finding::of_answer(Seen::Absent, "Foxy has no store with this domain")
            }
        }))
    }
}

/// A store with the domain is among the user's own. A user that several signups share may have it from another of them.
fn of_claim(row: &Provisioning, claim: StoreClaim, uri: &ResourceUri) -> Finding {
    match claim {
        StoreClaim::Free => {
            let mut finding = Finding::of_answer(Seen::Present, "the store is among the user's own");
            finding.facts.store_uri = Some(uri.to_string());
            finding
        }
        StoreClaim::Proven => {
            let note = "the domain belongs to the store of another signup of the same customer";
            Finding::of_answer(Seen::PresentElsewhere, note)
        }
        // Not the address: it may be the other's.
        StoreClaim::Contended(other) => {
            let note = format!("it may have been made by {} or by {other}, of the same customer", row.signup_id);
            Finding::of_answer(Seen::PresentUnclear, &note)
        }
    }
}
